import ArgumentParser

@main
struct Qinfer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "qinfer", abstract: "Answer requests with a language model, in stages.",
        subcommands: [
            Generate.self, Run.self, Plan.self, Inspect.self, Tokenize.self, Verify.self, Synthesize.self,
        ])
}
