import ArgumentParser
import Foundation
import QDashboard
import Runtime
import ToolSupport

extension QuantizationRecipe.Method: ExpressibleByArgument {}

/// How weights are rounded, and on what text that is learned.
struct MethodFlags: ParsableArguments {
    @Option(help: "How weights are rounded: rtn, mse, imatrix, gptq or awq.")
    var method = QuantizationRecipe.Method.rtn

    @Flag(help: "Smooth the norms first, as awq does, whatever the method.")
    var smooth = false

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Plain text, JSON Lines (text, tokens, messages) or recorded snapshots; may be repeated.",
            valueName: "file"))
    var calibration: [String] = []

    @Option(help: "Tokens of calibration.")
    var calibrationTokens = 8192

    @Option(help: "Tokens of a window of calibration.")
    var calibrationWindow = 256

    @Option(help: "Seed by which windows are drawn.")
    var seed: UInt64 = 1

    @Option(help: "Folder of prompt files, for snapshots.")
    var prompts = "Datasets/prompts"

    @Option(help: "Language of the prompt, for snapshots: en or zh.")
    var language = "en"

    @Option(help: "gptq: added to the diagonal of the second moments, as a share of its mean.")
    var damping: Float = 0.01

    @Option(help: "gptq: rounds of refitting scales and integers.")
    var refinements = 2

    @Option(help: "gptq: the share of earlier layers' errors that a layer makes good, 0 to 1.")
    var compensation: Float = 0

    @Option(help: "Activations that calibration sees: full, or int8 as the runtime quantizes them.")
    var activations = "full"

    func validate() throws {
        guard calibrationTokens >= CalibrationSet.leastTokens else {
            throw ValidationError(
                "--calibration-tokens: expected at least \(CalibrationSet.leastTokens), got \(calibrationTokens)")
        }
        guard (2...calibrationTokens).contains(calibrationWindow) else {
            throw ValidationError("--calibration-window: expected 2 to \(calibrationTokens), got \(calibrationWindow)")
        }
        guard Language(rawValue: language) != nil else {
            throw ValidationError("--language: expected en or zh, got \(language)")
        }
        guard damping > 0, damping <= 1 else {
            throw ValidationError("--damping: expected more than 0 and at most 1, got \(damping)")
        }
        guard (0...20).contains(refinements) else {
            throw ValidationError("--refinements: expected 0 to 20, got \(refinements)")
        }
        guard (0...1).contains(compensation) else {
            throw ValidationError("--compensation: expected 0 to 1, got \(compensation)")
        }
        guard activations == "full" || activations == "int8" else {
            throw ValidationError("--activations: expected full or int8, got \(activations)")
        }
    }

    var needsCalibration: Bool { method.needsCalibration || smooth }

    func calibrationSet(_ checkpoint: Checkpoint) throws -> CalibrationSet? {
        guard !calibration.isEmpty else { return nil }
        let texts = CalibrationTexts(
            model: checkpoint.directory, prompts: URL(fileURLWithPath: prompts), language: Language(rawValue: language)!
        )
        var options = CalibrationSet.Options()
        options.tokens = calibrationTokens
        options.window = calibrationWindow
        options.seed = seed
        return try CalibrationSet(
            texts: try calibration.flatMap(texts.read), source: calibration.joined(separator: ", "),
            vocabulary: checkpoint.configuration.vocabulary, options: options)
    }

    func recipe(_ plan: QuantizationPlan, _ calibration: CalibrationSet?) -> QuantizationRecipe {
        var recipe = QuantizationRecipe(plan: plan, method: method, calibration: calibration)
        recipe.smooths = smooth || method == .awq
        recipe.gptq.damping = damping
        recipe.gptq.refinements = refinements
        recipe.compensation = compensation
        recipe.quantizesActivations = activations == "int8"
        return recipe
    }
}
