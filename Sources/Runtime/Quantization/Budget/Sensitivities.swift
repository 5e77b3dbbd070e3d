import Crypto
import Foundation

/// How much each set of layers hurts the model when it alone is quantized: mean KL divergence from the full model on
/// calibration text, in nats. Measured once per model and text, and kept as JSON.
///
/// KL is measured for one scheme of each set, the probe; for the others it follows from the error of the set's outputs,
/// to whose square it is proportional as long as it is small.
public struct Sensitivities: Sendable, Equatable {
    public struct Choice: Sendable, Equatable {
        public let scheme: QuantizationScheme
        /// Of the set's outputs, ‖y − ŷ‖² / ‖y‖².
        public let outputError: Double
        public let divergence: Double
    }

    public struct Entry: Sendable, Equatable {
        /// Modules that share a scheme.
        public let modules: [String]
        public let choices: [Choice]
    }

    public let entries: [Entry]
    /// `Checkpoint.digest` of the model.
    public let sourceDigest: String
    public let calibrationDigest: String
    /// How the calibration was drawn from its texts: so drawn again, the same texts have the same digest.
    public let calibrationOptions: CalibrationSet.Options
    /// Tokens over which KL was measured.
    public let tokens: Int
    /// Tokens over which it was to be measured: more, where the calibration has fewer.
    public let wantedTokens: Int
    public let method: String

    /// 1 did not say how the calibration was drawn.
    private static let version = 2

    public var json: JSONValue {
        [
            "format": "qquant-sensitivities", "version": .integer(Self.version),
            "source_sha256": .string(sourceDigest), "calibration_sha256": .string(calibrationDigest),
            "calibration_tokens": .integer(calibrationOptions.tokens),
            "calibration_window": .integer(calibrationOptions.window),
            // A string: it may have 64 bits.
            "calibration_seed": .string("\(calibrationOptions.seed)"), "tokens": .integer(tokens),
            "wanted_tokens": .integer(wantedTokens), "method": .string(method),
            "sets": .array(
                entries.map { entry in
                    [
                        "modules": .array(entry.modules.map { .string($0) }),
                        "choices": .array(
                            entry.choices.map {
                                [
                                    "scheme": .string($0.scheme.name), "output_error": .number($0.outputError),
                                    "kl": .number($0.divergence),
                                ]
                            }),
                    ]
                }),
        ]
    }

    /// SHA-256 of the JSON as it is written, in lower-case hexadecimal.
    public var digest: String {
        Hex.text(SHA256.hash(data: json.serialized()))
    }

    /// Modules of which it knows no choice; a tied head goes with its embedding.
    public func unknown(of model: ModelConfiguration) -> [LinearLayer] {
        let known = Set(entries.flatMap(\.modules))
        return QuantizationPlan(model).modules.filter {
            !known.contains($0.module) && !($0.module == "lm_head" && model.tiedEmbeddings)
        }
    }

    /// - Throws: `QuantizationError.calibration` naming the modules whose figures are not finite.
    init(
        entries: [Entry], sourceDigest: String, calibration: CalibrationSet, tokens: Int, wantedTokens: Int,
        method: String
    ) throws {
        for entry in entries {
            guard let bad = entry.choices.first(where: { !($0.outputError + $0.divergence).isFinite }) else { continue }
            throw QuantizationError.calibration(
                place: entry.modules.joined(separator: ", "),
                problem: "the sensitivity to \(bad.scheme.name) is not finite",
                expected: "an output error and a KL divergence in numbers",
                got: "\(bad.outputError) and \(bad.divergence)", advice: "look for weights far too large there")
        }
        self.entries = entries
        self.sourceDigest = sourceDigest
        calibrationDigest = calibration.digest
        calibrationOptions = calibration.options
        self.tokens = tokens
        self.wantedTokens = wantedTokens
        self.method = method
    }

    /// - Throws: as `init(json:…)`, and what reading a file throws.
    public init(reading url: URL, of checkpoint: Checkpoint) throws {
        try self.init(
            json: JSONValue(parsing: try readFile(url), place: url.path), place: url.path,
            sourceDigest: try checkpoint.digest(),
            modules: Set(QuantizationPlan(checkpoint.configuration).modules.map(\.module)))
    }

    /// - Throws: `QuantizationError.sensitivities` where it is malformed or of another model, `.calibration` where it is
    ///   of another version.
    public init(json: JSONValue, place: String, sourceDigest: String, modules: Set<String>) throws {
        func refused(_ problem: String) -> QuantizationError { .sensitivities(place: place, problem: problem) }
        guard json["format"]?.string == "qquant-sensitivities", let version = json["version"]?.int else {
            throw refused("it is no file of sensitivities")
        }
        guard version == Self.version else {
            throw QuantizationError.calibration(
                place: place, problem: "the sensitivities are in another version of the format",
                expected: "\(Self.version)", got: "\(version)", advice: "delete it, and it is measured anew")
        }
        guard let source = json["source_sha256"]?.string, let calibration = json["calibration_sha256"]?.string,
            let drawn = json["calibration_tokens"]?.int, let window = json["calibration_window"]?.int, window > 1,
            let seed = json["calibration_seed"]?.string.flatMap({ UInt64($0) }), let tokens = json["tokens"]?.int,
            let wanted = json["wanted_tokens"]?.int, let method = json["method"]?.string,
            let sets = json["sets"]?.array
        else { throw refused("it does not say how the sensitivities were measured") }
        guard source == sourceDigest else { throw refused("the sensitivities are of another model") }
        entries = try sets.map { set in
            guard let names = set["modules"]?.array?.compactMap(\.string), !names.isEmpty,
                let choices = set["choices"]?.array, !choices.isEmpty
            else { throw refused("a set has no modules or no choices") }
            for name in names where !modules.contains(name) { throw refused("there is no module \(printable(name))") }
            return Entry(
                modules: names,
                choices: try choices.map { choice in
                    guard let scheme = choice["scheme"]?.string.flatMap(QuantizationScheme.init(name:)),
                        let error = choice["output_error"]?.double, let divergence = choice["kl"]?.double,
                        error >= 0, divergence >= 0
                    else { throw refused("a choice of \(printable(names[0])) is malformed") }
                    return Choice(scheme: scheme, outputError: error, divergence: divergence)
                })
        }
        self.sourceDigest = source
        calibrationDigest = calibration
        var options = CalibrationSet.Options()
        (options.tokens, options.window, options.seed) = (drawn, window, seed)
        calibrationOptions = options
        self.tokens = tokens
        wantedTokens = wanted
        self.method = method
    }
}
