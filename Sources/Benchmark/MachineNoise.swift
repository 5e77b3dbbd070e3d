import Foundation
import Reporting

/// How much the machine's speed wanders: a fixed piece of work, timed again and again.
enum MachineNoise {
    /// MAD/median of `repetitions` timings of about a millisecond each.
    static func measure(repetitions: Int = 40) -> Double? {
        var sink: UInt64 = 1
        let times = (0..<repetitions).map { _ in
            let begin = ProcessInfo.processInfo.systemUptime
            for _ in 0..<400_000 { sink = sink &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407 }
            return ProcessInfo.processInfo.systemUptime - begin
        }
        // The result is used, so that the work is not optimised away.
        guard sink != 0, let median = Statistics.median(times), median > 0 else { return nil }
        return Statistics.medianAbsoluteDeviation(times).map { $0 / median }
    }
}
