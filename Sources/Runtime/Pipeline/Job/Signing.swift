import Foundation

/// A node's word for a statement.
public struct NodeSignature: Sendable, Codable, Equatable {
    /// In hexadecimal digits, as the signature is.
    public let publicKey: String
    public let signature: String

    public init(publicKey: String, signature: String) {
        self.publicKey = publicKey
        self.signature = signature
    }
}

extension Job {
    /// The first rank of another pipeline: what signs when rank 0 asks for it. Call it before rank 0 says that work
    /// begins.
    public func onStatement(_ sign: @escaping @Sendable (_ statement: [UInt8]) throws -> NodeSignature) {
        // Not on the messages' thread: what signs may take its time.
        let queue = DispatchQueue(label: "signatures")
        handle(.statement) { [weak self] parcel, rank in
            guard rank == 0 else { throw ParcelReader.Malformed(what: "only rank 0 asks for a signature") }
            queue.async { [weak self] in
                guard let self else { return }
                do {
                    let signature = try sign([UInt8](parcel.data))
                    messenger.send(try Parcel(encoding: signature), .signature, to: 0)
                } catch {
                    fail(.failed(place.rank, place, RelayedError(error).wording))
                }
            }
        }
    }

    /// Rank 0: has another rank sign. One statement at a time.
    /// - Throws: what ended the job, or `JobError` that names the rank where nothing comes within the peer timeout.
    func signature(of statement: [UInt8], by rank: Int) throws -> NodeSignature {
        messenger.send(Parcel(Data(statement)), .statement, to: rank)
        guard let signature = board.signature(by: rank, until: monotonicSeconds() + peerTimeout) else {
            throw board.failure ?? .late(rank, place, waitedFor: "signing", seconds: peerTimeout)
        }
        return signature
    }
}
