import Foundation

/// Numbers as a person reads them, the same in every locale.
public enum Format {
    public static func value(_ value: Double, _ dimension: Dimension) -> String {
        switch dimension {
        case .time: duration(value)
        case .requestRate: "\(significant(value)) requests/s"
        case .tokenRate: "\(significant(value)) tokens/s"
        case .dailyRate: "\(grouped(value)) a day"
        case .share: percent(value)
        case .count: grouped(value)
        case .memory: bytes(value)
        }
    }

    /// Milliseconds → "12.3 ms", "1.24 s", "3 min 20 s".
    public static func duration(_ milliseconds: Double) -> String {
        if milliseconds < 0.9995 { return milliseconds == 0 ? "0 ms" : "\(fixed(milliseconds * 1000, 0)) µs" }
        if milliseconds < 999.5 { return "\(significant(milliseconds)) ms" }
        let seconds = milliseconds / 1000
        if seconds < 119.95 { return "\(significant(seconds)) s" }
        let whole = seconds.rounded()
        if whole < 7200 {
            return
                "\(fixed((whole / 60).rounded(.down), 0)) min \(fixed(whole.truncatingRemainder(dividingBy: 60), 0)) s"
        }
        return "\(significant(seconds / 3600)) h"
    }

    /// Decimal units: 1 GB is 10⁹ bytes.
    public static func bytes(_ count: Double) -> String {
        for (unit, size) in [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)] where count >= size {
            return "\(significant(count / size)) \(unit)"
        }
        return "\(fixed(count, 0)) B"
    }

    /// 0…1 → "97.3 %". Never rounds up to 100 what is less.
    public static func percent(_ share: Double) -> String {
        if share < 1, share > 0.999 { return "\(fixed((share * 10_000).rounded(.down) / 100, 2)) %" }
        return share == 1 || share == 0 ? "\(fixed(share * 100, 0)) %" : "\(fixed(share * 100, 1)) %"
    }

    /// A relative difference: "+38 %".
    public static func signedPercent(_ share: Double) -> String {
        let percent = share * 100
        return sign(share) + (abs(percent) < 10 ? fixed(abs(percent), 1) : grouped(abs(percent))) + " %"
    }

    /// A difference of shares: "+4.2 points".
    public static func points(_ difference: Double) -> String {
        "\(sign(difference))\(fixed(abs(difference) * 100, 1)) points"
    }

    private static func sign(_ value: Double) -> String { value > 0 ? "+" : value < 0 ? "−" : "" }

    /// Three significant digits, never in exponential notation.
    public static func significant(_ value: Double) -> String {
        let size = abs(value)
        if size >= 999.5 { return grouped(value) }
        return fixed(value, size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2)
    }

    /// Whole, with spaces between thousands.
    public static func grouped(_ value: Double) -> String {
        let text = fixed(abs(value), 0)
        var out = ""
        for (i, digit) in text.enumerated() {
            if i > 0, (text.count - i) % 3 == 0 { out.append(" ") }
            out.append(digit)
        }
        return value < 0 && out != "0" ? "−" + out : out
    }

    static func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
}
