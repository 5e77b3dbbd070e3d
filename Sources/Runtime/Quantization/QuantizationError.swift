/// What can go wrong when weights are quantized or a quantized checkpoint is read.
public enum QuantizationError: WordedError, Equatable {
    /// `quantization_config` asks for what this library does not do.
    case unsupported(place: String, key: String, value: String, supported: String)
    /// `quantization_config` is not what the format says.
    case malformed(place: String, key: String, expected: String, got: String)
    /// A `re:` target or ignore that is no regular expression, or one that takes too long to match.
    case pattern(place: String, pattern: String, problem: String)
    /// Layers whose columns the group size does not divide. All of them; where their groups differ, the size is nil and
    /// each layer has its own.
    case indivisible(place: String, layers: [Layer], groupSize: Int?, divisors: [Int])
    /// NaN or infinite weights in a tensor.
    case notFinite(place: String, tensor: String, value: String, index: [Int], count: Int)
    /// A layer's inputs or outputs (`side`) on the calibration text, or their mean square, exceed fp32.
    case activationsOverflow(layer: String, side: String, tokens: Int, of: Int)
    /// Weights that are finite no more once smoothing or compensation has changed them.
    case weightsOverflow(place: String, tensor: String, count: Int)
    /// Values that exceed the dtype in which they are to be written.
    case tooLarge(place: String, tensor: String, dtype: DType, count: Int)
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
        /// Columns of a group, where the layers differ in that.
        public let groupSize: Int?

        public init(module: String, columns: Int, groupSize: Int? = nil) {
            self.module = module
            self.columns = columns
            self.groupSize = groupSize
        }

        /// Embedding or head, whose groups are --embedding's or an override's.
        fileprivate var isEnd: Bool { module == "model.embed_tokens" || module == "lm_head" }

        fileprivate var label: String {
            let groups = groupSize.map { ", groups of \($0)" } ?? ""
            return "\(module) (\(columns)\(groups))"
        }
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
            Self.groupsThatDoNotDivide(place, layers, groupSize, divisors)
        case .notFinite(let place, let tensor, let value, let index, let count):
            Wording(
                place,
                "\(tensor) holds \(count) value\(count == 1 ? " that is" : "s that are") not finite, the first at \(index)",
                expected: "finite weights", got: value, advice: "mend or download the checkpoint again")
        case .activationsOverflow(let layer, let side, let tokens, let all):
            Wording(
                layer, "the activations overflow on the calibration text: its \(side) for \(tokens) of \(all) tokens",
                expected: "a mean square that fp32 can hold",
                advice: "look for weights far too large in it or before it, "
                    + "or use --bits with --method mse and without --smooth, which reads no activations")
        case .weightsOverflow(let place, let tensor, let count):
            Wording(
                place,
                "\(tensor) holds \(count) value\(count == 1 ? "" : "s") so large that smoothing or compensation overflows",
                advice: "go without --smooth and --compensation, or use --method mse")
        case .tooLarge(let place, let tensor, let dtype, let count):
            Wording(
                place, "\(tensor) holds \(count) value\(count == 1 ? "" : "s") too large for \(dtype.rawValue)",
                advice: Self.widerThan(dtype))
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

    private static func groupsThatDoNotDivide(
        _ place: String, _ layers: [Layer], _ groupSize: Int?, _ divisors: [Int]
    ) -> Wording {
        let isOne = layers.count == 1
        let groups = groupSize.map { "groups of \($0)" } ?? "groups"
        let sizes = (divisors.map(String.init) + ["channel"]).joined(separator: " or ")
        // --group-size says nothing of ends and overrides.
        let isFlag = groupSize != nil && !layers.allSatisfy(\.isEnd)
        return Wording(
            place,
            "\(groups) do not divide the columns of \(layers.count) layer\(isOne ? "" : "s"): "
                + layers.map(\.label).joined(separator: ", "),
            advice: isFlag ? "use --group-size \(sizes)" : "give \(isOne ? "it" : "them") groups of \(sizes)")
    }

    private static func widerThan(_ dtype: DType) -> String {
        switch dtype {
        case .f16: "use --dtype bf16 or f32"
        case .bf16: "use --dtype f32"
        default: "quantize the original checkpoint again"
        }
    }
}
