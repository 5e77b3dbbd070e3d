/// The computed parts of the tasks' answers, in the shape of the API: what is arithmetic stands here, what the model says
/// is added by the caller and named so.

/// PREDICTION: quantities at horizons, each with its intervals.
public struct PredictionAnswer: Codable, Sendable, Equatable {
    public struct Quantity: Codable, Sendable, Equatable {
        public var name: String
        public var horizonSeconds: Double
        public var value: Double
        public var low80, high80, low95, high95: Double
        public var method: ForecastMethod

        enum CodingKeys: String, CodingKey {
            case name, value, method
            case horizonSeconds = "horizon_s"
            case low80 = "low_80"
            case high80 = "high_80"
            case low95 = "low_95"
            case high95 = "high_95"
        }
    }
    public var quantities: [Quantity]
    /// Until Wednesday 12:00 UTC.
    public var secondsToEpochEnd: Double

    enum CodingKeys: String, CodingKey {
        case quantities
        case secondsToEpochEnd = "seconds_to_epoch_end"
    }

    /// Tick and cumulative quality of the last epoch seen, at horizons in seconds. Where an epoch's history is too short
    /// for a back-test, the quantity is left out. Nil for a recording without an epoch.
    public init?(
        observations: [Observation], horizons: [Double] = [600, 3600], widening: [String: Double] = [:]
    ) {
        guard let last = observations.last(where: { $0.epoch != nil && $0.failure == nil }), let epoch = last.epoch
        else { return nil }
        let step = 300.0
        let values: [(String, (Observation) -> Double?)] = [
            ("tick", { $0.source == .live ? $0.tick.map(Double.init) : nil }), ("epochTickQuality", { $0.quality }),
        ]
        quantities = values.flatMap { name, value -> [Quantity] in
            let series = Series.resample(observations, epoch: epoch, step: step, value)
            var forecaster = Forecaster()
            forecaster.widening = widening[name] ?? 1
            return horizons.compactMap { horizon in
                guard let forecast = forecaster.forecast(series[...], horizon: max(1, Int(horizon / step))) else {
                    return nil
                }
                return Quantity(
                    name: name, horizonSeconds: horizon, value: forecast.value, low80: forecast.interval80.low,
                    high80: forecast.interval80.high, low95: forecast.interval95.low, high95: forecast.interval95.high,
                    method: forecast.method)
            }
        }
        secondsToEpochEnd = EpochCalendar.week - EpochCalendar.sinceBoundary(last.time)
    }
}

/// ANOMALY: the detector's verdict on the end of a recording.
public struct AnomalyAnswer: Codable, Sendable, Equatable {
    public var anomaly: Bool
    public var kind: IncidentKind?
    public var severity: Severity?
    /// Seconds since 1970.
    public var onset: Double?
    public var evidence: [String]

    /// The gravest alarm of the last `window` seconds; of equals, the latest.
    public init(observations: [Observation], window: Double = 1800, thresholds: Thresholds = Thresholds()) {
        let now = observations.last?.time ?? 0
        let order = Severity.allCases
        let gravest = Detector.alarms(in: observations, thresholds: thresholds).filter { $0.end >= now - window }
            .max { a, b in
                (order.firstIndex(of: a.severity)!, a.onset) < (order.firstIndex(of: b.severity)!, b.onset)
            }
        anomaly = gravest != nil
        kind = gravest?.kind
        severity = gravest?.severity
        onset = gravest?.onset
        evidence = gravest?.evidence ?? []
    }
}

/// ORACLE: risk with its reasons.
public struct RiskAnswer: Codable, Sendable, Equatable {
    public enum Level: String, Codable, Sendable, CaseIterable { case low, medium, high }
    public var risk: Level
    public var reasons: [String]

    /// A severe anomaly is high risk, another one medium.
    public init(anomaly: AnomalyAnswer) {
        risk = anomaly.severity.map { $0 == .severe ? .high : .medium } ?? .low
        reasons = anomaly.evidence
    }
}
