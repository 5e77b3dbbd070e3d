import Foundation
import Runtime

/// News of a file, for the moments of a recording that is asked about them: JSON Lines of `{"at","source","title"}`.
public struct NewsFeed: Sendable, Equatable {
    static let lineBytes = 64 * 1024

    /// In order of time.
    public let items: [Item]
    /// SHA-256 over the items' canonical JSON, in order of time.
    public let digest: String

    public struct Item: Sendable, Equatable {
        public var at: Date
        public var news: NewsItem
    }

    /// Throws `InputError.missing`, `.isDirectory`, `.unreadable`, and `.news` for the first line that is no item.
    public init(path: String) throws {
        let lines = LineReader(try FileSource(path: path), lineLimit: Self.lineBytes)
        var read: [Item] = []
        while let line = try lines.next() {
            switch line {
            case .tooLong(let number, let length):
                throw InputError.news(
                    path: path, line: number, problem: "a line of \(length) bytes; expected at most \(Self.lineBytes)")
            case .text(let number, let range):
                let bytes = lines.bytes(range)
                if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
                do {
                    read.append(try Self.item(try JSONValue(parsing: bytes, place: "")))
                } catch let error as JSONError {
                    throw InputError.news(
                        path: path, line: number, problem: "not JSON: \(error.problem) (column \(error.column))")
                } catch let error as Rejection {
                    throw InputError.news(path: path, line: number, problem: error.reason)
                }
            }
        }
        // Of the same moment, in the order of the file.
        let order = read.indices.sorted { read[$0].at != read[$1].at ? read[$0].at < read[$1].at : $0 < $1 }
        items = order.map { read[$0] }
        digest = Digest.hex(canonical: .array(items.map(\.news.json)))
    }

    private static func item(_ value: JSONValue) throws(Rejection) -> Item {
        guard let object = value.object else { throw Rejection("expected a JSON object, got \(value.kind)") }
        let fields = BodyFields(object, path: "")
        guard let at = try fields.moment("at") else { throw Rejection("at is missing") }
        guard let title = try fields.text("title"), !title.allSatisfy(\.isWhitespace) else {
            throw Rejection("title is missing")
        }
        return Item(at: at, news: NewsItem(at: at, source: try fields.text("source"), title: title))
    }

    /// The newest ones that were out by then, as many as a prompt says, the newest last.
    public func upTo(_ date: Date) -> [NewsItem] {
        var (low, high) = (0, items.count)
        while low < high {
            let middle = (low + high) / 2
            if items[middle].at <= date { low = middle + 1 } else { high = middle }
        }
        return items[..<low].suffix(NewsItem.most).map(\.news)
    }
}
