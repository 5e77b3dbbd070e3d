import Foundation

/// The prompt files of a folder (`*.prompt`).
public struct PromptLibrary: Sendable {
    public let prompts: [Prompt]

    /// Throws `PromptError`.
    public init(directory: URL) throws {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: directory.path, isDirectory: &isDirectory) else {
            throw PromptError.folder(path: directory.path, problem: "no such folder")
        }
        guard isDirectory.boolValue else { throw PromptError.folder(path: directory.path, problem: "not a folder") }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
        } catch {
            throw PromptError.folder(path: directory.path, problem: "cannot be listed (\(error.localizedDescription))")
        }
        var prompts: [Prompt] = []
        for name in names where name.hasSuffix(".prompt") {
            let url = directory.appending(path: name)
            let data: Data
            do {
                data = try Data(contentsOf: url)
            } catch {
                throw PromptError.unreadable(path: url.path, problem: "cannot be read (\(error.localizedDescription))")
            }
            guard data.count <= 1 << 20 else {
                throw PromptError.unreadable(path: url.path, problem: "longer than 1 MB")
            }
            guard let text = String(validating: data, as: UTF8.self) else {
                throw PromptError.unreadable(path: url.path, problem: "not valid UTF-8")
            }
            let prompt = try Prompt(text: text, file: url.path)
            if let other = prompts.first(where: { $0.name == prompt.name && $0.language == prompt.language }) {
                throw PromptError.twice(
                    name: prompt.name, language: prompt.language.rawValue, files: [other.file, prompt.file])
            }
            prompts.append(prompt)
        }
        guard !prompts.isEmpty else { throw PromptError.folder(path: directory.path, problem: "holds no prompt files") }
        self.prompts = prompts
    }

    /// Where a run's prompts are: as given, else the model's own `prompts`, else the project's.
    public static func folder(_ given: String?, model: URL) -> URL {
        if let given { return URL(fileURLWithPath: given) }
        let own = model.appending(path: "prompts")
        return FileManager.default.fileExists(atPath: own.path) ? own : URL(fileURLWithPath: "Datasets/prompts")
    }

    /// Throws `PromptError.unknown`.
    public func prompt(_ name: String, language: Language) throws -> Prompt {
        if let prompt = prompts.first(where: { $0.name == name && $0.language == language }) { return prompt }
        throw PromptError.unknown(
            name: name, language: language.rawValue, known: prompts.map { "\($0.name) (\($0.language.rawValue))" })
    }

    /// The prompt that asks for a sentiment and a short analysis of one snapshot.
    public func analysis(language: Language) throws -> Prompt { try prompt("analysis", language: language) }
}
