import Foundation
import Runtime

/// A headline that comes with a request: text from outside, quoted wherever it is said.
public struct NewsItem: Sendable, Equatable {
    /// Most that a prompt says; the newest ones.
    public static let most = 12
    static let sourceLimit = 40
    static let titleLimit = 160

    public var at: Date?
    public var source: String?
    public var title: String

    public init(at: Date?, source: String?, title: String) {
        (self.at, self.source, self.title) = (at, source, title)
    }

    /// As a prompt says it: the date is ours, the rest is data.
    var line: String {
        let source = source.map { Quoting.plain($0, limit: Self.sourceLimit) + ": " } ?? ""
        let data = Quoting.promptData(
            source + Quoting.plain(title, limit: Self.titleLimit), limit: Self.sourceLimit + Self.titleLimit + 2)
        return "- " + (at.map { Timestamp.text($0) + " " } ?? "") + data
    }

    public var json: JSONValue {
        var members: [(String, JSONValue)] = []
        if let at { members.append(("at", .string(Timestamp.text(at)))) }
        if let source { members.append(("source", .string(source))) }
        return object(members + [("title", .string(title))])
    }
}
