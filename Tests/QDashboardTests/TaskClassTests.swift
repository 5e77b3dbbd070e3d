import QDashboard
import Runtime
import Testing

/// What a request's task makes of its urgency.
@Suite struct TaskClassTests {
    @Test func classesHaveTheirDeadlines() {
        let expected: [AnswerTask: (TaskClass, Priority, Double)] = [
            .analysis: (.analysis, .high, 30), .anomaly: (.analysis, .high, 30), .ask: (.analysis, .high, 30),
            .prediction: (.prediction, .medium, 60), .oracle: (.oracle, .high, 45),
        ]
        for task in AnswerTask.allCases {
            let taskClass = Urgency.byTask.taskClass(of: task)
            #expect(expected[task].map { $0 == (taskClass, taskClass.priority, taskClass.deadline) } == true)
            #expect(Urgency.all(.oracle).taskClass(of: task) == .oracle)
        }
    }
}
