/// How hidden states go from process to process.
public enum WireFormat: String, Sendable, CaseIterable, Codable {
    /// As they are: answers are the same bytes as in one process.
    case fp32
    /// Rounded: half the bytes, and answers that depend on where the model is cut.
    case fp16

    /// Of a number.
    package var bytes: Int { self == .fp16 ? 2 : 4 }
}

/// A batch on its way down: segments with the pages that they reach into, questions, hidden states. Tokens stay behind.
struct BatchWire {
    private let format: WireFormat
    private let width: Int
    /// Of the cache: no page number is beyond it.
    private let pages: Int
    private var masks = MaskTable()

    init(format: WireFormat, width: Int, pages: Int) {
        self.format = format
        self.width = width
        self.pages = pages
    }

    /// `kernels` convert to fp16.
    mutating func write(_ message: StageMessage, to parcel: Parcel, _ kernels: KernelSet) {
        parcel.write(message.number)
        parcel.write(message.sentAt)
        parcel.write(message.stageSeconds)
        let isWhole = message.failure == nil
        parcel.write(isWhole)
        if let failure = message.failure { return RelayedError(failure).write(to: parcel) }
        parcel.write(UInt32(message.batch.segments.count))
        for segment in message.batch.segments {
            parcel.write(UInt32(segment.rows.count))
            parcel.write(UInt32(segment.firstPosition))
            let end = segment.firstPosition + segment.rows.count
            let pages = (end + KVCache.pagePositions - 1) / KVCache.pagePositions
            parcel.write(UInt32(pages))
            parcel.write(elements: segment.pages.prefix(pages))
            parcel.write(segment.request)
            parcel.write(UInt32(segment.readouts.count))
            for readout in segment.readouts { write(readout, to: parcel) }
        }
        parcel.align()
        let count = message.batch.rows * width
        let room = parcel.reserve(count * format.bytes)
        switch format {
        case .fp32: room.copyMemory(from: message.hidden.pointer, byteCount: count * 4)
        case .fp16:
            kernels.table.pointee.f32_to_f16(
                message.hidden.pointer, room.assumingMemoryBound(to: UInt16.self), Int64(count))
        }
    }

    private mutating func write(_ readout: Readout, to parcel: Parcel) {
        parcel.write(UInt32(readout.row))
        switch readout.kind {
        case .sample(let query):
            parcel.write(UInt8(0))
            let sampling = query.sampling
            parcel.write(sampling.temperature)
            parcel.write(Int32(clamping: sampling.topK))
            parcel.write(sampling.topP)
            parcel.write(sampling.minP)
            parcel.write(sampling.repetitionPenalty)
            parcel.write(sampling.seed)
            parcel.write(Int32(query.alternatives ?? -1))
            parcel.write(query.seen)
            masks.write(query.mask, to: parcel)
        case .logProbabilities(let tokens):
            parcel.write(UInt8(1))
            parcel.write(tokens)
        case .logits: parcel.write(UInt8(2))
        }
    }

    /// `buffer` gives memory for at least so many floats.
    mutating func read(
        _ parcel: Parcel, _ kernels: KernelSet, buffer: (Int) -> AlignedBuffer<Float>
    ) throws -> StageMessage {
        var reader = ParcelReader(parcel)
        let number: UInt64 = try reader.read()
        let sentAt: Double = try reader.read()
        let stageSeconds: [Double] = try reader.array()
        guard try reader.read(Bool.self) else {
            return StageMessage(
                batch: Batch(), hidden: buffer(0), width: width, stageSeconds: stageSeconds, sentAt: sentAt,
                number: number, failure: try RelayedError(&reader))
        }
        var batch = Batch()
        for _ in 0..<(try reader.count()) {
            let rows = try reader.count()
            let first = try reader.count()
            let owned: [Int32] = try reader.array()
            guard owned.count * KVCache.pagePositions >= first + rows,
                owned.allSatisfy({ (0..<pages).contains(Int($0)) })
            else { throw ParcelReader.Malformed(what: "\(owned.count) pages for position \(first + rows)") }
            let request = try reader.text()
            var readouts: [Readout] = []
            for _ in 0..<(try reader.count()) {
                let readout = try readout(&reader)
                guard readout.row < rows else { throw ParcelReader.Malformed(what: "a question to row \(readout.row)") }
                readouts.append(readout)
            }
            batch.appendForeign(
                rows: rows, firstPosition: first, pages: owned, readouts: readouts, request: request)
        }
        try reader.align()
        let count = batch.rows * width
        let bytes = try reader.take(count * format.bytes)
        guard reader.isAtEnd else { throw ParcelReader.Malformed(what: "bytes behind the hidden states") }
        let hidden = buffer(count)
        switch format {
        case .fp32: UnsafeMutableRawPointer(hidden.pointer).copyMemory(from: bytes.baseAddress!, byteCount: count * 4)
        case .fp16:
            kernels.table.pointee.f16_to_f32(
                bytes.baseAddress!.assumingMemoryBound(to: UInt16.self), hidden.pointer, Int64(count))
        }
        return StageMessage(
            batch: batch, hidden: hidden, width: width, stageSeconds: stageSeconds, sentAt: sentAt, number: number)
    }

    private mutating func readout(_ reader: inout ParcelReader) throws -> Readout {
        let row = try reader.count()
        switch try reader.read(UInt8.self) {
        case 0:
            let temperature: Float = try reader.read()
            let topK: Int32 = try reader.read()
            let topP: Float = try reader.read()
            let minP: Float = try reader.read()
            let penalty: Float = try reader.read()
            var query = TokenQuery(
                sampling: Sampling(
                    temperature: temperature, topK: Int(topK), topP: topP, minP: minP, repetitionPenalty: penalty,
                    seed: try reader.read()))
            let alternatives: Int32 = try reader.read()
            query.alternatives = alternatives < 0 ? nil : Int(alternatives)
            query.seen = try reader.array()
            query.mask = try masks.read(&reader)
            return Readout(row: row, kind: .sample(query))
        case 1: return Readout(row: row, kind: .logProbabilities(try reader.array()))
        case 2: return Readout(row: row, kind: .logits)
        case let kind: throw ParcelReader.Malformed(what: "a question of kind \(kind)")
        }
    }
}

extension Batch {
    /// A segment from another process, which keeps its tokens and its number.
    mutating func appendForeign(
        rows count: Int, firstPosition: Int, pages: [Int32], readouts: [Readout], request: String
    ) {
        segments.append(
            Segment(
                sequence: segments.count, rows: rows..<rows + count, firstPosition: firstPosition, pages: pages,
                readouts: readouts, request: request, traced: false))
        positions.append(contentsOf: (0..<count).map { Int32(firstPosition + $0) })
    }
}
