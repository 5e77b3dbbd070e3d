import CHDF5
import Foundation
import Synchronization

/// The HDF5 library: one lock for the whole process, since Debian's serial build keeps global state without any.
///
/// Every call into HDF5 goes through `locked` or `check`, also those of two unrelated files.
enum HDF5 {
    /// Recursive, since owners close their handles in `deinit`, which may run inside another call.
    private static let lock = NSRecursiveLock()
    private static let started: Bool = qhdf5_start() >= 0

    static func locked<R>(_ body: () throws -> R) rethrows -> R {
        lock.lock()
        defer { lock.unlock() }
        _ = started
        qhdf5_silence()
        return try body()
    }

    /// Runs a call that reports failure by a negative value.
    @discardableResult
    static func check<Code: SignedInteger>(_ operation: String, _ place: String, _ body: () -> Code) throws -> Code {
        try locked {
            let code = body()
            if code < 0 { throw TraceError.hdf5(operation: operation, place: place, message: message()) }
            return code
        }
    }

    /// The innermost error's text. A failed read or write carries the system's message among addresses and times
    /// that help nobody: only that message is kept.
    private static func message() -> String {
        var buffer = [CChar](repeating: 0, count: 1024)
        qhdf5_error(&buffer, buffer.count)
        let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard let start = text.range(of: "error message = '"),
            let end = text.range(of: "'", range: start.upperBound..<text.endIndex)
        else { return text }
        return String(text[start.upperBound..<end.lowerBound])
    }

    /// Types that are made once and live as long as the process.
    static let float16Type: hid_t = locked { qhdf5_make_float16() }
    static let stringType: hid_t = locked {
        let type = H5Tcopy(qhdf5_c_string())
        _ = H5Tset_size(type, qhdf5_variable_length())
        _ = H5Tset_cset(type, H5T_CSET_UTF8)
        return type
    }
}

/// Whether a file's objects may still be closed. After a failed write HDF5 crashes in the close of what it could not
/// flush, so that all of the file's ids are given up instead, until the process ends.
final class H5Lifetime: Sendable {
    private let abandoned = Atomic(false)
    var isAbandoned: Bool { abandoned.load(ordering: .acquiring) }
    func abandon() { abandoned.store(true, ordering: .releasing) }
}

/// Owns an HDF5 id; closes it once, in `close()` or at the latest in `deinit`.
final class H5Handle: Sendable {
    let id: hid_t
    /// Where the object is, for messages: "trace.h5: /requests/a".
    let place: String
    /// The file's that the object is in.
    let lifetime: H5Lifetime
    private let release: @Sendable (hid_t) -> herr_t
    private let open = Mutex(true)

    /// Takes the id that `make` returns; throws if it is negative.
    init(
        _ operation: String, _ place: String, in lifetime: H5Lifetime = H5Lifetime(),
        release: @escaping @Sendable (hid_t) -> herr_t, make: () -> hid_t
    ) throws {
        self.id = try HDF5.check(operation, place, make)
        self.lifetime = lifetime
        self.place = place
        self.release = release
    }

    /// Reports what `deinit` cannot: a file that a full disk keeps from being flushed.
    func close() throws {
        let wasOpen = open.withLock { isOpen in
            defer { isOpen = false }
            return isOpen
        }
        if wasOpen, !lifetime.isAbandoned { try HDF5.check("close", place) { release(id) } }
    }

    deinit {
        if open.withLock({ $0 }), !lifetime.isAbandoned { HDF5.locked { _ = release(id) } }
    }
}

/// A file, a group or a dataset: what carries attributes.
protocol H5Object: Sendable {
    var handle: H5Handle { get }
}

extension H5Object {
    var id: hid_t { handle.id }
    var place: String { handle.place }
    func close() throws { try handle.close() }
}

/// An HDF5 file, open until `close()` or the owner's end.
final class H5File: H5Container {
    let handle: H5Handle

    /// Creates or truncates. `name` stands for the file in messages: it is written under a temporary one.
    init(creating path: String, name: String) throws {
        handle = try H5Handle("create the file", name, release: H5Fclose) {
            let access = H5Pcreate(qhdf5_file_access())
            defer { H5Pclose(access) }
            // Close means close, whoever still holds a dataset. Format 1.10: checksummed headers, and one chunk
            // index entry a chunk.
            _ = H5Pset_fclose_degree(access, H5F_CLOSE_STRONG)
            _ = H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110)
            // No locks: a trace is written under a name of its own, and a child process would keep them.
            _ = H5Pset_file_locking(access, false, true)
            return H5Fcreate(path, qhdf5_truncate(), qhdf5_default(), access)
        }
    }

    init(reading path: String, name: String) throws {
        handle = try H5Handle("open the file", name, release: H5Fclose) {
            let access = H5Pcreate(qhdf5_file_access())
            defer { H5Pclose(access) }
            _ = H5Pset_fclose_degree(access, H5F_CLOSE_STRONG)
            _ = H5Pset_file_locking(access, false, true)
            return H5Fopen(path, qhdf5_read_only(), access)
        }
    }

    func flush() throws { try HDF5.check("flush", place) { H5Fflush(id, H5F_SCOPE_GLOBAL) } }
}

final class H5Group: H5Container {
    let handle: H5Handle
    init(_ handle: H5Handle) { self.handle = handle }
}

/// A file or a group: what holds others.
protocol H5Container: H5Object {}

extension H5Container {
    func path(_ name: String) -> String { place.contains(": ") ? "\(place)/\(name)" : "\(place): /\(name)" }

    /// Times are left out, so that the same trace has the same bytes.
    func makeGroup(_ name: String) throws -> H5Group {
        H5Group(
            try H5Handle("create the group", path(name), in: handle.lifetime, release: H5Gclose) {
                let creation = H5Pcreate(qhdf5_group_creation())
                defer { H5Pclose(creation) }
                _ = H5Pset_obj_track_times(creation, false)
                return H5Gcreate2(id, name, qhdf5_default(), creation, qhdf5_default())
            })
    }

    func group(_ name: String) throws -> H5Group {
        H5Group(
            try H5Handle("open the group", path(name), in: handle.lifetime, release: H5Gclose) {
                H5Gopen2(id, name, qhdf5_default())
            })
    }

    /// Whether a link of this name is a direct child.
    func has(_ name: String) throws -> Bool {
        try HDF5.check("look for", path(name)) { H5Lexists(id, name, qhdf5_default()) } > 0
    }

    /// Names of the direct children, in the order of their bytes.
    func childNames() throws -> [String] {
        try HDF5.locked {
            var info = H5G_info_t()
            try HDF5.check("list", place) { H5Gget_info(id, &info) }
            // A damaged count must not size anything: names are asked for one by one, and the first failure throws.
            var names: [String] = []
            for index in 0..<info.nlinks {
                func ask(_ buffer: UnsafeMutablePointer<CChar>?, _ size: Int) throws -> Int {
                    Int(
                        try HDF5.check("list", place) {
                            H5Lget_name_by_idx(
                                id, ".", H5_INDEX_NAME, H5_ITER_INC, index, buffer, size, qhdf5_default())
                        })
                }
                let length = try ask(nil, 0)
                var buffer = [CChar](repeating: 0, count: length + 1)
                _ = try ask(&buffer, buffer.count)
                names.append(String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self))
            }
            return names
        }
    }

    /// Makes `object` a child under a second name.
    func hardLink(_ name: String, to object: some H5Object) throws {
        try HDF5.check("link", path(name)) {
            H5Olink(object.id, id, name, qhdf5_default(), qhdf5_default())
        }
    }

    func softLink(_ name: String, to target: String) throws {
        try HDF5.check("link", path(name)) {
            H5Lcreate_soft(target, id, name, qhdf5_default(), qhdf5_default())
        }
    }
}
