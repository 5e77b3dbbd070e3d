import ArgumentParser

@main
struct Qbench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "qbench", abstract: "Measure inference against its targets, and report.",
        subcommands: [
            RunCommand.self, EngineCommand.self, ReportCommand.self, CompareCommand.self, CalibrateCommand.self,
        ])
}
