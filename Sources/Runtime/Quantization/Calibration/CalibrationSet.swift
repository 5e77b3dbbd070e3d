import Crypto
import Foundation

/// The tokens by which a method learns what a layer's inputs look like: windows that each begin without a past.
public struct CalibrationSet: Sendable, Equatable {
    /// Texts that belong together stay together; the order of windows is drawn.
    public struct Options: Sendable, Equatable {
        /// Tokens in all.
        public var tokens = 8192
        /// Tokens of a window.
        public var window = 256
        public var seed: UInt64 = 1

        public init() {}
    }

    public let windows: [[Int32]]
    public let options: Options
    /// Where the texts came from, for the checkpoint's metadata.
    public let source: String
    /// SHA-256 of all windows' tokens, in lower-case hexadecimal.
    public let digest: String

    public var tokens: Int { windows.reduce(0) { $0 + $1.count } }

    /// The least that says anything about a layer.
    public static let leastTokens = 512

    /// Draws windows from texts given as tokens. Texts shorter than a window are joined; each window then holds several.
    ///
    /// - Parameter vocabulary: of the model, whose tokens these have to be.
    /// - Throws: `QuantizationError.calibration` where nothing is there, too little, or tokens of another model.
    public init(texts: [[Int32]], source: String, vocabulary: Int, options: Options = Options()) throws {
        func refused(_ problem: String, _ expected: String?, _ got: String?, _ advice: String?) -> QuantizationError {
            .calibration(place: source, problem: problem, expected: expected, got: got, advice: advice)
        }
        let available = texts.reduce(0) { $0 + $1.count }
        guard available > 0 else { throw refused("the calibration is empty", nil, nil, "give a file with text") }
        guard available >= Self.leastTokens else {
            throw refused(
                "the calibration is too short", "at least \(Self.leastTokens) tokens", "\(available)", "give more text")
        }
        for text in texts {
            if let bad = text.first(where: { $0 < 0 || Int($0) >= vocabulary }) {
                throw refused(
                    "the calibration holds tokens of another model", "0 to \(vocabulary - 1)", "\(bad)",
                    "give text, or tokens of this model's tokenizer")
            }
        }
        var random = SplitMix64(seed: options.seed)
        var order = Array(texts.indices)
        Self.shuffle(&order, by: &random)
        var windows: [[Int32]] = []
        var open: [Int32] = []
        for index in order {
            var rest = texts[index][...]
            while !rest.isEmpty {
                let part = rest.prefix(options.window - open.count)
                open += part
                rest = rest.dropFirst(part.count)
                if open.count == options.window {
                    windows.append(open)
                    open = []
                }
            }
        }
        // A last window that is not full counts only where there is hardly another.
        if open.count >= 2, windows.count < 2 { windows.append(open) }
        Self.shuffle(&windows, by: &random)
        self.windows = Array(windows.prefix(max(1, options.tokens / options.window)))
        self.options = options
        self.source = source
        var hash = SHA256()
        for window in self.windows {
            window.withUnsafeBytes { hash.update(bufferPointer: $0) }
            hash.update(data: [0xFF])
        }
        digest = Hex.text(hash.finalize())
    }

    /// The first windows of `count` tokens in all, at least one.
    func prefix(tokens count: Int) -> [[Int32]] { Array(windows.prefix(max(1, count / options.window))) }

    /// The same order everywhere, whatever the standard library's method.
    private static func shuffle<T>(_ values: inout [T], by random: inout SplitMix64) {
        for i in stride(from: values.count - 1, to: 0, by: -1) {
            values.swapAt(i, Int(random.next() % UInt64(i + 1)))
        }
    }
}
