import Runtime

/// What kind of question a request is, and so how urgent it is.
public enum TaskClass: String, Sendable, CaseIterable {
    case analysis = "ANALYSIS"
    case prediction = "PREDICTION"
    case oracle = "ORACLE"

    /// Incidents and questions are asked as analyses are.
    public init(_ task: AnswerTask) {
        self =
            switch task {
            case .analysis, .anomaly, .ask: .analysis
            case .prediction: .prediction
            case .oracle: .oracle
            }
    }

    public var priority: Priority {
        switch self {
        case .analysis, .oracle: .high
        case .prediction: .medium
        }
    }

    /// Seconds from arrival to the answer.
    public var deadline: Double {
        switch self {
        case .analysis: 30
        case .prediction: 60
        case .oracle: 45
        }
    }
}

/// Which class the requests of a run have.
public enum Urgency: Sendable, Equatable {
    /// Each by its task.
    case byTask
    case all(TaskClass)

    public func taskClass(of task: AnswerTask) -> TaskClass {
        switch self {
        case .byTask: TaskClass(task)
        case .all(let taskClass): taskClass
        }
    }
}

/// Whether requests end at their class's deadline.
public enum Deadlines: String, Sendable, CaseIterable {
    /// All are answered in full, in the same bytes in every run.
    case off
    /// As `TaskClass` says: which answers are cut short depends on the machine.
    case on
}
