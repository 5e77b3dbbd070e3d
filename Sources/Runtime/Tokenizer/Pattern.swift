import CPCRE2

/// A splitting pattern, compiled by PCRE2 with its just-in-time compiler.
///
/// `@unchecked Sendable`: the compiled code is written by `init` alone and only read afterwards; PCRE2 documents that
/// threads may share compiled code as long as each has match data of its own, which `PatternMatcher` is.
final class Pattern: @unchecked Sendable {
    fileprivate let code: OpaquePointer

    /// Compiles a pattern in the syntax of tokenizer.json, which is Oniguruma's.
    convenience init(oniguruma pattern: String, place: String) throws(TokenizerError) {
        try self.init(try OnigurumaSyntax.translate(pattern, place: place), options: 0, original: pattern, place: place)
    }

    /// A pattern that stands for itself.
    convenience init(literal: String, place: String) throws(TokenizerError) {
        try self.init(literal, options: PCRE2_LITERAL, original: literal, place: place)
    }

    private init(_ pattern: String, options: UInt32, original: String, place: String) throws(TokenizerError) {
        var errorCode: CInt = 0
        var errorOffset = 0
        let context = pcre2_compile_context_create_8(nil)
        defer { pcre2_compile_context_free_8(context) }
        // However the library was built: only a line feed ends a line.
        pcre2_set_newline_8(context, UInt32(PCRE2_NEWLINE_LF))
        pcre2_set_parens_nest_limit_8(context, 100)
        // With PCRE2_LITERAL, Unicode properties have no meaning, and the option is refused.
        let unicode = options & PCRE2_LITERAL == 0 ? PCRE2_UTF | PCRE2_UCP : PCRE2_UTF
        var pattern = pattern
        let compiled = pattern.withUTF8 {
            pcre2_compile_8($0.baseAddress, $0.count, options | unicode, &errorCode, &errorOffset, context)
        }
        guard let compiled else {
            throw .invalid(
                place: place, problem: "PCRE2 cannot compile the pattern \(quoted(original))", expected: nil,
                got: "error \(errorCode) (\(pcre2Message(errorCode))) at byte \(errorOffset)")
        }
        // Where there is no just-in-time compiler for the machine, the interpreter runs the pattern all the same.
        pcre2_jit_compile_8(compiled, PCRE2_JIT_COMPLETE)
        code = compiled
    }

    deinit { pcre2_code_free_8(code) }
}

/// Whether the library's tables are of Unicode 16 or later.
let pcre2KnowsUnicode16: Bool = {
    var text = [UInt8](repeating: 0, count: 64)
    guard pcre2_config_8(UInt32(PCRE2_CONFIG_UNICODE_VERSION), &text) > 0 else { return false }
    return (Int(String(decoding: text.prefix { $0 != UInt8(ascii: ".") }, as: UTF8.self)) ?? 0) >= 16
}()

private func pcre2Message(_ code: CInt) -> String {
    var text = [UInt8](repeating: 0, count: 256)
    let length = pcre2_get_error_message_8(code, &text, text.count)
    return length < 0 ? "unknown" : String(decoding: text[..<Int(length)], as: UTF8.self)
}

/// What one thread needs to match with.
struct PatternMatcher: ~Copyable {
    private let data: OpaquePointer

    init() {
        guard let data = pcre2_match_data_create_8(1, nil) else { fatalError("out of memory") }
        self.data = data
    }

    deinit { pcre2_match_data_free_8(data) }

    /// Calls `body` with every match in `text[range]` from left to right, the range taken as a text of its own, and
    /// passes over an empty match that touches the one before, as Oniguruma's iterator does.
    ///
    /// A pattern that runs into PCRE2's limits (only a hostile one does) matches nothing more in this range.
    func forEachMatch(
        of pattern: Pattern, in text: UnsafeBufferPointer<UInt8>, range: Range<Int>, _ body: (Range<Int>) -> Void
    ) {
        guard let base = text.baseAddress else { return }
        let subject = base + range.lowerBound
        let length = range.count
        var offset = 0
        var lastEnd = -1
        while offset <= length {
            var result = pcre2_match_8(pattern.code, subject, length, offset, PCRE2_NO_UTF_CHECK, data, nil)
            if result == PCRE2_ERROR_JIT_STACKLIMIT {
                let options = PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT
                result = pcre2_match_8(pattern.code, subject, length, offset, options, data, nil)
            }
            guard result > 0 || result == 0, let ends = pcre2_get_ovector_pointer_8(data) else { return }
            // \K could make the start come after the end; the translation refuses it.
            let (start, end) = (ends[0], ends[1])
            if start == end, end == lastEnd {
                offset += 1
                while offset < length, subject[offset] & 0xC0 == 0x80 { offset += 1 }
                continue
            }
            body(range.lowerBound + start..<range.lowerBound + end)
            lastEnd = end
            offset = end
        }
    }
}
