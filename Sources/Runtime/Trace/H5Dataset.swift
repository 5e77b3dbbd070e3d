import CHDF5

/// The number types that traces hold.
enum H5NumberType: Sendable {
    case float32, float16, int32

    /// As stored: little end first.
    var file: hid_t {
        switch self {
        case .float32: qhdf5_file_float32()
        case .float16: HDF5.float16Type
        case .int32: qhdf5_file_int32()
        }
    }

    /// As handed to us by Swift. Float16 is converted by us: HDF5's own conversion is slow.
    var memory: hid_t {
        switch self {
        case .float32: qhdf5_native_float()
        case .float16: HDF5.float16Type
        case .int32: qhdf5_native_int32()
        }
    }

    var bytes: Int {
        switch self {
        case .float32, .int32: 4
        case .float16: 2
        }
    }
}

/// A chunked dataset.
final class H5Dataset: H5Object {
    let handle: H5Handle
    init(_ handle: H5Handle) { self.handle = handle }

    private func space() throws -> H5Handle {
        try H5Handle("read the shape", place, release: H5Sclose) { H5Dget_space(id) }
    }

    /// The present extent.
    func shape() throws -> [Int] {
        let space = try space()
        return try HDF5.locked {
            let rank = Int(try HDF5.check("read the shape", place) { H5Sget_simple_extent_ndims(space.id) })
            var sizes = [hsize_t](repeating: 0, count: max(1, rank))
            try HDF5.check("read the shape", place) { H5Sget_simple_extent_dims(space.id, &sizes, nil) }
            return try sizes.prefix(rank).map { size in
                guard let size = Int(exactly: size) else {
                    throw TraceError.foreign(
                        place: place, problem: "the shape is beyond this machine", expected: nil, got: "\(size)")
                }
                return size
            }
        }
    }

    func extend(to shape: [Int]) throws {
        try HDF5.check("extend", place) { H5Dset_extent(id, shape.map { hsize_t($0) }) }
    }

    /// Writes a box of `values`, given as `type` in memory.
    func write(_ values: UnsafeRawPointer, _ type: H5NumberType, offset: [Int], count: [Int]) throws {
        try box("write", offset, count) { memory, file in
            H5Dwrite(id, type.memory, memory, file, qhdf5_default(), values)
        }
    }

    /// Reads a box, converted to `type`.
    func read(into values: UnsafeMutableRawPointer, _ type: H5NumberType, offset: [Int], count: [Int]) throws {
        try box("read", offset, count) { memory, file in
            H5Dread(id, type.memory, memory, file, qhdf5_default(), values)
        }
    }

    private func box(_ operation: String, _ offset: [Int], _ count: [Int], _ body: (hid_t, hid_t) -> herr_t) throws {
        guard !count.contains(0) else { return }
        let file = try space()
        let counts = count.map { hsize_t($0) }
        try HDF5.check(operation, place) {
            H5Sselect_hyperslab(file.id, H5S_SELECT_SET, offset.map { hsize_t($0) }, nil, counts, nil)
        }
        let memory = try H5Handle(operation, place, release: H5Sclose) {
            H5Screate_simple(Int32(counts.count), counts, nil)
        }
        try HDF5.check(operation, place) { body(memory.id, file.id) }
    }

    /// Makes this one-dimensional dataset an axis that others attach.
    func makeScale(_ name: String) throws {
        try HDF5.check("make a dimension scale of", place) { H5DSset_scale(id, name) }
    }

    func attach(scale: H5Dataset, dimension: Int) throws {
        try HDF5.check("attach a dimension scale to", place) { H5DSattach_scale(id, scale.id, UInt32(dimension)) }
    }
}

extension H5Container {
    /// Creates a dataset, chunked, shuffled and deflated (level 1: the higher ones gain little on floats, and cost).
    /// `extendable` dimensions start at `shape` and have no limit.
    func makeDataset(
        _ name: String, _ type: H5NumberType, shape: [Int], extendable: [Bool], chunk: [Int], cacheBytes: Int = 1 << 20
    ) throws -> H5Dataset {
        let place = path(name)
        return H5Dataset(
            try H5Handle("create the dataset", place, in: handle.lifetime, release: H5Dclose) {
                let sizes = shape.map { hsize_t($0) }
                let limits = zip(sizes, extendable).map { $1 ? qhdf5_unlimited() : $0 }
                let space = H5Screate_simple(Int32(sizes.count), sizes, limits)
                defer { H5Sclose(space) }
                let creation = H5Pcreate(qhdf5_dataset_creation())
                defer { H5Pclose(creation) }
                let access = H5Pcreate(qhdf5_dataset_access())
                defer { H5Pclose(access) }
                guard H5Pset_chunk(creation, Int32(chunk.count), chunk.map { hsize_t($0) }) >= 0,
                    H5Pset_shuffle(creation) >= 0, H5Pset_deflate(creation, 1) >= 0,
                    H5Pset_obj_track_times(creation, false) >= 0,
                    H5Pset_chunk_cache(access, 521, cacheBytes, 1) >= 0
                else { return -1 }
                return H5Dcreate2(id, name, type.file, space, qhdf5_default(), creation, access)
            })
    }

    /// Opens a dataset that may come from anywhere: numeric, chunked (so that no other file is read), its chunks and
    /// its claims of size in proportion to what is stored.
    func dataset(_ name: String) throws -> H5Dataset {
        let place = path(name)
        let dataset = H5Dataset(
            try H5Handle("open the dataset", place, in: handle.lifetime, release: H5Dclose) {
                H5Dopen2(id, name, qhdf5_default())
            })
        let shape = try dataset.shape()
        let refuse = { (problem: String, expected: String?, got: String?) in
            TraceError.foreign(place: place, problem: problem, expected: expected, got: got)
        }
        let type = try H5Handle("read the type", place, release: H5Tclose) { H5Dget_type(dataset.id) }
        let creation = try H5Handle("read the layout", place, release: H5Pclose) {
            H5Dget_create_plist(dataset.id)
        }
        try HDF5.locked {
            let kind = H5Tget_class(type.id)
            guard kind == H5T_FLOAT || kind == H5T_INTEGER else { throw refuse("not a dataset of numbers", nil, nil) }
            guard H5Pget_layout(creation.id) == H5D_CHUNKED, !shape.isEmpty else {
                throw refuse("not a chunked dataset", nil, nil)
            }
            var chunk = [hsize_t](repeating: 0, count: shape.count)
            try HDF5.check("read the layout", place) { H5Pget_chunk(creation.id, Int32(chunk.count), &chunk) }
            let elementBytes = UInt64(max(1, H5Tget_size(type.id)))
            func product(_ sizes: [UInt64]) -> UInt64? {
                sizes.reduce(elementBytes as UInt64?) { total, size in
                    total.flatMap {
                        let (value, over) = $0.multipliedReportingOverflow(by: size)
                        return over ? nil : value
                    }
                }
            }
            // Deflate gives at most 1032 for 1, and the half of a pattern above its diagonal is not stored at all.
            let stored = UInt64(H5Dget_storage_size(dataset.id))
            let claimed = product(shape.map { UInt64($0) })
            guard let chunkBytes = product(chunk), chunkBytes <= 256 << 20 else {
                throw refuse("a chunk is too large", "at most 256 MiB", "\(chunk)")
            }
            guard let claimed, claimed == 0 || claimed / 4096 <= stored else {
                throw refuse("the shape claims more than is stored", nil, "\(shape) in \(stored) bytes")
            }
        }
        return dataset
    }
}
