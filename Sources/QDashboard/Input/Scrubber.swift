import Foundation

/// Takes out of a text what must not leave the recording: wallet identities (60 capital letters), keys and tokens.
package enum Scrubber {
    /// An identity has 60 capital letters. One that was cut short is recognised from this many: no word has as many.
    static let identityLetters = 30

    /// The text with each secret replaced by `[identity]` or `[secret]`, and how many there were of both. Text without any
    /// is given back as it is.
    package static func scrub(_ text: String) -> (text: String, identities: Int, secrets: Int) {
        let trace = look(text)
        guard trace.identity || trace.secret else { return (text, 0, 0) }
        var (text, identities, secrets) = (text, 0, 0)
        if trace.identity { (text, identities) = withoutIdentities(text) }
        if trace.secret { (text, secrets) = withoutSecrets(text) }
        return (text, identities, secrets)
    }

    /// Names under which secrets travel, in lower case.
    static let names = [
        "authorization", "cookie", "api-key", "api_key", "apikey", "token", "secret", "password", "session",
    ]

    static func isSecretName(_ name: String) -> Bool {
        let name = name.lowercased()
        return names.contains { name.contains($0) }
    }

    /// Each pattern below needs one of these, in lower case.
    private static let markers = [
        "bearer ", "basic ", "eyj", "sk-", "sk_", "pk-", "pk_", "ghp_", "ghp-", "gho_", "gho-", "xoxb", "xoxp",
        "authorization", "cookie", "key", "token", "secret", "password", "session",
    ].map { Array($0.utf8) }

    /// The markers by their first letter, from a to z.
    private static let markersByLetter = (UInt8(ascii: "a")...UInt8(ascii: "z")).map { letter in
        markers.filter { $0[0] == letter }
    }

    /// A first look, so that harmless text costs little more than one pass over its bytes.
    private static func look(_ text: String) -> (identity: Bool, secret: Bool) {
        var text = text
        let markersByLetter = Self.markersByLetter
        return text.withUTF8 { bytes in
            var (run, identity, secret) = (0, false, false)
            for (index, byte) in bytes.enumerated() {
                run = (0x41...0x5A).contains(byte) ? run + 1 : 0
                if run == identityLetters { identity = true }
                guard !secret, byte | 0x20 >= 0x61, byte | 0x20 <= 0x7A else { continue }
                let rest = bytes[index...]
                secret = markersByLetter[Int(byte | 0x20) - 0x61].contains { marker in
                    rest.count >= marker.count
                        && zip(rest, marker).allSatisfy { $0 == $1 || $0 | 0x20 == $1 && (0x41...0x5A).contains($0) }
                }
            }
            return (identity, secret)
        }
    }

    private static func withoutIdentities(_ text: String) -> (String, Int) {
        var (out, run, count) = (String.UnicodeScalarView(), String.UnicodeScalarView(), 0)
        func flush() {
            if run.count >= identityLetters {
                out.append(contentsOf: "[identity]".unicodeScalars)
                count += 1
            } else {
                out.append(contentsOf: run)
            }
            run.removeAll(keepingCapacity: true)
        }
        for scalar in text.unicodeScalars {
            if ("A"..."Z").contains(scalar) {
                run.append(scalar)
            } else {
                flush()
                out.append(scalar)
            }
        }
        flush()
        return (String(out), count)
    }

    private static let patterns: [(String, String)] = [
        (#"\b((?i:bearer|basic))\s+(?=\S*[A-Z0-9=])[A-Za-z0-9+/=_.~-]{6,}"#, "$1 [secret]"),
        (#"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]*)?"#, "[secret]"),
        (#"\b(sk|pk|ghp|gho|xox[bp])[-_][A-Za-z0-9_-]{12,}"#, "[secret]"),
        (
            #"(?i)((?:authorization|cookie|api[-_]?key|token|secret|password|session(?:id)?)["']?\s*[:=]\s*["']?)(?!\[secret|(?:bearer|basic)\b)[^\s"',;&]{4,}"#,
            "$1[secret]"
        ),
    ]

    private static let expressions = patterns.map { pattern, replacement in
        // The patterns are constants of this file; a test runs each.
        (try? NSRegularExpression(pattern: pattern), replacement)
    }

    private static func withoutSecrets(_ text: String) -> (String, Int) {
        var (text, count) = (text, 0)
        for case (let expression?, let replacement) in expressions {
            let mutable = NSMutableString(string: text)
            count += expression.replaceMatches(
                in: mutable, range: NSRange(location: 0, length: mutable.length), withTemplate: replacement)
            text = String(mutable)
        }
        return (text, count)
    }
}

/// How much was scrubbed from what was read.
public struct Scrubbed: Sendable, Equatable {
    /// Cookies of requests and answers.
    public var cookies = 0
    /// Authorization headers.
    public var authorizations = 0
    /// API keys, tokens and passwords, in headers, addresses and texts.
    public var keys = 0
    /// Wallet identities.
    public var identities = 0

    public init() {}

    public var total: Int { cookies + authorizations + keys + identities }

    /// The text, scrubbed; counts what was taken out.
    mutating func scrub(_ text: String) -> String {
        let (clean, identities, secrets) = Scrubber.scrub(text)
        self.identities += identities
        keys += secrets
        return clean
    }

    mutating func add(_ other: Scrubbed) {
        cookies += other.cookies
        authorizations += other.authorizations
        keys += other.keys
        identities += other.identities
    }
}

extension Snapshot {
    /// Takes out of the texts what must not leave the recording, and counts it.
    mutating func scrub(counting scrubbed: inout Scrubbed) {
        endpoint = endpoint.map { scrubbed.scrub($0) }
        if let message = failure?.message { failure?.message = scrubbed.scrub(message) }
        guard var health = self.health else { return }
        health.overall = health.overall.map { scrubbed.scrub($0) }
        health.tick = health.tick.map { scrubbed.scrub($0) }
        health.epoch = health.epoch.map { scrubbed.scrub($0) }
        health.duration = health.duration.map { scrubbed.scrub($0) }
        self.health = health
    }
}
