import Foundation
import QDashboard
import Reporting
import Science

/// Scores answers against labels. Intervals are percentile bootstraps over requests, seeded: the same answers give the
/// same figures.
public enum TaskScoring {
    static let resamples = 1000

    /// - Parameter answers: of each model, the run's own first; unlabelled ones count in the grounding only.
    public static func quality(
        _ answers: [(model: (name: String, digest: String?, scheme: String), answers: [TaskAnswer])],
        labels: TaskLabels, requests: [(id: String, facts: Facts)]
    ) -> TaskQuality {
        TaskQuality(
            models: answers.map { model, answers in
                Self.answers(model, answers.map { Scored($0, labels.byID[$0.id]) })
            },
            baselines: baselines((answers.first?.answers ?? []).map { Scored($0, labels.byID[$0.id]) }),
            forecasts: ForecastScoring.forecasts(requests, labels),
            labelledRequests: requests.count { labels.byID[$0.id] != nil }, requests: requests.count)
    }

    struct Scored {
        let answer: TaskAnswer
        let label: TaskLabel?

        init(_ answer: TaskAnswer, _ label: TaskLabel?) { (self.answer, self.label) = (answer, label) }

        /// The choices with a label that they can have.
        var labelled: [(choice: TaskAnswer.Choice, truth: String)] {
            answer.choices.compactMap { choice in
                label?.choices[choice.name].flatMap { choice.values.contains($0) ? (choice, $0) : nil }
            }
        }
    }

    private static func answers(
        _ model: (name: String, digest: String?, scheme: String), _ scored: [Scored]
    ) -> TaskQuality.Answers {
        let counts = scored.map { one in
            (right: one.labelled.count { $0.choice.said == $0.truth }, all: one.labelled.count)
        }.filter { $0.all > 0 }
        return TaskQuality.Answers(
            model: model.name, digest: model.digest, scheme: model.scheme,
            choices: tasks(scored).flatMap { task, own in
                own.first!.answer.choices.compactMap { choice(task, $0.name, own) }
            },
            grounding: tasks(scored).map(grounding),
            accuracy: figure(counts.count) { picked in
                let all = picked.reduce(0) { $0 + counts[$1].all }
                return Double(picked.reduce(0) { $0 + counts[$1].right }) / Double(all)
            }, labelled: counts.reduce(0) { $0 + $1.all })
    }

    /// By task, in order of the tasks' first answers.
    private static func tasks(_ scored: [Scored]) -> [(String, [Scored])] {
        var order: [String] = []
        var groups: [String: [Scored]] = [:]
        for one in scored {
            if groups[one.answer.task] == nil { order.append(one.answer.task) }
            groups[one.answer.task, default: []].append(one)
        }
        return order.map { ($0, groups[$0]!) }
    }

    private static func choice(_ task: String, _ name: String, _ scored: [Scored]) -> TaskQuality.Choice? {
        let samples = scored.compactMap { one in
            one.labelled.first { $0.choice.name == name }.map {
                (choice: $0.choice, truth: $0.truth, language: one.answer.language)
            }
        }
        guard let labels = samples.first?.choice.values else { return nil }
        func classification(_ picked: [Int]) -> Classification {
            Classification(
                labels: labels, truth: picked.map { samples[$0].truth }, said: picked.map { samples[$0].choice.said })
        }
        let confidence = samples.map { $0.choice.probabilities.max() ?? 0 }
        let correct = samples.map { $0.choice.said == $0.truth }
        let truth = samples.map { sample in labels.firstIndex(of: sample.truth)! }
        let whole = classification(Array(samples.indices))
        var languages: [String: TaskQuality.Figure] = [:]
        for language in Set(samples.map(\.language)) {
            let own = samples.indices.filter { samples[$0].language == language }
            languages[language] = figure(own.count) { picked in
                Double(picked.count { correct[own[$0]] }) / Double(picked.count)
            }
        }
        return TaskQuality.Choice(
            task: task, name: name, count: samples.count, labels: labels, confusion: whole.confusion,
            accuracy: figure(samples.count) { classification($0).accuracy }!,
            macroF1: figure(samples.count) { classification($0).macroF1 },
            ece: figure(samples.count) { picked in
                Calibration.error(confidence: picked.map { confidence[$0] }, correct: picked.map { correct[$0] })
            },
            brier: figure(samples.count) { picked in
                Calibration.brier(
                    probabilities: picked.map { samples[$0].choice.probabilities }, truth: picked.map { truth[$0] })
            },
            bins: Calibration.bins(confidence: confidence, correct: correct).map {
                .init(count: $0.count, confidence: $0.meanConfidence, accuracy: $0.accuracy)
            }, languages: languages)
    }

    private static func grounding(_ task: String, _ scored: [Scored]) -> TaskQuality.Grounding {
        let checked = scored.compactMap(\.answer.grounding)
        let stating = checked.filter { $0.numbers > 0 }
        let asked = scored.compactMap { one -> Bool? in
            guard let facts = one.label?.asked, !facts.isEmpty else { return nil }
            return facts.allSatisfy { states(one.answer, $0) }
        }
        return TaskQuality.Grounding(
            task: task, texts: checked.count, numbers: checked.reduce(0) { $0 + $1.numbers },
            rate: figure(stating.count) { picked in
                let all = picked.reduce(0) { $0 + stating[$1].numbers }
                let bad = picked.reduce(0) { $0 + stating[$1].ungrounded.count }
                return 1 - Double(bad) / Double(all)
            },
            freeRate: figure(checked.count) { picked in
                let first = picked.map { index -> AnswerGrounding.FirstText in
                    let own = checked[index]
                    return own.first ?? .init(numbers: own.numbers, ungrounded: own.ungrounded.count)
                }
                let all = first.reduce(0) { $0 + $1.numbers }
                return all == 0 ? nil : 1 - Double(first.reduce(0) { $0 + $1.ungrounded }) / Double(all)
            }, groundedTexts: checked.count(where: \.isGrounded), regenerated: checked.count(where: \.regenerated),
            asked: figure(asked.count) { picked in Double(picked.count { asked[$0] }) / Double(picked.count) },
            askedCount: asked.count)
    }

    /// Whether an answer states a fact of its request: its number, or its word.
    package static func states(_ answer: TaskAnswer, _ name: String) -> Bool {
        switch answer.facts[name] {
        case .integer(let value):
            NumberGrounding.numbers(in: answer.text).contains {
                GroundingFact(name: name, value: Double(value), secondsOfUnit: Facts.secondsOfUnit(name)).bears($0)
            }
        case .decimal(let value):
            NumberGrounding.numbers(in: answer.text).contains {
                GroundingFact(name: name, value: value, secondsOfUnit: Facts.secondsOfUnit(name)).bears($0)
            }
        case .word(let text), .text(let text): answer.text.localizedCaseInsensitiveContains(text)
        default: false
        }
    }

    private static func baselines(_ scored: [Scored]) -> [TaskQuality.Baseline] {
        tasks(scored).flatMap { task, own in
            own.first!.answer.choices.compactMap { choice -> TaskQuality.Baseline? in
                let labelled = own.compactMap { one in
                    one.labelled.first { $0.choice.name == choice.name }.map {
                        (truth: $0.truth, detector: one.answer.facts.detectorVerdict(choice.name))
                    }
                }
                guard !labelled.isEmpty else { return nil }
                var counts: [String: Int] = [:]
                for one in labelled { counts[one.truth, default: 0] += 1 }
                let most = choice.values.max { counts[$0, default: 0] < counts[$1, default: 0] }!
                let told = labelled.filter { $0.detector != nil }
                return TaskQuality.Baseline(
                    task: task, name: choice.name,
                    majority: figure(labelled.count) { picked in
                        Double(picked.count { labelled[$0].truth == most }) / Double(picked.count)
                    }!,
                    detector: figure(told.count) { picked in
                        Double(picked.count { told[$0].truth == told[$0].detector }) / Double(picked.count)
                    }, detectorCount: told.count)
            }
        }
    }

    /// A statistic of all samples, with its interval; nil for none.
    static func figure(_ count: Int, _ statistic: ([Int]) -> Double?) -> TaskQuality.Figure? {
        guard count > 0, let value = statistic(Array(0..<count)) else { return nil }
        let interval = ForecastScore.bootstrap(count: count, seed: 1, resamples: resamples, statistic)
        return .init(value, interval.map { Interval(low: $0.low, high: $0.high, confidence: 0.95) })
    }
}

extension Facts {
    /// What the detector alone would choose: its kind and severity, and what follows from them as the truth does.
    fileprivate func detectorVerdict(_ choice: String) -> String? {
        func word(_ name: String) -> String? { if case .word(let word)? = self[name] { word } else { nil } }
        guard let kind = word("detectorKind"), let severity = word("detectorSeverity") else { return nil }
        return switch choice {
        case "kind": kind
        case "severity": severity
        case "sentiment": severity == "none" ? "positive" : severity == "minor" ? "neutral" : "negative"
        case "risk": severity == "none" ? "low" : severity == "severe" ? "high" : "medium"
        default: nil
        }
    }
}
