import Foundation

/// A first-in, first-out queue between threads that holds at most `capacity` elements: a full one makes the sender wait.
final class Channel<Element>: @unchecked Sendable where Element: Sendable {
    // Everything below is touched only under `condition`.
    private let condition = NSCondition()
    private var elements: [Element] = []
    private var isClosed = false
    private let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    var count: Int {
        condition.lock()
        defer { condition.unlock() }
        return elements.count
    }

    /// Waits for room. Sending into a closed channel drops the element: nobody is left to read it.
    func send(_ element: Element) {
        condition.lock()
        defer { condition.unlock() }
        while elements.count >= capacity, !isClosed { condition.wait() }
        if isClosed { return }
        elements.append(element)
        condition.broadcast()
    }

    /// Waits for an element; nil when the channel is closed and empty.
    func receive() -> Element? {
        condition.lock()
        defer { condition.unlock() }
        while elements.isEmpty, !isClosed { condition.wait() }
        if elements.isEmpty { return nil }
        let element = elements.removeFirst()
        condition.broadcast()
        return element
    }

    /// Everything that is there, waiting for the first only if `waiting`. Empty when closed, or when nothing is there.
    func drain(waiting: Bool) -> [Element] {
        condition.lock()
        defer { condition.unlock() }
        while waiting, elements.isEmpty, !isClosed { condition.wait() }
        let all = elements
        elements.removeAll(keepingCapacity: true)
        if !all.isEmpty { condition.broadcast() }
        return all
    }

    func close() {
        condition.lock()
        isClosed = true
        condition.broadcast()
        condition.unlock()
    }
}
