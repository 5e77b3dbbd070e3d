/// A batch's answers on their way back to the scheduler: readings alone. The scheduler's process has kept the rest.
enum ReadingWire {
    struct Answers {
        var number: UInt64
        var sentAt: Double
        var stageSeconds: [Double]
        var readings: [[Reading]] = []
        var failure: (any Error)?
    }

    static func write(_ message: StageMessage, to parcel: Parcel) {
        parcel.write(message.number)
        parcel.write(message.sentAt)
        parcel.write(message.stageSeconds)
        parcel.write(message.failure == nil)
        if let failure = message.failure { return RelayedError(failure).write(to: parcel) }
        parcel.write(UInt32(message.readings.count))
        for readings in message.readings {
            parcel.write(UInt32(readings.count))
            for reading in readings { write(reading, to: parcel) }
        }
    }

    private static func write(_ reading: Reading, to parcel: Parcel) {
        switch reading {
        case .token(let picked):
            guard let logProbability = picked.logProbability else {
                parcel.write(UInt8(0))
                return parcel.write(picked.token)
            }
            parcel.write(UInt8(1))
            parcel.write(picked.token)
            parcel.write(logProbability)
            parcel.write(UInt32(picked.alternatives.count))
            for alternative in picked.alternatives {
                parcel.write(alternative.token)
                parcel.write(alternative.logProbability)
            }
        case .logProbabilities(let values):
            parcel.write(UInt8(2))
            parcel.write(values)
        case .logits(let values):
            parcel.write(UInt8(3))
            parcel.write(values)
        }
    }

    static func read(_ parcel: Parcel) throws -> Answers {
        var reader = ParcelReader(parcel)
        var answers = Answers(
            number: try reader.read(), sentAt: try reader.read(), stageSeconds: try reader.array())
        guard try reader.read(Bool.self) else {
            answers.failure = try RelayedError(&reader)
            return answers
        }
        for _ in 0..<(try reader.count()) {
            var readings: [Reading] = []
            for _ in 0..<(try reader.count()) { readings.append(try reading(&reader)) }
            answers.readings.append(readings)
        }
        return answers
    }

    private static func reading(_ reader: inout ParcelReader) throws -> Reading {
        switch try reader.read(UInt8.self) {
        case 0: return .token(PickedToken(token: try reader.read(), logProbability: nil, alternatives: []))
        case 1:
            let token: Int32 = try reader.read()
            let logProbability: Double = try reader.read()
            let count = try reader.count()
            var alternatives: [TokenProbability] = []
            for _ in 0..<count {
                alternatives.append(TokenProbability(token: try reader.read(), logProbability: try reader.read()))
            }
            return .token(PickedToken(token: token, logProbability: logProbability, alternatives: alternatives))
        case 2: return .logProbabilities(try reader.array())
        case 3: return .logits(try reader.array())
        case let kind: throw ParcelReader.Malformed(what: "a reading of kind \(kind)")
        }
    }
}
