import ArgumentParser

@main
struct Qquant: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "qquant")
}
