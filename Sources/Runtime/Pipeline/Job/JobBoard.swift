import Foundation

/// What the job's messages have told, and the waits for it. A failure ends every wait.
final class JobBoard: @unchecked Sendable {
    // Everything below is touched only under `condition`.
    private let condition = NSCondition()
    private var failed: JobError?
    private var listeners: [@Sendable (JobError) -> Void] = []
    private var hasReported = false
    private var hasEnded = false
    private var stopped = false
    private var byes: Set<Int> = []
    private var facts: [Int: [Int: JobFacts]] = [:]
    private var going = 0
    private var reports: [Int: NodeReport] = [:]
    private var reportCounts: [Int: Int] = [:]
    private var reportTimes: [Int: Double] = [:]
    private var signatures: [Int: NodeSignature] = [:]

    private func locked<Result>(_ body: () -> Result) -> Result {
        condition.lock()
        defer { condition.unlock() }
        return body()
    }

    private func changed(_ body: () -> Void) {
        locked(body)
        condition.broadcast()
    }

    /// Waits until `ready`, a failure, or `end` by the monotonic clock.
    private func wait(until end: Double, _ ready: () -> Bool) {
        condition.lock()
        defer { condition.unlock() }
        while !ready(), failed == nil {
            let left = end - monotonicSeconds()
            guard left > 0 else { return }
            _ = condition.wait(until: Date(timeIntervalSinceNow: min(left, 1)))
        }
    }

    // MARK: Failure

    var failure: JobError? { locked { failed } }

    /// Whether this is the first.
    func fail(_ error: JobError) -> Bool {
        let told: [@Sendable (JobError) -> Void]? = locked {
            guard failed == nil, !hasEnded else { return nil }
            failed = error
            return listeners
        }
        guard let told else { return false }
        condition.broadcast()
        for listener in told { listener(error) }
        return true
    }

    func listen(_ listener: @escaping @Sendable (JobError) -> Void) {
        let failure = locked {
            listeners.append(listener)
            return failed
        }
        if let failure { listener(failure) }
    }

    /// Somebody has taken it on himself to show the failure.
    func report() { locked { hasReported = true } }
    var isReported: Bool { locked { hasReported } }

    /// From now on others may go as they like.
    func end() { locked { hasEnded = true } }
    var isWatched: Bool { locked { !hasEnded && failed == nil } }

    // MARK: Beginning

    func facts(_ theirs: JobFacts, from rank: Int) { changed { facts[theirs.step, default: [:]][rank] = theirs } }

    /// The ranks' facts of a step, as far as they have come by `end`.
    func facts(_ step: Int, from ranks: Range<Int>, until end: Double) -> [Int: JobFacts] {
        wait(until: end) { ranks.allSatisfy { facts[step]?[$0] != nil } }
        return locked { facts[step] ?? [:] }
    }

    func go(_ step: Int) { changed { going = step } }

    func waitForGo(_ step: Int, until end: Double) -> Bool {
        wait(until: end) { going >= step }
        return locked { going >= step }
    }

    // MARK: Reports

    func report(_ theirs: NodeReport, from rank: Int) {
        changed {
            reports[rank] = theirs
            reportCounts[rank, default: 0] += 1
            reportTimes[rank] = monotonicSeconds()
        }
    }

    /// The last ones, by rank.
    var lastReports: [NodeReport] { locked { reports.keys.sorted().compactMap { reports[$0] } } }

    var reportTally: [Int: Int] { locked { reportCounts } }

    /// When a rank's last one came, by this process' clock.
    func reportTime(of rank: Int) -> Double? { locked { reportTimes[rank] } }

    func waitForReports(beyond tally: [Int: Int], from ranks: Range<Int>, until end: Double) {
        wait(until: end) { ranks.allSatisfy { (reportCounts[$0] ?? 0) > (tally[$0] ?? 0) } }
    }

    // MARK: Signatures

    func signed(_ theirs: NodeSignature, by rank: Int) { changed { signatures[rank] = theirs } }

    /// Takes a rank's signature, where it comes by `end`.
    func signature(by rank: Int, until end: Double) -> NodeSignature? {
        wait(until: end) { signatures[rank] != nil }
        return locked { signatures.removeValue(forKey: rank) }
    }

    // MARK: Ends

    func stop() { changed { stopped = true } }

    /// Returns the failure that ended the wait, if any.
    func waitForStop() -> JobError? {
        wait(until: .infinity) { stopped }
        return locked { stopped ? nil : failed }
    }

    func bye(_ rank: Int) { changed { byes.insert(rank) } }

    /// Also after a failure: those who live say so.
    func waitForByes(_ ranks: Set<Int>, until end: Double) {
        condition.lock()
        defer { condition.unlock() }
        let failedBefore = failed != nil
        while !ranks.isSubset(of: byes), failedBefore || failed == nil {
            let left = end - monotonicSeconds()
            guard left > 0 else { return }
            _ = condition.wait(until: Date(timeIntervalSinceNow: left))
        }
    }
}
