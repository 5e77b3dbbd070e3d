import Foundation

/// Programs that tests run beside themselves: where a process has to die, to hit a limit, or to be measured.
enum Child {
    /// A tool of this package, built beside the tests; nil where only the tests were built.
    static func tool(_ name: String) -> URL? {
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        for folder in [
            tests.deletingLastPathComponent(),
            URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent(),
        ] {
            let url = folder.appending(path: name)
            if FileManager.default.isExecutableFile(atPath: url.path) { return url }
        }
        return nil
    }

    struct Outcome {
        let status: Int32
        let errors: String
    }

    static func start(_ command: [String]) throws -> (process: Process, errors: Pipe) {
        let process = Process()
        let errors = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        try process.run()
        return (process, errors)
    }

    @discardableResult
    static func run(_ command: String...) throws -> Outcome { try run(command) }

    @discardableResult
    static func run(_ command: [String]) throws -> Outcome {
        let (process, errors) = try start(command)
        let said = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Outcome(status: process.terminationStatus, errors: String(decoding: said, as: UTF8.self))
    }

    /// The most that a running process has held in memory so far, in bytes; nil where it is gone.
    static func peakMemory(_ process: Process) -> Int? {
        guard let status = try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") })
        else { return nil }
        return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }

    /// Runs `body` with an empty file system of so many KiB, where mounting is allowed; false where it is not.
    static func withSmallDisk(_ kibibytes: Int, _ body: (URL) throws -> Void) throws -> Bool {
        try temporaryDirectory { directory in
            let mount = directory.appending(path: "small")
            try FileManager.default.createDirectory(at: mount, withIntermediateDirectories: true)
            let mounted = try run("mount", "-t", "tmpfs", "-o", "size=\(kibibytes)k", "tmpfs", mount.path)
            guard mounted.status == 0 else { return false }
            defer { _ = try? run("umount", mount.path) }
            try body(mount)
            return true
        }
    }
}
