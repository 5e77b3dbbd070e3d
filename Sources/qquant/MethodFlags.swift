import ArgumentParser
import Foundation
import QDashboard
import Runtime
import ToolSupport

extension QuantizationRecipe.Method: ExpressibleByArgument {}
extension Language: ExpressibleByArgument {}

/// How weights are rounded, and on what text that is learned.
struct MethodFlags: ParsableArguments {
    @Option(
        help: "How weights are rounded: rtn, mse, imatrix, gptq or awq; an embedding by mse with the last three."
    )
    var method = QuantizationRecipe.Method.rtn

    @Flag(help: "Smooth the norms first, as awq does, whatever the method.")
    var smooth = false

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Plain text, JSON Lines (text, tokens, messages) or recorded snapshots; may be repeated.",
            valueName: "file"))
    var calibration: [String] = []

    @Option(help: "Tokens of calibration. (default: 8192)")
    var calibrationTokens: Int?

    @Option(help: "Tokens of a window of calibration. (default: 256, or the model's context where that is shorter)")
    var calibrationWindow: Int?

    @Option(help: "Seed by which windows are drawn. (default: 1)")
    var seed: UInt64?

    @Option(
        help: ArgumentHelp(
            "Folder of prompt files, for snapshots. (default: the model's own, else Datasets/prompts)",
            valueName: "dir"))
    var prompts: String?

    @Option(help: "Language of the prompt, for snapshots that name none: en or zh. (default: en)")
    var language: Language?

    @Option(help: "gptq: added to the diagonal of the second moments, as a share of its mean. (default: 0.01)")
    var damping: Float?

    @Option(help: "gptq: rounds of refitting scales and integers. (default: 2)")
    var refinements: Int?

    @Option(help: "gptq: the share of earlier layers' errors that a layer makes good, 0 to 1. (default: 0)")
    var compensation: Float?

    @Option(
        help: "Activations that calibration sees: full, or int8 as the runtime quantizes them. (default: full)")
    var activations: String?

    func validate() throws {
        let tokens = calibrationTokens ?? CalibrationSet.Options().tokens
        guard tokens >= CalibrationSet.leastTokens else {
            throw ValidationError(
                "--calibration-tokens: expected at least \(CalibrationSet.leastTokens), got \(tokens)")
        }
        if let window = calibrationWindow, !(2...tokens).contains(window) {
            throw ValidationError("--calibration-window: expected 2 to \(tokens), got \(window)")
        }
        let ofCalibration = [
            ("--calibration-tokens", calibrationTokens != nil), ("--calibration-window", calibrationWindow != nil),
            ("--seed", seed != nil), ("--prompts", prompts != nil), ("--language", language != nil),
        ]
        for (flag, isGiven) in ofCalibration where isGiven && calibration.isEmpty {
            throw ValidationError("\(flag): expected --calibration FILE with it")
        }
        if let damping, !(damping > 0 && damping <= 1) {
            throw ValidationError("--damping: expected more than 0 and at most 1, got \(damping)")
        }
        if let refinements, !(0...20).contains(refinements) {
            throw ValidationError("--refinements: expected 0 to 20, got \(refinements)")
        }
        if let compensation, !(0...1).contains(compensation) {
            throw ValidationError("--compensation: expected 0 to 1, got \(compensation)")
        }
        if let activations, activations != "full", activations != "int8" {
            throw ValidationError("--activations: expected full or int8, got \(activations)")
        }
        let ofGPTQ = [
            ("--damping", damping != nil), ("--refinements", refinements != nil),
            ("--compensation", compensation != nil),
        ]
        for (flag, isGiven) in ofGPTQ where isGiven && method != .gptq {
            throw ValidationError("\(flag): expected --method gptq, got \(method.rawValue)")
        }
        guard activations == nil || needsCalibration else {
            throw ValidationError(
                "--activations: expected a method that runs the model (imatrix, gptq, awq, or --smooth), "
                    + "got \(method.rawValue)")
        }
    }

    var needsCalibration: Bool { method.needsCalibration || smooth }

    /// The text drawn as the flags say; nil where there is none.
    func calibrationSet(_ checkpoint: Checkpoint) throws -> CalibrationSet? {
        guard !calibration.isEmpty else { return nil }
        let context = checkpoint.configuration.contextLength
        let window = calibrationWindow ?? min(256, context)
        guard window <= context else {
            throw QuantizationError.calibration(
                place: "--calibration-window", problem: "it is longer than the model's context",
                expected: "2 to \(context)", got: "\(window)", advice: nil)
        }
        var options = CalibrationSet.Options()
        if let calibrationTokens { options.tokens = calibrationTokens }
        if let seed { options.seed = seed }
        options.window = window
        let set = try calibrationSet(checkpoint, options)
        // Windows are whole: somewhat fewer tokens than wanted are no lack of text.
        if set.windows.count < options.tokens / window {
            note(
                "note: the calibration holds \(set.tokens) tokens in windows of \(window); expected \(options.tokens) "
                    + "(--calibration-tokens); give more text")
        }
        return set
    }

    /// The text drawn by other options than the flags'.
    func calibrationSet(_ checkpoint: Checkpoint, _ options: CalibrationSet.Options) throws -> CalibrationSet {
        let texts = CalibrationTexts(
            model: checkpoint.directory, prompts: PromptLibrary.folder(prompts, model: checkpoint.directory),
            language: language ?? .english)
        return try CalibrationSet(
            texts: try calibration.flatMap(texts.read), source: calibration.joined(separator: ", "),
            vocabulary: checkpoint.configuration.vocabulary, options: options)
    }

    func recipe(_ plan: QuantizationPlan, _ calibration: CalibrationSet?) -> QuantizationRecipe {
        var recipe = QuantizationRecipe(plan: plan, method: method, calibration: calibration)
        recipe.smooths = smooth || method == .awq
        if let damping { recipe.gptq.damping = damping }
        if let refinements { recipe.gptq.refinements = refinements }
        if let compensation { recipe.compensation = compensation }
        recipe.quantizesActivations = activations == "int8"
        return recipe
    }
}
