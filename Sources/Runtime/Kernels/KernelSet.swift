import CKernels
import Foundation

/// What can go wrong when a kernel set is chosen.
public enum KernelError: WordedError {
    case unknownSet(name: String, known: [String])
    case unsupportedSet(name: String, supported: [String])

    public var wording: Wording {
        switch self {
        case .unknownSet(let name, let known):
            Wording(
                KernelSet.variable, "no kernel set has this name", expected: "one of \(known.joined(separator: ", "))",
                got: name, advice: "correct it, or unset it to take the fastest")
        case .unsupportedSet(let name, let supported):
            Wording(
                KernelSet.variable, "this CPU cannot run kernel set \(name)",
                expected: "one of \(supported.joined(separator: ", "))", got: name,
                advice: "unset it to take the fastest")
        }
    }
}

/// One row of the dispatch table: the kernels of one instruction set. All sets give the same bits.
public struct KernelSet: Sendable {
    /// The environment variable that forces a set by name.
    public static let variable = "QUBIC_KERNELS"

    // The table is a constant of the C library: never written after load.
    nonisolated(unsafe) let table: UnsafePointer<qk_kernels>

    public var name: String { String(cString: table.pointee.name) }
    var rowBlock: Int { Int(table.pointee.row_block) }

    /// All sets that were compiled in, the preferred first, with whether this CPU runs them.
    public static var all: [(name: String, supported: Bool)] {
        var sets: UnsafePointer<qk_set>?
        let count = qk_sets(&sets)
        return (0..<count).map { (String(cString: sets![$0].kernels.pointee.name), sets![$0].supported) }
    }

    /// The set that `name` or else the environment asks for, or else the fastest.
    /// - Throws: `KernelError` where the name is unknown, or names a set that this CPU cannot run.
    public static func select(_ name: String? = nil) throws -> KernelSet {
        let wanted = name ?? ProcessInfo.processInfo.environment[variable].flatMap { $0.isEmpty ? nil : $0 }
        if let found = qk_select(wanted) { return KernelSet(table: found) }
        let sets = all
        guard let wanted, !sets.contains(where: { $0.name == wanted }) else {
            throw KernelError.unsupportedSet(name: wanted ?? "", supported: sets.filter(\.supported).map(\.name))
        }
        throw KernelError.unknownSet(name: wanted, known: sets.map(\.name))
    }
}
