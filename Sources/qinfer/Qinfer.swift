import ArgumentParser

@main
struct Qinfer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "qinfer")
}
