import QDashboard
import Reporting
import Runtime

extension SnapshotBenchmark.Measured {
    /// How the weights are stored.
    var scheme: String {
        get throws {
            try checkpoint.quantization?.groups.compactMap(\.scheme?.label).joined(separator: ", ")
                ?? checkpoint.configuration.dtype.rawValue
        }
    }

    /// The answers as they are scored.
    func taskAnswers() -> [TaskAnswer] {
        outcomes.compactMap { outcome in
            guard let answer = try? outcome.result.get().answer else { return nil }
            let request = outcome.request
            return TaskAnswer(
                id: answer.id, task: answer.task.rawValue, language: answer.language.rawValue,
                choices: answer.choices.map { choice in
                    TaskAnswer.Choice(
                        name: choice.name, values: choice.probabilities.map(\.label),
                        probabilities: choice.probabilities.map(\.value), said: choice.label)
                }, text: answer.analysis, grounding: answer.grounding, facts: request.allFacts)
        }
    }
}

extension SnapshotBenchmark {
    /// Scores what was measured, and the same requests answered by other models, e.g. the same one in fp32 and int4.
    /// - Parameter progress: called with a model's name before it answers.
    public func tasks(
        _ measured: Measured, requests: [AnalysisRequest], labels: TaskLabels, also models: [SnapshotBenchmark],
        progress: (String) -> Void = { _ in }
    ) throws -> TaskQuality {
        func scored(_ measured: Measured) throws -> (
            model: (name: String, digest: String?, scheme: String), answers: [TaskAnswer]
        ) {
            let name = measured.checkpoint.directory.lastPathComponent
            return ((name, measured.modelDigest, try measured.scheme), measured.taskAnswers())
        }
        var all = [try scored(measured)]
        for var other in models {
            progress(other.model.lastPathComponent)
            other.load = Load(.offline)
            all.append(try scored(try other.run(requests)))
        }
        return TaskScoring.quality(all, labels: labels, requests: requests.map { ($0.id, $0.allFacts) })
    }
}
