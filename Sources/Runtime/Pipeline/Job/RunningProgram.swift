import Crypto
import Foundation

/// The program that this process runs. Builds of one version can differ in what they compute.
enum RunningProgram {
    /// SHA-256, in lower-case hexadecimal, of its file. Read once.
    static func digest() throws(CheckpointError) -> String { try outcome.get() }

    private static let outcome: Result<String, CheckpointError> = {
        do throws(CheckpointError) {
            let file = try MappedFile(url: URL(fileURLWithPath: "/proc/self/exe"))
            var hash = SHA256()
            hash.update(contentsOf: file)
            return .success(Hex.text(hash.finalize()))
        } catch {
            return .failure(error)
        }
    }()
}
