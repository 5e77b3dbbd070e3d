import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// An output that cannot be written.
public enum FileWriteError: WordedError, Equatable {
    /// The file is there already, and the caller did not ask to replace it.
    case exists(path: String)
    /// A directory stands where the file should.
    case isDirectory(path: String)
    /// `overwrite` would delete something that is not what is written.
    case notReplaceable(path: String, problem: String)
    /// A system call failed.
    case system(path: String, operation: String, code: Int32)
    /// `write` or `commit` after `commit` or `cancel`.
    case closed(path: String)

    public var wording: Wording {
        switch self {
        case .exists(let path):
            Wording(path, "exists already", advice: "delete it, choose another name, or give --force")
        case .isDirectory(let path):
            Wording(path, "is a directory", expected: "a file name", advice: "choose another name")
        case .notReplaceable(let path, let problem):
            Wording(path, problem, advice: "choose another name: it is not replaced, not with --force either")
        case .system(let path, let operation, let code):
            Wording(
                path, "cannot \(operation): \(String(cString: strerror(code))) (errno \(code))",
                advice: Self.advice(for: code))
        case .closed(let path):
            Wording(path, "the writer is closed already")
        }
    }

    private static func advice(for code: Int32) -> String? {
        switch code {
        case ENOSPC, EDQUOT: "free some space or choose another disk; nothing was replaced"
        case EFBIG: "raise the limit on the size of files, or choose another file system"
        case ENOENT, ENOTDIR: "create the directory first"
        case EACCES, EPERM, EROFS: "choose a directory that you may write to"
        default: nil
        }
    }
}
