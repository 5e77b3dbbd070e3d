import Foundation

/// What a prompt may say of a snapshot: each fact has a name that prompt files use, and a value in the name's unit.
public struct Facts: Sendable, Equatable {
    public enum Value: Sendable, Equatable {
        case integer(Int)
        case decimal(Double)
        case moment(Date)
        /// One of our own words, e.g. "cutover".
        case word(String)
        /// Text from outside: always quoted, short, and without markup in a prompt.
        case text(String)
        /// Lines that are safe to say as they are.
        case lines([String])
    }

    private var values: [String: Value] = [:]
    /// What further forecasts can be made of; nil but of a recording's moments. It is no fact: sets that say the same are
    /// equal, and it is not merged.
    var outlook: Outlook?

    public init() {}

    public static func == (a: Self, b: Self) -> Bool { a.values == b.values }

    public subscript(name: String) -> Value? {
        get { values[name] }
        set { values[name] = newValue }
    }

    public var names: [String] { values.keys.sorted() }

    /// Takes over all of another's facts.
    public mutating func merge(_ other: Facts) { values.merge(other.values) { $1 } }

    /// All that a snapshot says, and the price change over an epoch's week, which is arithmetic.
    public init(_ snapshot: Snapshot) {
        for (name, value) in Self.table { values[name] = value(snapshot) }
    }

    /// The names that prompt files may use.
    public static let known = Set(table.map(\.name)).union(FactDefinition.all.map(\.name)).union([
        "newsList", "question",
    ])

    private typealias Row = (name: String, value: @Sendable (Snapshot) -> Value?)

    /// What the dashboard calls a network's health; anything else in its place is no fact, and is not said to a model.
    private static let dashboardWords: Set = ["健康", "一般", "緩慢", "異常", "離線", "停滯", "錯誤", "無法連接"]

    private static let table: [Row] = [
        ("observedAt", { $0.observedAt.map(Value.moment) }),
        ("reportedAt", { $0.reportedAt.map(Value.moment) }),
        ("tick", { $0.tick.map(Value.integer) }),
        ("epoch", { $0.epoch.map(Value.integer) }),
        ("initialTick", { $0.initialTick.map(Value.integer) }),
        ("secondsSinceLastTick", { $0.secondsSinceLastTick.map(Value.integer) }),
        ("activeAddresses", { $0.activeAddresses.map(Value.integer) }),
        ("priceUSD", { $0.priceUSD.map(Value.decimal) }),
        ("marketCapUSD", { $0.marketCapUSD.map(Value.decimal) }),
        ("circulatingSupplyQus", { $0.circulatingSupplyQus.map(Value.integer) }),
        ("burnedQus", { $0.burnedQus.map(Value.integer) }),
        ("ticksInEpoch", { $0.ticksInEpoch.map(Value.integer) }),
        ("emptyTicksInEpoch", { $0.emptyTicksInEpoch.map(Value.integer) }),
        ("epochTickQualityPercent", { $0.epochTickQualityPercent.map(Value.decimal) }),
        ("emptyTicksInLast10000", { $0.emptyTicksInLast10000.map(Value.integer) }),
        ("last10000TickQualityPercent", { $0.last10000TickQualityPercent.map(Value.decimal) }),
        ("healthOverall", { $0.health?.overall.flatMap { dashboardWords.contains($0) ? .text($0) : nil } }),
        ("healthTick", { $0.health?.tick.map(Value.text) }),
        ("healthEpoch", { $0.health?.epoch.map(Value.text) }),
        ("healthDuration", { $0.health?.duration.map(Value.text) }),
        ("startedAt", { $0.summary?.startedAt.map(Value.moment) }),
        ("meanSecondsPerTick", { $0.summary?.meanSecondsPerTick.map(Value.decimal) }),
        ("tickGapBefore", { $0.summary?.tickGapBefore.map(Value.integer) }),
        ("transition", { $0.summary?.transition.map { .word($0.rawValue) } }),
        ("intervals", { $0.summary?.intervals.map(Value.integer) }),
        ("priceOpenUSD", { $0.summary?.priceOpenUSD.map(Value.decimal) }),
        ("priceHighUSD", { $0.summary?.priceHighUSD.map(Value.decimal) }),
        ("priceLowUSD", { $0.summary?.priceLowUSD.map(Value.decimal) }),
        ("priceCloseUSD", { $0.summary?.priceCloseUSD.map(Value.decimal) }),
        ("priceChangePercent", { priceChangePercent($0.summary) }),
        ("failureKind", { $0.failure.map { .word($0.kind.rawValue.replacing("_", with: " ")) } }),
        ("failureCode", { $0.failure?.code.map(Value.integer) }),
        ("failureMessage", { $0.failure?.message.map(Value.text) }),
    ]

    private static func priceChangePercent(_ summary: Snapshot.EpochSummary?) -> Value? {
        guard let open = summary?.priceOpenUSD, let close = summary?.priceCloseUSD, open > 0 else { return nil }
        return .decimal(100 * (close / open - 1))
    }
}

/// How a fact is written: `{{name|style}}` in a prompt file.
public enum FactStyle: Sendable, Equatable {
    /// Integers with their thousands grouped (592,711), decimals in full without an exponent (0.000002774), moments as
    /// ISO 8601 to the second.
    case standard
    /// An integer without grouping: 31473834.
    case plain
    /// With this many decimals: 97.31.
    case decimals(Int)
    /// As `decimals`, with its sign: +111.0.
    case signed(Int)
    /// In units of 10^6 or 10^12, with two decimals.
    case millions, trillions
    /// A word for the range that the number is in, `poor<95<middling<97<good`: comparing is arithmetic, which a small model
    /// is not asked to do. A number that equals a bound is above it. One more word than bounds, the bounds rising.
    case bands(words: [String], bounds: [Double])
    /// One of our own words said in another one, `up=上漲;flat=持平;down=下跌`; a word that is not listed stays.
    case names([String: String])

    /// Nil where there is no such style.
    init?(_ text: some StringProtocol) {
        switch text {
        case "plain": self = .plain
        case "millions": self = .millions
        case "trillions": self = .trillions
        case _ where text.contains("<"):
            let parts = text.split(separator: "<" as Character, omittingEmptySubsequences: false).map { String($0) }
            let words = parts.indices.filter { $0.isMultiple(of: 2) }.map { parts[$0] }
            let bounds = parts.indices.filter { !$0.isMultiple(of: 2) }.compactMap { Double(parts[$0]) }
            guard bounds.count + 1 == words.count, words.allSatisfy({ !$0.isEmpty }),
                zip(bounds, bounds.dropFirst()).allSatisfy({ $0 < $1 })
            else { return nil }
            self = .bands(words: words, bounds: bounds)
        case _ where text.contains("="):
            var names: [String: String] = [:]
            for pair in text.split(separator: ";" as Character, omittingEmptySubsequences: false) {
                let parts = pair.split(separator: "=" as Character, omittingEmptySubsequences: false)
                guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty,
                    names.updateValue(String(parts[1]), forKey: String(parts[0])) == nil
                else { return nil }
            }
            self = .names(names)
        default:
            let isSigned = text.hasPrefix("+")
            guard let decimals = Int(text.dropFirst(isSigned ? 1 : 0)), (0...9).contains(decimals) else {
                return nil
            }
            self = isSigned ? .signed(decimals) : .decimals(decimals)
        }
    }

    /// Characters of a text from outside.
    static let textLimit = 120
    /// Of a question, which is what is asked for.
    static let questionLimit = 400

    func text(_ value: Facts.Value) -> String {
        switch value {
        case .moment(let date): Timestamp.text(date)
        case .word(let word): if case .names(let names) = self { names[word] ?? word } else { word }
        case .lines(let lines): lines.joined(separator: "\n")
        case .text(let text): Quoting.promptData(text, limit: Self.textLimit)
        case .integer(let integer): self == .standard ? Self.grouped(integer) : number(Double(integer), "\(integer)")
        case .decimal(let decimal): number(decimal, Self.full(decimal))
        }
    }

    private func number(_ value: Double, _ full: String) -> String {
        switch self {
        case .standard, .plain, .names: full
        case .decimals(let decimals): String(format: "%.\(decimals)f", value)
        case .signed(let decimals): String(format: "%+.\(decimals)f", value)
        case .millions: String(format: "%.2f", value / 1e6)
        case .trillions: String(format: "%.2f", value / 1e12)
        case .bands(let words, let bounds): words[bounds.count { $0 <= value }]
        }
    }

    package static func grouped(_ value: Int) -> String {
        let digits = String(value.magnitude)
        var text = value < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return text
    }

    /// The shortest decimal that reads back as the same number, without an exponent.
    package static func full(_ value: Double) -> String {
        let text = "\(value)"
        guard let e = text.firstIndex(of: "e"), let exponent = Int(text[text.index(after: e)...]) else {
            return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
        }
        let sign = value < 0 ? "-" : ""
        let mantissa = text[..<e].drop { $0 == "-" }
        let whole = mantissa.prefix { $0 != "." }
        let fraction = mantissa.dropFirst(whole.count + 1)
        let digits = String(whole) + (fraction == "0" ? "" : String(fraction))
        if exponent < 0 { return "\(sign)0." + String(repeating: "0", count: -exponent - 1) + digits }
        return sign + digits + String(repeating: "0", count: max(exponent + 1 - digits.count, 0))
    }
}
