extension Completion {
    /// This completion up to a text, and from there on another one, whose program was given all before.
    ///
    /// Output tokens and times are those of both: what the answer cost.
    /// - Parameter keeping: how many choices and texts of this one stay.
    package func continued(by other: Completion, keeping count: (choices: Int, texts: Int)) -> Completion {
        var timings = timings
        timings.decode += other.timings.total
        timings.total += other.timings.total
        timings.stages = zip(timings.stages, other.timings.stages).map(+)
        timings.draftedTokens += other.timings.draftedTokens
        timings.acceptedTokens += other.timings.acceptedTokens
        return Completion(
            id: id, choices: choices.prefix(count.choices) + other.choices,
            texts: texts.prefix(count.texts) + other.texts, promptTokens: promptTokens,
            outputTokens: outputTokens + other.outputTokens, tokens: other.tokens, timings: timings,
            timedOut: other.timedOut)
    }

    /// What stands for the computation of an answer that was known already: no texts and no times.
    package static func recalled(_ id: String, promptTokens: Int, outputTokens: Int) -> Completion {
        Completion(
            id: id, choices: [], texts: [], promptTokens: promptTokens, outputTokens: outputTokens, tokens: [],
            timings: RequestTimings(), timedOut: false)
    }
}
