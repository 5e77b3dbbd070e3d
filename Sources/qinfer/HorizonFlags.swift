import ArgumentParser
import QDashboard
import ToolSupport

/// How far ahead predictions look.
struct HorizonFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Of recordings with --task prediction, forecast this far ahead too: 1h or 1h,6h,24h; 5m to 7d, by 5m.",
            valueName: "times"))
    var horizon: [String] = []

    func validate() throws { _ = try parsed() }

    /// Nil where none was asked for.
    func parsed() throws -> Horizons? {
        let texts = horizon.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false).map { String($0) } }
        let seconds = try texts.map { text -> Double in
            guard let seconds = Interval(argument: text)?.seconds, Horizons.isHorizon(seconds) else {
                throw ValidationError("--horizon: expected 5m to 7d by steps of 5m, such as 1h,6h,24h, got \(text)")
            }
            return seconds
        }
        guard !seconds.isEmpty else { return nil }
        guard let horizons = Horizons(seconds) else {
            throw ValidationError("--horizon: expected each time once, got \(texts.joined(separator: ","))")
        }
        return horizons
    }
}
