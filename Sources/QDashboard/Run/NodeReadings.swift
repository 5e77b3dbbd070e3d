import Foundation

/// What the system counts of this process and this machine; a counter is nil where the system does not show it.
struct NodeReadings: Sendable {
    /// Of all threads of this process.
    let cpuSeconds: Double
    let residentBytes: Int?
    /// Of this process, as the block layer sees it.
    let diskReadBytes, diskWrittenBytes: Int?
    /// Of this machine's interfaces, loopback left out.
    let networkReceivedBytes, networkSentBytes: Int?

    init() {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        cpuSeconds = Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
        let pages = Self.text("/proc/self/statm")?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        residentBytes = pages.map { $0 * sysconf(Int32(_SC_PAGESIZE)) }
        let io = Self.text("/proc/self/io")
        diskReadBytes = io.flatMap { Self.field("read_bytes", $0) }
        diskWrittenBytes = io.flatMap { Self.field("write_bytes", $0) }
        let network = Self.text("/proc/self/net/dev").map(Self.network)
        networkReceivedBytes = network?.received
        networkSentBytes = network?.sent
    }

    /// proc(5), /proc/net/dev: after two lines of heads, an interface a line; bytes received come first, sent ninth.
    static func network(_ text: String) -> (received: Int, sent: Int) {
        text.split(separator: "\n").dropFirst(2).reduce((0, 0)) { sum, line in
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0].drop(while: { $0 == " " }) != "lo" else { return sum }
            let fields = parts[1].split(separator: " ").map { Int($0) ?? 0 }
            guard fields.count >= 9 else { return sum }
            return (sum.0 + fields[0], sum.1 + fields[8])
        }
    }

    private static func field(_ name: String, _ text: String) -> Int? {
        text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            .flatMap { $0.split(separator: " ").last.flatMap { Int($0) } }
    }

    private static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}
