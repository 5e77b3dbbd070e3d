import ArgumentParser
import Foundation
import Runtime
import ToolSupport

/// 900MB, 1.2GB, 4096: bytes by powers of a thousand; KiB, MiB, GiB by powers of 1024.
struct ByteSize: ExpressibleByArgument {
    let bytes: Int

    init?(argument: String) {
        let units = [
            ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("KB", 1_000), ("MB", 1_000_000),
            ("GB", 1_000_000_000), ("B", 1),
        ]
        let unit = units.first { argument.hasSuffix($0.0) } ?? ("", 1)
        guard let value = Double(argument.dropLast(unit.0.count)), value > 0, value * Double(unit.1) < 1e15 else {
            return nil
        }
        bytes = Int(value * Double(unit.1))
    }
}

/// Which bits and groups the layers get.
struct SchemeFlags: ParsableArguments {
    @Option(help: "Bits a weight of all linear layers: 8 or 4.")
    var bits: Int?

    @Option(
        help: ArgumentHelp(
            "Columns that share a scale: 32, 64, 128, or channel for whole rows. (default: 64)", valueName: "size"))
    var groupSize: String?

    @Flag(help: "Zero stays zero, or each group has a zero point of its own.")
    var symmetry = Symmetry.symmetric

    @Flag(help: "Quantize the head too; a tied head gets weights of its own.")
    var quantizeHead = false

    @Option(
        help: ArgumentHelp(
            "Quantize the embedding, and with it a tied head: int8:g32, … (transformers 5.23 does not load that).",
            valueName: "scheme"))
    var embedding: String?

    @Option(
        name: .customLong("target-bpw"),
        help: ArgumentHelp("Choose schemes for so many bits per weight over all tensors.", valueName: "bits"))
    var targetBpw: Double?

    @Option(help: ArgumentHelp("Choose schemes for so many bytes of tensors, as in 900MB.", valueName: "size"))
    var targetSize: ByteSize?

    @Option(
        help: ArgumentHelp(
            "File of each layer's sensitivity: read where it is there, else measured and written.", valueName: "file"))
    var sensitivities: String?

    @Option(help: "Tokens over which sensitivities are measured. (default: 512)")
    var sensitivityTokens: Int?

    @Option(
        name: .customLong("override"),
        help: ArgumentHelp(
            "Another scheme for modules whose names a regular expression finds; may be repeated.",
            valueName: "regex=int8:g32"))
    var overrides: [String] = []

    enum Symmetry: String, EnumerableFlag { case symmetric, asymmetric }

    func validate() throws {
        guard [bits != nil, targetBpw != nil, targetSize != nil].filter({ $0 }).count == 1 else {
            throw ValidationError("--bits, --target-bpw, --target-size: expected one of them")
        }
        if let bits, bits != 8, bits != 4 { throw ValidationError("--bits: expected 8 or 4, got \(bits)") }
        if let groupSize, !["32", "64", "128", "channel"].contains(groupSize) {
            throw ValidationError("--group-size: expected 32, 64, 128 or channel, got \(groupSize)")
        }
        if let targetBpw, !(targetBpw > 0 && targetBpw < 64) {
            throw ValidationError("--target-bpw: expected more than 0 and less than 64, got \(targetBpw)")
        }
        if let embedding, QuantizationScheme(name: embedding) == nil {
            throw ValidationError("--embedding: expected a scheme such as int8:g32, got \(embedding)")
        }
        if let sensitivityTokens, sensitivityTokens < 2 {
            throw ValidationError("--sensitivity-tokens: expected at least 2, got \(sensitivityTokens)")
        }
        guard target != nil else {
            let ofBudgets = [
                ("--sensitivities", sensitivities != nil), ("--sensitivity-tokens", sensitivityTokens != nil),
            ]
            for (flag, isGiven) in ofBudgets where isGiven {
                throw ValidationError("\(flag): expected --target-bpw or --target-size, got --bits")
            }
            return
        }
        guard groupSize == nil else {
            throw ValidationError("--group-size: a budget chooses the groups; give --bits, or an --override")
        }
        guard !quantizeHead else {
            throw ValidationError(
                "--quantize-head: a budget decides that; give --bits, or --override 'lm_head=int8:g32'")
        }
        guard symmetry == .symmetric || !hasSensitivities else {
            throw ValidationError(
                "--asymmetric: the file of --sensitivities says what schemes there are; name another to measure anew")
        }
    }

    var target: Budget.Limit? { targetBpw.map { .bitsPerWeight($0) } ?? targetSize.map { .bytes($0.bytes) } }

    /// Whether the file of sensitivities is there.
    var hasSensitivities: Bool { sensitivities.map(FileManager.default.fileExists) ?? false }

    /// - Parameter keeps: whether measured sensitivities are written to their file.
    func plan(
        _ checkpoint: Checkpoint, _ calibration: CalibrationSet?, threads: Int?, keeps: Bool
    ) throws -> (plan: QuantizationPlan, budget: Budget.Record?) {
        let model = checkpoint.configuration
        let table = embedding.flatMap(QuantizationScheme.init(name:))
        if let bits {
            let scheme = QuantizationScheme(
                bits: bits, symmetric: symmetry == .symmetric, groupSize: Int(groupSize ?? "64"))
            var plan = QuantizationPlan(
                model, scheme: scheme, embedding: table, head: quantizeHead ? scheme : nil)
            for text in overrides { try plan.override(text) }
            return (plan, nil)
        }
        var fixed: [String: QuantizationScheme?] = table.map { ["model.embed_tokens": $0] } ?? [:]
        for text in overrides {
            for (module, scheme) in try QuantizationPlan.overridden(model, text) { fixed[module] = .some(scheme) }
        }
        let found = try measured(checkpoint, calibration, threads: threads, keeps: keeps)
        let (plan, divergence) = try Budget.plan(checkpoint, found, limit: target!, fixed: fixed)
        note(String(format: "chosen by sensitivity: expected mean KL %.5f nats", divergence))
        let kept = found.unknown(of: model).filter { !fixed.keys.contains($0.module) }
        if !kept.isEmpty {
            let names = kept.map { "\($0.module) (\($0.columns))" }.joined(separator: ", ")
            note("note: kept as they are, their sensitivity not being known (32 has to divide the columns): \(names)")
        }
        if plan["model.embed_tokens"] != nil, embedding == nil {
            note(
                "note: the embedding is quantized too, which transformers 5.23 does not load; "
                    + "--override 'embed_tokens=keep' leaves it")
        }
        return (plan, Budget.Record(limit: target!, sensitivities: found))
    }

    private func measured(
        _ checkpoint: Checkpoint, _ calibration: CalibrationSet?, threads: Int?, keeps: Bool
    ) throws -> Sensitivities {
        if let sensitivities, hasSensitivities {
            return try Sensitivities(reading: URL(fileURLWithPath: sensitivities), of: checkpoint)
        }
        guard let calibration else { preconditionFailure("calibration was checked") }
        var options = Sensitivities.Options()
        if let sensitivityTokens { options.tokens = sensitivityTokens }
        options.symmetric = symmetry == .symmetric
        options.threads = threads
        let progress = Progress("sensitivity of layers", total: checkpoint.configuration.layers)
        let result = try Sensitivities.measure(checkpoint, calibration: calibration, options: options) { done, _ in
            progress.update(done)
        }
        progress.finish()
        if keeps, let sensitivities {
            try AtomicFile.write(result.json.serialized(), to: URL(fileURLWithPath: sensitivities))
        }
        return result
    }
}
