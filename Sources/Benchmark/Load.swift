import Foundation
import QDashboard
import Reporting
import Runtime

/// When each request of a benchmark arrives: MLPerf's four scenarios.
public struct Load: Sendable {
    public var scenario: Scenario
    /// Mean arrivals a second, of the server scenario.
    public var requestsPerSecond: Double
    /// Of the server scenario's arrivals: same seed, same arrivals.
    public var seed: UInt64
    /// Requests in the system at once at the most: the next one arrives when one is answered. Nil for no such limit.
    public var maxConcurrency: Int?
    /// Requests of one query of the multi-stream scenario.
    public var streams: Int

    /// MLPerf's.
    public static let usualStreams = 8

    public init(
        _ scenario: Scenario, requestsPerSecond: Double = 1, seed: UInt64 = 0, maxConcurrency: Int? = nil,
        streams: Int = Load.usualStreams
    ) {
        self.streams = streams
        self.scenario = scenario
        self.maxConcurrency = maxConcurrency
        self.requestsPerSecond = requestsPerSecond
        self.seed = seed
    }

    /// Requests in the system at once, at most.
    func inFlight(of count: Int) -> Int {
        scenario == .singleStream ? 1 : max(1, min(count, maxConcurrency ?? count))
    }

    /// Hands requests out as they arrive: `next` waits for the moment.
    func arrivals(_ requests: [AnalysisRequest]) -> Arrivals { Arrivals(self, requests) }
}

/// One run's arrivals, in the order of the requests.
final class Arrivals {
    private let load: Load
    private let requests: [AnalysisRequest]
    private var given = 0
    /// Requests that are given and not yet answered.
    private let unanswered = DispatchGroup()
    private var generator: SplitMix64
    private var due = 0.0
    private let began = ProcessInfo.processInfo.systemUptime

    init(_ load: Load, _ requests: [AnalysisRequest]) {
        self.load = load
        self.requests = requests
        generator = SplitMix64(seed: load.seed)
    }

    func next() -> AnalysisRequest? {
        guard given < requests.count else { return nil }
        switch load.scenario {
        case .singleStream, .offline: break
        case .multiStream:
            // The next query comes when all of the last one are answered.
            if given.isMultiple(of: load.streams) { unanswered.wait() }
        case .server:
            // A Poisson process: exponential gaps, from the start on, whatever the engine does meanwhile.
            due -= log(1 - Double.random(in: 0..<1, using: &generator)) / load.requestsPerSecond
            let wait = began + due - ProcessInfo.processInfo.systemUptime
            if wait > 0 { Thread.sleep(forTimeInterval: wait) }
        }
        given += 1
        unanswered.enter()
        return requests[given - 1]
    }

    /// To be called once for each request that `next` gave; from any thread.
    var answered: @Sendable () -> Void { { [unanswered] in unanswered.leave() } }
}
