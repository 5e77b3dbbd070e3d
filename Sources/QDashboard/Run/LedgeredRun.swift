import Runtime

/// A run that can die at any moment and be resumed: what is in the ledger is not computed again, and what was at work
/// when the process died is tried again at the end, alone.
public struct LedgeredRun: Sendable {
    public let run: SnapshotRun
    public let ledger: RunLedger
    /// Requests handed to each node at once.
    public let inFlight: Int
    private let observed: NodeMonitor.Observed

    /// - Parameters:
    ///   - job: where the nodes are processes of one.
    ///   - pipeline: the one that answers; nil where all of the job's do.
    public init(
        run: SnapshotRun, ledger: RunLedger, inFlight: Int, engine: Engine, node: String, job: Job? = nil,
        pipeline: Int? = nil
    ) {
        self.run = run
        self.ledger = ledger
        self.inFlight = inFlight
        observed = NodeMonitor.Observed(node: node, engine: engine, job: job, pipeline: pipeline)
    }

    /// - Parameter progress: called with the counts so far, on a thread of the ledger's.
    /// - Throws: what the reader, the ledger and the files throw; what was answered until then can be resumed.
    public func answerAll(
        _ reader: RequestReader, traced: Bool = false,
        progress: @escaping @Sendable (RunOutput.Counts) -> Void = { _ in }
    ) throws -> RunOutput.Counts {
        let ledger = ledger
        let monitor = NodeMonitor(ledger: ledger, observed)
        do {
            var suspects: [AnalysisRequest] = []
            try run.run(inFlight: inFlight, traced: traced) { node in
                while let item = try reader.next() {
                    switch item {
                    case .rejected(let record): try ledger.files.reject(record, before: reader.accepted)
                    case .request(let request):
                        switch try ledger.past(of: request) {
                        case .answered(let answer, let timing):
                            try ledger.files.submit(answer, timing: timing, at: request.ordinal)
                        case .suspect: suspects.append(request)
                        case .quarantined(let deaths):
                            let reason = "quarantined: the process died \(deaths) times while it worked on this"
                            try ledger.reject(request, reason: reason)
                        case .unknown:
                            try ledger.begin(request, on: node, alone: false)
                            return request
                        }
                    }
                }
                return nil
            } finished: {
                ledger.end($0, committed: progress)
            }
            var rest = suspects.makeIterator()
            try run.run(inFlight: 1, on: run.nodes.prefix(1), traced: traced) { node in
                guard let request = rest.next() else { return nil }
                try ledger.begin(request, on: node, alone: true)
                return request
            } finished: {
                ledger.end($0, committed: progress)
            }
            try ledger.settle()
            try monitor.stop()
            let counts = try ledger.finish()
            try reader.requireRequests()
            return counts
        } catch {
            try? monitor.stop()  // What ended the run is the error to report.
            // A process that was lost at work is as this one's own death: what was in hand is suspect.
            ledger.abandon(suspecting: (error as? JobError)?.lostAtWork == true)
            throw error
        }
    }
}
