import Foundation
import Testing

/// qinfer under mpirun, as a person would run it.
struct MPIJob {
    #if MPI
        private static let isBuilt = true
    #else
        private static let isBuilt = false
    #endif

    static let isAllowed = isBuilt && FileManager.default.isExecutableFile(atPath: "/usr/bin/mpirun")
    static let reason: Comment = "needs the package trait MPI and mpirun"

    let process: Process
    private let folder: URL

    /// Begins a job. `arguments` follow the tool's name; `launcher` stands before it.
    init(
        ranks: Int, _ arguments: [String], launcher: [String] = [], environment: [String: String] = [:], in folder: URL
    ) throws {
        try self.init(
            ["-np", "\(ranks)"] + launcher + [Self.tool] + arguments, environment: environment, in: folder)
    }

    static var tool: String { Tool.qinfer.process([]).executableURL!.path }

    init(
        launcher: String = path("scripts/mpirun.sh"), _ launch: [String], environment: [String: String] = [:],
        in folder: URL
    ) throws {
        self.folder = folder.appending(path: "job-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: self.folder, withIntermediateDirectories: true)
        process = Process()
        process.executableURL = URL(fileURLWithPath: launcher)
        process.arguments = launch
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        for (name, keyPath) in [("stdout", \Process.standardOutput), ("stderr", \Process.standardError)] {
            let url = self.folder.appending(path: name)
            _ = FileManager.default.createFile(atPath: url.path, contents: nil)
            process[keyPath: keyPath] = try FileHandle(forWritingTo: url)
        }
        try process.run()
    }

    var errors: String { (try? text(folder.appending(path: "stderr"))) ?? "" }
    var output: String { (try? text(folder.appending(path: "stdout"))) ?? "" }

    /// Waits at most so long; a job that hangs is killed, and told apart by nil.
    func wait(_ seconds: Double = 60) -> Tool.Outcome? {
        let end = Date(timeIntervalSinceNow: seconds)
        while process.isRunning, Date() < end { usleep(5000) }
        guard !process.isRunning else {
            for rank in ranks.values { kill(rank, SIGKILL) }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            return nil
        }
        process.waitUntilExit()
        return Tool.Outcome(status: process.terminationStatus, output: output, errors: errors)
    }

    /// The processes of the ranks, as far as they run: those below mpirun that know their rank.
    var ranks: [Int: Int32] {
        var found: [Int: Int32] = [:]
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        for process in all.compactMap({ Int32($0) }) where descends(process) {
            guard let data = FileManager.default.contents(atPath: "/proc/\(process)/environ") else { continue }
            for entry in data.split(separator: 0) {
                let line = String(decoding: entry, as: UTF8.self)
                guard line.hasPrefix("OMPI_COMM_WORLD_RANK="), let rank = Int(line.dropFirst(21)) else { continue }
                found[rank] = process
            }
        }
        return found
    }

    private func descends(_ process: Int32) -> Bool {
        var current = process
        for _ in 0..<6 {
            guard let stat = try? String(contentsOfFile: "/proc/\(current)/stat", encoding: .utf8),
                let name = stat.lastIndex(of: ")"),
                let parent = Int32(stat[stat.index(after: name)...].split(separator: " ")[1])
            else { return false }
            if parent == self.process.processIdentifier { return true }
            current = parent
        }
        return false
    }
}
