import Foundation
import QDashboard
import Testing

/// The prompts that the small model is trained on (Datasets/training): every task in both languages, with the answers' labels.
@Suite struct TrainingPromptTests {
    static let library = Result {
        try PromptLibrary(directory: repository.appending(path: "Datasets/training/prompts"))
    }

    @Test(arguments: AnswerTask.allCases, Language.allCases)
    func isThere(task: AnswerTask, language: Language) throws {
        let prompt = try Self.library.get().prompt(task.rawValue, language: language)
        if let main = task.mainChoice { #expect(prompt.choices.first?.name == main) }
        let expected: [AnswerTask: [String: [String]]] = [
            .analysis: ["sentiment": ["positive", "neutral", "negative"]],
            .prediction: ["direction": ["rising", "steady", "falling"]],
            .anomaly: [
                "kind": [
                    "none", "stall", "slow_ticks", "quality_drop", "mid_epoch_jump", "stale_source", "bad_data",
                    "price_shock",
                ], "severity": ["none", "minor", "moderate", "severe"],
            ],
            .oracle: ["sentiment": ["positive", "neutral", "negative"], "risk": ["low", "medium", "high"]],
            .ask: [:],
        ]
        let values = Dictionary(uniqueKeysWithValues: prompt.choices.map { ($0.name, $0.options.map(\.value)) })
        #expect(values == expected[task])
    }

    @Test func theScriptMakesThem() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "training-prompts-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let script = Process()
        script.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        script.arguments = [
            "python3", "-B", repository.appending(path: "Datasets/training/make_prompts.py").path, folder.path,
        ]
        try script.run()
        script.waitUntilExit()
        try #require(script.terminationStatus == 0)
        let shipped = repository.appending(path: "Datasets/training/prompts")
        for name in try FileManager.default.contentsOfDirectory(atPath: shipped.path) {
            #expect(
                try Data(contentsOf: folder.appending(path: name)) == Data(contentsOf: shipped.appending(path: name)),
                "\(name)")
        }
    }
}
