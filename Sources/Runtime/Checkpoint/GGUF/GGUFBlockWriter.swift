/// Writes ggml's simple blocks of 32: from weights in fp32, as ggml-quants.c rounds them, or from integers as they are.
struct GGUFBlockWriter {
    let type: GGUFTensorType

    /// One row of weights, whole blocks of 32, rounded as ggml's reference does.
    func row(_ values: UnsafeBufferPointer<Float>, into bytes: inout [UInt8]) {
        precondition(values.count % 32 == 0)
        for begin in stride(from: 0, to: values.count, by: 32) {
            let block = UnsafeBufferPointer(rebasing: values[begin..<begin + 32])
            switch type {
            case .q80: q80(block, &bytes)
            case .q40: q40(block, &bytes)
            default: q41(block, &bytes)
            }
        }
    }

    /// One block of integers q with w = scale · (q − zeroPoint), kept as they are.
    /// - Returns: false where fp16 cannot hold the scale or the minimum exactly; they are rounded then.
    func block(
        _ quants: ArraySlice<Int8>, scale: Float, zeroPoint: Int8, bits: Int, into bytes: inout [UInt8]
    ) -> Bool {
        switch type {
        case .q80:
            let isExact = append(half: scale, &bytes)
            bytes += quants.lazy.map { UInt8(bitPattern: $0) }
            return isExact
        case .q40:
            let isExact = append(half: scale, &bytes)
            nibbles(quants.map { UInt8($0 + 8) }, &bytes)
            return isExact
        default:
            let scaleIsExact = append(half: scale, &bytes)
            let minimumIsExact = append(half: Float(-8 - Int(zeroPoint)) * scale, &bytes)
            nibbles(quants.map { UInt8($0 + 8) }, &bytes)
            return scaleIsExact && minimumIsExact
        }
    }

    private func q80(_ x: UnsafeBufferPointer<Float>, _ bytes: inout [UInt8]) {
        let scale = x.reduce(0) { max($0, $1.magnitude) } / 127
        let inverse = scale > 0 ? 1 / scale : 0
        _ = append(half: scale, &bytes)
        for value in x { bytes.append(UInt8(bitPattern: Int8((value * inverse).rounded(.toNearestOrAwayFromZero)))) }
    }

    private func q40(_ x: UnsafeBufferPointer<Float>, _ bytes: inout [UInt8]) {
        var extreme: Float = 0
        for value in x where value.magnitude > extreme.magnitude { extreme = value }
        let scale = extreme / -8
        let inverse = scale != 0 ? 1 / scale : 0
        _ = append(half: scale, &bytes)
        nibbles(x.map { UInt8(min(15, max(0, $0 * inverse + 8.5))) }, &bytes)
    }

    private func q41(_ x: UnsafeBufferPointer<Float>, _ bytes: inout [UInt8]) {
        let (least, greatest) = (x.min()!, x.max()!)
        let scale = (greatest - least) / 15
        let inverse = scale != 0 ? 1 / scale : 0
        _ = append(half: scale, &bytes)
        _ = append(half: least, &bytes)
        nibbles(x.map { UInt8(min(15, max(0, ($0 - least) * inverse + 0.5))) }, &bytes)
    }

    /// Byte i holds element i below and element i + 16 above.
    private func nibbles(_ values: [UInt8], _ bytes: inout [UInt8]) {
        for i in 0..<16 { bytes.append(values[i] | values[i + 16] << 4) }
    }

    private func append(half value: Float, _ bytes: inout [UInt8]) -> Bool {
        let bits = FloatConversion.half(value)
        bytes.append(UInt8(truncatingIfNeeded: bits))
        bytes.append(UInt8(truncatingIfNeeded: bits >> 8))
        return FloatConversion.float(half: bits) == value
    }
}
