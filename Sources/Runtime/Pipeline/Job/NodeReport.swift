import Foundation

/// What a process of the job has done since it joined.
public struct NodeReport: Sendable, Codable {
    public let rank: Int
    public let host: String
    /// Since it joined.
    public let seconds: Double
    public let readings: NodeReadings
    /// Of its own stage.
    public let stages: [StageUsage]
    /// Read and written for what its pipeline has answered; nil where it is not the pipeline's first rank.
    public let tokens: Int?
}

extension Job {
    /// Sends rank 0 a report once a second, and when it asks for one, until the job ends.
    func reportRegularly(_ usage: @escaping @Sendable () -> [StageUsage]) {
        let rank = place.rank
        let began = monotonicSeconds()
        let first = NodeReadings()
        let send: @Sendable (Job) -> Void = { job in
            let report = NodeReport(
                rank: rank, host: PeerIdentity.own.host, seconds: monotonicSeconds() - began,
                readings: NodeReadings().since(first), stages: usage(),
                tokens: job.place.isHead ? job.countedTokens : nil)
            if let parcel = try? Parcel(encoding: report) { job.messenger.send(parcel, .report, to: 0) }
        }
        handle(.reportWanted) { [weak self] _, _ in if let self { send(self) } }
        let thread = Thread { [weak self] in
            while true {
                Thread.sleep(forTimeInterval: 1)
                guard let self, board.isWatched else { return }
                send(self)
            }
        }
        thread.name = "reports"
        thread.start()
    }

    /// Rank 0: the last report of each other rank.
    public var reports: [NodeReport] { board.lastReports }

    /// Rank 0: how old a rank's last report is; nil where there is none.
    public func secondsSinceReport(of rank: Int) -> Double? {
        board.reportTime(of: rank).map { monotonicSeconds() - $0 }
    }

    /// Rank 0: tokens read and written for what a rank's pipeline has answered, as its first rank has last said; nil
    /// where it has not yet.
    public func tokens(of rank: Int) -> Int? {
        let head = rank / place.stages * place.stages
        return head == place.rank ? countedTokens : reports.first { $0.rank == head }?.tokens
    }

    /// Rank 0: asks all others for a report, and waits for it at most a moment.
    public func refreshReports() {
        let tally = board.reportTally
        sendToAll(.reportWanted) { Parcel() }
        board.waitForReports(
            beyond: tally, from: 1..<max(1, place.ranks), until: monotonicSeconds() + min(1, peerTimeout / 2))
    }
}
