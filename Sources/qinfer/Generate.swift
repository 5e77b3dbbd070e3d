import ArgumentParser
import Foundation
import Runtime
import ToolSupport

struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Continue one prompt.",
        discussion: """
            EXAMPLES
              qinfer generate models/SmolLM2 --prompt "The Qubic network is"
              qinfer generate models/SmolLM2 --chat --prompt "What is a quorum?" \\
                --temperature 0.7 --seed 1
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint.")
    var model: String

    @Option(help: "The text to continue, or with --chat the user's message.")
    var prompt: String?

    @Option(help: ArgumentHelp("Token numbers instead of a text.", valueName: "1,2,3"))
    var promptTokens: String?

    @Flag(help: "Render the prompt through the checkpoint's chat template.")
    var chat = false

    @Option(help: "The system message, with --chat.")
    var system: String?

    @Option(help: ArgumentHelp("Most tokens to write.", valueName: "count"))
    var maxTokens = 128

    @Option(help: "0 takes the likeliest token each time.")
    var temperature: Float = 0

    @Option(help: "Draw among the k likeliest tokens; 0 for all.")
    var topK = 0

    @Option(help: "Draw among the likeliest tokens that sum up to this probability.")
    var topP: Float = 1

    @Option(help: "Draw among tokens at least this fraction as likely as the best.")
    var minP: Float = 0

    @Option(help: "Above 1: tokens that were there already become less likely.")
    var repetitionPenalty: Float = 1

    @Option(help: "Same seed, same text.")
    var seed: UInt64 = 0

    @Option(help: ArgumentHelp("End before this text; can be given several times.", valueName: "text"))
    var stop: [String] = []

    @Option(help: ArgumentHelp("Hold the text to this JSON Schema.", valueName: "FILE.json"))
    var jsonSchema: String?

    @Option(
        help: ArgumentHelp(
            "With --json: each token's log-probability, and this many likeliest ones beside it.", valueName: "count"))
    var logprobs: Int?

    @Option(help: ArgumentHelp("Write activations to this HDF5 file.", valueName: "FILE.h5"))
    var trace: String?

    @Option(help: "What the trace holds: logits, residuals, full (with attention patterns).")
    var traceLevel = TraceLevel.residuals

    @Flag(help: "Replace an existing trace.")
    var force = false

    @Flag(help: "Print JSON: prompt_tokens, tokens, text, logprobs, timings_ms.")
    var json = false

    @OptionGroup var jobFlags: JobFlags
    @OptionGroup var engine: EngineFlags

    func validate() throws {
        guard (prompt == nil) != (promptTokens == nil) else {
            throw ValidationError("give either --prompt or --prompt-tokens")
        }
        guard maxTokens >= 1 else { throw ValidationError("--max-tokens: expected at least 1, got \(maxTokens)") }
        guard jsonSchema == nil || stop.isEmpty else { throw ValidationError("--json-schema takes no --stop") }
        guard logprobs == nil || json else { throw ValidationError("--logprobs needs --json") }
        guard trace == nil || jobFlags.transport == .threads else {
            throw ValidationError("--trace needs --transport threads")
        }
        guard !chat || prompt != nil else { throw ValidationError("--chat needs --prompt") }
    }

    func run() throws {
        let directory = URL(fileURLWithPath: model)
        guard jobFlags.transport == .mpi else {
            return try reportingErrors {
                let checkpoint = try Checkpoint(directory: directory)
                let tokenizer = try Tokenizer(directory: directory)
                let request = try request(tokenizer, directory)
                let writer = try trace.map {
                    try Trace(
                        url: URL(fileURLWithPath: $0), level: traceLevel, model: checkpoint.configuration,
                        attributes: ["model": directory.lastPathComponent, "model_digest": try checkpoint.digest()],
                        force: force)
                }
                let runner = try Engine(checkpoint, tokenizer: tokenizer, options: engine.options, trace: writer)
                defer { runner.stop() }
                let completion = try runner.answer(request)
                try writer?.finish()
                try show(completion, tokenizer)
            }
        }
        try inJob(jobFlags, stages: engine.stages) { job in
            let place = job.place
            guard place.replicas <= 1 else {
                throw JobError.tooManyPipelines(ranks: place.ranks, stages: place.stages)
            }
            let work = JobWork(
                try Checkpoint(directory: directory), options: try engine.options, format: jobFlags.wire)
            guard place.rank == 0 else {
                return try job.assist(work) { try Tokenizer(directory: directory) }
            }
            let tokenizer = try Tokenizer(directory: directory)
            let request = try request(tokenizer, directory)
            let (runner, _) = try job.lead(work, tokenizer: tokenizer)
            defer { runner.stop() }
            try show(try runner.answer(request), tokenizer)
        }
    }

    private func request(_ tokenizer: Tokenizer, _ directory: URL) throws -> Request {
        let step: ProgramStep
        if let jsonSchema {
            let data = try Data(contentsOf: URL(fileURLWithPath: jsonSchema))
            let schema = try JSONSchema(parsing: data, place: jsonSchema)
            step = .json(name: "text", schema: schema, maxTokens: maxTokens)
        } else {
            step = .generate(name: "text", maxTokens: maxTokens, stop: stop)
        }
        var request = Request(
            id: "prompt", program: [.tokens(try tokenize(tokenizer, directory)), step],
            sampling: Sampling(
                temperature: temperature, topK: topK, topP: topP, minP: minP,
                repetitionPenalty: repetitionPenalty, seed: seed),
            traced: trace != nil)
        request.logProbabilities = logprobs
        return request
    }

    private func show(_ completion: Completion, _ tokenizer: Tokenizer) throws {
        let text = completion.texts[0]
        guard json else { return print(text.text) }
        let prompt = Array(completion.tokens.prefix(completion.promptTokens))
        print(
            try GenerateOutput(prompt: prompt, text: text, timings: completion.timings, tokenizer: tokenizer).json())
    }

    private func tokenize(_ tokenizer: Tokenizer, _ directory: URL) throws -> [Int32] {
        if let promptTokens {
            return try promptTokens.split(separator: ",").map { part in
                guard let token = Int32(part.trimmingCharacters(in: .whitespaces)) else {
                    throw ValidationError("--prompt-tokens: expected numbers with commas between, got \"\(part)\"")
                }
                return token
            }
        }
        guard chat else { return tokenizer.encode(prompt!) }
        let template = try ChatTemplate(directory: directory, override: engine.chatTemplate)
        var messages = system.map { [ChatMessage(role: "system", content: $0)] } ?? []
        messages.append(ChatMessage(role: "user", content: prompt!))
        return tokenizer.encode(try template.render(messages, addGenerationPrompt: true), addSpecialTokens: false)
    }
}
