import Foundation
import Testing

/// One of the tools, run as a person would: a process of its own, its files in a folder of its own.
struct Tool {
    let name: String

    static let qquant = Tool(name: "qquant")
    static let qinfer = Tool(name: "qinfer")
    static let qbench = Tool(name: "qbench")

    /// How a process ended and what it said.
    struct Outcome {
        let status: Int32
        let output: String
        let errors: String
    }

    /// The build's folder: where the tests' own executable lies.
    private static let products = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent()

    func process(_ arguments: [String], in folder: URL? = nil, environment: [String: String] = [:]) -> Process {
        let process = Process()
        process.executableURL = Self.products.appending(path: name)
        process.arguments = arguments
        process.currentDirectoryURL = folder
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        return process
    }

    /// Runs to the end.
    func run(_ arguments: [String], in folder: URL? = nil, environment: [String: String] = [:]) throws -> Outcome {
        try Self.outcome(of: process(arguments, in: folder, environment: environment))
    }

    /// Runs a process to the end.
    static func outcome(of process: Process) throws -> Outcome {
        try withFolder { own in
            // Files, not pipes: what is not read cannot block the process.
            let output = own.appending(path: "stdout")
            let errors = own.appending(path: "stderr")
            for url in [output, errors] { _ = FileManager.default.createFile(atPath: url.path, contents: nil) }
            process.standardOutput = try FileHandle(forWritingTo: output)
            process.standardError = try FileHandle(forWritingTo: errors)
            try process.run()
            process.waitUntilExit()
            return Outcome(
                status: process.terminationStatus, output: try String(contentsOf: output, encoding: .utf8),
                errors: try String(contentsOf: errors, encoding: .utf8))
        }
    }

    func callAsFunction(_ arguments: String..., in folder: URL? = nil) throws -> Outcome {
        try run(arguments, in: folder)
    }
}

/// A folder that is gone afterwards.
func withFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "qubic-cli-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
}

/// The repository.
let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

func path(_ relative: String) -> String { repository.appending(path: relative).path }

func text(_ url: URL) throws -> String { try String(contentsOf: url, encoding: .utf8) }

func lines(_ url: URL) throws -> [Substring] { try text(url).split(separator: "\n") }
