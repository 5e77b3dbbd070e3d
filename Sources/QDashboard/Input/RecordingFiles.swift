import Foundation

/// The files that paths stand for, and their names in ids.
enum RecordingFiles {
    /// The path itself, or the files of the folder in the order of their names, without hidden ones and its folders.
    ///
    /// Throws `InputError.emptyFolder` or `.unreadable`.
    static func files(_ path: String) throws -> [String] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
            return [path]
        }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: path).filter { !$0.hasPrefix(".") }.sorted()
        } catch {
            throw InputError.unreadable(path: path, operation: "listing", code: EACCES, message: "\(error)")
        }
        let base = path.hasSuffix("/") ? path : path + "/"
        let files = names.map { base + $0 }.filter {
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: $0, isDirectory: &isFolder) && !isFolder.boolValue
        }
        guard !files.isEmpty else { throw InputError.emptyFolder(path: path) }
        return files
    }

    /// The file names without their folders, with as many folders before them as tells equal ones apart.
    static func labels(_ paths: [String]) -> [String] {
        let parts = paths.map { path in path.split(separator: "/").filter { $0 != "." }.map(String.init) }
        var labels = parts.map { $0.last ?? "input" }
        for depth in 2...max(2, parts.map(\.count).max() ?? 2) where Set(labels).count < labels.count {
            let shared = Dictionary(grouping: labels, by: { $0 }).filter { $0.value.count > 1 }
            for index in labels.indices where shared[labels[index]] != nil {
                labels[index] = parts[index].suffix(depth).joined(separator: ":")
            }
        }
        // The same file twice.
        var seen: [String: Int] = [:]
        for index in labels.indices {
            let count = seen[labels[index], default: 0] + 1
            seen[labels[index]] = count
            if count > 1 { labels[index] += "#\(count)" }
        }
        return labels
    }
}
