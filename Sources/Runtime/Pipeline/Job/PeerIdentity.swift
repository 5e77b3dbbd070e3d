import Foundation

/// Which process a rank is, as far as others can use it: on the same machine one can look whether it is still there.
struct PeerIdentity: Sendable, Codable, Equatable {
    let host: String
    /// Machine since its last start, and the name space of process numbers: where both are the same, so is `process`.
    let scope: String
    let process: Int32
    /// When it began, in the system's ticks, since numbers are used again.
    let began: String

    static let own: PeerIdentity = {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, 255)
        let boot = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
        let space = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")) ?? ""
        return PeerIdentity(
            host: String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self),
            scope: boot.trimmingCharacters(in: .whitespacesAndNewlines) + space, process: getpid(),
            began: fields(getpid())?.began ?? "")
    }()

    /// Whether both have one clock.
    func sharesClock(with other: PeerIdentity) -> Bool { scope == other.scope }

    /// False only where it is certain that the process is no more.
    var mayLive: Bool {
        guard scope == Self.own.scope, !began.isEmpty else { return true }
        guard let now = Self.fields(process) else { return false }
        return now.began == began && !["Z", "X"].contains(now.state)
    }

    /// proc(5), /proc/PID/stat: the state is the first field behind the name, the start the twentieth.
    private static func fields(_ process: Int32) -> (state: String, began: String)? {
        guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
            let name = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: name)...].split(separator: " ")
        guard fields.count >= 20 else { return nil }
        return (String(fields[0]), String(fields[19]))
    }
}
