import QDashboard
import Reporting
import Runtime

/// How far a model's answers are those of a reference in fp32. No claim that the reference is right.
public struct Agreement: Sendable {
    /// The reference, with the candidate's prompts and load.
    public var reference: SnapshotBenchmark
    /// Texts of the reference, of which every token is predicted by both.
    public var texts: Int

    public init(of candidate: SnapshotBenchmark, with reference: SnapshotBenchmark, texts: Int) {
        self.candidate = candidate
        self.reference = reference
        self.reference.engine.precision = .fp32
        self.reference.engine.cachePrecision = .fp32
        self.reference.load = Load(.offline)
        self.texts = texts
    }

    private let candidate: SnapshotBenchmark

    /// - Parameter measured: the candidate's answers, among them those to `requests`.
    public func measure(_ measured: SnapshotBenchmark.Measured, on requests: [AnalysisRequest]) async throws
        -> [QualityMeasure]
    {
        let exact = try reference.run(requests)
        let answers = Dictionary(measured.answered.map { ($0.answer.id, $0.answer) }) { first, _ in first }
        let pairs = exact.answered.compactMap { other in answers[other.answer.id].map { ($0, other.answer) } }
        let probes = exact.answered.prefix(texts).map { (name: $0.answer.id, tokens: $0.completion.tokens) }
        let expected = try await TopTokens.of(probes, checkpoint: exact.checkpoint, options: reference.engine)
        let got = try await TopTokens.of(probes, checkpoint: measured.checkpoint, options: candidate.engine)
        let positions = expected.values.reduce(0) { $0 + $1.count }
        let matches = expected.reduce(0) { sum, text in
            sum + zip(text.value, got[text.key] ?? []).count { $0 == $1 }
        }
        let name = exact.checkpoint.directory.lastPathComponent
        return [
            QualityMeasure(
                name: "sentiment-agreement", title: "Sentiment as \(name) in fp32", kind: .agreement,
                matches: pairs.count { $0.vote == $1.vote }, of: pairs.count,
                note: "\(pairs.count) of the requests, evenly spaced, answered by the reference in fp32."),
            QualityMeasure(
                name: "top1-agreement", title: "Likeliest token as \(name) in fp32", kind: .agreement,
                matches: matches, of: positions,
                note: "At every position of \(probes.count) texts that the reference wrote."),
        ].compactMap { $0 }
    }
}
