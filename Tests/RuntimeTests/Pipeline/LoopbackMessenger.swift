import Foundation
import Runtime
import Synchronization

/// A job's ranks as threads of one process: what MPI does for processes, without MPI.
final class LoopbackMessenger: Messenger {
    let rank: Int
    let ranks: Int
    var ranksHere: Int { ranks }
    private let network: Network
    private let state = Mutex((stamp: ProcessInfo.processInfo.systemUptime, hasEnded: false))
    /// One message after the other, as they came.
    private let deliveries: DispatchQueue
    private let handler = Mutex<(any MessageHandler)?>(nil)

    /// What joins the ranks.
    final class Network: Sendable {
        fileprivate let members = Mutex<[LoopbackMessenger]>([])
        /// Ranks whose messages go nowhere.
        let cut = Mutex<Set<Int>>([])
        /// Cuts messages of this kind short.
        let damages = Mutex<MessageKind?>(nil)
    }

    private init(_ rank: Int, of ranks: Int, _ network: Network) {
        self.rank = rank
        self.ranks = ranks
        self.network = network
        deliveries = DispatchQueue(label: "rank \(rank)")
        // What comes before `start` waits.
        deliveries.suspend()
    }

    static func ranks(_ count: Int) -> ([LoopbackMessenger], Network) {
        let network = Network()
        let members = (0..<count).map { LoopbackMessenger($0, of: count, network) }
        network.members.withLock { $0 = members }
        return (members, network)
    }

    func start(_ handler: any MessageHandler) {
        self.handler.withLock { $0 = handler }
        deliveries.resume()
        Thread { [weak self] in
            while let self, !state.withLock({ $0.hasEnded }) {
                let now = ProcessInfo.processInfo.systemUptime
                state.withLock { $0.stamp = now }
                handler.turn(now)
                usleep(20_000)
            }
        }.start()
    }

    func send(_ parcel: Parcel, _ kind: MessageKind, to rank: Int) {
        guard network.cut.withLock({ $0.isDisjoint(with: [rank, self.rank]) }) else { return }
        let isDamaged = network.damages.withLock { $0 == kind }
        let data = isDamaged ? parcel.data.dropLast(3) : parcel.data
        let receiver = network.members.withLock { $0[rank] }
        receiver.deliveries.async { [own = self.rank] in
            guard !receiver.state.withLock({ $0.hasEnded }) else { return }
            receiver.handler.withLock { $0 }?.received(Parcel(data), kind, from: own)
        }
    }

    func backlog(to rank: Int) -> Int { 0 }
    var lastTurn: Double { state.withLock { $0.stamp } }

    func finish(within seconds: Double) -> Bool {
        state.withLock { $0.hasEnded = true }
        return true
    }

    func abort(within seconds: Double) { _ = finish(within: seconds) }
}
