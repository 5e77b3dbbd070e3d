/// Everything that determines what a quantized checkpoint will be, besides its source.
public struct QuantizationRecipe: Sendable {
    public enum Method: String, Sendable, CaseIterable {
        /// To nearest, by each group's extremes.
        case rtn
        /// To nearest, by searched scales.
        case mse
        /// Searched scales, columns counted by the mean square of their inputs.
        case imatrix
        /// Rounding column by column, errors made good by the columns to come.
        case gptq
        /// Norms smoothed, then as `mse`.
        case awq

        public var needsCalibration: Bool { self == .imatrix || self == .gptq || self == .awq }
    }

    public static let toolVersion = "1.0"

    public var plan: QuantizationPlan
    public var method: Method
    public var calibration: CalibrationSet?
    /// How the plan was chosen; nil where its schemes were given.
    public var budget: Budget.Record?
    /// Moves factors from norms into the layers behind them first; always so with `awq`.
    public var smooths: Bool
    public var gptq = GPTQ.Options()
    /// With `gptq`, the share of earlier layers' errors that each layer makes good: 0 to 1.
    public var compensation: Float = 0
    /// Whether calibration counts the runtime's int8 activations in.
    public var quantizesActivations = false
    /// The most bytes of tensors in a file; nil for one file.
    public var maxShardBytes: Int?
    /// nil takes all cores.
    public var threads: Int?

    public init(plan: QuantizationPlan, method: Method = .rtn, calibration: CalibrationSet? = nil) {
        self.plan = plan
        self.method = method
        self.calibration = calibration
        smooths = method == .awq
    }

    /// Whether the model runs over the calibration text layer by layer.
    public var walks: Bool { method.needsCalibration || smooths }

    /// For reports: "gptq", "awq+gptq".
    public var label: String { (smooths && method != .awq ? "awq+" : "") + method.rawValue }

    /// For modules whose inputs no calibration describes, as an embedding's.
    var methodByWeights: any RoundingMethod { method == .rtn ? RoundToNearest() : SearchedScale() }

    /// For the configuration's record.
    var decoderMethod: any RoundingMethod {
        switch method {
        case .rtn: RoundToNearest()
        case .mse, .awq: SearchedScale()
        case .imatrix: SearchedScale(importance: [:])
        case .gptq: GPTQ(factors: [:])
        }
    }

    /// What a checkpoint's files say of their making.
    func metadata(sourceDigest: String) -> [String: String] {
        var metadata = [
            "format": "pt", "qquant.version": Self.toolVersion, "qquant.method": label,
            "qquant.source_sha256": sourceDigest,
        ]
        if let budget {
            switch budget.limit {
            case .bitsPerWeight(let bits): metadata["qquant.target_bpw"] = "\(bits)"
            case .bytes(let bytes): metadata["qquant.target_bytes"] = "\(bytes)"
            }
            metadata["qquant.sensitivities_sha256"] = budget.sensitivities
            metadata["qquant.sensitivities_calibration_sha256"] = budget.calibration
            metadata["qquant.sensitivities_tokens"] = "\(budget.tokens)"
        }
        // Text that neither the method nor the budget has read is not named.
        guard let calibration, walks || budget?.calibration == calibration.digest else { return metadata }
        metadata["qquant.calibration"] = calibration.source
        metadata["qquant.calibration_sha256"] = calibration.digest
        metadata["qquant.calibration_tokens"] = "\(calibration.tokens)"
        metadata["qquant.calibration_seed"] = "\(calibration.options.seed)"
        metadata["qquant.calibration_window"] = "\(calibration.options.window)"
        if walks { metadata["qquant.activations"] = quantizesActivations ? "int8" : "full" }
        if method == .gptq {
            metadata["qquant.damping"] = "\(gptq.damping)"
            metadata["qquant.refinements"] = "\(gptq.refinements)"
            metadata["qquant.compensation"] = "\(compensation)"
        }
        return metadata
    }
}
