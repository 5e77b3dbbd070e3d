/// What a message is. Its number goes with it.
package enum MessageKind: UInt8, Sendable, CaseIterable {
    /// A sign of life, with what two clocks are compared by.
    case heartbeat = 1
    /// A batch for the next stage.
    case batch
    /// A batch's answers for the scheduler.
    case readings
    /// What a rank is, for rank 0 to compare.
    case facts
    /// Rank 0's word that all agree and that work goes on.
    case go
    /// A request for a pipeline, from rank 0.
    case request
    /// Its completion.
    case completion
    /// What a process and its stages have done.
    case report
    /// Rank 0 asks for one at once.
    case reportWanted
    /// The work is done.
    case stop
    /// A rank has nothing more to say.
    case bye
    /// What ended the job.
    case failure
    /// Rank 0 asks for a signature under this.
    case statement
    /// The signature.
    case signature
}

/// Carries messages between a job's processes: whole, and in order for each pair. Nothing here waits for another process.
package protocol Messenger: AnyObject, Sendable {
    var rank: Int { get }
    var ranks: Int { get }
    /// The job's processes on this machine.
    var ranksHere: Int { get }

    /// Begins to deliver. All calls to `handler` come from one thread.
    func start(_ handler: any MessageHandler)

    /// Hands a message over. It is another's from now on.
    func send(_ parcel: Parcel, _ kind: MessageKind, to rank: Int)

    /// Messages handed over and not yet gone.
    func backlog(to rank: Int) -> Int

    /// When its thread last came round, by this process' clock: one that is stuck in a call cannot tell.
    var lastTurn: Double { get }

    /// Leaves the job in order, when all others do; false where that takes longer than `seconds`.
    func finish(within seconds: Double) -> Bool

    /// Ends all processes of the job, as far as that is possible within `seconds`.
    func abort(within seconds: Double)
}

package protocol MessageHandler: AnyObject, Sendable {
    func received(_ parcel: Parcel, _ kind: MessageKind, from rank: Int)
    /// Regularly, more often than heartbeats are due.
    func turn(_ now: Double)
    /// What MPI says of a message to or from a rank.
    func lost(_ rank: Int, operation: String, reason: String)
}
