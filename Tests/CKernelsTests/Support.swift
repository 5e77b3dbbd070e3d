// What all kernel tests share: random numbers from a seed, aligned memory, the sets of this machine.
import CKernels
import Testing

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers from the same seed everywhere.
struct Random {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func uniform(_ range: ClosedRange<Float>) -> Float {
        range.lowerBound + Float(next() >> 40) * 0x1p-24 * (range.upperBound - range.lowerBound)
    }
    mutating func floats(_ count: Int, _ range: ClosedRange<Float> = -1...1) -> [Float] {
        (0..<count).map { _ in uniform(range) }
    }
}

/// Memory of C, aligned as the contract wants it, filled with a pattern so that reading what nobody wrote shows.
final class Memory<Element> {
    let pointer: UnsafeMutablePointer<Element>
    let count: Int
    private let base: UnsafeMutableRawPointer

    /// - Parameter misalignment: elements to step past the aligned address.
    init(_ count: Int, misalignment: Int = 0) {
        self.count = count
        let bytes = max(1, (count + misalignment) * MemoryLayout<Element>.stride)
        base = .allocate(byteCount: bytes, alignment: 64)
        base.initializeMemory(as: UInt8.self, repeating: 0xFF, count: bytes)
        pointer = (base + misalignment * MemoryLayout<Element>.stride).bindMemory(to: Element.self, capacity: count)
    }
    convenience init(_ values: [Element], misalignment: Int = 0) {
        self.init(values.count, misalignment: misalignment)
        for (index, value) in values.enumerated() { pointer[index] = value }
    }
    deinit { base.deallocate() }

    var array: [Element] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
}

/// A kernel set with its name; `generic` is the specification that the others are held to.
struct KernelSet: Sendable, CustomTestStringConvertible {
    let name: String
    let supported: Bool
    var kernels: qk_kernels { qk_select(name).pointee }
    var testDescription: String { name }

    static let all: [KernelSet] = {
        var table: UnsafePointer<qk_set>?
        let count = qk_sets(&table)
        return (0..<count).map {
            KernelSet(name: String(cString: table![$0].kernels.pointee.name), supported: table![$0].supported)
        }
    }()
    static let supported = all.filter(\.supported)
    static let generic = all.last!
    /// The sets to compare with the specification.
    static let others = supported.filter { $0.name != "generic" }
}

/// Equal bits, where any NaN equals any NaN.
func same(_ a: Float, _ b: Float) -> Bool { a.bitPattern == b.bitPattern || (a.isNaN && b.isNaN) }

/// The first difference between two arrays, worded; nil where there is none.
func firstDifference(got: [Float], expected: [Float]) -> String? {
    guard got.count == expected.count else { return "\(got.count) values instead of \(expected.count)" }
    guard let index = got.indices.first(where: { !same(got[$0], expected[$0]) }) else { return nil }
    return "[\(index)] got \(got[index]) expected \(expected[index])"
}
