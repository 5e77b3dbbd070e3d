import Synchronization

/// A value that is set once and read by any thread.
final class Once<Value: Sendable>: Sendable {
    private let stored = Mutex<Value?>(nil)

    /// Nil until it is set.
    var value: Value? { stored.withLock { $0 } }

    /// Keeps the first value; later ones are dropped, and told apart by the result.
    @discardableResult
    func set(_ value: Value) -> Bool {
        stored.withLock {
            guard $0 == nil else { return false }
            $0 = value
            return true
        }
    }
}
