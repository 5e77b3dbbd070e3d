#if MPI
    import CMPI
    import Foundation
    import Synchronization

    /// Messages over MPI. All calls into it come from one thread, which MPI is told (FUNNELED); none of them waits. Between
    /// rounds the thread sleeps on the rank's doorbell, which whoever has something for it rings: this process' threads, and
    /// the ranks on this machine. Of those on others it hears by waking, the more rarely the less goes on.
    final class MPIMessenger: Messenger, @unchecked Sendable {
        let rank: Int
        let ranks: Int
        let ranksHere: Int

        private struct Outgoing: Sendable {
            let parcel: Parcel
            let kind: MessageKind
            let rank: Int
        }

        private struct Queue {
            var waiting: [Outgoing] = []
            /// Not yet gone, by receiver.
            var backlog: [Int]
            var handler: (any MessageHandler)?
            var isLeaving = false
            var aborts = false
            /// The doorbell is gone.
            var hasLeft = false
        }

        private let queue: Mutex<Queue>
        private let hasLeft = DispatchSemaphore(value: 0)
        private let turnStamp = Atomic<UInt64>(0)

        /// Joins the job that the launcher has begun, or one of a single rank.
        /// - Throws: `JobError`.
        static func join(within seconds: Double) throws -> MPIMessenger {
            // What spares a person flags; who sets them keeps his own.
            for (name, value) in [
                ("mpi_yield_when_idle", "1"), ("pml", "ob1"), ("btl_base_warn_component_unused", "0"),
                ("mpi_show_handle_leaks", "0"),
            ] { setenv("OMPI_MCA_" + name, value, 0) }
            let joined = Joining()
            let thread = Thread {
                cmpi_sharpen_timer()
                let outcome = Result { try start() }
                joined.end(outcome)
                if let messenger = try? outcome.get() { messenger.loop() }
            }
            thread.name = "mpi"
            thread.stackSize = 4 << 20
            thread.start()
            return try joined.wait(seconds)
        }

        private final class Joining: Sendable {
            private let outcome = Once<Result<MPIMessenger, any Error>>()
            private let done = DispatchSemaphore(value: 0)

            func end(_ result: Result<MPIMessenger, any Error>) {
                outcome.set(result)
                done.signal()
            }

            func wait(_ seconds: Double) throws -> MPIMessenger {
                guard done.wait(timeout: .now() + seconds) == .success, let outcome = outcome.value else {
                    throw JobError.mpi("joining the job", "it took longer than \(seconds) s")
                }
                return try outcome.get()
            }
        }

        private static func start() throws -> MPIMessenger {
            var (rank, size, local, funneled): (Int32, Int32, Int32, Int32) = (0, 1, 1, 0)
            let code = cmpi_start(&rank, &size, &local, &funneled)
            guard code == 0 else { throw JobError.mpi("joining the job", text(code)) }
            guard funneled != 0 else {
                throw JobError.mpi("joining the job", "this MPI allows no threads (MPI_THREAD_FUNNELED)")
            }
            return MPIMessenger(rank: Int(rank), ranks: Int(size), ranksHere: Int(local))
        }

        private init(rank: Int, ranks: Int, ranksHere: Int) {
            self.rank = rank
            self.ranks = ranks
            self.ranksHere = ranksHere
            queue = Mutex(Queue(backlog: Array(repeating: 0, count: ranks)))
            stamp()
        }

        private static func text(_ code: Int32) -> String {
            var text = [CChar](repeating: 0, count: 512)
            cmpi_error_text(code, &text, Int32(text.count))
            return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        }

        func start(_ handler: any MessageHandler) {
            change { $0.handler = handler }
        }

        /// Changes what the thread works by, and wakes it.
        private func change(_ body: (inout Queue) -> Void) {
            queue.withLock { queue in
                body(&queue)
                if !queue.hasLeft { cmpi_ring(Int32(rank)) }
            }
        }

        func send(_ parcel: Parcel, _ kind: MessageKind, to rank: Int) {
            precondition(rank != self.rank && parcel.count < Int(Int32.max))
            change {
                $0.waiting.append(Outgoing(parcel: parcel, kind: kind, rank: rank))
                $0.backlog[rank] += 1
            }
        }

        func backlog(to rank: Int) -> Int { queue.withLock { $0.backlog[rank] } }

        var lastTurn: Double { Double(turnStamp.load(ordering: .relaxed)) * 1e-9 }

        private func stamp() { turnStamp.store(UInt64(monotonicSeconds() * 1e9), ordering: .relaxed) }

        func finish(within seconds: Double) -> Bool {
            change { $0.isLeaving = true }
            return hasLeft.wait(timeout: .now() + seconds) == .success
        }

        func abort(within seconds: Double) {
            change { $0.aborts = true }
            _ = hasLeft.wait(timeout: .now() + seconds)
        }

        // MARK: The thread

        private struct Sending {
            let parcel: Parcel
            let rank: Int
            var request: cmpi_request
        }

        private struct Receiving {
            let parcel: Parcel
            let kind: MessageKind?
            var request: cmpi_request
            var isDone = false
        }

        private struct Traffic {
            var sending: [Sending] = []
            /// By sender, in the order in which they were announced: that is how they are delivered.
            var receiving: [[Receiving]]
            var isIdle: Bool { sending.isEmpty && receiving.allSatisfy(\.isEmpty) }
        }

        private func loop() {
            var traffic = Traffic(receiving: Array(repeating: [], count: ranks))
            var lastEvent = monotonicSeconds()
            while true {
                let now = monotonicSeconds()
                let rings = cmpi_rings()
                let (outgoing, handler, isLeaving, aborts) = queue.withLock { queue in
                    // Nobody is there to deliver to before `start`; what comes waits in MPI.
                    defer { queue.waiting.removeAll(keepingCapacity: true) }
                    return (queue.waiting, queue.handler, queue.isLeaving, queue.aborts)
                }
                if aborts {
                    cmpi_abort(1)
                    hasLeft.signal()
                    return
                }
                stamp()
                for message in outgoing { send(message, &traffic, handler) }
                var moved = !outgoing.isEmpty
                if test(&traffic, handler) { moved = true }
                if let handler {
                    if receive(&traffic, handler) { moved = true }
                    handler.turn(now)
                }
                if isLeaving, outgoing.isEmpty, traffic.sending.isEmpty {
                    queue.withLock { $0.hasLeft = true }
                    _ = cmpi_finish()
                    hasLeft.signal()
                    return
                }
                if moved { lastEvent = now }
                cmpi_sleep(rings, Int64(longestSleep(idle: now - lastEvent, pending: !traffic.isIdle) * 1e9))
            }
        }

        /// Seconds. What is on its way moves only while both ends look. Other machines cannot ring: an eighth of the time
        /// without an event, so that a message waits little longer than it did anyway. It keeps a virtual processor from
        /// halting in a short pause, too, from which a bell wakes it in a third of a millisecond.
        private func longestSleep(idle: Double, pending: Bool) -> Double {
            pending ? 20e-6 : min(max(idle / 8, 20e-6), 1e-3)
        }

        private func send(_ message: Outgoing, _ traffic: inout Traffic, _ handler: (any MessageHandler)?) {
            var request = cmpi_request()
            let code = cmpi_send(
                message.parcel.bytes.pointer, Int32(message.parcel.count), Int32(message.rank),
                Int32(message.kind.rawValue), &request)
            guard code == 0 else {
                gone(message.rank)
                handler?.lost(message.rank, operation: "sending to it", reason: Self.text(code))
                return
            }
            cmpi_ring(Int32(message.rank))
            traffic.sending.append(Sending(parcel: message.parcel, rank: message.rank, request: request))
        }

        private func gone(_ rank: Int) { queue.withLock { $0.backlog[rank] -= 1 } }

        /// Whether anything that was on its way has arrived, or gone.
        private func test(_ traffic: inout Traffic, _ handler: (any MessageHandler)?) -> Bool {
            var moved = false
            traffic.sending.removeAll { sending in
                var request = sending.request
                guard isDone(&request, sending.rank, "sending to it", handler) else { return false }
                gone(sending.rank)
                cmpi_ring(Int32(sending.rank))
                moved = true
                return true
            }
            for source in traffic.receiving.indices {
                for index in traffic.receiving[source].indices where !traffic.receiving[source][index].isDone {
                    traffic.receiving[source][index].isDone = isDone(
                        &traffic.receiving[source][index].request, source, "receiving from it", handler)
                }
                while let first = traffic.receiving[source].first, first.isDone {
                    traffic.receiving[source].removeFirst()
                    moved = true
                    // Its sender waits for that, where the message was long.
                    cmpi_ring(Int32(source))
                    guard let kind = first.kind else {
                        handler?.lost(source, operation: "receiving from it", reason: "a message of unknown kind")
                        continue
                    }
                    handler?.received(first.parcel, kind, from: source)
                }
            }
            return moved
        }

        private func isDone(
            _ request: inout cmpi_request, _ rank: Int, _ operation: String, _ handler: (any MessageHandler)?
        ) -> Bool {
            var done: Int32 = 0
            let code = cmpi_test(&request, &done)
            guard code == 0 else {
                handler?.lost(rank, operation: operation, reason: Self.text(code))
                return true
            }
            return done != 0
        }

        /// Begins to receive all that has been announced.
        private func receive(_ traffic: inout Traffic, _ handler: any MessageHandler) -> Bool {
            var moved = false
            while true {
                var (found, source, tag, count): (Int32, Int32, Int32, Int32) = (0, 0, 0, 0)
                var message = cmpi_message()
                let code = cmpi_probe(&found, &source, &tag, &count, &message)
                guard code == 0 else {
                    handler.lost(rank, operation: "looking for messages", reason: Self.text(code))
                    return moved
                }
                guard found != 0 else { break }
                moved = true
                let parcel = Parcel(receiving: Int(count))
                var request = cmpi_request()
                let begun = cmpi_receive(parcel.bytes.pointer, count, &message, &request)
                guard begun == 0 else {
                    handler.lost(Int(source), operation: "receiving from it", reason: Self.text(begun))
                    continue
                }
                traffic.receiving[Int(source)].append(
                    Receiving(
                        parcel: parcel, kind: UInt8(exactly: tag).flatMap(MessageKind.init), request: request))
            }
            // What came whole with its announcement is delivered at once.
            return test(&traffic, handler) || moved
        }
    }
#endif
