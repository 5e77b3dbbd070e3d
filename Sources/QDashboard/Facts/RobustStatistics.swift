import Foundation

/// Statistics that a few wild values do not move.
package enum RobustStatistics {
    /// Nil of no values.
    package static func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }

    /// 1.4826 times the median distance from the median: the standard deviation, where the values are normal.
    package static func spread(_ values: [Double]) -> Double? {
        guard let center = median(values) else { return nil }
        return median(values.map { abs($0 - center) }).map { 1.4826 * $0 }
    }

    /// (value − median) / spread (Iglewicz and Hoaglin, 1993, without their factor). The spread is at least `floor` of the
    /// median, so that a history that never varied does not make every change infinite. Nil of fewer than `atLeast` values.
    package static func z(_ value: Double, _ history: [Double], atLeast: Int = 6, floor: Double = 0.01) -> Double? {
        guard history.count >= atLeast, let center = median(history), let spread = spread(history) else { return nil }
        let scale = max(spread, abs(center) * floor)
        return scale > 0 ? (value - center) / scale : nil
    }
}
