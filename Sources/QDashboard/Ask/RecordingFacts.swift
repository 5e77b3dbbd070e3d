import Foundation

extension Facts {
    /// The facts of recordings: of their last moment with all that came before it, in whatever order the files are, and of
    /// the newest snapshot where those do not say.
    ///
    /// Throws what the reader throws; `InputError` where the recordings hold no request.
    public static func of(_ reader: RequestReader) throws -> Facts {
        var builder = TimelineBuilder()
        var newest: AnalysisRequest?
        while let item = try reader.next() {
            if case .request(let request) = item, newest.map(request.isNewer(than:)) ?? true { newest = request }
            builder.add(item)
        }
        try reader.requireRequests()
        let timeline = builder.finish()
        // A request that brings its own facts knows more of its past than its file does.
        guard let end = timeline.end, newest?.facts == nil else { return newest?.allFacts ?? Facts() }
        var facts = newest?.allFacts ?? Facts()
        if let newest, newest.snapshot.kind != .epochSummary, let moment = newest.moment, moment > end {
            // Its time was not believed: the last one that was stands for it.
            facts = timeline.points.max { $0.lastAt < $1.lastAt }.map { Facts($0.snapshot) } ?? Facts()
        }
        var known = Facts(timeline)
        DetectorHistory(timeline).add(to: &known)
        facts.merge(known)
        return facts
    }
}

extension AnalysisRequest {
    fileprivate var moment: Date? { snapshot.observedAt ?? snapshot.reportedAt }

    /// Of the same moment, the one that stands later, by the files' names where there are several.
    fileprivate func isNewer(than other: AnalysisRequest) -> Bool {
        let (mine, its) = (moment ?? .distantPast, other.moment ?? .distantPast)
        if mine != its { return mine > its }
        return moment == nil || origin.file >= other.origin.file
    }
}
