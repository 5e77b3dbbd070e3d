import CPCRE2

/// One entry of `targets` or `ignore`: a module's name, a class name, or `re:` and a regular expression that has to match
/// from the beginning of the module's name, as Python's `re.match` does.
struct ModulePattern: Sendable, Equatable, CustomStringConvertible {
    let text: String

    var isExpression: Bool { text.hasPrefix("re:") }
    var description: String { text }

    func matches(class names: [String]) -> Bool { names.contains(text) }

    /// - Throws: QuantizationError.pattern, for a hostile expression too: matching gives up after a fixed effort.
    func matches(name: String, place: String) throws -> Bool {
        guard isExpression else { return text == name }
        let source = String(text.dropFirst(3))
        func failure(_ code: Int32) -> QuantizationError {
            var buffer = [UInt8](repeating: 0, count: 256)
            let length = pcre2_get_error_message_8(code, &buffer, buffer.count)
            let problem = String(decoding: buffer.prefix(Int(max(length, 0))), as: UTF8.self)
            return .pattern(place: place, pattern: source, problem: problem)
        }
        var code: Int32 = 0
        var offset = 0
        let pattern = Array(source.utf8)
        let options = UInt32(PCRE2_ANCHORED) | UInt32(PCRE2_UTF) | UInt32(PCRE2_NEVER_BACKSLASH_C)
        guard let expression = pcre2_compile_8(pattern, pattern.count, options, &code, &offset, nil) else {
            throw failure(code)
        }
        defer { pcre2_code_free_8(expression) }
        let context = pcre2_match_context_create_8(nil)
        let match = pcre2_match_data_create_from_pattern_8(expression, nil)
        defer {
            pcre2_match_context_free_8(context)
            pcre2_match_data_free_8(match)
        }
        pcre2_set_match_limit_8(context, 100_000)
        pcre2_set_heap_limit_8(context, 10_000)
        let subject = Array(name.utf8)
        let result = pcre2_match_8(expression, subject, subject.count, 0, 0, match, context)
        if result == PCRE2_ERROR_NOMATCH { return false }
        if result < 0 { throw failure(result) }
        return true
    }
}
