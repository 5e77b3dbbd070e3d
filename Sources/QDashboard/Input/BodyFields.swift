import Foundation
import Runtime

/// What is wrong with one record, in words.
struct Rejection: Error, Equatable {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}

/// The members of one body, read with their type and range checked. Numbers may be strings, null counts as absent.
struct BodyFields {
    let object: JSONObject
    /// Where the object stands in the record, e.g. "raw_payload.tickInfo"; empty at the top.
    let path: String

    init(_ object: JSONObject, path: String) { (self.object, self.path) = (object, path) }

    /// `key` must hold an object.
    init(_ parent: BodyFields, _ key: String) throws(Rejection) {
        let path = parent.name(key)
        guard let value = parent.object[key] else { throw Rejection("\(path) is missing") }
        guard let object = value.object else { throw Rejection("\(path): expected an object, got \(value.kind)") }
        self.init(object, path: path)
    }

    func name(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// A whole number. `other` is another spelling of the same thing: where both occur, they must agree.
    func integer(_ key: String, _ other: String, in range: ClosedRange<Int>) throws(Rejection) -> Int? {
        let value = try integer(key, in: range)
        guard let same = try integer(other, in: range) else { return value }
        if let value, value != same {
            throw Rejection("\(name(key)) is \(value) but \(name(other)) is \(same)")
        }
        return same
    }

    func integer(_ key: String, in range: ClosedRange<Int>) throws(Rejection) -> Int? {
        guard let number = try number(key) else { return nil }
        guard let value = number.whole else {
            let wanted = "expected a whole number \(range.lowerBound)…\(range.upperBound)"
            throw Rejection("\(name(key)): \(wanted), got \(number.text)")
        }
        guard range.contains(value) else {
            throw Rejection("\(name(key)): expected \(range.lowerBound)…\(range.upperBound), got \(number.text)")
        }
        return value
    }

    func decimal(_ key: String, in range: ClosedRange<Double>) throws(Rejection) -> Double? {
        guard let number = try number(key) else { return nil }
        guard range.contains(number.double) else {
            throw Rejection("\(name(key)): expected \(range.lowerBound)…\(range.upperBound), got \(number.text)")
        }
        return number.double
    }

    func text(_ key: String, limit: Int = 4096) throws(Rejection) -> String? {
        guard let value = object[key], !value.isNull else { return nil }
        guard let text = value.string else { throw Rejection("\(name(key)): expected a string, got \(value.kind)") }
        guard text.utf8.count <= limit else {
            throw Rejection("\(name(key)): a string of \(text.utf8.count) bytes; expected at most \(limit)")
        }
        return text
    }

    /// ISO 8601, or seconds or milliseconds since 1970 as number or string.
    func moment(_ key: String) throws(Rejection) -> Date? {
        guard let value = object[key], !value.isNull else { return nil }
        if let text = value.string, let date = Timestamp.iso8601(text) { return date }
        guard value.double != nil || value.string.map({ Number(text: $0) != nil }) == true, let number = try number(key)
        else { throw Rejection("\(name(key)): expected a date and time, got \(shown(value))") }
        guard let date = Timestamp.unix(number.double) else {
            throw Rejection("\(name(key)): expected seconds since 1970 between 2000 and 2100, got \(number.text)")
        }
        return date
    }

    private func number(_ key: String) throws(Rejection) -> Number? {
        guard let value = object[key] else { return nil }
        switch value {
        case .null: return nil
        case .integer(let whole): return Number(whole: whole, double: Double(whole), value: value)
        case .number(let double): return Number(whole: Int(exactly: double), double: double, value: value)
        case .string(let text):
            guard let number = Number(text: text) else {
                throw Rejection("\(name(key)): expected a number, got \(shown(value))")
            }
            return number
        default: throw Rejection("\(name(key)): expected a number, got \(value.kind)")
        }
    }

    private func shown(_ value: JSONValue) -> String { value.string.map { Quoting.quoted($0) } ?? value.kind }

    private struct Number {
        let whole: Int?
        let double: Double
        /// As it stands in the record.
        let value: JSONValue

        /// In its own spelling, for messages.
        var text: String {
            switch value {
            case .integer(let whole): String(whole)
            case .number(let double): String(double)
            default: value.string ?? ""
            }
        }

        init(whole: Int?, double: Double, value: JSONValue) {
            (self.whole, self.double, self.value) = (whole, double, value)
        }

        /// Digits with sign, fraction and exponent as JSON has them: no "NaN", "inf", "0x10", "1_000" or white space.
        init?(text: String) {
            guard !text.isEmpty, text.utf8.count <= 64 else { return nil }
            // Most are digits only, few enough for an Int: its nearest Double is the text's.
            if text.utf8.count <= 18, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let whole = Int(text) {
                self.init(whole: whole, double: Double(whole), value: .string(text))
                return
            }
            let isPlain = text.utf8.allSatisfy { (0x30...0x39).contains($0) || "+-.eE".utf8.contains($0) }
            guard isPlain, let first = text.utf8.first, let last = text.utf8.last, "-0123456789".utf8.contains(first),
                (0x30...0x39).contains(last), let double = Double(text), double.isFinite
            else { return nil }
            self.init(whole: Int(text) ?? Int(exactly: double), double: double, value: .string(text))
        }
    }
}
