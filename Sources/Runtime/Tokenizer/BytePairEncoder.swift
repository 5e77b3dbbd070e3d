import Synchronization

/// Byte pair encoding (Sennrich et al., arXiv:1508.07909) of one word at a time: while any neighbours have a merge, the
/// merge of the lowest rank, the leftmost of equals, is done.
struct BytePairEncoder: Sendable {
    /// Where a byte has no token of its own: the unknown token, if any; several in a row may become one.
    struct Unknown: Sendable {
        var id: Int32
        var fused: Bool
    }

    /// Above this a word is encoded with a queue, O(n log n); below, scanning for the best merge is faster.
    private static let longestScanned = 48

    private let merges: MergeTable
    /// byte → id, −1 where the vocabulary has no token for it
    private let byteTokens: [Int32]
    private let unknown: Unknown?
    /// A word that is a token is that token, whatever the merges say.
    private let ignoreMerges: Bool
    private let cache = WordCache()

    /// What encoding a word needs, kept from word to word for its capacity.
    struct Scratch {
        fileprivate var ids: [Int32] = []
        fileprivate var ranks: [UInt32] = []
        fileprivate var next: [Int32] = []
        fileprivate var previous: [Int32] = []
        fileprivate var queue = MergeQueue()
    }

    init(vocabulary: Vocabulary, merges: MergeTable, unknown: Unknown?, ignoreMerges: Bool) {
        self.merges = merges
        self.unknown = unknown
        self.ignoreMerges = ignoreMerges
        byteTokens = (0...255).map { vocabulary.modelToken([UInt8($0)], byteLevel: true) ?? -1 }
    }

    /// Appends the tokens of a word.
    func encode(
        _ word: UnsafeBufferPointer<UInt8>, vocabulary: Vocabulary, scratch: inout Scratch, into output: inout [Int32]
    ) {
        if word.isEmpty { return }
        if ignoreMerges, let id = vocabulary.modelToken(bytes: word) {
            output.append(id)
            return
        }
        if cache.append(word, to: &output) { return }
        let start = output.count
        let hadUnknown = split(word, into: &scratch.ids)
        // With unknown tokens one id stands for many bytes, and only the queue does then what Hugging Face's does.
        if scratch.ids.count <= Self.longestScanned, !hadUnknown {
            mergeScanning(&scratch, into: &output)
        } else {
            mergeQueued(&scratch, into: &output)
        }
        cache.store(word, output[start...])
    }

    /// The word's bytes as tokens; true where one of them was unknown.
    private func split(_ word: UnsafeBufferPointer<UInt8>, into ids: inout [Int32]) -> Bool {
        ids.removeAll(keepingCapacity: true)
        var hadUnknown = false
        var lastWasUnknown = false
        for byte in word {
            let id = byteTokens[Int(byte)]
            if id >= 0 {
                ids.append(id)
                lastWasUnknown = false
            } else if let unknown {
                if !(lastWasUnknown && unknown.fused) { ids.append(unknown.id) }
                hadUnknown = true
                lastWasUnknown = true
            }
        }
        return hadUnknown
    }

    private func mergeScanning(_ scratch: inout Scratch, into output: inout [Int32]) {
        var count = scratch.ids.count
        guard count > 0 else { return }
        scratch.ranks.removeAll(keepingCapacity: true)
        for index in 0..<count - 1 {
            scratch.ranks.append(merges[scratch.ids[index], scratch.ids[index + 1]]?.rank ?? .max)
        }
        scratch.ids.withUnsafeMutableBufferPointer { ids in
            scratch.ranks.withUnsafeMutableBufferPointer { ranks in
                while count > 1 {
                    var best = 0
                    for index in 1..<count - 1 where ranks[index] < ranks[best] { best = index }
                    guard ranks[best] < .max, let merge = merges[ids[best], ids[best + 1]] else { break }
                    ids[best] = merge.id
                    count -= 1
                    for index in best + 1..<count { ids[index] = ids[index + 1] }
                    for index in best..<count - 1 { ranks[index] = ranks[index + 1] }
                    if best > 0 { ranks[best - 1] = merges[ids[best - 1], ids[best]]?.rank ?? .max }
                    if best + 1 < count { ranks[best] = merges[ids[best], ids[best + 1]]?.rank ?? .max }
                }
            }
        }
        output.append(contentsOf: scratch.ids[0..<count])
    }

    /// A linked list of symbols and a queue of possible merges; an entry that no longer fits when it comes up is dropped.
    private func mergeQueued(_ scratch: inout Scratch, into output: inout [Int32]) {
        let count = scratch.ids.count
        guard count > 0 else { return }
        scratch.next.removeAll(keepingCapacity: true)
        scratch.previous.removeAll(keepingCapacity: true)
        for index in 0..<count {
            scratch.next.append(index + 1 < count ? Int32(index + 1) : -1)
            scratch.previous.append(Int32(index - 1))
        }
        scratch.queue.removeAll()
        func offer(_ left: Int, _ right: Int) {
            guard let merge = merges[scratch.ids[left], scratch.ids[right]] else { return }
            scratch.queue.push(MergeQueue.Entry(rank: merge.rank, position: UInt32(left), id: merge.id))
        }
        for index in 0..<count - 1 { offer(index, index + 1) }
        while let top = scratch.queue.pop() {
            let position = Int(top.position)
            // A symbol that was merged into its left neighbour has the id −1, which no merge has.
            guard scratch.ids[position] >= 0, scratch.next[position] >= 0 else { continue }
            let right = Int(scratch.next[position])
            guard let merge = merges[scratch.ids[position], scratch.ids[right]], merge.id == top.id else { continue }
            scratch.ids[position] = merge.id
            scratch.ids[right] = -1
            let after = scratch.next[right]
            scratch.next[position] = after
            if after >= 0 {
                scratch.previous[Int(after)] = Int32(position)
                offer(position, Int(after))
            }
            if scratch.previous[position] >= 0 { offer(Int(scratch.previous[position]), position) }
        }
        for id in scratch.ids where id >= 0 { output.append(id) }
    }
}

/// (left, right) → rank and result, by open addressing.
struct MergeTable: Sendable {
    private struct Slot {
        var key = UInt64.max
        var rank: UInt32 = 0
        var id: Int32 = 0
    }

    private var slots = [Slot](repeating: Slot(), count: 1 << 10)
    private var filled = 0

    var count: Int { filled }

    init(capacity: Int = 0) {
        var size = 1 << 10
        while size < capacity * 2 { size *= 2 }
        if size > slots.count { slots = [Slot](repeating: Slot(), count: size) }
    }

    @inline(__always)
    subscript(left: Int32, right: Int32) -> (rank: UInt32, id: Int32)? {
        let key = Self.key(left, right)
        let mask = slots.count - 1
        var index = Self.hash(key) & mask
        while true {
            let slot = slots[index]
            if slot.key == key { return (slot.rank, slot.id) }
            if slot.key == .max { return nil }
            index = (index + 1) & mask
        }
    }

    /// A pair that comes twice keeps its last rank, as Hugging Face's map does.
    mutating func insert(_ left: Int32, _ right: Int32, rank: UInt32, id: Int32) {
        if (filled + 1) * 2 > slots.count { grow() }
        if place(Slot(key: Self.key(left, right), rank: rank, id: id)) { filled += 1 }
    }

    private mutating func place(_ new: Slot) -> Bool {
        let mask = slots.count - 1
        var index = Self.hash(new.key) & mask
        while slots[index].key != .max, slots[index].key != new.key { index = (index + 1) & mask }
        let isNew = slots[index].key == .max
        slots[index] = new
        return isNew
    }

    private mutating func grow() {
        let old = slots
        slots = [Slot](repeating: Slot(), count: old.count * 2)
        for slot in old where slot.key != .max { _ = place(slot) }
    }

    @inline(__always)
    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always)
    private static func hash(_ key: UInt64) -> Int {
        let product = key.multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return Int(truncatingIfNeeded: product.high ^ product.low)
    }
}

/// A binary heap: lowest rank first, then leftmost.
struct MergeQueue {
    struct Entry {
        var order: UInt64
        var id: Int32

        init(rank: UInt32, position: UInt32, id: Int32) {
            order = UInt64(rank) << 32 | UInt64(position)
            self.id = id
        }

        var position: UInt32 { UInt32(truncatingIfNeeded: order) }
    }

    private var heap: [Entry] = []

    mutating func removeAll() { heap.removeAll(keepingCapacity: true) }

    mutating func push(_ entry: Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].order < heap[parent].order else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func pop() -> Entry? {
        guard let top = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return top }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            let left = 2 * parent + 1
            if left < heap.count, heap[left].order < heap[least].order { least = left }
            if left + 1 < heap.count, heap[left + 1].order < heap[least].order { least = left + 1 }
            guard least != parent else { return top }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}

/// The tokens of words met before. One slot per hash: a word that comes later takes the place of an older one.
final class WordCache: Sendable {
    private static let slots = 1 << 13
    private static let longestWord = 32
    private static let longestResult = 8

    private struct Storage {
        var words = [UInt8](repeating: 0, count: slots * longestWord)
        var tokens = [Int32](repeating: 0, count: slots * longestResult)
        /// 0: free
        var wordLengths = [UInt8](repeating: 0, count: slots)
        var tokenCounts = [UInt8](repeating: 0, count: slots)
    }

    private let seed = UInt64.random(in: .min ... .max)
    private let storage = Mutex(Storage())

    /// Appends the tokens of a word that is known; false where it is not.
    func append(_ word: UnsafeBufferPointer<UInt8>, to output: inout [Int32]) -> Bool {
        guard word.count <= Self.longestWord else { return false }
        let slot = slot(word)
        return storage.withLock { storage in
            guard Int(storage.wordLengths[slot]) == word.count else { return false }
            let start = slot * Self.longestWord
            for index in 0..<word.count where storage.words[start + index] != word[index] { return false }
            let first = slot * Self.longestResult
            for index in first..<first + Int(storage.tokenCounts[slot]) { output.append(storage.tokens[index]) }
            return true
        }
    }

    func store(_ word: UnsafeBufferPointer<UInt8>, _ tokens: ArraySlice<Int32>) {
        guard word.count <= Self.longestWord, tokens.count <= Self.longestResult else { return }
        let slot = slot(word)
        storage.withLock { storage in
            for index in 0..<word.count { storage.words[slot * Self.longestWord + index] = word[index] }
            for (index, token) in tokens.enumerated() { storage.tokens[slot * Self.longestResult + index] = token }
            storage.wordLengths[slot] = UInt8(word.count)
            storage.tokenCounts[slot] = UInt8(tokens.count)
        }
    }

    private func slot(_ word: UnsafeBufferPointer<UInt8>) -> Int {
        Int(truncatingIfNeeded: hashBytes(word, seed: seed)) & (Self.slots - 1)
    }
}
