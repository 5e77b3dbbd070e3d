import Foundation

/// How much of a forward pass is kept. Each level holds all of the ones before it.
public enum TraceLevel: Int, Sendable, Codable, Comparable {
    /// Tokens and logits.
    case logits
    /// Also embed, the five residual points of every layer, and final_norm.
    case residuals
    /// Also the attention pattern of every layer: heads × T² floats each.
    case full

    public init?(name: String) {
        switch name {
        case "logits": self = .logits
        case "residuals": self = .residuals
        case "full": self = .full
        default: return nil
        }
    }

    public var name: String {
        switch self {
        case .logits: "logits"
        case .residuals: "residuals"
        case .full: "full"
        }
    }

    public static func < (left: TraceLevel, right: TraceLevel) -> Bool { left.rawValue < right.rawValue }
}

/// How activations are stored. HDF5 knows no bfloat16.
public enum TraceStorage: String, Sendable, Codable {
    case float32
    /// Half the size; finite values beyond ±65504 are stored as ±65504 and counted.
    case float16
}

/// The sizes of the traced model: what makes a trace complete, and how wide each row is.
public struct TraceModel: Sendable, Codable, Equatable {
    public let layers: Int
    public let hidden: Int
    public let heads: Int
    public let vocabulary: Int

    public init(layers: Int, hidden: Int, heads: Int, vocabulary: Int) {
        self.layers = layers
        self.hidden = hidden
        self.heads = heads
        self.vocabulary = vocabulary
    }
}

/// A point of the forward pass, named as in TransformerLens.
public enum TracePoint: Sendable, Hashable {
    /// The embedding rows, [T, hidden].
    case embed
    /// A point of layer `layer`, counted from 0 over the whole model, [T, hidden].
    case layer(Int, Residual)
    /// The final norm's output, [T, hidden].
    case finalNorm
    /// [R, vocabulary]; R is T, or fewer where only some positions' logits are computed.
    case logits

    /// The residual stream and what each half of a layer adds to it.
    public enum Residual: String, Sendable, CaseIterable {
        case residPre = "resid_pre"
        case attnOut = "attn_out"
        case residMid = "resid_mid"
        case mlpOut = "mlp_out"
        case residPost = "resid_post"
    }

    /// The lowest level that keeps this point.
    public var level: TraceLevel {
        if case .logits = self { .logits } else { .residuals }
    }

    /// Floats a row.
    func width(_ model: TraceModel) -> Int {
        if case .logits = self { model.vocabulary } else { model.hidden }
    }

    /// The dataset's path below the request's group, e.g. "layers/07/resid_pre".
    public func path(layers: Int) -> String {
        switch self {
        case .embed: "embed"
        case .layer(let layer, let point): "\(TraceLayout.layerPath(layer, of: layers))/\(point.rawValue)"
        case .finalNorm: "final_norm"
        case .logits: "logits"
        }
    }

    /// Every point that a trace of this level holds, in the order of the forward pass.
    public static func all(_ model: TraceModel, level: TraceLevel) -> [TracePoint] {
        guard level >= .residuals else { return [.logits] }
        let inside = (0..<model.layers).flatMap { layer in Residual.allCases.map { TracePoint.layer(layer, $0) } }
        return [.embed] + inside + [.finalNorm, .logits]
    }
}
