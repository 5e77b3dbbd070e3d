extension GGUFFile {
    /// Metadata by key, with errors that name the file, the key and the value.
    func int(_ key: String) throws -> Int? { try value(key, "an integer") { $0.int } }
    func double(_ key: String) throws -> Double? { try value(key, "a number") { $0.double } }
    func bool(_ key: String) throws -> Bool? { try value(key, "a boolean") { $0.bool } }
    func string(_ key: String) throws -> String? { try value(key, "a string") { $0.string } }
    func array(_ key: String) throws -> GGUFArray? { try value(key, "an array") { $0.array } }

    func required<T>(_ key: String, _ read: (String) throws -> T?) throws -> T {
        guard let value = try read(key) else { throw failure(key, "is missing") }
        return value
    }

    /// An integer, or an array of one and the same integer for each layer.
    func uniformInt(_ key: String) throws -> Int? {
        guard case .array(let array) = metadata[key] else { return try int(key) }
        guard array.count <= 10_000 else { throw failure(key, "is out of range", got: "\(array.count) layers") }
        let values = Set(try array.ints(in: self, key: key))
        guard values.count == 1 else {
            throw CheckpointError.unsupported(
                place: path, key: key, value: "\(values.sorted())", supported: "the same value in all layers")
        }
        return values.first
    }

    /// Refuses a setting unless it is absent or accepted.
    func refuse(_ key: String, unless isSupported: (GGUFValue) -> Bool, supported: String) throws {
        guard let value = metadata[key], !isSupported(value) else { return }
        throw CheckpointError.unsupported(place: path, key: key, value: value.description, supported: supported)
    }

    private func value<T>(_ key: String, _ expected: String, _ convert: (GGUFValue) -> T?) throws -> T? {
        guard let value = metadata[key] else { return nil }
        guard let converted = convert(value) else {
            throw failure(key, "is of the wrong type", expected: expected, got: value.description)
        }
        return converted
    }

    func failure(_ key: String, _ problem: String, expected: String? = nil, got: String? = nil) -> CheckpointError {
        .setting(place: path, key: key, problem: problem, expected: expected, got: got)
    }
}
