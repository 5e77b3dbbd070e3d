import Foundation
import Synchronization

/// When the other ranks were last heard of, and how their clocks stand to this one's.
final class PeerWatch: Sendable {
    /// Seconds between signs of life.
    static let interval = 0.1

    private struct Peer {
        var lastHeard: Double
        var identity: PeerIdentity?
        /// Their heartbeat's time of sending, and when it came, for the echo.
        var theirs: (sent: Double, came: Double)?
        /// Their clock less ours, from the exchange that took least time of late.
        var offset: Double?
        var roundTrip = Double.infinity
        var hasLeft = false
    }

    private let own: Int
    private let peers: Mutex<[Peer]>
    private let lastSent = Mutex(0.0)

    init(ranks: Int, own: Int) {
        self.own = own
        peers = Mutex(Array(repeating: Peer(lastHeard: monotonicSeconds()), count: ranks))
    }

    func heard(_ rank: Int, _ now: Double) { peers.withLock { $0[rank].lastHeard = now } }
    func left(_ rank: Int) { peers.withLock { $0[rank].hasLeft = true } }
    func met(_ rank: Int, _ identity: PeerIdentity) { peers.withLock { $0[rank].identity = identity } }

    /// Silence while this process itself did not run tells nothing of others.
    func forgive(_ now: Double) {
        peers.withLock { peers in
            for rank in peers.indices { peers[rank].lastHeard = now }
        }
    }

    // MARK: Heartbeats

    /// Whether it is time again.
    func isDue(_ now: Double) -> Bool {
        lastSent.withLock { last in
            guard now - last >= Self.interval else { return false }
            last = now
            return true
        }
    }

    /// The time, and an echo of the last one that came from `rank` with how long it was kept (NTP: Mills 1991).
    func heartbeat(to rank: Int, _ now: Double) -> Parcel {
        let parcel = Parcel(capacity: 24)
        let echo = peers.withLock { $0[rank].theirs }
        parcel.write(now)
        parcel.write(echo?.sent ?? 0)
        parcel.write(echo.map { now - $0.came } ?? 0)
        return parcel
    }

    func took(_ parcel: Parcel, from rank: Int, _ now: Double) throws {
        var reader = ParcelReader(parcel)
        let (sent, echo, kept): (Double, Double, Double) = (try reader.read(), try reader.read(), try reader.read())
        peers.withLock { peers in
            peers[rank].theirs = (sent, now)
            guard echo > 0 else { return }
            let roundTrip = max(0, now - echo - kept)
            // The least is the best; it ages, since clocks drift.
            peers[rank].roundTrip *= 1.02
            guard roundTrip <= peers[rank].roundTrip else { return }
            peers[rank].roundTrip = roundTrip
            peers[rank].offset = sent + roundTrip / 2 - now
        }
    }

    /// A moment of another rank's clock by this one's; nil as long as that is not known.
    func local(_ time: Double, of rank: Int) -> Double? {
        peers.withLock { peers in
            let peer = peers[rank]
            if let identity = peer.identity, identity.sharesClock(with: .own) { return time }
            return peer.offset.map { time - $0 }
        }
    }

    // MARK: Looking for the dead

    /// A rank on this machine whose process is gone.
    func dead() -> Int? {
        let known = peers.withLock { $0.map { ($0.identity, $0.hasLeft) } }
        return known.indices.first { $0 != own && !known[$0].1 && known[$0].0?.mayLive == false }
    }

    /// The rank that has been silent longest, where that is longer than `limit`.
    func silent(longerThan limit: Double, _ now: Double) -> (rank: Int, seconds: Double)? {
        let found = peers.withLock { peers in
            peers.indices.filter { $0 != own && !peers[$0].hasLeft && now - peers[$0].lastHeard > limit }
                .map { (rank: $0, seconds: now - peers[$0].lastHeard) }
        }
        return found.max { $0.seconds < $1.seconds }
    }
}
