import Foundation

/// What a rank is and has, for rank 0 to hold against its own.
struct JobFacts: Sendable, Codable {
    struct Fact: Sendable, Codable, Equatable {
        var name: String
        var value: String
    }

    var step: Int
    var facts: [Fact]
    var identity = PeerIdentity.own
}

extension Job {
    /// Bump it when messages change: ranks of different builds find each other out.
    static let protocolVersion = 2
    /// Seconds that a rank may take to load its share. It shows signs of life meanwhile.
    static let loadingTimeout = 900.0

    /// Compares what all ranks are to give alike: version, model, flags. Returns when rank 0 has found no difference.
    /// - Throws: `JobError` that names the first rank and the first field that differ, on every rank.
    package func agree(_ facts: [(name: String, value: String)]) throws {
        let system = [
            ("message protocol", "\(Self.protocolVersion)"),
            ("byte order", 1.littleEndian == 1 ? "little end first" : "big end first"),
            ("--stages", "\(place.stages)"), ("--peer-timeout", "\(peerTimeout) s"),
        ]
        let all = system + facts
        try exchange(1, all, "the comparison of versions, models and flags") { _ in all }
        guard place.ranks % place.stages == 0 else {
            throw JobError.notAMultiple(ranks: place.ranks, stages: place.stages)
        }
    }

    /// As `agree`, when each rank has loaded its share: `expected` is what rank 0 finds for a rank in its own copy.
    func ready(
        _ own: [(name: String, value: String)], expected: (_ rank: Int) throws -> [(name: String, value: String)]
    ) throws {
        try exchange(2, own, "the end of loading", expected: expected)
    }

    private func exchange(
        _ step: Int, _ own: [(name: String, value: String)], _ what: String,
        expected: (_ rank: Int) throws -> [(name: String, value: String)]
    ) throws {
        let end = monotonicSeconds() + Self.loadingTimeout
        let mine = JobFacts(step: step, facts: own.map { JobFacts.Fact(name: $0.name, value: $0.value) })
        guard place.rank == 0 else {
            messenger.send(try Parcel(encoding: mine), .facts, to: 0)
            guard board.waitForGo(step, until: end) else {
                throw board.failure ?? .late(0, place, waitedFor: what, seconds: Self.loadingTimeout)
            }
            return
        }
        let theirs = board.facts(step, from: 1..<max(1, place.ranks), until: end)
        if let failure = board.failure { throw failure }
        for rank in 1..<max(1, place.ranks) {
            guard let facts = theirs[rank] else {
                throw JobError.late(rank, place, waitedFor: what, seconds: Self.loadingTimeout)
            }
            watch.met(rank, facts.identity)
            for (name, value) in try expected(rank) {
                let got = facts.facts.first { $0.name == name }?.value ?? "none"
                guard got == value else {
                    throw JobError.differs(rank, place, field: name, expected: value, got: got)
                }
            }
        }
        var identities = theirs.mapValues(\.identity)
        identities[0] = .own
        let word = try Parcel(encoding: GoAhead(step: step, identities: identities)).data
        sendToAll(.go) { Parcel(word) }
    }

    private struct GoAhead: Codable {
        var step: Int
        var identities: [Int: PeerIdentity]
    }

    func go(_ parcel: Parcel) throws {
        let word: GoAhead = try parcel.decode()
        for (rank, identity) in word.identities { watch.met(rank, identity) }
        board.go(word.step)
    }
}
