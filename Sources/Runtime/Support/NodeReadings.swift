import Foundation

/// What the system counts of this process and this machine; a counter is nil where the system does not show it.
public struct NodeReadings: Sendable, Codable {
    /// Of all threads of this process.
    public let cpuSeconds: Double
    public let residentBytes: Int?
    /// Of this process, as the block layer sees it.
    public let diskReadBytes, diskWrittenBytes: Int?
    /// Of this machine's interfaces, loopback left out.
    public let networkReceivedBytes, networkSentBytes: Int?

    public init() {
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

    private init(
        cpuSeconds: Double, residentBytes: Int?, disk: (read: Int?, written: Int?),
        network: (received: Int?, sent: Int?)
    ) {
        self.cpuSeconds = cpuSeconds
        self.residentBytes = residentBytes
        (diskReadBytes, diskWrittenBytes) = disk
        (networkReceivedBytes, networkSentBytes) = network
    }

    /// What has been added to the counters since `first`; memory as it is now.
    public func since(_ first: NodeReadings) -> NodeReadings {
        func less(_ value: Int?, _ start: Int?) -> Int? { value.flatMap { value in start.map { value - $0 } } }
        return NodeReadings(
            cpuSeconds: cpuSeconds - first.cpuSeconds, residentBytes: residentBytes,
            disk: (less(diskReadBytes, first.diskReadBytes), less(diskWrittenBytes, first.diskWrittenBytes)),
            network: (
                less(networkReceivedBytes, first.networkReceivedBytes), less(networkSentBytes, first.networkSentBytes)
            ))
    }

    /// proc(5), /proc/net/dev: after two lines of heads, an interface a line; bytes received come first, sent ninth.
    package static func network(_ text: String) -> (received: Int, sent: Int) {
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
