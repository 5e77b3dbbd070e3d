import Foundation
import Testing

/// What the tools say of themselves, and how they answer a mistyped call.
@Suite struct UsageTests {
    static let commands: [(tool: String, command: [String])] = [
        ("qquant", []), ("qquant", ["import"]), ("qquant", ["quantize"]), ("qquant", ["inspect"]),
        ("qquant", ["dequantize"]), ("qquant", ["compare"]), ("qquant", ["export"]),
        ("qinfer", []), ("qinfer", ["generate"]), ("qinfer", ["run"]), ("qinfer", ["inspect"]),
        ("qinfer", ["tokenize"]), ("qinfer", ["verify"]), ("qinfer", ["plan"]), ("qinfer", ["synthesize"]),
        ("qinfer", ["render"]), ("qbench", []), ("qbench", ["run"]), ("qbench", ["report"]), ("qbench", ["compare"]),
        ("qbench", ["calibrate"]),
    ]

    @Test(arguments: commands)
    func help(tool: String, command: [String]) throws {
        let outcome = try Tool(name: tool).run(command + ["--help"], environment: ["COLUMNS": "80"])
        #expect(outcome.status == 0)
        #expect(outcome.output.hasPrefix("OVERVIEW: "))
        #expect(outcome.output.contains("USAGE: " + ([tool] + command).joined(separator: " ")))
        #expect(outcome.errors.isEmpty)
        // The parser does not wrap the usage line.
        for line in outcome.output.split(separator: "\n") where !line.hasPrefix("USAGE") {
            #expect(line.count <= 80, "\(line)")
        }
    }

    /// Each example of a help text is a call that the tool takes: in an empty folder it fails for want of files, never
    /// with a complaint about its arguments.
    @Test(arguments: commands.filter { !$0.command.isEmpty })
    func examples(tool: String, command: [String]) throws {
        let help = try Tool(name: tool).run(command + ["--help"], environment: ["COLUMNS": "80"]).output.replacing(
            "\\\n", with: " ")
        let calls = help.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            .filter { $0.starts(with: [tool] + command) }
        #expect(!calls.isEmpty, "\(tool) \(command) has no example")
        try withFolder { folder in
            for call in calls {
                let shell = Process()
                shell.executableURL = URL(fileURLWithPath: "/bin/sh")
                let direct = Tool(name: tool).process([])
                shell.arguments = [
                    "-c", "exec \"$0\" " + call.dropFirst().joined(separator: " "), direct.executableURL!.path,
                ]
                shell.currentDirectoryURL = folder
                let errors = Pipe()
                shell.standardError = errors
                try shell.run()
                let said = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
                shell.waitUntilExit()
                #expect(shell.terminationStatus == 1, "\(call.joined(separator: " ")): \(said)")
                #expect(said.hasPrefix("error: "), "\(call.joined(separator: " ")): \(said)")
            }
        }
    }

    @Test(
        arguments: [
            ["qinfer", "generate"], ["qinfer", "generate", "m"], ["qinfer", "nonsense"],
            ["qinfer", "generate", "m", "--prompt", "a", "--prompt-tokens", "1"],
            ["qinfer", "generate", "m", "--prompt", "a", "--max-tokens", "0"],
            ["qinfer", "generate", "m", "--prompt", "a", "--stages", "0"],
            ["qinfer", "generate", "m", "--prompt", "a", "--threads", "-1"],
            ["qinfer", "generate", "m", "--prompt", "a", "--node-speed", "1,1"],
            ["qinfer", "generate", "m", "--prompt", "a", "--node-speed", "1,0,1"],
            ["qinfer", "run", "m", "--snapshots", "s", "--output", "o", "--node-memory", "6GB,4 apples,6GB"],
            ["qinfer", "plan", "m", "--macs", "1"], ["qinfer", "plan", "m", "--bits", "3"],
            ["qinfer", "plan", "m", "--group-size", "64"], ["qinfer", "plan", "m", "--output-tokens", "0"],
            ["qinfer", "run", "m", "--output", "o"],
            ["qinfer", "run", "m", "--snapshots", "s", "--output", "o", "--resume", "--force"],
            ["qinfer", "run", "m", "--snapshots", "s", "--output", "o", "--resume", "--trace", "t.h5"],
            ["qinfer", "run", "m", "--snapshots", "s", "--output", "o", "--language", "fr"],
            ["qinfer", "run", "m", "--snapshots", "s", "--output", "o", "--consensus", "2"],
            ["qinfer", "run", "m", "--snapshots", "s", "--output", "o", "--consensus", "3", "--cache", "c"],
            ["qinfer", "run", "m", "--snapshots", "s", "--output", "o", "--task-class", "ORACLE"],
            ["qinfer", "verify", "d", "--public-key", "node=0g"], ["qinfer", "plan", "m", "--wire", "fp8"],
            ["qinfer", "run", "m", "--snapshots", "s", "--output", "o", "--consensus-threshold", "2"],
            ["qinfer", "run", "m", "--snapshots", "s", "--output", "o", "--consensus-models", "a", "b", "c"],
            ["qinfer", "run", "--snapshots", "s", "--output", "o"], ["qinfer", "verify", "d", "--public-key", "0g"],
            ["qquant", "quantize", "m", "--output", "o", "--bits", "3"],
            ["qquant", "quantize", "m", "--output", "o", "--bits", "4", "--group-size", "48"],
            ["qquant", "quantize", "m", "--output", "o", "--bits", "4", "--method", "magic"],
            ["qquant", "quantize", "m", "--output", "o", "--bits", "4", "--calibration", "c"],
            ["qquant", "quantize", "m", "--output", "o", "--bits", "4", "--activations", "int8"],
            ["qquant", "quantize", "m", "--output", "o", "--bits", "4", "--compensation", "0.5"],
            ["qquant", "quantize", "m", "--output", "o", "--bits", "4", "--damping", "0.1"],
            ["qquant", "quantize", "m", "--output", "o", "--target-bpw", "5", "--calibration", "c", "--quantize-head"],
            ["qquant", "quantize", "m", "--output=o", "--target-size=1MB", "--calibration", "c", "--group-size", "64"],
            ["qquant", "quantize", "m", "--output=o", "--target-bpw=5", "--sensitivities=/dev/null", "--asymmetric"],
            ["qquant", "quantize", "m", "--output", "o", "--bits", "4", "--sensitivities", "s.json"],
            ["qquant", "quantize", "m", "--output", "o", "--bits", "4", "--sensitivity-tokens", "64"],
            ["qquant", "quantize", "m", "--output", "o", "--bits", "4", "--seed", "2"],
            ["qquant", "quantize", "m", "--output", "o", "--bits", "4", "--calibration-tokens", "4096"],
            ["qquant", "quantize", "m", "--output", "o", "--bits", "4", "--language", "zh"],
            ["qbench", "run", "m", "--dataset", "d", "--kpi", "k", "--output", "o", "--scenario", "online"],
            ["qbench", "compare", "a.json"], ["qbench", "compare", "a", "b", "--alpha", "2"],
        ])
    func usageErrors(call: [String]) throws {
        let outcome = try Tool(name: call[0]).run(Array(call.dropFirst()))
        #expect(outcome.status == 64, "\(outcome.errors)")
        #expect(outcome.errors.hasPrefix("Error: "))
        #expect(outcome.output.isEmpty)
    }
}
