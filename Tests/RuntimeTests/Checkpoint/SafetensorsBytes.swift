import Foundation
import Runtime

/// A safetensors file from a header as text, so that it can be wrong in any way.
func safetensors(_ header: String, data: Data = Data(), length: UInt64? = nil) -> Data {
    safetensors(header: Data(header.utf8), data: data, length: length)
}

func safetensors(header: Data, data: Data = Data(), length: UInt64? = nil) -> Data {
    var bytes = Data()
    withUnsafeBytes(of: (length ?? UInt64(header.count)).littleEndian) { bytes.append(contentsOf: $0) }
    return bytes + header + data
}

/// A well-formed file of F32 tensors, one after the other.
func safetensors(_ tensors: [(name: String, shape: [Int])], dtype: String = "F32", size: Int = 4) -> Data {
    var end = 0
    let parts = tensors.map { tensor in
        let bytes = tensor.shape.reduce(size, *)
        defer { end += bytes }
        return
            "\"\(tensor.name)\":{\"dtype\":\"\(dtype)\",\"shape\":\(tensor.shape),\"data_offsets\":[\(end),\(end + bytes)]}"
    }
    return safetensors("{" + parts.joined(separator: ",") + "}", data: Data(count: end))
}

/// 64-bit FNV-1a in hexadecimal, as the fixtures' scripts compute it.
func fnv(_ bytes: UnsafeRawBufferPointer) -> String {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    let text = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
}

/// Copies a directory of Tests/Fixtures, so that a test can damage it.
func copied<T>(_ name: String, _ body: (URL) throws -> T) throws -> T {
    try temporaryDirectory { directory in
        let target = directory.appendingPathComponent("model")
        try FileManager.default.copyItem(at: fixture(name), to: target)
        return try body(target)
    }
}

/// Reads, changes and writes config.json (or another JSON file) of a checkpoint.
func editJSON(_ url: URL, _ change: (inout JSONObject) throws -> Void) throws {
    var object = try JSONValue(parsing: Data(contentsOf: url), place: url.path).object!
    try change(&object)
    try JSONValue.object(object).serialized().write(to: url)
}
