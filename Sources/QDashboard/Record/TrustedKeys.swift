/// The public keys that a run's nodes must have signed with.
public struct TrustedKeys: Sendable {
    /// Of nodes that have none of their own here.
    private var ofAll: String?
    private var byNode: [String: String] = [:]

    public struct Malformed: Error, CustomStringConvertible {
        public let description: String
    }

    /// None is asked for.
    public init() {}

    /// - Parameter texts: 64 hexadecimal digits each, or `NODE=` and the digits. Throws `Malformed`.
    public init(_ texts: [String]) throws(Malformed) {
        for text in texts {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = parts.last.map { $0.lowercased() } ?? ""
            guard key.count == 64, key.allSatisfy(\.isHexDigit) else {
                throw Malformed(description: "expected 64 hexadecimal digits, or NODE= and them, got \"\(text)\"")
            }
            let isKnown = parts.count == 2 ? byNode[String(parts[0])] != nil : ofAll != nil
            guard !isKnown else { throw Malformed(description: "given twice: \"\(text)\"") }
            if parts.count == 2 { byNode[String(parts[0])] = key } else { ofAll = key }
        }
    }

    var nodes: [String] { byNode.keys.sorted() }
    func key(of node: String) -> String? { byNode[node] ?? ofAll }
}
