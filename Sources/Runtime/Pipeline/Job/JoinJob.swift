/// Joining a job, where this build can.
extension Job {
    /// Whether this build has MPI: the package trait of that name.
    public static var isAvailable: Bool {
        #if MPI
            true
        #else
            false
        #endif
    }

    /// Joins the job that mpirun, or another launcher, has begun. Call it once in a process.
    /// - Parameters:
    ///   - stages: of each pipeline.
    ///   - peerTimeout: seconds within which the job ends when a rank is lost.
    ///   - lastResort: ends the process with this error, where after a failure nothing else has in time.
    /// - Throws: `JobError`.
    public static func join(
        stages: Int, peerTimeout: Double, lastResort: @escaping @Sendable (JobError) -> Void
    ) throws -> Job {
        #if MPI
            let messenger = try MPIMessenger.join(within: 60)
            return Job(messenger: messenger, stages: stages, peerTimeout: peerTimeout, lastResort: lastResort)
        #else
            throw JobError.notBuilt
        #endif
    }
}
