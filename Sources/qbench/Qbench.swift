import ArgumentParser

@main
struct Qbench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "qbench")
}
