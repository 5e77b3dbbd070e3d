import Foundation
import Synchronization

/// A line of progress with the time left, on a terminal only.
public final class Progress: Sendable {
    private let label: String
    private let total: Int?
    private let began = Date()
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let lastShown = Mutex(Date.distantPast)

    public init(_ label: String, total: Int?) {
        self.label = label
        self.total = total
    }

    public func update(_ done: Int, detail: String = "") {
        guard isTerminal else { return }
        let now = Date()
        let due = lastShown.withLock { last in
            guard now.timeIntervalSince(last) > 0.2 || done == total else { return false }
            last = now
            return true
        }
        guard due else { return }
        let seconds = now.timeIntervalSince(began)
        var line = "\(label) \(done)"
        if let total {
            line += " of \(total)"
            if done > 0, done < total {
                line += ", \(Self.duration(seconds / Double(done) * Double(total - done))) left"
            }
        }
        if !detail.isEmpty { line += " · \(detail)" }
        FileHandle.standardError.write(Data("\r\u{1B}[K\(line)".utf8))
    }

    /// Clears the line.
    public func finish() {
        guard isTerminal else { return }
        FileHandle.standardError.write(Data("\r\u{1B}[K".utf8))
    }

    static func duration(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded(.up))
        return whole < 60 ? "\(whole) s" : "\(whole / 60) min \(whole % 60) s"
    }
}
