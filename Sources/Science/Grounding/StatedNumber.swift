import Foundation

/// A number as a text states it.
public struct StatedNumber: Sendable, Equatable {
    /// As it stands in the text.
    public let text: String
    public let value: Double
    /// Half a unit of the last digit said: "59.2萬" is 592 000 ± 500.
    public let tolerance: Double
    public let isPercent: Bool
    /// Whether a scale word multiplies it: 萬, million.
    public let isScaled: Bool
    /// Seconds of the unit of time that follows, e.g. 3600 of "2 hours"; nil where none does.
    public let secondsOfUnit: Double?
}

/// A number that may be stated, and what it is called.
public struct GroundingFact: Sendable, Equatable {
    public let name: String
    public let value: Double
    /// Of a span of time: how many seconds its unit has.
    public let secondsOfUnit: Double?
    /// Whether it is a prompt's own word ("of the last 10,000 ticks"): to be said as it is, and no measure of anything.
    public let isWording: Bool

    public init(name: String, value: Double, secondsOfUnit: Double? = nil, isWording: Bool = false) {
        (self.name, self.value, self.secondsOfUnit, self.isWording) = (name, value, secondsOfUnit, isWording)
    }

    /// Whether the number says this fact, whatever its sign ("fell by 3 %"):
    /// - rounded to the digits said, of which at least the first must be the fact's own: 0.6 is not "1";
    /// - with a scale word also cut to the digits said: 592,711 is "59.3萬" and "59.2萬";
    /// - a percentage may say a share (0–1);
    /// - a span of time may be said in another unit: 7,200 s are "2 hours".
    ///
    /// A prompt's own word bears out what it says, in full: 10,000 is not "1.00萬".
    public func bears(_ number: StatedNumber) -> Bool {
        guard !isWording else { return !number.isScaled && number.value == value }
        if bears(number, value) { return true }
        if number.isPercent, abs(value) <= 1, bears(number, value * 100) { return true }
        if let mine = secondsOfUnit, let its = number.secondsOfUnit { return bears(number, value * mine / its) }
        return false
    }

    private func bears(_ number: StatedNumber, _ fact: Double) -> Bool {
        // A number too large for a double would be near everything.
        guard number.value.isFinite, number.tolerance.isFinite, fact.isFinite else { return false }
        let (said, fact) = (abs(number.value), abs(fact))
        if said == 0 || fact == 0 { return said == fact }
        let noise = number.tolerance * 1e-9 + fact * 1e-12
        if abs(said - fact) <= noise { return true }
        let unit = 2 * number.tolerance
        guard unit <= leadingUnit(fact) + noise else { return false }
        if abs(said - fact) <= number.tolerance + noise { return true }
        return number.isScaled && said <= fact && fact < said + unit - noise
    }

    /// One in the place of the first digit: 0.01 of 0.0451.
    private func leadingUnit(_ value: Double) -> Double {
        value > 0 ? pow(10, (log10(value) + 1e-12).rounded(.down)) : 0
    }
}
