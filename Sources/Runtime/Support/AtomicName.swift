import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The mechanism of every output that appears whole or not at all: it is made under `temporary`, beside its place, and
/// `publish` gives it its name. Files (`AtomicFile`), directories (`AtomicDirectory`) and what a C library writes by
/// name (traces) go through it.
package struct AtomicName: Sendable {
    /// For messages: as the caller gave it.
    let path: String
    /// `path` with symbolic links followed, so that a link stays a link.
    let destination: String
    /// Hidden, in the same directory, and this process' own.
    package let temporary: String
    let overwrite: Bool

    /// Chooses the names; makes nothing.
    init(_ path: String, overwrite: Bool, shownAs shown: String? = nil) {
        self.path = shown ?? path
        self.overwrite = overwrite
        destination = Self.resolved(path) ?? path
        // A long name must not overflow the 255 bytes of a file name once the suffix is added.
        let last = (destination as NSString).lastPathComponent
        let stem = String(decoding: Array(last.utf8.prefix(120)), as: UTF8.self)
        let suffix = String(UInt64.random(in: .min ... .max), radix: 36)
        let directory = (destination as NSString).deletingLastPathComponent
        let name = ".\(stem).\(getpid()).\(suffix).tmp"
        temporary = directory.isEmpty ? name : directory + "/" + name
    }

    /// `path` with symbolic links followed; nil where nothing is there.
    static func resolved(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Whether what is written to `path` would take the place of `other`, whatever links lead there: they are one, or
    /// `path` is a directory that holds it.
    static func replaces(_ other: String, at path: String) -> Bool {
        guard let path = resolved(path), let other = resolved(other) else { return false }
        return other == path || other.hasPrefix(path + "/")
    }

    /// For a file that something else writes at `temporary`. Throws `FileWriteError.exists` or `.isDirectory`.
    package init(file url: URL, overwrite: Bool) throws(FileWriteError) {
        var status = stat()
        if stat(url.path, &status) == 0 {
            if status.st_mode & S_IFMT == S_IFDIR { throw .isDirectory(path: url.path) }
            if !overwrite { throw .exists(path: url.path) }
        }
        self.init(url.path, overwrite: overwrite)
    }

    /// Removes what processes that were killed have left under their temporary names for the same destination.
    func sweep() {
        let parent = (temporary as NSString).deletingLastPathComponent
        // .STEM.PID.RANDOM.tmp
        let own = (temporary as NSString).lastPathComponent.split(separator: ".", omittingEmptySubsequences: false)
        let stem = own.dropLast(3).joined(separator: ".") + "."
        let directory = parent.isEmpty ? "." : parent
        for found in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        where found.hasPrefix(stem) && found.hasSuffix(".tmp") {
            let rest = found.dropFirst(stem.count).split(separator: ".", omittingEmptySubsequences: false)
            guard rest.count == 3, let process = pid_t(rest[0]), process > 0 else { continue }
            guard kill(process, 0) != 0, errno == ESRCH else { continue }
            try? FileManager.default.removeItem(atPath: directory + "/" + found)
        }
    }

    /// Gives the finished file at `temporary` its name. On an error it is removed, and what stood under the name before
    /// stands there still; so does, unless `overwrite`, what another process has made there meanwhile.
    package func publishFile() throws(FileWriteError) {
        if overwrite {
            if rename(temporary, destination) != 0 { throw fail("rename the temporary file to it", errno) }
        } else if link(temporary, destination) == 0 {
            unlink(temporary)  // link(2) fails where the name exists, rename(2) would replace it.
        } else {
            let code = errno
            if code == EEXIST {
                unlink(temporary)
                throw .exists(path: path)
            }
            // A file system without hard links: the best that is left.
            guard code == EPERM || code == ENOTSUP || code == EMLINK else { throw fail("give it its name", code) }
            if access(destination, F_OK) == 0 {
                unlink(temporary)
                throw .exists(path: path)
            }
            if rename(temporary, destination) != 0 { throw fail("rename the temporary file to it", errno) }
        }
        syncDirectory()
    }

    /// As `publishFile`, for a directory.
    func publishDirectory() throws(FileWriteError) {
        var status = stat()
        let replaces = lstat(destination, &status) == 0
        if replaces && !overwrite { throw .exists(path: path) }
        // A directory cannot be renamed over one that is not empty, so the old one steps aside for a moment.
        let aside = temporary + ".old"
        if replaces, rename(destination, aside) != 0 {
            throw .system(path: path, operation: "move the old directory aside", code: errno)
        }
        guard rename(temporary, destination) == 0 else {
            let code = errno
            if replaces { rename(aside, destination) }
            // rename(2) leaves a directory alone that another process has filled meanwhile.
            if code == ENOTEMPTY || code == EEXIST || code == ENOTDIR { throw .exists(path: path) }
            throw .system(path: path, operation: "rename the finished directory to it", code: code)
        }
        syncDirectory()
        if replaces { try? FileManager.default.removeItem(atPath: aside) }
    }

    private func fail(_ operation: String, _ code: Int32) -> FileWriteError {
        unlink(temporary)
        return .system(path: path, operation: operation, code: code)
    }

    /// The rename itself lives in the directory. Best effort: some file systems refuse to open or flush directories.
    private func syncDirectory() {
        let directory = (destination as NSString).deletingLastPathComponent
        let handle = open(directory.isEmpty ? "." : directory, O_RDONLY | O_CLOEXEC)
        guard handle >= 0 else { return }
        fsync(handle)
        close(handle)
    }
}
