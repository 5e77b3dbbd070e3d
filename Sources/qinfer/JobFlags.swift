import ArgumentParser
import Foundation
import Runtime
import ToolSupport

/// How a pipeline's stages are joined.
enum TransportKind: String, CaseIterable, ExpressibleByArgument {
    case threads, mpi
}

extension WireFormat: ExpressibleByArgument {}

/// Flags of the commands that can run over several processes.
struct JobFlags: ParsableArguments {
    @Option(help: "threads: one process; mpi: a stage a rank, launched by mpirun.")
    var transport = TransportKind.threads

    @Option(help: "With mpi: hidden states travel as fp32 (exact) or fp16.")
    var wire = WireFormat.fp32

    @Option(
        help: ArgumentHelp("With mpi: the job ends this long after a rank is lost.", valueName: "seconds"))
    var peerTimeout = 10.0

    func validate() throws {
        guard peerTimeout >= 1, peerTimeout <= 3600 else {
            throw ValidationError("--peer-timeout: expected 1 to 3600 seconds, got \(peerTimeout)")
        }
        if transport == .threads, let ranks = ProcessInfo.processInfo.environment["OMPI_COMM_WORLD_SIZE"], ranks != "1"
        {
            throw ValidationError("one of \(ranks) ranks of an MPI job: add --transport mpi, or run it without mpirun")
        }
        if wire == .fp16, transport == .threads { throw ValidationError("--wire fp16 needs --transport mpi") }
    }
}

/// Runs `body` as this rank's part of a job. Where the job fails, every rank that lives says why, and all end.
func inJob<Result>(_ flags: JobFlags, stages: Int, _ body: (Job) throws -> Result) throws -> Result {
    let job = try reportingErrors {
        try Job.join(stages: stages, peerTimeout: flags.peerTimeout) { error in
            note("error: \(error)")
            _exit(ExitCode.failed.rawValue)
        }
    }
    // The launcher's way to end the ranks when one of them has died.
    signal(SIGTERM, SIG_IGN)
    let ending = DispatchSource.makeSignalSource(signal: SIGTERM, queue: .global())
    ending.setEventHandler { job.launcherEnds("SIGTERM") }
    ending.resume()
    defer { ending.cancel() }
    do {
        let result = try body(job)
        try job.leave()
        return result
    } catch {
        note("error: \(job.declare(error)) [said by rank \(job.place.rank)]")
        job.abandon()
        throw ExitCode.failed
    }
}
