import Foundation

/// Holds back a record that is far ahead of the one before it until the next one tells: time has passed, or that record's
/// clock was wrong.
struct TimeLeaps: Sendable {
    struct Record: Sendable {
        var snapshot: Snapshot
        var origin: AnalysisRequest.Origin?
        var date: Date
    }

    enum Settled: Sendable {
        case believed(Record)
        /// The next record is back.
        case refused(Record)
    }

    /// Further ahead than this many seconds is far.
    static let leap = 86_400.0

    private(set) var held: Record?
    private var last: Date?
    private var file: String?
    /// Where no record follows, one up to here is believed.
    private let latest: Date

    /// - Parameter clock: the machine's time.
    init(clock: Date) { latest = clock + Self.leap }

    /// Nothing is held that would not be believed if the recording ended here.
    var isPlausible: Bool { held.map { $0.date <= latest } ?? true }

    /// A record of this file is next. Gives out what that settles: records of two files are no neighbours.
    mutating func begin(_ name: String) -> [Settled] {
        guard name != file else { return [] }
        defer { (file, last) = (name, nil) }
        return settle()
    }

    /// Adds the next record that says a time; gives out what is settled now, in order.
    mutating func add(_ record: Record) -> [Settled] {
        var settled: [Settled] = []
        if let before = held {
            held = nil
            if record.date < before.date - Self.leap {
                settled.append(.refused(before))
            } else {
                settled.append(.believed(before))
                last = before.date
            }
        }
        if let last, record.date > last + Self.leap {
            held = record
        } else {
            settled.append(.believed(record))
            last = record.date
        }
        return settled
    }

    /// The end.
    mutating func settle() -> [Settled] {
        guard let record = held else { return [] }
        let isBelieved = isPlausible
        held = nil
        return [isBelieved ? .believed(record) : .refused(record)]
    }
}
