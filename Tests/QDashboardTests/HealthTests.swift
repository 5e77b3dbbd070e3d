import QDashboard
import Reporting
import Testing

/// A node's health, reading by reading.
@Suite struct HealthTests {
    @Test func judgesByWhatChanges() {
        var check = HealthCheck()
        func judge(_ seconds: Double, _ batches: Int, _ waiting: Int, _ failed: Int = 0) -> NodeHealth {
            check.judge(at: seconds, batches: batches, waiting: waiting, failed: failed)
        }
        #expect(judge(1, 0, 0) == .ok, "nothing to do is no fault")
        #expect(judge(100, 0, 0) == .ok)
        #expect(judge(101, 0, 5) == .ok)
        #expect(judge(129, 0, 5) == .ok)
        #expect(judge(130, 0, 5) == .stalled, "30 s after work came, no batch was done")
        #expect(judge(131, 1, 5) == .ok)
        #expect(judge(132, 2, 4, 1) == .failing)
        #expect(judge(133, 3, 3, 1) == .ok, "one failure is told once")
        #expect(judge(162, 3, 3, 1) == .ok)
        #expect(judge(163, 3, 3, 1) == .stalled)
        #expect(judge(164, 3, 0, 1) == .ok, "nothing waits any more")
    }
}
