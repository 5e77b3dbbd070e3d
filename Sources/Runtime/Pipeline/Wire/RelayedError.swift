/// An error of another process, in its own words.
struct RelayedError: WordedError, Codable {
    let wording: Wording

    init(wording: Wording) { self.wording = wording }

    init(_ error: any Error) {
        wording = (error as? any WordedError)?.wording ?? Wording("pipeline", "\(error)")
    }

    func write(to parcel: Parcel) {
        parcel.write(wording.place)
        parcel.write(wording.problem)
        for part in [wording.expected, wording.got, wording.advice] {
            parcel.write(part != nil)
            if let part { parcel.write(part) }
        }
    }

    init(_ reader: inout ParcelReader) throws {
        let place = try reader.text()
        let problem = try reader.text()
        var parts: [String?] = []
        for _ in 0..<3 { parts.append(try reader.read(Bool.self) ? try reader.text() : nil) }
        wording = Wording(place, problem, expected: parts[0], got: parts[1], advice: parts[2])
    }
}
