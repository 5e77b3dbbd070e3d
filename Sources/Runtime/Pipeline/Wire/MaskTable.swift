/// Token masks that both ends of a link know by number, so that the mask of a schema's state goes over it once: a bit a
/// token is more than a row of hidden states. Both ends see the same messages in the same order, and so hold the same.
struct MaskTable {
    static let most = 256

    private var numbers: [ObjectIdentifier: UInt32] = [:]
    /// Held, so that no other mask comes to lie at the address of one that is known.
    private var masks: [TokenMask] = []

    /// Absent, known, or new with its bits.
    private enum Form: UInt8 { case none, known, new }

    mutating func write(_ mask: TokenMask?, to parcel: Parcel) {
        guard let mask else { return parcel.write(Form.none.rawValue) }
        if let number = numbers[ObjectIdentifier(mask)] {
            parcel.write(Form.known.rawValue)
            return parcel.write(number)
        }
        parcel.write(Form.new.rawValue)
        parcel.write(mask.words)
        add(mask)
    }

    mutating func read(_ reader: inout ParcelReader) throws -> TokenMask? {
        guard let form = Form(rawValue: try reader.read()) else { throw ParcelReader.Malformed(what: "a mask's form") }
        switch form {
        case .none: return nil
        case .known:
            let number = try reader.count()
            guard number < masks.count else { throw ParcelReader.Malformed(what: "mask \(number) of \(masks.count)") }
            return masks[number]
        case .new:
            let mask = TokenMask(words: try reader.array())
            add(mask)
            return mask
        }
    }

    private mutating func add(_ mask: TokenMask) {
        if masks.count == Self.most { (numbers, masks) = ([:], []) }
        numbers[ObjectIdentifier(mask)] = UInt32(masks.count)
        masks.append(mask)
    }
}
