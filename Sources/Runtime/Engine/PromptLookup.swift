/// Guesses what comes next from what came before: where the last few tokens stood earlier in the sequence, it goes on as
/// it did then (prompt lookup decoding; A. Saxena 2023).
enum PromptLookup {
    /// Longest match first; below two tokens a match says too little.
    static let matches = [4, 3, 2]

    /// At most `count` tokens that followed the latest earlier place where the sequence read as it does at its end.
    static func continuation(of tokens: [Int32], atMost count: Int) -> [Int32] {
        tokens.withUnsafeBufferPointer { tokens in
            for length in matches where tokens.count > length {
                let ending = tokens.count - length
                var start = ending - 1
                while start >= 0 {
                    var same = 0
                    while same < length, tokens[start + same] == tokens[ending + same] { same += 1 }
                    if same == length {
                        let next = start + length
                        return Array(tokens[next..<min(next + count, tokens.count)])
                    }
                    start -= 1
                }
            }
            return []
        }
    }
}
