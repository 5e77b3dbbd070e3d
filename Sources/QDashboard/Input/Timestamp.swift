import Foundation

/// Moments as recordings spell them.
public enum Timestamp {
    /// ISO 8601, as a poller or a browser writes it: `2026-09-18T21:53:48.254197`, with or without seconds, fraction and
    /// zone (`Z`, `+08:00`, `+0800`). **Without a zone it is taken for UTC**, which is what the pollers in use write.
    /// Nil where it is no such text or no such date.
    public static func iso8601(_ text: String) -> Date? {
        var text = text
        return text.withUTF8 { bytes in
            var scanner = Scanner(bytes: bytes)
            return scanner.moment()
        }
    }

    /// Seconds since 1970 where the number is below 10^11 (the year 5138), otherwise milliseconds, as JavaScript has them.
    /// Nil before 2000 and after 2100, when there was no network to observe.
    public static func unix(_ number: Double) -> Date? {
        let seconds = number < 1e11 ? number : number / 1000
        guard seconds >= 946_684_800, seconds < 4_102_444_800 else { return nil }
        return Date(timeIntervalSince1970: seconds)
    }

    /// UTC in ISO 8601, to the second (`2026-09-18T21:53:48Z`), or with `microseconds` where there is a fraction
    /// (`2026-09-18T21:53:48.254197Z`). For the years 0 to 9999.
    public static func text(_ date: Date, microseconds: Bool = false) -> String {
        let microsecond = microseconds ? Int((date.timeIntervalSince1970 * 1e6).rounded()) : 0
        let seconds = microseconds ? floored(microsecond, 1_000_000) : Int(date.timeIntervalSince1970.rounded(.down))
        let days = floored(seconds, 86_400)
        let second = seconds - days * 86_400
        let (year, month, day) = civil(daysSince1970: days)
        func padded(_ value: Int, _ width: Int) -> String {
            String(repeating: "0", count: max(width - String(value).count, 0)) + String(value)
        }
        let fraction = microsecond - floored(microsecond, 1_000_000) * 1_000_000
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T"
            + "\(padded(second / 3600, 2)):\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2))"
            + (fraction == 0 ? "Z" : ".\(padded(fraction, 6))Z")
    }

    private static func floored(_ value: Int, _ divisor: Int) -> Int {
        value >= 0 ? value / divisor : (value - divisor + 1) / divisor
    }

    /// Days from 1970-01-01 in the Gregorian calendar (Howard Hinnant, chrono-compatible low-level date algorithms).
    private static func days(year: Int, month: Int, day: Int) -> Int {
        let year = month <= 2 ? year - 1 : year
        let era = year / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func civil(daysSince1970: Int) -> (year: Int, month: Int, day: Int) {
        let days = daysSince1970 + 719_468
        let era = (days >= 0 ? days : days - 146_096) / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }

    private struct Scanner {
        let bytes: UnsafeBufferPointer<UInt8>
        var position = 0

        mutating func moment() -> Date? {
            guard let year = number(4), year >= 1970, take("-"), let month = number(2), (1...12).contains(month),
                take("-"),
                let day = number(2), (1...Self.length(month, year)).contains(day), take("T") || take("t") || take(" "),
                let hour = number(2), hour < 24, take(":"), let minute = number(2), minute < 60
            else { return nil }
            var second = 0.0
            if take(":") {
                guard let whole = number(2), whole < 61 else { return nil }
                guard let fraction = fraction() else { return nil }
                second = Double(whole) + fraction
            }
            guard let offsetSeconds = zone(), position == bytes.count else { return nil }
            let days = Timestamp.days(year: year, month: month, day: day)
            return Date(
                timeIntervalSince1970: Double(days * 86_400 + hour * 3600 + minute * 60 - offsetSeconds) + second)
        }

        private mutating func fraction() -> Double? {
            guard take(".") || take(",") else { return 0 }
            var (value, digits) = (0, 0)
            while position < bytes.count, (0x30...0x39).contains(bytes[position]) {
                // Nanoseconds are enough; further digits are read over.
                if digits < 9 { value = value * 10 + Int(bytes[position] - 0x30) }
                digits += 1
                position += 1
            }
            return digits == 0 ? nil : Double(value) / pow(10, Double(min(digits, 9)))
        }

        /// Seconds east of UTC.
        private mutating func zone() -> Int? {
            if position == bytes.count || take("Z") || take("z") { return 0 }
            let sign: Int
            if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
            guard let hours = number(2), hours < 24 else { return nil }
            if position == bytes.count { return sign * hours * 3600 }
            _ = take(":")
            guard let minutes = number(2), minutes < 60 else { return nil }
            return sign * (hours * 3600 + minutes * 60)
        }

        private mutating func number(_ digits: Int) -> Int? {
            guard bytes.count - position >= digits else { return nil }
            var value = 0
            for byte in bytes[position..<position + digits] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int(byte - 0x30)
            }
            position += digits
            return value
        }

        private mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
            position += 1
            return true
        }

        private static func length(_ month: Int, _ year: Int) -> Int {
            switch month {
            case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
            case 4, 6, 9, 11: 30
            default: 31
            }
        }
    }
}
