import ArgumentParser
import Foundation
import Runtime

/// How a tool ends: 0 done, 1 failed or regressed, 2 done with rejected inputs, 64 usage (ArgumentParser's own).
extension ExitCode {
    public static let failed = ExitCode(1)
    public static let doneWithRejections = ExitCode(2)
}

/// Standard error, where everything goes that is not a result.
public func note(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
}

/// Runs a command's body; a worded error is printed to standard error, and the tool ends with status 1.
public func reportingErrorsAsync<Result>(_ body: () async throws -> Result) async throws -> Result {
    do {
        return try await body()
    } catch {
        throw reported(error)
    }
}

/// Runs a command's body that does not wait; see `reportingErrorsAsync`.
public func reportingErrors<Result>(_ body: () throws -> Result) throws -> Result {
    do {
        return try body()
    } catch {
        throw reported(error)
    }
}

private func reported(_ error: any Error) -> any Error {
    switch error {
    case let error as any WordedError: note("error: \(error)")
    case let error as CocoaError: note("error: \(error.localizedDescription)")
    default: return error
    }
    return ExitCode.failed
}
