import Foundation

extension Facts {
    /// The facts of recordings: of their whole timeline, and of the newest snapshot where the timeline does not say.
    ///
    /// Throws what the reader throws; `InputError` where the recordings hold no request.
    public static func of(_ reader: RequestReader) throws -> Facts {
        var builder = TimelineBuilder()
        var newest: Snapshot?
        while let item = try reader.next() {
            if case .request(let request) = item {
                let isNewer =
                    (request.snapshot.observedAt ?? .distantPast) >= (newest?.observedAt ?? .distantPast)
                if newest == nil || isNewer { newest = request.snapshot }
            }
            builder.add(item)
        }
        try reader.requireRequests()
        var facts = newest.map { Facts($0) } ?? Facts()
        let timeline = Facts(builder.finish())
        for name in timeline.names { facts[name] = timeline[name] }
        return facts
    }
}
