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
    /// Tokens over which KL was measured.
    public let tokens: Int
    public let method: String

    public var json: JSONValue {
        [
            "format": "qquant-sensitivities", "version": 1, "source_sha256": .string(sourceDigest),
            "calibration_sha256": .string(calibrationDigest), "tokens": .integer(tokens), "method": .string(method),
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

    init(entries: [Entry], sourceDigest: String, calibrationDigest: String, tokens: Int, method: String) {
        self.entries = entries
        self.sourceDigest = sourceDigest
        self.calibrationDigest = calibrationDigest
        self.tokens = tokens
        self.method = method
    }

    /// - Throws: as `init(json:…)`, and what reading a file throws.
    public init(reading url: URL, of checkpoint: Checkpoint) throws {
        try self.init(
            json: JSONValue(parsing: try readFile(url), place: url.path), place: url.path,
            sourceDigest: try checkpoint.digest(),
            modules: Set(QuantizationPlan(checkpoint.configuration).modules.map(\.module)))
    }

    /// - Throws: `QuantizationError.sensitivities` where it is malformed or of another model.
    public init(json: JSONValue, place: String, sourceDigest: String, modules: Set<String>) throws {
        func refused(_ problem: String) -> QuantizationError { .sensitivities(place: place, problem: problem) }
        guard json["format"]?.string == "qquant-sensitivities", json["version"]?.int == 1,
            let source = json["source_sha256"]?.string, let calibration = json["calibration_sha256"]?.string,
            let tokens = json["tokens"]?.int, let method = json["method"]?.string, let sets = json["sets"]?.array
        else { throw refused("is no file of sensitivities, or one of another version") }
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
        self.tokens = tokens
        self.method = method
    }
}
