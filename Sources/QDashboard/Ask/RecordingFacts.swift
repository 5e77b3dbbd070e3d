import Foundation

extension Facts {
    /// The facts of recordings: of their last moment with all that came before it, and of the newest snapshot where
    /// those do not say.
    ///
    /// Throws what the reader throws; `InputError` where the recordings hold no request.
    public static func of(_ reader: RequestReader) throws -> Facts {
        var history = FactHistory()
        var newest: AnalysisRequest?
        var hasMoments = false
        while let item = try reader.next() {
            if case .request(let request) = item {
                let time = request.snapshot.observedAt ?? request.snapshot.reportedAt ?? .distantPast
                let last = newest?.snapshot.observedAt ?? newest?.snapshot.reportedAt ?? .distantPast
                if newest == nil || time >= last { newest = request }
            }
            if history.add(item) { hasMoments = true }
        }
        try reader.requireRequests()
        var facts = newest?.allFacts ?? Facts()
        // A request that brings its own facts knows more of its past than its file does.
        if hasMoments, newest?.facts == nil { facts.merge(history.facts) }
        return facts
    }
}
