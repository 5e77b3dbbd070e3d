import Foundation
import Synchronization

/// Persistent workers for loops whose iterations do not depend on each other. The caller works too. Between loops the
/// workers spin briefly and then park, so that idle stages leave the cores to busy ones. A loop takes no lock while
/// workers are awake, and allocates nothing.
///
/// Sendable: `body` and `tasks` are written only by `run`, before the release store to `remaining` that publishes them,
/// and read only by a thread that took a task from that same loop, which `run` waits for.
final class ThreadPool: @unchecked Sendable {
    /// Threads at work in a loop, the caller's included.
    let threads: Int

    private typealias Body = (_ task: Int, _ worker: Int) -> Void

    private var body: Body?
    private var tasks = 0
    private let remaining = Atomic<Int>(0)
    private let completed = Atomic<Int>(0)
    private let parked = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private let condition = NSCondition()
    private let spins: Int
    /// The workers' processor clocks.
    private let clocks = Mutex<[clockid_t]>([])

    /// - Parameter spins: looks at the queue before a worker parks; few where threads outnumber cores.
    init(threads: Int, spins: Int = 4_000) {
        precondition(threads >= 1)
        self.threads = threads
        self.spins = spins
        for worker in 1..<max(threads, 1) {
            let thread = Thread { [unowned(unsafe) self] in
                var clock = clockid_t()
                if pthread_getcpuclockid(pthread_self(), &clock) == 0 { clocks.withLock { $0.append(clock) } }
                work(worker)
            }
            thread.name = "kernel-\(worker)"
            thread.stackSize = 1 << 20
            alive.wrappingAdd(1, ordering: .relaxed)
            thread.start()
        }
    }

    private let alive = Atomic<Int>(0)

    deinit {
        stopping.store(true, ordering: .sequentiallyConsistent)
        while alive.load(ordering: .acquiring) > 0 {
            condition.lock()
            condition.broadcast()
            condition.unlock()
            sched_yield()
        }
    }

    /// Processor seconds of the workers and of the calling thread so far.
    var cpuSeconds: Double {
        clocks.withLock { clocks in (clocks + [CLOCK_THREAD_CPUTIME_ID]).reduce(0) { $0 + seconds(of: $1) } }
    }

    /// Runs `body(task, worker)` for each task in 0..<tasks, in any order, and returns when all are done.
    /// `worker` is below `threads`, and no two calls at a time have the same one.
    func run(_ tasks: Int, _ body: (_ task: Int, _ worker: Int) -> Void) {
        if tasks <= 1 || threads == 1 {
            for task in 0..<tasks { body(task, 0) }
            return
        }
        withoutActuallyEscaping(body) { body in
            self.body = body
            self.tasks = tasks
            completed.store(0, ordering: .relaxed)
            remaining.store(tasks, ordering: .sequentiallyConsistent)
            if parked.load(ordering: .sequentiallyConsistent) > 0 {
                condition.lock()
                condition.broadcast()
                condition.unlock()
            }
            takeTasks(worker: 0)
            var looks = 0
            while completed.load(ordering: .acquiring) < tasks {
                looks += 1
                if looks > spins { sched_yield() }
            }
            self.body = nil
        }
    }

    @inline(__always)
    private func takeTasks(worker: Int) {
        while true {
            let left = remaining.wrappingSubtract(1, ordering: .acquiringAndReleasing).oldValue
            guard left > 0 else { return }
            body!(tasks - left, worker)
            completed.wrappingAdd(1, ordering: .releasing)
        }
    }

    private func work(_ worker: Int) {
        while true {
            var looks = 0
            while remaining.load(ordering: .acquiring) <= 0, looks < spins {
                if stopping.load(ordering: .relaxed) { break }
                looks += 1
            }
            if remaining.load(ordering: .acquiring) > 0 {
                takeTasks(worker: worker)
                continue
            }
            condition.lock()
            parked.wrappingAdd(1, ordering: .sequentiallyConsistent)
            while remaining.load(ordering: .sequentiallyConsistent) <= 0,
                !stopping.load(ordering: .sequentiallyConsistent)
            {
                condition.wait()
            }
            parked.wrappingSubtract(1, ordering: .sequentiallyConsistent)
            condition.unlock()
            if stopping.load(ordering: .sequentiallyConsistent) { break }
        }
        alive.wrappingSubtract(1, ordering: .releasing)
    }
}

/// What a clock says; 0 where it does not exist any more.
func seconds(of clock: clockid_t) -> Double {
    var time = timespec()
    guard clock_gettime(clock, &time) == 0 else { return 0 }
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
