import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What the run was measured on. A figure without its machine says little.
public struct Machine: Codable, Sendable, Equatable {
    /// As the operating system names it.
    public var cpu: String?
    public var architecture: String
    /// Logical processors that this process may use.
    public var cores: Int
    public var memoryBytes: Int?
    /// Distribution and kernel.
    public var operatingSystem: String
    /// The instruction set that the kernels ran on: "avx2", "generic", …
    public var kernelSet: String?
    public var compiler: String?

    public init(
        cpu: String?, architecture: String, cores: Int, memoryBytes: Int?, operatingSystem: String,
        kernelSet: String?, compiler: String?
    ) {
        self.cpu = cpu
        self.architecture = architecture
        self.cores = cores
        self.memoryBytes = memoryBytes
        self.operatingSystem = operatingSystem
        self.kernelSet = kernelSet
        self.compiler = compiler
    }

    /// This machine. What the system does not tell is nil.
    public static func current(kernelSet: String?, compiler: String? = Machine.swiftCompiler) -> Machine {
        var name = utsname()
        uname(&name)
        let physical = ProcessInfo.processInfo.physicalMemory
        let distribution =
            field("PRETTY_NAME", in: "/etc/os-release", separator: "=")?.trimmingCharacters(in: ["\""])
            ?? ProcessInfo.processInfo.operatingSystemVersionString
        let architecture = string(&name.machine)
        return Machine(
            cpu: field("model name", in: "/proc/cpuinfo", separator: ":"),
            architecture: architecture, cores: ProcessInfo.processInfo.activeProcessorCount,
            memoryBytes: physical > 0 ? Int(clamping: physical) : nil,
            operatingSystem: "\(distribution), \(string(&name.sysname)) \(string(&name.release))",
            kernelSet: kernelSet, compiler: compiler)
    }

    /// The compiler of this build, as precisely as the language lets it be known.
    public static var swiftCompiler: String {
        #if compiler(>=6.4)
            "Swift 6.4 or later"
        #elseif compiler(>=6.3)
            "Swift 6.3"
        #elseif compiler(>=6.2)
            "Swift 6.2"
        #else
            "Swift 6.1"
        #endif
    }

    private static func string<T>(_ tuple: inout T) -> String {
        withUnsafeBytes(of: &tuple) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// The first value of `key` in a file of `key separator value` lines.
    private static func field(_ key: String, in path: String, separator: Character) -> String? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: separator, maxSplits: 1)
            if parts.count == 2, parts[0].trimmingCharacters(in: .whitespaces) == key {
                return parts[1].trimmingCharacters(in: .whitespaces)
            }
        }
        return nil
    }
}
