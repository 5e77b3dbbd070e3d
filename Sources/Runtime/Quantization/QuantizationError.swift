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

    public struct Layer: Sendable, Equatable {
        public let module: String
        public let columns: Int

        public init(module: String, columns: Int) {
            self.module = module
            self.columns = columns
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
            Wording(
                place,
                "groups of \(groupSize) do not divide the columns of \(layers.count) layer\(layers.count == 1 ? "" : "s"): "
                    + layers.map { "\($0.module) (\($0.columns))" }.joined(separator: ", "),
                advice: "use --group-size " + (divisors.map(String.init) + ["channel"]).joined(separator: " or "))
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
        case .outputIsInput(let path):
            Wording(path, "the output would replace the checkpoint that is read", advice: "choose another --output")
        }
    }
}
