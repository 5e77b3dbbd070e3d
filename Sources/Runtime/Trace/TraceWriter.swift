import CHDF5
import Foundation
import Synchronization

/// Writes activations to HDF5 (DESIGN.md, "Trace layout"; FORMATS.md, "HDF5 traces").
///
/// Pipeline stages call it from several threads; one lock inside orders the calls, since HDF5 has none. Rows of one
/// request and point must come in order; different points and requests interleave as they like. The file is written
/// under a temporary name beside `url` and put in place by `finish()`; a writer that is let go of without it leaves
/// nothing behind. After an HDF5 failure (disk full) every further call throws that same failure.
public final class TraceWriter: Sendable {
    /// What is kept; points beyond it are ignored by `append`.
    public let level: TraceLevel
    public let model: TraceModel
    public let storage: TraceStorage

    private let url: URL
    private let name: AtomicName
    private let temporary: String
    private let state: Mutex<State>

    private struct State: Sendable {
        var file: H5File?
        var parent: H5Group?
        var axes: TraceAxes?
        var requests: [String: TraceRequest] = [:]
        var names: Set<String> = []
        var failure: TraceError?
    }

    /// - Parameters:
    ///   - attributes: stored at the file's root: versions, the model's name and digest, …
    ///   - force: replace a file that exists.
    /// - Throws: `TraceError.exists`, `.file`, `.hdf5`.
    public init(
        url: URL, level: TraceLevel, model: TraceModel, storage: TraceStorage = .float32,
        attributes: [String: String] = [:], force: Bool = false
    ) throws {
        self.url = url
        self.level = level
        self.model = model
        self.storage = storage
        guard model.layers >= 0,
            [model.hidden, model.heads, model.vocabulary].allSatisfy({ (1..<1 << 31).contains($0) })
        else {
            throw TraceError.rows(
                place: url.path, problem: "the model's sizes are of no model", expected: "sizes ≥ 1", got: "\(model)")
        }
        name = try TraceError.wording { () throws(FileWriteError) in try AtomicName(file: url, overwrite: force) }
        temporary = name.temporary
        // HDF5 names no reason when it cannot create a file: ask the system first.
        let descriptor = Foundation.open(temporary, O_CREAT | O_EXCL | O_WRONLY, 0o644)
        guard descriptor >= 0 else {
            throw TraceError.file(
                path: url.path, problem: "cannot be created", reason: String(cString: strerror(errno)))
        }
        Foundation.close(descriptor)
        do {
            let file = try H5File(creating: temporary, name: url.lastPathComponent)
            state = Mutex(State(file: file))
            try state.withLock { try describe(file, &$0, attributes) }
        } catch {
            Self.discard(name.temporary)
            throw error
        }
    }

    private func describe(_ file: H5File, _ state: inout State, _ attributes: [String: String]) throws {
        for (name, value) in attributes.sorted(by: { $0.key < $1.key }) where !name.isEmpty {
            try file.set(name, value)
        }
        try file.set("NX_class", "NXroot")
        try file.set("default", "entry")
        try file.set("format", TraceLayout.format)
        try file.set("format_version", TraceLayout.version)
        try file.set("level", level.name)
        try file.set("storage", storage.rawValue)
        try file.set("layers", model.layers)
        try file.set("hidden", model.hidden)
        try file.set("heads", model.heads)
        try file.set("vocabulary", model.vocabulary)
        let parent = try file.makeGroup("requests")
        try parent.set("NX_class", "NXentry")
        try file.softLink("entry", to: "/requests")
        state.parent = parent
        state.axes = try TraceAxes(in: file, model: model)
    }

    deinit {
        // Only an unfinished file is still there under this name.
        state.withLock { $0 = State() }
        Self.discard(temporary)
    }

    /// Whether `append` keeps this point: a stage need not copy what it does not.
    public func keeps(_ point: TracePoint) -> Bool { level >= point.level }
    /// Whether `appendPattern` keeps anything.
    public var keepsPatterns: Bool { level >= .full }

    /// Begins a request with its prompt. Any id but the empty one: what a group name cannot hold is escaped, and the
    /// id itself kept as the attribute `id`.
    public func begin(request id: String, tokens: [Int32], attributes: [String: String] = [:]) throws {
        guard !id.isEmpty else {
            throw TraceError.request(id: id, problem: "the id is empty", advice: "give each request an id of its own")
        }
        let name = TraceLayout.groupName(id)
        try withState { state in
            guard !state.names.contains(name), let parent = state.parent, let axes = state.axes else {
                throw TraceError.request(
                    id: id, problem: "begun twice", advice: "give each request an id of its own")
            }
            state.requests[name] = try TraceRequest(
                id: id, index: state.names.count, in: parent, axes: axes, model: model, storage: storage,
                prompt: tokens, attributes: attributes)
            if state.names.isEmpty { try parent.set("default", name) }
            state.names.insert(name)
        }
    }

    /// Tokens that were generated and then fed to the model: one more position each. The last token of an answer,
    /// which no forward pass ever sees, is not among them.
    public func append(request id: String, tokens: [Int32]) throws {
        try withRequest(id) { try $0.append(tokens: tokens) }
    }

    /// Appends rows [rows, width] of a point at positions startPosition..<startPosition + rows. They must follow the
    /// rows before; only logits may leave positions out. A point beyond the level is ignored.
    public func append(
        request id: String, point: TracePoint, startPosition: Int, rows: Int, width: Int,
        values: UnsafeBufferPointer<Float>
    ) throws {
        guard keeps(point) else { return }
        try withRequest(id) {
            try $0.append(point, startPosition: startPosition, rows: rows, width: width, values: values)
        }
    }

    /// Appends attention rows: `values` [heads, rows, keys], keys = startPosition + rows, go into [heads, T, T].
    public func appendPattern(
        request id: String, layer: Int, startPosition: Int, rows: Int, heads: Int, keys: Int,
        values: UnsafeBufferPointer<Float>
    ) throws {
        guard keepsPatterns else { return }
        try withRequest(id) {
            try $0.appendPattern(
                layer: layer, startPosition: startPosition, rows: rows, heads: heads, keys: keys, values: values)
        }
    }

    /// Ends a request. `timings` become attributes `timing_<name>`, so a name carries its unit: "prefill_ms".
    /// A status other than "done" says why the request ended early, and makes the trace incomplete.
    public func end(request id: String, status: String = "done", timings: [String: Double] = [:]) throws {
        try withRequest(id) { try $0.end(status: status, timings: timings) }
        state.withLock { _ = $0.requests.removeValue(forKey: TraceLayout.groupName(id)) }
    }

    /// Closes the file and puts it in place. Requests that were not ended are stored as "unfinished".
    public func finish() throws {
        try withState { state in
            // The rest of the state goes first: its owners close what they hold.
            for name in state.requests.keys.sorted() {
                try state.requests[name]?.end(status: "unfinished", timings: [:])
            }
            state.requests = [:]
            try state.axes?.close()
            state.axes = nil
            try state.parent?.close()
            state.parent = nil
            try state.file?.flush()
            try state.file?.close()
            state.file = nil
            try TraceError.wording { () throws(FileWriteError) in try name.publishFile() }
        }
    }

    // MARK: Guards

    private func withRequest(_ id: String, _ body: (inout TraceRequest) throws -> Void) throws {
        let name = TraceLayout.groupName(id)
        try withState { state in
            guard state.requests[name] != nil else {
                throw TraceError.request(
                    id: id, problem: state.names.contains(name) ? "ended already" : "never begun", advice: nil)
            }
            try body(&state.requests[name]!)
        }
    }

    /// Runs `body` under the lock; remembers HDF5's first failure, gives the space back, and repeats it ever after.
    private func withState(_ body: (inout State) throws -> Void) throws {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            guard state.file != nil else { throw TraceError.finished(path: url.path) }
            do {
                try body(&state)
            } catch let error as TraceError {
                if case .hdf5 = error {
                    state.file?.handle.lifetime.abandon()
                    state = State(failure: error)
                    Self.discard(temporary)
                }
                throw error
            }
        }
    }

    /// HDF5 keeps a file open that it could not flush: emptied first, so that a full disk is not full of it.
    private static func discard(_ path: String) {
        truncate(path, 0)
        unlink(path)
    }
}
