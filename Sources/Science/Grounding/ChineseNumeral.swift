/// A number in Chinese numerals that has a place in it, such as 五十九萬 or 三百. Single digits and lists of them (一, 三三)
/// are words too often.
struct ChineseNumeral {
    let value: Double
    /// One in its last place.
    let unit: Double
    /// In scalars.
    let length: Int

    private static let digits: [Unicode.Scalar: Double] = [
        "零": 0, "〇": 0, "一": 1, "二": 2, "兩": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9,
    ]
    private static let places: [Unicode.Scalar: Double] = ["十": 10, "百": 100, "千": 1000]
    private static let groups: [Unicode.Scalar: Double] = [
        "萬": 1e4, "万": 1e4, "億": 1e8, "亿": 1e8, "兆": 1e12,
    ]

    /// The numeral that begins at `index`; nil where none does.
    init?(_ scalars: [Unicode.Scalar], at index: Int) {
        guard index < scalars.count, Self.digits[scalars[index]] != nil || scalars[index] == "十" else { return nil }
        var total = 0.0
        var group = 0.0
        var digit: Double?
        var unit = 1.0
        var hasPlace = false
        var position = index
        while position < scalars.count, position - index < 32 {
            let scalar = scalars[position]
            if let value = Self.digits[scalar] {
                // Two digits in a row have no places.
                guard digit == nil || digit == 0 else { return nil }
                digit = value
                unit = 1
            } else if let place = Self.places[scalar] {
                group += (digit ?? 1) * place
                digit = nil
                (unit, hasPlace) = (place, true)
            } else if let factor = Self.groups[scalar] {
                total += (group + (digit ?? 0)) * factor
                (group, digit) = (0, nil)
                (unit, hasPlace) = (unit * factor, true)
            } else {
                break
            }
            position += 1
        }
        // 十分 is "very".
        guard hasPlace, position - index > 1 else { return nil }
        (value, self.unit, length) = (total + group + (digit ?? 0), unit, position - index)
    }
}
