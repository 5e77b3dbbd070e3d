import Runtime

/// A record that cannot be used: a line of rejected.jsonl. The rest of the input goes on.
public struct RejectedRecord: Error, Sendable, Equatable {
    /// As the file was named to the reader.
    public let file: String
    /// From 1; 0 for the file as a whole.
    public let line: Int
    /// What is wrong, worded; text from the record is quoted and short.
    public let reason: String

    /// The file ends in the middle: what stood before was read.
    public let isTruncation: Bool

    public init(file: String, line: Int, reason: String, isTruncation: Bool = false) {
        (self.file, self.line, self.reason, self.isTruncation) = (file, line, reason, isTruncation)
    }

    /// `{"file":…,"line":…,"reason":…}`
    public var json: JSONValue {
        object([("file", .string(file)), ("line", .integer(line)), ("reason", .string(reason))])
    }
}
