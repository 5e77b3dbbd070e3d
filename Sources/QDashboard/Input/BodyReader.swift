import Runtime

/// Reads the bodies, each into the fields of a `Snapshot`. The ranges are those of the protocol's own types (uint32 ticks,
/// uint16 epochs) or far beyond what the network can reach (200·10¹² qus): what lies outside is no measurement.
enum BodyReader {
    static let count = 0...4_294_967_295
    static let epochs = 0...65_535
    static let qus = 0...1_000_000_000_000_000
    static let percent = 0.0...100.0
    static let price = 0.0...1e6

    static func read(_ kind: Snapshot.Kind, _ fields: BodyFields) throws(Rejection) -> Snapshot {
        var snapshot = Snapshot(kind: kind)
        switch kind {
        case .latestStats, .networkStats, .epochSummary:
            try measurements(try BodyFields(fields, "data"), into: &snapshot)
        case .tickInfo:
            try measurements(try BodyFields(fields, "tickInfo"), into: &snapshot)
            recogniseZeros(&snapshot)
        case .status:
            let last = try BodyFields(fields, "lastProcessedTick")
            snapshot.tick = try last.integer("tickNumber", in: count)
            snapshot.epoch = try last.integer("epoch", in: epochs)
            guard snapshot.tick != nil else { throw Rejection("\(last.name("tickNumber")) is missing") }
        case .latestTick:
            snapshot.tick = try fields.integer("latestTick", in: count)
            guard snapshot.tick != nil else { throw Rejection("\(fields.name("latestTick")) is missing") }
        case .dashboardTick, .dashboardStats:
            try health(fields, into: &snapshot)
            snapshot.failure = try dashboardError(fields)
            if snapshot.failure == nil {
                try measurements(fields, into: &snapshot)
                if kind == .dashboardTick { recogniseZeros(&snapshot) }
            } else {
                snapshot.reportedAt = try fields.moment("timestamp")
            }
        case .failure:
            snapshot.failure = try dashboardError(fields)
            guard snapshot.failure != nil else { throw Rejection("a record of unknown shape") }
        }
        return snapshot
    }

    /// The numbers, which have the same names in all bodies. At least one must be there.
    static func measurements(_ fields: BodyFields, into snapshot: inout Snapshot) throws(Rejection) {
        snapshot.tick = try fields.integer("tick", "currentTick", in: count)
        snapshot.epoch = try fields.integer("epoch", in: epochs)
        snapshot.initialTick = try fields.integer("initialTick", in: count)
        snapshot.secondsSinceLastTick = try fields.integer("duration", in: count)
        snapshot.activeAddresses = try fields.integer("activeAddresses", in: count)
        snapshot.priceUSD = try fields.decimal("price", in: price)
        snapshot.marketCapUSD = try fields.decimal("marketCap", in: 0...1e18)
        snapshot.circulatingSupplyQus = try fields.integer("circulatingSupply", in: qus)
        snapshot.burnedQus = try fields.integer("burnedQus", in: qus)
        snapshot.ticksInEpoch = try fields.integer("ticksInCurrentEpoch", "ticksInEpoch", in: count)
        snapshot.emptyTicksInEpoch = try fields.integer("emptyTicksInCurrentEpoch", "emptyTicksInEpoch", in: count)
        snapshot.epochTickQualityPercent = try fields.decimal("epochTickQuality", in: percent)
        snapshot.ticksInLast10000 = try fields.integer("ticksInLast10000", in: 0...10_000)
        snapshot.emptyTicksInLast10000 = try fields.integer("emptyTicksInLast10000", in: 0...10_000)
        snapshot.last10000TickQualityPercent = try fields.decimal("last10000TickQuality", in: percent)
        guard saysANumber(snapshot) else {
            throw Rejection((fields.path.isEmpty ? "" : "\(fields.path): ") + "no known number of the network in it")
        }
        snapshot.reportedAt = try fields.moment("timestamp")
        recogniseFraction(&snapshot)
    }

    private static func saysANumber(_ one: Snapshot) -> Bool {
        if one.tick != nil || one.epoch != nil || one.initialTick != nil || one.secondsSinceLastTick != nil {
            return true
        }
        if one.activeAddresses != nil || one.circulatingSupplyQus != nil || one.burnedQus != nil { return true }
        if one.priceUSD != nil || one.marketCapUSD != nil { return true }
        if one.ticksInEpoch != nil || one.emptyTicksInEpoch != nil || one.epochTickQualityPercent != nil { return true }
        return one.ticksInLast10000 != nil || one.emptyTicksInLast10000 != nil || one.last10000TickQualityPercent != nil
    }

    static func summary(_ fields: BodyFields, into snapshot: inout Snapshot) throws(Rejection) {
        var summary = Snapshot.EpochSummary()
        summary.startedAt = try fields.moment("startedAt")
        summary.meanSecondsPerTick = try fields.decimal("meanSecondsPerTick", in: 0...604_800)
        summary.tickGapBefore = try fields.integer("tickGapBefore", in: count)
        summary.intervals = try fields.integer("intervals", in: 0...1_000_000)
        summary.priceOpenUSD = try fields.decimal("priceOpen", in: price)
        summary.priceHighUSD = try fields.decimal("priceHigh", in: price)
        summary.priceLowUSD = try fields.decimal("priceLow", in: price)
        summary.priceCloseUSD = try fields.decimal("priceClose", in: price)
        summary.priceMeanUSD = try fields.decimal("priceMean", in: price)
        if let text = try fields.text("transition"), !text.isEmpty {
            guard let transition = Snapshot.EpochSummary.Transition(rawValue: text) else {
                throw Rejection(
                    "\(fields.name("transition")): expected seamless or cutover, got \(Quoting.quoted(text))")
            }
            summary.transition = transition
        }
        snapshot.summary = summary
    }

    static func health(_ fields: BodyFields, into snapshot: inout Snapshot) throws(Rejection) {
        guard let value = fields.object["health"], !value.isNull else { return }
        if let text = value.string {
            snapshot.health = Snapshot.Health(overall: text)
            return
        }
        let health = try BodyFields(fields, "health")
        snapshot.health = Snapshot.Health(
            overall: try health.text("overall"), tick: try health.text("tick_status"),
            epoch: try health.text("epoch_status"), duration: try health.text("duration_status"))
    }

    static func rpcError(_ fields: BodyFields) throws(Rejection) -> SourceFailure? {
        guard fields.object["code"] != nil, fields.object["message"]?.string != nil, fields.object["data"] == nil else {
            return nil
        }
        return SourceFailure(
            kind: .rpcError, code: try fields.integer("code", in: -2_147_483_648...2_147_483_647),
            message: try fields.text("message"))
    }

    /// Such a body has the usual keys, zeroed, and is served with HTTP 200 at times: zeros that nobody measured.
    private static func dashboardError(_ fields: BodyFields) throws(Rejection) -> SourceFailure? {
        let error = fields.object["error"]?.string
        let offline = fields.object["status"]?.string == "offline" || fields.object["data_source"]?.string == "error"
        guard error != nil || offline || fields.object["error"]?.bool == true else { return nil }
        return SourceFailure(
            kind: .dashboardError, message: try fields.object["error"]?.string == nil ? nil : fields.text("error"))
    }

    private static func recogniseZeros(_ snapshot: inout Snapshot) {
        guard snapshot.tick == 0, snapshot.epoch ?? 0 == 0, snapshot.initialTick ?? 0 == 0 else { return }
        snapshot.tick = nil
        snapshot.epoch = nil
        snapshot.initialTick = nil
        snapshot.secondsSinceLastTick = nil
        snapshot.failure = SourceFailure(kind: .noComputorList)
    }

    /// Some forks serve the quality as a fraction. That is taken from the invariant quality = 100·(ticks − empty)/ticks
    /// where both counts are there, and never guessed from the size of the number.
    private static func recogniseFraction(_ snapshot: inout Snapshot) {
        guard let quality = snapshot.epochTickQualityPercent, quality <= 1, let ticks = snapshot.ticksInEpoch,
            ticks > 0,
            let empty = snapshot.emptyTicksInEpoch, empty <= ticks
        else { return }
        let expected = 100 * Double(ticks - empty) / Double(ticks)
        if abs(100 * quality - expected) < 0.05, abs(quality - expected) >= 0.05 {
            snapshot.epochTickQualityPercent = 100 * quality
            snapshot.qualityWasFraction = true
        }
    }
}
