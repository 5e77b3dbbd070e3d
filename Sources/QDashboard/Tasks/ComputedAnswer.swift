import Foundation
import Runtime
import Science

/// The parts of an answer that are arithmetic: made of a request's facts, without a model.
enum ComputedAnswer {
    /// Nil where the facts show nothing of it.
    /// - Parameter horizons: that a prediction looks ahead to.
    static func json(
        _ task: AnswerTask, _ facts: Facts, of request: AnalysisRequest, horizons: Horizons?
    ) -> JSONValue? {
        var members: [(String, JSONValue)] = []
        let found = JSONValue.array(findings(facts) + violations(of: request.snapshot))
        switch task {
        case .analysis:
            members = health(facts)
            members.append(("findings", found))
        case .prediction:
            members = prediction(facts)
            if let horizons, let ahead = request.facts?.ahead(horizons)?.object {
                members += ahead.members.map { ($0.key, $0.value) }
            }
        case .anomaly: members = [("detector", detector(facts)), ("findings", found)]
        case .oracle: members = oracle(facts, news: request.news.count)
        case .ask: break
        }
        return members.isEmpty ? nil : object(members)
    }

    private static func health(_ facts: Facts) -> [(String, JSONValue)] {
        guard let score = facts["healthScore"] else { return [] }
        let components = FactDefinition.healthComponents.compactMap { name in
            facts[name].map { (name.dropFirst("health".count).lowercased(), $0.json) }
        }
        return [("health", object([("score", score.json), ("components", object(components))]))]
    }

    // MARK: Findings

    /// What stands out, by kind, with the facts that show it.
    private static func findings(_ facts: Facts) -> [JSONValue] {
        var found: [JSONValue] = []
        func add(_ kind: String, _ severity: Severity?, _ names: String...) {
            found.append(
                object([
                    ("kind", .string(kind)), ("severity", severity.map { .string($0.rawValue) } ?? .null),
                    ("evidence", evidence(names, facts)),
                ]))
        }
        func number(_ name: String) -> Double { facts.number(name) ?? 0 }
        if facts["failureKind"] != nil { add("source_failure", nil, "failureKind", "failureCode", "failureMessage") }
        let isTransition =
            number("epochsBehindDate") == 1 || facts.number("hoursSinceEpochStart").map { $0 < 0.75 } == true
        if number("secondsSinceLastTick") >= 140 {
            let kind = isTransition ? "transition" : IncidentKind.stall.rawValue
            add(kind, isTransition ? nil : Severity(.stall, number("secondsSinceLastTick")), "secondsSinceLastTick")
        }
        if number("paceRatio") > 1.4 {
            add(
                IncidentKind.slowTicks.rawValue, Severity(.slowTicks, number("paceRatio")), "paceRatio",
                "secondsPerTick")
        }
        let empty = number("emptyTickRecentPercent")
        if let usual = facts.number("emptyTickUsualPercent"), empty > max(8, usual + 5) {
            add(
                IncidentKind.qualityDrop.rawValue, Severity(.qualityDrop, empty), "emptyTickRecentPercent",
                "emptyTickUsualPercent")
        }
        if number("recentJumpSeconds") > 0 {
            add(
                IncidentKind.midEpochJump.rawValue, Severity(.midEpochJump, number("recentJumpSeconds")),
                "recentJumpSeconds")
        }
        if number("sourceBehindSeconds") >= 240 {
            add(
                IncidentKind.staleSource.rawValue, Severity(.staleSource, number("sourceBehindSeconds")),
                "sourceBehindSeconds", "ticksBehind")
        }
        if number("badRecordsRecent") > 0 {
            add(
                IncidentKind.badData.rawValue, Severity(.badData, number("badRecordsRecent")), "badRecordsRecent",
                "badDataSeconds")
        }
        if abs(number("priceSwingPercent")) >= 8 {
            add(
                IncidentKind.priceShock.rawValue, Severity(.priceShock, number("priceSwingPercent") / 100),
                "priceSwingPercent")
        }
        if number("failedPollsPercent") > 5 { add("failed_polls", nil, "failedPollsPercent") }
        return found
    }

    /// Numbers of the body itself that cannot be true together; they are said as they were recorded.
    private static func violations(of snapshot: Snapshot) -> [JSONValue] {
        Invariants.check(snapshot, at: snapshot.observedAt).filter { Finding.violations.contains($0.0) }.map {
            object([
                ("kind", .string($0.0.rawValue)), ("severity", .null),
                ("evidence", .array([object([("detail", .string($0.2))])])),
            ])
        }
    }

    private static func evidence(_ names: [String], _ facts: Facts) -> JSONValue {
        .array(
            names.compactMap { name in
                facts[name].map { value in
                    object([
                        ("fact", .string(name)), ("value", value.json),
                        ("unit", FactDefinition.byName[name].map { .string($0.unit) } ?? .null),
                    ])
                }
            })
    }

    // MARK: Verdict and risk

    /// Null where no recording was read, so that there was nothing to detect in.
    private static func detector(_ facts: Facts) -> JSONValue {
        guard case .word(let kind)? = facts["detectorKind"] else { return .null }
        guard let incident = IncidentKind(rawValue: kind) else { return object([("anomaly", false)]) }
        return object([
            ("anomaly", true), ("kind", .string(kind)), ("severity", facts["detectorSeverity"]?.json ?? .null),
            ("onset", facts["detectorOnset"]?.json ?? .null), ("evidence", evidence(traces(of: incident), facts)),
        ])
    }

    private static func traces(of kind: IncidentKind) -> [String] {
        switch kind {
        case .stall: ["secondsSinceLastTick"]
        case .slowTicks: ["paceRatio", "secondsPerTick"]
        case .qualityDrop: ["emptyTickRecentPercent", "emptyTickUsualPercent"]
        case .midEpochJump: ["recentJumpSeconds"]
        case .staleSource: ["sourceBehindSeconds", "ticksBehind"]
        case .badData: ["badRecordsRecent", "badDataSeconds"]
        case .priceShock: ["priceSwingPercent"]
        }
    }

    private static func oracle(_ facts: Facts, news: Int) -> [(String, JSONValue)] {
        var members: [(String, JSONValue)] = [("news", .integer(news))]
        if var price = quantity(.price24h, "price", horizon: 86_400, facts) {
            price.append(("direction", facts["priceDirection"]?.json ?? .null))
            members.append(("price", object(price)))
        }
        if case .word(let kind)? = facts["detectorKind"] {
            let isSevere = facts["detectorSeverity"] == .word(Severity.severe.rawValue)
            let level = kind == "none" ? "low" : isSevere ? "high" : "medium"
            let reasons = IncidentKind(rawValue: kind).map { evidence(traces(of: $0), facts) } ?? []
            members.append(
                (
                    "risk",
                    object([
                        ("level", .string(level)), ("kind", .string(kind)), ("reasons", reasons),
                    ])
                ))
        }
        return members
    }

    // MARK: Forecasts

    private static func prediction(_ facts: Facts) -> [(String, JSONValue)] {
        let left = facts.number("secondsToEpochEnd")
        var quantities = [
            quantity(.tick1h, "tick", horizon: 3600, facts),
            left.flatMap { quantity(.tickEpochEnd, "tick", horizon: $0, facts) },
            quantity(.quality6h, "epochTickQualityPercent", horizon: 6 * 3600, facts),
            quantity(.price24h, "priceUSD", horizon: 86_400, facts),
        ].compactMap { $0.map { object($0) } }
        // What is left of the week is known, so its interval is a point.
        if let left {
            let known = ["value", "low_80", "high_80", "low_95", "high_95"].map { ($0, JSONValue.number(left)) }
            let name: [(String, JSONValue)] = [("name", "secondsToEpochEnd"), ("horizon_s", 0)]
            quantities.append(object(name + known + [("method", "calendar")]))
        }
        return [("quantities", .array(quantities))]
    }

    private static func quantity(
        _ quantity: ForecastQuantity, _ name: String, horizon: Double, _ facts: Facts
    ) -> [(String, JSONValue)]? {
        let fact = "forecast\(quantity.rawValue)"
        guard let value = facts[fact] else { return nil }
        var members: [(String, JSONValue)] = [
            ("name", .string(name)), ("horizon_s", .number(horizon)), ("value", value.json),
        ]
        for (key, suffix) in [
            ("low_80", "Low80"), ("high_80", "High80"), ("low_95", "Low95"), ("high_95", "High95"),
            ("method", "Method"),
        ] {
            members.append((key, facts[fact + suffix]?.json ?? .null))
        }
        return members
    }
}
