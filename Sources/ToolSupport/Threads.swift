import Foundation
import Synchronization

/// Runs `body` for each index, each on a thread of its own, since each may wait for the others.
/// - Returns: the results, in order.
/// - Throws: the first one's error, when all have ended.
public func onThreads<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) throws -> Value
) throws -> [Value] {
    let results = Results<Value>()
    let ended = DispatchGroup()
    for index in 0..<count {
        ended.enter()
        let thread = Thread {
            let result = Result { try body(index) }
            results.all.withLock { $0[index] = result }
            ended.leave()
        }
        thread.stackSize = 8 << 20
        thread.start()
    }
    ended.wait()
    let all = results.all.withLock { $0 }
    return try (0..<count).map { try all[$0]!.get() }
}

private final class Results<Value: Sendable>: Sendable {
    let all = Mutex<[Int: Result<Value, any Error>]>([:])
}
