/// Which sequence owns which page of the KV cache, and which pages hold beginnings that others can share.
///
/// A page whose 64 tokens, and all before them, are known from a prompt stays in a tree of prefixes; a later prompt with
/// the same beginning takes it by reference. Pages that nobody uses are given up, least recently used first, when
/// memory is needed. A request is admitted with all the pages it may ever need, so that none fails half-way.
struct PageTable {
    /// Prefixes are shared in steps of this many positions: the steps in which prompts are computed, so that a shared
    /// beginning and an own one went through the same products.
    static let chunk = 2 * KVCache.pagePositions

    private struct Key: Hashable {
        var parent: Int32
        var tokens: [Int32]
    }

    private struct Page {
        var users = 0
        var key: Key?
        var children = 0
        var lastUse = 0
    }

    private var pages: [Page]
    private var free: [Int32]
    private var prefixes: [Key: Int32] = [:]
    private var clock = 0
    private(set) var sharedPositions = 0

    init(pages count: Int) {
        pages = Array(repeating: Page(), count: count)
        free = (0..<Int32(count)).reversed()
    }

    var capacity: Int { pages.count * KVCache.pagePositions }
    var isIdle: Bool { pages.allSatisfy { $0.users == 0 } }

    /// Pages for `positions` positions, and how many of the first ones are already computed; nil where there is no room
    /// now.
    mutating func admit(prompt: [Int32], positions: Int, sharing: Bool) -> (pages: [Int32], computed: Int)? {
        clock += 1
        let count = (positions + KVCache.pagePositions - 1) / KVCache.pagePositions
        var owned: [Int32] = sharing ? sharedPages(prompt) : []
        for page in owned { use(page) }
        while owned.count < count {
            guard let page = free.popLast() ?? evict() else {
                release(owned)
                return nil
            }
            pages[Int(page)] = Page(users: 1, lastUse: clock)
            owned.append(page)
        }
        let computed = sharing ? sharedCount(of: owned) * KVCache.pagePositions : 0
        sharedPositions += computed
        return (owned, computed)
    }

    /// Ends a sequence's use of its pages.
    mutating func release(_ owned: [Int32]) {
        clock += 1
        for page in owned {
            pages[Int(page)].users -= 1
            pages[Int(page)].lastUse = clock
            if pages[Int(page)].users == 0, pages[Int(page)].key == nil { free.append(page) }
        }
    }

    /// Makes a prompt's full pages known to later prompts. Call it when the pages' computation has been handed to the
    /// first stage: whoever shares them comes later on every stage.
    mutating func publish(_ owned: [Int32], prompt: [Int32], computed: Int) {
        var parent: Int32 = -1
        for index in 0..<computed / KVCache.pagePositions {
            let key = Key(parent: parent, tokens: Self.tokens(prompt, page: index))
            if let known = prefixes[key] {
                parent = known
                continue
            }
            let page = owned[index]
            guard pages[Int(page)].key == nil else { return }
            prefixes[key] = page
            pages[Int(page)].key = key
            if parent >= 0 { pages[Int(parent)].children += 1 }
            parent = page
        }
    }

    private static func tokens(_ prompt: [Int32], page: Int) -> [Int32] {
        Array(prompt[page * KVCache.pagePositions..<(page + 1) * KVCache.pagePositions])
    }

    /// Known pages at the prompt's beginning, in whole chunks, leaving at least one token to compute.
    private func sharedPages(_ prompt: [Int32]) -> [Int32] {
        var found: [Int32] = []
        let usable = (prompt.count - 1) / Self.chunk * (Self.chunk / KVCache.pagePositions)
        while found.count < usable,
            let page = prefixes[Key(parent: found.last ?? -1, tokens: Self.tokens(prompt, page: found.count))]
        {
            found.append(page)
        }
        return Array(found.prefix(found.count - found.count % (Self.chunk / KVCache.pagePositions)))
    }

    private func sharedCount(of owned: [Int32]) -> Int { owned.prefix { pages[Int($0)].key != nil }.count }

    private mutating func use(_ page: Int32) {
        pages[Int(page)].users += 1
        pages[Int(page)].lastUse = clock
    }

    /// Forgets the least recently used prefix that nobody uses or builds upon.
    private mutating func evict() -> Int32? {
        let idle = pages.indices.filter { pages[$0].users == 0 && pages[$0].key != nil && pages[$0].children == 0 }
        guard let oldest = idle.min(by: { pages[$0].lastUse < pages[$1].lastUse }) else { return nil }
        let key = pages[oldest].key!
        prefixes[key] = nil
        if key.parent >= 0 { pages[Int(key.parent)].children -= 1 }
        pages[oldest].key = nil
        return Int32(oldest)
    }
}
