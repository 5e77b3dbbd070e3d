/// How the answers of one or more models fare against labels, task by task.
public struct TaskQuality: Codable, Sendable, Equatable {
    /// A figure with its 95 % interval by the percentile bootstrap; no interval for fewer than two samples.
    public struct Figure: Codable, Sendable, Equatable {
        public var value: Double
        public var interval: Interval?

        public init(_ value: Double, _ interval: Interval? = nil) { (self.value, self.interval) = (value, interval) }
    }

    /// A bar of a reliability diagram.
    public struct Bin: Codable, Sendable, Equatable {
        public var count: Int
        public var confidence: Double
        public var accuracy: Double

        public init(count: Int, confidence: Double, accuracy: Double) {
            (self.count, self.confidence, self.accuracy) = (count, confidence, accuracy)
        }
    }

    /// One label that a task has the model choose. Rows of the confusion are the truth, columns what was said.
    public struct Choice: Codable, Sendable, Equatable {
        public var task: String
        public var name: String
        public var count: Int
        public var labels: [String]
        public var confusion: [[Int]]
        public var accuracy: Figure
        public var macroF1: Figure?
        /// Expected calibration error over ten equal bins.
        public var ece: Figure?
        /// 0…2.
        public var brier: Figure?
        public var bins: [Bin]
        /// Accuracy by language.
        public var languages: [String: Figure]

        public init(
            task: String, name: String, count: Int, labels: [String], confusion: [[Int]], accuracy: Figure,
            macroF1: Figure?, ece: Figure?, brier: Figure?, bins: [Bin], languages: [String: Figure]
        ) {
            self.task = task
            self.name = name
            self.count = count
            self.labels = labels
            self.confusion = confusion
            self.accuracy = accuracy
            self.macroF1 = macroF1
            self.ece = ece
            self.brier = brier
            self.bins = bins
            self.languages = languages
        }
    }

    /// Whether the numbers of a task's texts are facts.
    public struct Grounding: Codable, Sendable, Equatable {
        public var task: String
        public var texts: Int
        public var numbers: Int
        /// Share of the numbers; nil where none was stated.
        public var rate: Figure?
        /// The same of the texts as they were first written, without any constraint.
        public var freeRate: Figure?
        /// Texts without an ungrounded number, of all.
        public var groundedTexts: Int
        /// Texts written a second time.
        public var regenerated: Int
        /// Of questions about one fact: the share whose answer states it.
        public var asked: Figure?
        public var askedCount: Int

        public init(
            task: String, texts: Int, numbers: Int, rate: Figure?, freeRate: Figure?, groundedTexts: Int,
            regenerated: Int,
            asked: Figure?, askedCount: Int
        ) {
            self.task = task
            self.texts = texts
            self.numbers = numbers
            self.rate = rate
            self.freeRate = freeRate
            self.groundedTexts = groundedTexts
            self.regenerated = regenerated
            self.asked = asked
            self.askedCount = askedCount
        }
    }

    /// What one model did.
    public struct Answers: Codable, Sendable, Equatable {
        public var model: String
        public var digest: String?
        public var scheme: String
        public var choices: [Choice]
        public var grounding: [Grounding]
        /// Share of all labelled choices that were right.
        public var accuracy: Figure?
        public var labelled: Int

        public init(
            model: String, digest: String?, scheme: String, choices: [Choice], grounding: [Grounding],
            accuracy: Figure?, labelled: Int
        ) {
            self.model = model
            self.digest = digest
            self.scheme = scheme
            self.choices = choices
            self.grounding = grounding
            self.accuracy = accuracy
            self.labelled = labelled
        }

        public var name: String { "\(model), \(scheme)" }
    }

    /// What a choice scores without any model.
    public struct Baseline: Codable, Sendable, Equatable {
        public var task: String
        public var name: String
        /// Always the most frequent label of this very set.
        public var majority: Figure
        /// The detector's own verdict, where the labels hold it.
        public var detector: Figure?
        public var detectorCount: Int

        public init(task: String, name: String, majority: Figure, detector: Figure?, detectorCount: Int) {
            self.task = task
            self.name = name
            self.majority = majority
            self.detector = detector
            self.detectorCount = detectorCount
        }
    }

    /// A computed forecast against what came: no model has a hand in it.
    public struct Forecast: Codable, Sendable, Equatable {
        /// The fact, e.g. `forecastTick1h`.
        public var name: String
        public var count: Int
        /// Mean absolute error over that of saying that all stays as it is, on the same moments: below 1 is better.
        public var mase: Figure?
        /// Share inside of the 80 % interval.
        public var coverage: Figure?

        public init(name: String, count: Int, mase: Figure?, coverage: Figure?) {
            (self.name, self.count, self.mase, self.coverage) = (name, count, mase, coverage)
        }
    }

    /// The model of the run first.
    public var models: [Answers]
    public var baselines: [Baseline]
    public var forecasts: [Forecast]
    /// Requests of the set that have a label, of all.
    public var labelledRequests: Int
    public var requests: Int

    public init(
        models: [Answers], baselines: [Baseline], forecasts: [Forecast], labelledRequests: Int, requests: Int
    ) {
        self.models = models
        self.baselines = baselines
        self.forecasts = forecasts
        self.labelledRequests = labelledRequests
        self.requests = requests
    }
}

extension TaskQuality {
    /// The measures that kpi.yaml can name: `label-accuracy`, `grounding`. Of the run's own model.
    public var measures: [QualityMeasure] {
        guard let answers = models.first else { return [] }
        var measures: [QualityMeasure] = []
        if let accuracy = answers.accuracy {
            measures.append(
                QualityMeasure(
                    name: "label-accuracy", title: "Labels chosen right", kind: .accuracy, value: accuracy.value,
                    count: answers.labelled, interval: accuracy.interval,
                    note: "Every labelled choice of every task counts once."))
        }
        let numbers = answers.grounding.reduce(0) { $0 + $1.numbers }
        let right = answers.grounding.reduce(0.0) { $0 + ($1.rate?.value ?? 0) * Double($1.numbers) }
        if let measure = QualityMeasure(
            name: "grounding", title: "Numbers that are facts", kind: .accuracy, matches: Int(right.rounded()),
            of: numbers, note: "Every number in every text, after what was written a second time.")
        {
            measures.append(measure)
        }
        return measures
    }
}
