import Foundation
import QDashboard
import Runtime
import Testing

@Suite struct JSONObjectTests {
    /// The first two are the same character, in other bytes.
    private static func keys(_ count: Int) -> [String] {
        Array((["\u{E9}", "e\u{301}"] + (0..<count).map { "key\($0)" }).prefix(count))
    }

    private func bytes(_ keys: [String]) -> [[UInt8]] { keys.map { Array($0.utf8) } }

    /// Sizes around the one from which on an index finds the members, and one far beyond.
    @Test(arguments: [2, 3, 15, 16, 17, 18, 33, 1000]) func members(count: Int) {
        let keys = Self.keys(count)
        var object = JSONObject()
        for (index, key) in keys.enumerated() {
            let isAdded = object.append(key, .integer(index))
            let isAddedAgain = object.append(key, .null)
            #expect(isAdded && !isAddedAgain, "\(key)")
        }
        #expect(object.count == count && bytes(object.keys) == bytes(keys))
        #expect(object.members.map(\.value) == keys.indices.map { JSONValue.integer($0) })
        #expect(keys.indices.allSatisfy { object[keys[$0]]?.int == $0 })
        #expect(object["key"] == nil && object["Key0"] == nil && object[""] == nil)

        var reversed = JSONObject()
        for index in keys.indices.reversed() { reversed[keys[index]] = .integer(index) }
        #expect(bytes(reversed.keys) == bytes(keys.reversed()))
        #expect(reversed == object)
        #expect(JSONValue.object(reversed).canonicalJSON == JSONValue.object(object).canonicalJSON)
        reversed[keys[1]] = .integer(-1)
        #expect(reversed != object && bytes(reversed.keys) == bytes(keys.reversed()))

        // What is removed and set again stands last; the other spelling of it stays where it is.
        object[keys[0]] = nil
        #expect(object[keys[0]] == nil && object[keys[1]]?.int == 1 && object != reversed)
        object[keys[0]] = "again"
        #expect(bytes(object.keys) == bytes(Array(keys.dropFirst()) + [keys[0]]))
        #expect(object[keys[0]]?.string == "again")
        for (index, key) in keys.enumerated().dropFirst() {
            object[key] = nil
            #expect(object[key] == nil && object.count == count - index)
            #expect(object[keys[count - 1]]?.int == (index < count - 1 ? count - 1 : nil))
        }
        let last: JSONObject = [keys[0]: "again"]
        #expect(object == last)
    }

    @Test func keysAreTheirBytes() throws {
        #expect(JSONObject(dictionaryLiteral: ("\u{E9}", 1)) != JSONObject(dictionaryLiteral: ("e\u{301}", 1)))
        let object = try JSONValue(parsing: Data("{\"\u{E9}\":1,\"e\u{301}\":2}".utf8), place: "")
        #expect(object.object?.count == 2 && object["\u{E9}"]?.int == 1 && object["e\u{301}"]?.int == 2)
        // The last value of a literal's key, at the first one's place.
        let literal: JSONObject = ["a": 1, "b": 2, "a": 3]
        #expect(literal.keys == ["a", "b"] && literal["a"]?.int == 3)
    }
}
