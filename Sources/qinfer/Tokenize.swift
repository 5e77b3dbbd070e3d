import ArgumentParser
import Foundation
import Runtime
import ToolSupport

struct Tokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the tokens of a text.",
        discussion: """
            Reads --text, --file, or standard input. Prints one token a line, number and text; with --json one object.

            EXAMPLES
              qinfer tokenize models/SmolLM2-135M-Instruct --text "The Qubic network"
              qinfer tokenize models/SmolLM2-135M-Instruct --file README.md --json
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint, or of its tokenizer alone.")
    var model: String

    @Option(help: "The text.")
    var text: String?

    @Option(help: ArgumentHelp("A file of UTF-8 text.", valueName: "FILE"))
    var file: String?

    @Flag(help: "Leave out the tokens that the checkpoint adds to each text.")
    var noSpecial = false

    @Flag(help: "Print JSON: tokens, text (the tokens decoded).")
    var json = false

    func validate() throws {
        guard text == nil || file == nil else { throw ValidationError("give either --text or --file") }
    }

    func run() throws {
        try reportingErrors {
            let tokenizer = try Tokenizer(directory: URL(fileURLWithPath: model))
            let tokens = tokenizer.encode(try input(), addSpecialTokens: !noSpecial)
            if json {
                let object: JSONValue = [
                    "tokens": .array(tokens.map { .integer(Int($0)) }),
                    "text": .string(tokenizer.decode(tokens, skipSpecialTokens: false)),
                ]
                print(String(decoding: object.serialized(indent: nil), as: UTF8.self))
            } else {
                for token in tokens { print("\(token)\t\((tokenizer.token(token) ?? "").debugDescription)") }
            }
        }
    }

    private func input() throws -> String {
        if let text { return text }
        let data =
            try file.map { try readFile(URL(fileURLWithPath: $0)) } ?? FileHandle.standardInput.readDataToEndOfFile()
        guard let text = String(validating: data, as: UTF8.self) else {
            throw ValidationError("\(file ?? "standard input"): the text is not valid UTF-8")
        }
        return text
    }
}
