import Runtime

/// A record that cannot be used: a line of rejected.jsonl. The rest of the input goes on.
public struct RejectedRecord: Error, Sendable, Equatable {
    /// As the file was named to the reader.
    public let file: String
    /// From 1; 0 for the file as a whole.
    public let line: Int
    /// What is wrong, worded; text from the record is quoted and short.
    public let reason: String

    public init(file: String, line: Int, reason: String) { (self.file, self.line, self.reason) = (file, line, reason) }

    /// `{"file":…,"line":…,"reason":…}`
    public var json: JSONValue {
        object([("file", .string(file)), ("line", .integer(line)), ("reason", .string(reason))])
    }
}
