import Foundation

/// Names and chunk shapes of a trace file (DESIGN.md, "Trace layout").
enum TraceLayout {
    static let format = "qubic-trace"
    static let version = 1
    static let pattern = "attn_pattern"

    static func layerPath(_ layer: Int, of layers: Int) -> String {
        let digits = max(2, String(max(0, layers - 1)).count)
        let number = String(layer)
        return "layers/" + String(repeating: "0", count: max(0, digits - number.count)) + number
    }

    /// A group name for a request id: letters, digits, "-", "_" and "." stay; every other byte of the UTF-8 becomes
    /// %XX, so that a slash makes no group and no two ids share a name. A long one is cut and gets its FNV-1a hash.
    static func groupName(_ id: String) -> String {
        var name = ""
        for scalar in id.unicodeScalars {
            let keep =
                scalar.isASCII
                ? scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                    || "-_.".unicodeScalars.contains(scalar)
                : scalar.properties.generalCategory == .otherLetter
            if keep {
                name.unicodeScalars.append(scalar)
            } else {
                for byte in String(scalar).utf8 {
                    name += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
                }
            }
        }
        if name == "." || name == ".." { name = name.replacingOccurrences(of: ".", with: "%2E") }
        guard name.utf8.count > 200 else { return name }
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in id.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        // "~" is escaped above, so that no short id can have this name.
        return String(String.UnicodeScalarView(name.unicodeScalars.prefix(60))) + "~" + String(hash, radix: 16)
    }

    /// Rows and columns of a chunk of a [T, width] dataset: at most 64 rows and 256 KiB, and one row of a large
    /// vocabulary in several chunks.
    static func rowChunk(width: Int) -> [Int] {
        let columns = max(1, min(width, 16384))
        return [max(1, min(64, 65536 / columns)), columns]
    }

    /// Chunk of [heads, T, T]: rows come one by one, so a chunk is a low and wide band.
    static let patternChunk = [1, 16, 512]

    /// The chunk cache that keeps one band of rows: a smaller one would inflate and deflate a chunk for every row.
    static func cacheBytes(width: Int) -> Int {
        let chunk = rowChunk(width: width)
        let chunksPerBand = (width + chunk[1] - 1) / chunk[1]
        return min(16 << 20, chunksPerBand * chunk[0] * chunk[1] * MemoryLayout<Float>.size)
    }
    static let patternCacheBytes = 2 << 20
}
