import CHDF5

extension H5Object {
    /// A text attribute, variable length, UTF-8. HDF5's strings end at NUL, which becomes "␀".
    func set(_ name: String, _ value: String) throws { try set(name, [value], scalar: true) }

    /// An array of texts.
    func set(_ name: String, _ values: [String]) throws { try set(name, values, scalar: false) }

    func set(_ name: String, _ value: Int) throws {
        var value = Int64(value)
        try setAttribute(name, qhdf5_file_int64(), count: nil) { H5Awrite($0, qhdf5_native_int64(), &value) }
    }

    func set(_ name: String, _ value: Double) throws {
        var value = value
        try setAttribute(name, qhdf5_file_double(), count: nil) { H5Awrite($0, qhdf5_native_double(), &value) }
    }

    private func set(_ name: String, _ values: [String], scalar: Bool) throws {
        let bytes = values.map { Array($0.replacingOccurrences(of: "\0", with: "␀").utf8CString) }
        try setAttribute(name, HDF5.stringType, count: scalar ? nil : values.count) { attribute in
            func write(_ rest: ArraySlice<[CChar]>, _ pointers: [UnsafePointer<CChar>?]) -> herr_t {
                guard let next = rest.first else {
                    return pointers.withUnsafeBytes { H5Awrite(attribute, HDF5.stringType, $0.baseAddress) }
                }
                return next.withUnsafeBufferPointer { write(rest.dropFirst(), pointers + [$0.baseAddress]) }
            }
            return write(bytes[...], [])
        }
    }

    private func setAttribute(_ name: String, _ type: hid_t, count: Int?, _ write: (hid_t) -> herr_t) throws {
        let name = name.replacingOccurrences(of: "\0", with: "␀")
        try HDF5.check("write the attribute \(name) of", place) { () -> herr_t in
            if H5Aexists(id, name) > 0, H5Adelete(id, name) < 0 { return -1 }
            var size = hsize_t(count ?? 1)
            let space = count == nil ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &size, nil)
            defer { H5Sclose(space) }
            let attribute = H5Acreate2(id, name, type, space, qhdf5_default(), qhdf5_default())
            guard attribute >= 0 else { return -1 }
            defer { H5Aclose(attribute) }
            return write(attribute)
        }
    }

    /// Names of all attributes.
    func attributeNames() throws -> [String] {
        try HDF5.locked {
            var info = H5O_info_t()
            try HDF5.check("list the attributes of", place) { H5Oget_info2(id, &info, H5O_INFO_NUM_ATTRS) }
            return try (0..<info.num_attrs).map { index in
                func ask(_ buffer: UnsafeMutablePointer<CChar>?, _ size: Int) throws -> Int {
                    Int(
                        try HDF5.check("list the attributes of", place) {
                            H5Aget_name_by_idx(
                                id, ".", H5_INDEX_NAME, H5_ITER_INC, index, buffer, size, qhdf5_default())
                        })
                }
                let length = try ask(nil, 0)
                var buffer = [CChar](repeating: 0, count: length + 1)
                _ = try ask(&buffer, buffer.count)
                return String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
        }
    }

    /// A scalar text, of fixed or variable length; nil if it is absent or something else.
    func text(_ name: String) throws -> String? {
        try withScalar(name) { attribute, type in
            guard H5Tget_class(type) == H5T_STRING else { return nil }
            if H5Tis_variable_str(type) > 0 {
                var pointer: UnsafeMutablePointer<CChar>?
                try HDF5.check("read the attribute \(name) of", place) { H5Aread(attribute, type, &pointer) }
                guard let pointer else { return "" }
                defer { H5free_memory(pointer) }
                return String(cString: pointer)
            }
            let size = H5Tget_size(type)
            guard size <= 1 << 20 else { return nil }
            var buffer = [UInt8](repeating: 0, count: size)
            try HDF5.check("read the attribute \(name) of", place) { H5Aread(attribute, type, &buffer) }
            return String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// A scalar whole number; nil if it is absent or something else.
    func integer(_ name: String) throws -> Int? {
        try withScalar(name) { attribute, type in
            guard H5Tget_class(type) == H5T_INTEGER else { return nil }
            var value: Int64 = 0
            try HDF5.check("read the attribute \(name) of", place) { H5Aread(attribute, qhdf5_native_int64(), &value) }
            return Int(value)
        }
    }

    /// A scalar number; nil if it is absent or something else.
    func number(_ name: String) throws -> Double? {
        try withScalar(name) { attribute, type in
            let kind = H5Tget_class(type)
            guard kind == H5T_INTEGER || kind == H5T_FLOAT else { return nil }
            var value = 0.0
            try HDF5.check("read the attribute \(name) of", place) { H5Aread(attribute, qhdf5_native_double(), &value) }
            return value
        }
    }

    private func withScalar<R>(_ name: String, _ body: (hid_t, hid_t) throws -> R?) throws -> R? {
        try HDF5.locked {
            guard try HDF5.check("look for the attribute \(name) of", place, { H5Aexists(id, name) }) > 0 else {
                return nil
            }
            let attribute = try H5Handle("open the attribute \(name) of", place, release: H5Aclose) {
                H5Aopen(id, name, qhdf5_default())
            }
            let space = try H5Handle("read the attribute \(name) of", place, release: H5Sclose) {
                H5Aget_space(attribute.id)
            }
            guard H5Sget_simple_extent_npoints(space.id) == 1 else { return nil }
            let type = try H5Handle("read the attribute \(name) of", place, release: H5Tclose) {
                H5Aget_type(attribute.id)
            }
            return try body(attribute.id, type.id)
        }
    }
}
