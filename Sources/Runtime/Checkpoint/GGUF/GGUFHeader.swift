/// The description at the beginning of a GGUF file, version 3, as bytes.
struct GGUFHeader {
    private var metadata: [UInt8] = []
    private var keys = 0
    private var tensors: [UInt8] = []
    private var tensorCount = 0
    /// Where the next tensor begins, from the beginning of the data.
    private(set) var dataBytes = 0
    static let alignment = 32

    mutating func add(_ key: String, _ value: Int) {
        begin(key, 4)
        append(UInt32(value), to: &metadata)
    }

    mutating func add(_ key: String, _ value: Float) {
        begin(key, 6)
        append(value.bitPattern, to: &metadata)
    }

    mutating func add(_ key: String, _ value: Bool) {
        begin(key, 7)
        metadata.append(value ? 1 : 0)
    }

    mutating func add(_ key: String, _ value: String) {
        begin(key, 8)
        append(value, to: &metadata)
    }

    mutating func add(_ key: String, _ values: [String]) {
        begin(key, 9)
        append(UInt32(8), to: &metadata)
        append(UInt64(values.count), to: &metadata)
        for value in values { append(value, to: &metadata) }
    }

    mutating func add(_ key: String, _ values: [Int32]) {
        begin(key, 9)
        append(UInt32(5), to: &metadata)
        append(UInt64(values.count), to: &metadata)
        for value in values { append(UInt32(bitPattern: value), to: &metadata) }
    }

    /// Declares the next tensor; its bytes are to follow in this order, each padded to the alignment.
    mutating func add(tensor name: String, _ type: GGUFTensorType, shape: [Int], bytes: Int) {
        append(name, to: &tensors)
        append(UInt32(shape.count), to: &tensors)
        for dimension in shape.reversed() { append(UInt64(dimension), to: &tensors) }
        append(type.rawValue, to: &tensors)
        append(UInt64(dataBytes), to: &tensors)
        tensorCount += 1
        dataBytes += bytes + Self.padding(bytes)
    }

    static func padding(_ bytes: Int) -> Int { (alignment - bytes % alignment) % alignment }

    /// All that stands before the data.
    var bytes: [UInt8] {
        var bytes = Array("GGUF".utf8)
        append(UInt32(3), to: &bytes)
        append(UInt64(tensorCount), to: &bytes)
        append(UInt64(keys), to: &bytes)
        bytes += metadata + tensors
        return bytes + [UInt8](repeating: 0, count: Self.padding(bytes.count))
    }

    private mutating func begin(_ key: String, _ type: UInt32) {
        append(key, to: &metadata)
        append(type, to: &metadata)
        keys += 1
    }

    private func append(_ text: String, to bytes: inout [UInt8]) {
        append(UInt64(text.utf8.count), to: &bytes)
        bytes += text.utf8
    }

    private func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }
}
