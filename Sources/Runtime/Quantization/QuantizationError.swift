/// What can go wrong when weights are quantized or a quantized checkpoint is read.
public enum QuantizationError: WordedError, Equatable {
    /// `quantization_config` asks for what this library does not do.
    case unsupported(place: String, key: String, value: String, supported: String)
    /// `quantization_config` is not what the format says.
    case malformed(place: String, key: String, expected: String, got: String)
    /// A `re:` target or ignore that is no regular expression, or one that takes too long to match.
    case pattern(place: String, pattern: String, problem: String)
    /// Layers whose columns the group size does not divide. All of them.
    case indivisible(place: String, layers: [Layer], groupSize: Int, divisors: [Int])
    /// NaN or infinite weights in a tensor.
    case notFinite(place: String, tensor: String, value: String, index: [Int], count: Int)
    /// The range of a group is too wide for the dtype of its scale.
    case scaleOverflow(place: String, tensor: String, dtype: String, row: Int, group: Int)
    case alreadyQuantized(place: String, method: String)
    case notQuantized(place: String)
    /// A tensor's dtype is not one that can be quantized.
    case dtype(place: String, tensor: String, dtype: String)
    /// A tensor of a packed layer has another shape or dtype than its scheme says.
    case packedTensor(place: String, tensor: String, expected: String, got: String)
    case outputIsInput(path: String)
    /// A method that needs calibration has none of a layer.
    case notCalibrated(place: String, method: String)
    /// The calibration's second moments cannot be inverted.
    case singular(place: String)
    /// The calibration cannot be used.
    case calibration(place: String, problem: String, expected: String?, got: String?, advice: String?)
    /// An override is malformed, matches nothing, or takes layers apart that are computed together: without a text then.
    case override(text: String, problem: String, expected: String?, got: String?)
    /// No choice of schemes meets the budget.
    case budget(place: String, wanted: String, least: String)
    /// A plan under which every module stays as it is.
    case nothing(place: String)
    /// A file of sensitivities belongs to another model, or is malformed.
    case sensitivities(place: String, problem: String)

    public struct Layer: Sendable, Equatable {
        public let module: String
        public let columns: Int

        public init(module: String, columns: Int) {
            self.module = module
            self.columns = columns
        }

        /// Embedding or head, whose groups are --embedding's or an override's.
        fileprivate var isEnd: Bool { module == "model.embed_tokens" || module == "lm_head" }
    }

    public var wording: Wording {
        switch self {
        case .unsupported(let place, let key, let value, let supported):
            Wording(place, "\(key) is not supported", expected: supported, got: value)
        case .malformed(let place, let key, let expected, let got):
            Wording(place, "\(key) is malformed", expected: expected, got: got)
        case .pattern(let place, let pattern, let problem):
            Wording(place, "the pattern re:\(pattern) cannot be used: \(problem)")
        case .indivisible(let place, let layers, let groupSize, let divisors):
            Wording(
                place,
                "groups of \(groupSize) do not divide the columns of \(layers.count) layer\(layers.count == 1 ? "" : "s"): "
                    + layers.map { "\($0.module) (\($0.columns))" }.joined(separator: ", "),
                advice: (layers.allSatisfy(\.isEnd) ? "give it groups of " : "use --group-size ")
                    + (divisors.map(String.init) + ["channel"]).joined(separator: " or "))
        case .notFinite(let place, let tensor, let value, let index, let count):
            Wording(
                place,
                "\(tensor) holds \(count) value\(count == 1 ? " that is" : "s that are") not finite, the first at \(index)",
                expected: "finite weights", got: value, advice: "mend or download the checkpoint again")
        case .scaleOverflow(let place, let tensor, let dtype, let row, let group):
            Wording(
                place, "the range of \(tensor), row \(row), group \(group) is too wide for a scale in \(dtype)",
                advice: "use --symmetric, or convert the checkpoint to F32")
        case .alreadyQuantized(let place, let method):
            Wording(
                place, "the checkpoint is already quantized", expected: "F32, F16 or BF16 weights", got: method,
                advice: "start from the original checkpoint")
        case .notQuantized(let place):
            Wording(place, "the checkpoint is not quantized: config.json has no quantization_config")
        case .dtype(let place, let tensor, let dtype):
            Wording(place, "\(tensor) cannot be quantized", expected: "F32, F16 or BF16", got: dtype)
        case .packedTensor(let place, let tensor, let expected, let got):
            Wording(place, "\(tensor) does not fit its quantization scheme", expected: expected, got: got)
        case .notCalibrated(let place, let method):
            Wording(place, "the method \(method) needs calibration", advice: "give --calibration FILE")
        case .singular(let place):
            Wording(
                place, "the second moments of its inputs cannot be inverted",
                advice: "give more calibration tokens or a larger --damping")
        case .calibration(let place, let problem, let expected, let got, let advice):
            Wording(place, problem, expected: expected, got: got, advice: advice)
        case .override(let text, let problem, let expected, let got):
            Wording(text.isEmpty ? "--override" : "--override \(text)", problem, expected: expected, got: got)
        case .budget(let place, let wanted, let least):
            Wording(
                place, "no choice of schemes is that small", expected: "at least \(least)", got: wanted,
                advice: "give a larger budget")
        case .nothing(let place):
            Wording(
                place, "nothing would be quantized: all modules stay as they are",
                advice: "give a smaller budget, or overrides that leave some of them")
        case .sensitivities(let place, let problem):
            Wording(place, problem, advice: "delete it, and it is measured anew")
        case .outputIsInput(let path):
            Wording(path, "the output would replace the checkpoint that is read", advice: "choose another --output")
        }
    }
}
