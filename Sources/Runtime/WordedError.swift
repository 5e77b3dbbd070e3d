import Foundation

/// An error that a person can act on: "where: what; expected …, got …; do …".
///
/// Every area of the library has a typed enum that conforms; a case carries the facts, `wording` puts them into words.
public protocol WordedError: Error, CustomStringConvertible, LocalizedError {
    var wording: Wording { get }
}

extension WordedError {
    public var description: String { wording.description }
    public var errorDescription: String? { wording.description }
}

/// The parts of an error message, in the order in which they are printed.
public struct Wording: Sendable, Equatable, Codable, CustomStringConvertible {
    /// Where it happened: a file, a line, a tensor, a flag.
    public var place: String
    /// What is wrong there.
    public var problem: String
    public var expected: String?
    public var got: String?
    /// What to do next.
    public var advice: String?

    public init(_ place: String, _ problem: String, expected: String? = nil, got: String? = nil, advice: String? = nil)
    {
        self.place = place
        self.problem = problem
        self.expected = expected
        self.got = got
        self.advice = advice
    }

    public var description: String {
        var text = "\(place): \(problem)"
        let comparison = [expected.map { "expected \($0)" }, got.map { "got \($0)" }].compactMap { $0 }
        if !comparison.isEmpty { text += "; " + comparison.joined(separator: ", ") }
        if let advice { text += "; \(advice)" }
        return text
    }
}
