/// Tokens by id and ids by token, in flat arrays: no object per token, so 150 000 of them load in milliseconds.
///
/// A token is kept as the bytes that it decodes to. Where its spelling in the file is all byte alphabet (nearly always),
/// the spelling can be had back from the bytes; otherwise the bytes are the spelling's own UTF-8, and a flag says so.
/// Spellings and pairs of flag and bytes correspond one to one, so one table serves every lookup.
struct Vocabulary: Sendable {
    /// More ids than any model has; a hostile file must not make us allocate by its word.
    static let maximumID = 1 << 22

    private struct Entry {
        var start: UInt32 = 0
        var length: UInt32 = 0
        var flags: Flags = []
    }

    private struct Flags: OptionSet {
        let rawValue: UInt8
        static let present = Flags(rawValue: 1)
        static let byteLevel = Flags(rawValue: 2)
        static let model = Flags(rawValue: 4)
    }

    private var arena: [UInt8] = []
    private var entries: [Entry] = []
    /// Open addressing, a power of two, at most half full; −1 is free.
    private var table = [Int32](repeating: -1, count: 1 << 10)
    private var filled = 0
    /// Collisions cannot be prepared by whoever wrote the file. Nothing that is returned depends on it.
    private let seed = UInt64.random(in: .min ... .max)

    /// One more than the highest id.
    var size: Int { entries.count }
    /// How many tokens there are; less than `size` where ids are left out.
    var count: Int { filled }

    mutating func reserve(tokens: Int, bytes: Int) {
        arena.reserveCapacity(bytes)
        entries.reserveCapacity(tokens)
    }

    enum Insertion: Equatable {
        case inserted, idOutOfRange, idTaken
        case spellingTaken(Int32)
    }

    /// Adds a token by its spelling (UTF-8); `model` tells the model's own tokens from added ones.
    mutating func insert(_ spelling: UnsafeBufferPointer<UInt8>, id: Int, model: Bool) -> Insertion {
        guard id >= 0, id < Self.maximumID, arena.count + spelling.count < Int(UInt32.max) else { return .idOutOfRange }
        if id < entries.count, entries[id].flags.contains(.present) { return .idTaken }
        let start = arena.count
        var flags: Flags = model ? [.present, .model] : .present
        if ByteAlphabet.decode(spelling, into: &arena) {
            flags.insert(.byteLevel)
        } else {
            arena.append(contentsOf: spelling)
        }
        let length = arena.count - start
        let (slot, found) = arena.withUnsafeBufferPointer {
            probe(UnsafeBufferPointer(rebasing: $0[start..<start + length]), byteLevel: flags.contains(.byteLevel))
        }
        if let found {
            arena.removeSubrange(start...)
            return .spellingTaken(found)
        }
        while entries.count <= id { entries.append(Entry()) }
        entries[id] = Entry(start: UInt32(start), length: UInt32(length), flags: flags)
        table[slot] = Int32(id)
        filled += 1
        if filled * 2 > table.count { grow() }
        return .inserted
    }

    /// The model's own token that decodes to these bytes and is spelled in the byte alphabet.
    func modelToken(bytes: UnsafeBufferPointer<UInt8>) -> Int32? {
        guard let id = probe(bytes, byteLevel: true).found, entries[Int(id)].flags.contains(.model) else { return nil }
        return id
    }

    /// The model's own token of these bytes, or of this spelling where `byteLevel` is false.
    func modelToken(_ bytes: [UInt8], byteLevel: Bool) -> Int32? {
        guard let id = bytes.withUnsafeBufferPointer({ probe($0, byteLevel: byteLevel).found }),
            entries[Int(id)].flags.contains(.model)
        else { return nil }
        return id
    }

    /// The model's own token of this spelling (UTF-8).
    func modelToken(spelled spelling: [UInt8]) -> Int32? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(spelling.count)
        let byteLevel = spelling.withUnsafeBufferPointer { ByteAlphabet.decode($0, into: &bytes) }
        return modelToken(byteLevel ? bytes : spelling, byteLevel: byteLevel)
    }

    /// The token of this spelling, whether the model's own or added.
    func id(spelled spelling: String) -> Int32? {
        var spelling = spelling
        return spelling.withUTF8 { utf8 in
            var bytes: [UInt8] = []
            let byteLevel = ByteAlphabet.decode(utf8, into: &bytes)
            return byteLevel
                ? bytes.withUnsafeBufferPointer { probe($0, byteLevel: true).found }
                : probe(utf8, byteLevel: false).found
        }
    }

    /// How the file spells the token.
    func spelling(of id: Int32) -> String? {
        guard let bytes = bytes(of: id) else { return nil }
        return entries[Int(id)].flags.contains(.byteLevel)
            ? ByteAlphabet.spelling(of: bytes) : String(decoding: bytes, as: UTF8.self)
    }

    /// The bytes that the token decodes to; nil for an id that no token has.
    func bytes(of id: Int32) -> ArraySlice<UInt8>? {
        guard id >= 0, Int(id) < entries.count, entries[Int(id)].flags.contains(.present) else { return nil }
        let entry = entries[Int(id)]
        return arena[Int(entry.start)..<Int(entry.start) + Int(entry.length)]
    }

    /// The slot where these bytes are, or where they would go.
    private func probe(_ bytes: UnsafeBufferPointer<UInt8>, byteLevel: Bool) -> (slot: Int, found: Int32?) {
        let mask = table.count - 1
        var slot = Int(truncatingIfNeeded: hash(bytes, byteLevel: byteLevel)) & mask
        while true {
            let id = table[slot]
            if id < 0 { return (slot, nil) }
            let entry = entries[Int(id)]
            if Int(entry.length) == bytes.count, entry.flags.contains(.byteLevel) == byteLevel,
                arena.withUnsafeBufferPointer({ equal($0, at: Int(entry.start), bytes) })
            {
                return (slot, id)
            }
            slot = (slot + 1) & mask
        }
    }

    @inline(__always)
    private func equal(_ arena: UnsafeBufferPointer<UInt8>, at start: Int, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool
    {
        for index in 0..<bytes.count where arena[start + index] != bytes[index] { return false }
        return true
    }

    private mutating func grow() {
        table = [Int32](repeating: -1, count: table.count * 2)
        let mask = table.count - 1
        arena.withUnsafeBufferPointer { arena in
            for (id, entry) in entries.enumerated() where entry.flags.contains(.present) {
                let bytes = arena[Int(entry.start)..<Int(entry.start) + Int(entry.length)]
                let hash = hash(UnsafeBufferPointer(rebasing: bytes), byteLevel: entry.flags.contains(.byteLevel))
                var slot = Int(truncatingIfNeeded: hash) & mask
                while table[slot] >= 0 { slot = (slot + 1) & mask }
                table[slot] = Int32(id)
            }
        }
    }

    private func hash(_ bytes: UnsafeBufferPointer<UInt8>, byteLevel: Bool) -> UInt64 {
        hashBytes(bytes, seed: byteLevel ? seed : ~seed)
    }
}

/// Eight bytes at a time through a 64 × 64 → 128 bit product, as wyhash mixes.
@inline(__always)
func hashBytes(_ bytes: UnsafeBufferPointer<UInt8>, seed: UInt64) -> UInt64 {
    func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }
    let raw = UnsafeRawBufferPointer(bytes)
    var state = seed ^ 0xA076_1D64_78BD_642F
    var index = 0
    while index + 8 <= raw.count {
        state = mix(state ^ raw.loadUnaligned(fromByteOffset: index, as: UInt64.self), 0xE703_7ED1_A0B4_28DB)
        index += 8
    }
    var tail: UInt64 = 0
    while index < raw.count {
        tail = tail << 8 | UInt64(raw[index])
        index += 1
    }
    return mix(state ^ tail, 0x8EBC_6AF0_9C88_C6E3 ^ UInt64(raw.count))
}
