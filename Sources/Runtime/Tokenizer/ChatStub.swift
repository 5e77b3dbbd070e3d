import Foundation
public struct ChatMessage: Sendable, Codable, Equatable {
    public var role: String; public var content: String
    public init(role: String, content: String) { self.role = role; self.content = content }
}
public struct ChatTemplate: Sendable {
    public init(directory: URL, override name: String? = nil) throws {}
    public func render(_ messages: [ChatMessage], addGenerationPrompt: Bool) throws -> String {
        var out = ""
        for m in messages { out += "<|im_start|>\(m.role)\n\(m.content)<|im_end|>\n" }
        return addGenerationPrompt ? out + "<|im_start|>assistant\n" : out
    }
}
