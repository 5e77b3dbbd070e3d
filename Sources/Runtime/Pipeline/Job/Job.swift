import Foundation
import Synchronization

/// This process' part in a job of several: it keeps in touch with the others, and ends with an error that names the rank
/// where one of them dies, stops, or is cut off. No wait is longer than the job lives.
public final class Job: Sendable {
    public let place: JobPlace
    /// Seconds within which the job ends when a rank is lost.
    public let peerTimeout: Double
    let messenger: any Messenger
    let watch: PeerWatch
    let board = JobBoard()
    private let handlers = Mutex<[MessageKind: @Sendable (Parcel, Int) throws -> Void]>([:])
    private let counted = Mutex(0)
    private let watchdog = DispatchSemaphore(value: 0)
    private let lastResort: @Sendable (JobError) -> Void

    /// Seconds for detecting a loss; the rest of the timeout is for ending in order.
    var patience: Double { max(peerTimeout / 2, peerTimeout - 3) }
    private var grace: Double { (peerTimeout - patience) * 0.8 }

    /// - Parameter lastResort: what ends the process when, after a failure, nobody else has in time.
    package init(
        messenger: any Messenger, stages: Int, peerTimeout: Double,
        lastResort: @escaping @Sendable (JobError) -> Void
    ) {
        self.messenger = messenger
        self.peerTimeout = peerTimeout
        self.lastResort = lastResort
        place = JobPlace(rank: messenger.rank, ranks: messenger.ranks, stages: stages)
        watch = PeerWatch(ranks: messenger.ranks, own: messenger.rank)
        messenger.start(self)
        startWatchdog()
    }

    /// What another kind of message is given to. Call it before rank 0 says that work begins.
    func handle(_ kind: MessageKind, _ handler: @escaping @Sendable (Parcel, _ rank: Int) throws -> Void) {
        handlers.withLock { $0[kind] = handler }
    }

    /// What is told of a failure, at once.
    func onFailure(_ listener: @escaping @Sendable (JobError) -> Void) { board.listen(listener) }

    func sendToAll(_ kind: MessageKind, except: Int? = nil, _ parcel: () -> Parcel) {
        for rank in 0..<place.ranks where rank != place.rank && rank != except {
            messenger.send(parcel(), kind, to: rank)
        }
    }

    // MARK: Tokens

    /// A pipeline whose first rank this is has answered.
    func count(_ completion: Completion) {
        counted.withLock { $0 += completion.promptTokens + completion.outputTokens }
    }

    /// Tokens read and written for what has been counted.
    var countedTokens: Int { counted.withLock { $0 } }

    // MARK: Failure

    /// Ends the job; the first reason counts. Others are told of what was found here.
    package func fail(_ error: JobError, telling: Bool = true) {
        guard board.fail(error) else { return }
        if telling, let note = try? Parcel(encoding: FailureNote(error)).data {
            sendToAll(.failure, except: error.lostAtWork ? error.rank : nil) { Parcel(note) }
        }
        let (grace, board, lastResort) = (grace, board, lastResort)
        DispatchQueue.global().asyncAfter(deadline: .now() + grace) {
            if !board.isReported { lastResort(error) }
        }
    }

    private struct FailureNote: Codable {
        var wording: Wording
        var rank: Int?
        var lostAtWork: Bool

        init(_ error: JobError) { (wording, rank, lostAtWork) = (error.wording, error.rank, error.lostAtWork) }
        var error: JobError { JobError(wording, rank: rank, lostAtWork: lostAtWork) }
    }

    /// The launcher wants this process to end, most likely because another one died: finds out which.
    public func launcherEnds(_ signal: String) {
        let begin = monotonicSeconds()
        DispatchQueue.global().async { [self] in
            while monotonicSeconds() - begin < 0.6, board.failure == nil {
                if let rank = watch.dead() { return fail(.died(rank, place)) }
                let now = monotonicSeconds()
                if let (rank, seconds) = watch.silent(longerThan: 4 * PeerWatch.interval, now) {
                    return fail(.silent(rank, place, seconds: seconds, timeout: peerTimeout))
                }
                usleep(20_000)
            }
            fail(.ended(by: signal))
        }
    }

    private func startWatchdog() {
        let thread = Thread { [weak self, watchdog] in
            var last = monotonicSeconds()
            var round = 0
            while watchdog.wait(timeout: .now() + 0.05) == .timedOut {
                guard let self, board.isWatched else { return }
                let now = monotonicSeconds()
                // It was stopped itself, or the machine slept.
                if now - last > 1 { watch.forgive(now) }
                last = now
                round += 1
                look(now, deep: round % 4 == 0)
            }
        }
        thread.name = "watchdog"
        thread.start()
    }

    private func look(_ now: Double, deep: Bool) {
        if deep, let rank = watch.dead() { return fail(.died(rank, place)) }
        if let (rank, seconds) = watch.silent(longerThan: patience, now) {
            // It is this process' own ear that fails where its thread does not come round.
            guard now - messenger.lastTurn < patience / 2 else {
                return fail(.stuck(place, seconds: now - messenger.lastTurn))
            }
            return fail(.silent(rank, place, seconds: seconds, timeout: peerTimeout))
        }
    }

    // MARK: Ends

    /// What ended the job, or this process' own error as the others will see it. Call it before the error is shown.
    public func declare(_ error: any Error) -> any Error {
        if board.failure == nil {
            fail(error as? JobError ?? .failed(place.rank, place, RelayedError(error).wording))
        }
        board.report()
        // One's own error is shown in its own words.
        if error is JobError || board.failure?.rank != place.rank { return board.failure ?? error }
        return error
    }

    /// After an error that has been shown: waits until the others have shown theirs, and ends all processes.
    public func abandon() {
        let spent = grace
        if place.rank == 0 {
            let awaited = Set(0..<place.ranks).subtracting([0, board.failure?.rank ?? 0])
            board.waitForByes(awaited, until: monotonicSeconds() + spent * 0.6)
        } else {
            messenger.send(Parcel(), .bye, to: 0)
            // Rank 0 ends all; where it cannot, each ends itself.
            Thread.sleep(forTimeInterval: spent)
        }
        messenger.abort(within: 1)
    }

    /// Rank 0: the work is done; all leave together.
    public func leave() throws {
        if place.rank == 0 {
            sendToAll(.stop) { Parcel() }
            board.waitForByes(Set(1..<max(1, place.ranks)), until: monotonicSeconds() + peerTimeout)
            if let failure = board.failure { throw failure }
        } else {
            messenger.send(Parcel(), .bye, to: 0)
        }
        board.end()
        watchdog.signal()
        guard messenger.finish(within: peerTimeout) else {
            throw JobError.mpi("leaving the job", "it took longer than \(peerTimeout) s")
        }
    }

    /// Other ranks: returns when rank 0 says that the work is done.
    package func waitForStop() throws {
        if let failure = board.waitForStop() { throw failure }
    }
}

extension Job: MessageHandler {
    package func received(_ parcel: Parcel, _ kind: MessageKind, from rank: Int) {
        let now = monotonicSeconds()
        watch.heard(rank, now)
        do {
            switch kind {
            case .heartbeat: try watch.took(parcel, from: rank, now)
            case .failure: fail(try parcel.decode(FailureNote.self).error, telling: false)
            case .stop: board.stop()
            case .bye:
                watch.left(rank)
                board.bye(rank)
            case .facts: board.facts(try parcel.decode(), from: rank)
            case .go: try go(parcel)
            case .report: board.report(try parcel.decode(), from: rank)
            case .signature: board.signed(try parcel.decode(), by: rank)
            default:
                guard let handler = handlers.withLock({ $0[kind] }) else {
                    throw ParcelReader.Malformed(what: "nobody here takes it")
                }
                try handler(parcel, rank)
            }
        } catch {
            let what = (error as? ParcelReader.Malformed)?.what ?? "\(error)"
            fail(.malformed(rank, place, kind: "\(kind)", what: what))
        }
    }

    package func turn(_ now: Double) {
        guard watch.isDue(now) else { return }
        for rank in 0..<place.ranks where rank != place.rank && messenger.backlog(to: rank) < 64 {
            messenger.send(watch.heartbeat(to: rank, now), .heartbeat, to: rank)
        }
    }

    package func lost(_ rank: Int, operation: String, reason: String) {
        fail(.lost(rank, place, operation: operation, reason: reason))
    }
}
