/// Alarms against the truth, event by event and kind by kind.
public struct DetectionScore: Sendable {
    public var found: [IncidentKind: Int] = [:]
    public var missed: [IncidentKind: Int] = [:]
    public var trueAlarms: [IncidentKind: Int] = [:]
    public var falseAlarms: [IncidentKind: Int] = [:]
    /// False alarms that overlap a normal transition.
    public var transitionAlarms = 0
    public var misses: [(epoch: Int, incident: Incident)] = []
    public var falses: [(epoch: Int, alarm: Incident)] = []

    public init() {}

    /// An alarm is true where an incident of its kind was under way, or had ended at most `slack` seconds before.
    public mutating func add(_ segment: Segment, alarms: [Incident], slack: Double = 1500) {
        func matches(_ alarm: Incident, _ truth: Incident) -> Bool {
            alarm.kind == truth.kind && alarm.onset <= truth.end + slack && alarm.end >= truth.onset - 120
        }
        for truth in segment.incidents {
            if alarms.contains(where: { matches($0, truth) }) {
                found[truth.kind, default: 0] += 1
            } else {
                missed[truth.kind, default: 0] += 1
                misses.append((segment.epoch, truth))
            }
        }
        for alarm in alarms {
            if segment.incidents.contains(where: { matches(alarm, $0) }) {
                trueAlarms[alarm.kind, default: 0] += 1
            } else {
                falseAlarms[alarm.kind, default: 0] += 1
                falses.append((segment.epoch, alarm))
                if segment.negatives.contains(where: {
                    $0.kind == .transition && alarm.onset <= $0.end && alarm.end >= $0.start
                }) {
                    transitionAlarms += 1
                }
            }
        }
    }

    /// Nil where nothing was there to find.
    public var recall: Double? { Self.share(found, missed) }
    /// Nil where nothing was found.
    public var precision: Double? { Self.share(trueAlarms, falseAlarms) }

    private static func share(_ good: [IncidentKind: Int], _ bad: [IncidentKind: Int]) -> Double? {
        let (good, bad) = (good.values.reduce(0, +), bad.values.reduce(0, +))
        return good + bad == 0 ? nil : Double(good) / Double(good + bad)
    }
}
