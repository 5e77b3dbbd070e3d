import Foundation

/// Epochs by the calendar: N begins on 2022-04-13T12:00Z + N weeks, a Wednesday noon.
public enum EpochCalendar {
    /// Seconds since 1970 at which epoch 0 began.
    static let origin = 1_649_851_200.0
    public static let secondsPerEpoch = 604_800.0

    /// The epoch that the calendar has at `date`; negative before 2022-04-13.
    public static func epoch(at date: Date) -> Int {
        let weeks = ((date.timeIntervalSince1970 - origin) / secondsPerEpoch).rounded(.down)
        return Int(min(max(weeks, -1e9), 1e9))
    }

    public static func start(of epoch: Int) -> Date {
        Date(timeIntervalSince1970: origin + Double(epoch) * secondsPerEpoch)
    }
}
