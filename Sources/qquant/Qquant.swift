import ArgumentParser

@main
struct Qquant: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "qquant", abstract: "Import and quantize language models.",
        subcommands: [Import.self, Quantize.self, Dequantize.self, Inspect.self, Compare.self, Export.self])
}
