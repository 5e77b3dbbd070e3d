import Foundation
public enum DType: String, Sendable { case f32 = "F32", f16 = "F16", bf16 = "BF16", i8 = "I8", u8 = "U8", i32 = "I32", i64 = "I64" }
public struct TensorInfo: Sendable { public let name: String; public let dtype: DType; public let shape: [Int] }
public final class Checkpoint: Sendable {
    public let directory: URL = URL(fileURLWithPath: "/")
    public let configuration = ModelConfiguration()
    public func info(_ name: String) throws -> TensorInfo { fatalError() }
    public func withBytes<R>(_ name: String, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R { fatalError() }
    public func float32(_ name: String, shape: [Int]) throws -> [Float] { fatalError() }
}
public struct ModelConfiguration: Sendable { public let layers=1, hidden=1, heads=1, kvHeads=1, headDim=1, intermediate=1, vocabulary=1, contextLength: Int=1 }
