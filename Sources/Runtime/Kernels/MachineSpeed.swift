import CKernels
import Foundation
import Synchronization

/// What this machine can do at most, measured now: the yardsticks for a kernel's percentages.
public struct MachineSpeed: Sendable, Codable, Equatable {
    /// 8-bit products a second of the kernel set's instructions, operands in registers.
    public let productsPerSecond: Double
    /// Bytes a second read from memory, far beyond the caches.
    public let readBytesPerSecond: Double

    public init(productsPerSecond: Double, readBytesPerSecond: Double) {
        self.productsPerSecond = productsPerSecond
        self.readBytesPerSecond = readBytesPerSecond
    }

    /// The best of several runs on `threads` threads at once: on a shared machine others only take away.
    public static func measure(kernels: KernelSet, threads: Int) -> MachineSpeed {
        let pool = ThreadPool(threads: threads)
        let rounds: Int64 = 400_000
        let products = Atomic<Int64>(0)
        let calculating = fastest(of: 12) {
            products.store(0, ordering: .relaxed)
            pool.run(threads) { _, _ in
                products.wrappingAdd(qk_peak_products(kernels.name, rounds), ordering: .relaxed)
            }
        }
        let share = 128 << 20
        let memory = AlignedBuffer<UInt8>(count: threads * share)
        pool.run(threads) { task, _ in memset(memory.pointer + task * share, 1, share) }
        let sink = Atomic<UInt64>(0)
        let reading = fastest(of: 8) {
            pool.run(threads) { task, _ in
                sink.wrappingAdd(qk_read_all(memory.pointer + task * share, share), ordering: .relaxed)
            }
        }
        return MachineSpeed(
            productsPerSecond: Double(products.load(ordering: .relaxed)) / calculating,
            readBytesPerSecond: Double(threads * share) / reading)
    }

    private static func fastest(of runs: Int, _ body: () -> Void) -> Double {
        (0..<runs).map { _ in
            let begin = monotonicSeconds()
            body()
            return monotonicSeconds() - begin
        }.min()!
    }
}
