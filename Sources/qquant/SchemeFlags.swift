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
            "Quantize the embedding, and with it a tied head: int8:g32, … (transformers 5.23 does not load that). "
                + "keep: not even where a budget would.",
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
            "File of each layer's sensitivity: read where it is there, else measured and written, by a dry run too.",
            valueName: "file"))
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
        if let embedding, embedding != "keep", QuantizationScheme(name: embedding) == nil {
            throw ValidationError("--embedding: expected a scheme such as int8:g32, or keep, got \(embedding)")
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

    /// What the flags make of a model.
    struct Choice {
        let plan: QuantizationPlan
        /// nil where --bits gave the scheme.
        let budget: Budget.Record?
        /// What measuring took that the next run has to do again: 0 where a file has the sensitivities.
        let measuringSeconds: Double
    }

    func choose(
        _ checkpoint: Checkpoint, _ calibration: CalibrationSet?, _ method: MethodFlags, threads: Int?
    ) throws -> Choice {
        let model = checkpoint.configuration
        let table = embedding.flatMap(QuantizationScheme.init(name:))
        var plan = QuantizationPlan(model)
        if let bits {
            let scheme = QuantizationScheme(
                bits: bits, symmetric: symmetry == .symmetric, groupSize: Int(groupSize ?? "64"))
            plan = QuantizationPlan(model, scheme: scheme, embedding: table, head: quantizeHead ? scheme : nil)
        } else {
            plan["model.embed_tokens"] = table
        }
        var fixed = try plan.override(overrides)
        if let embedding {
            guard !fixed.keys.contains("model.embed_tokens") else {
                throw QuantizationError.override(
                    text: "", problem: "one finds model.embed_tokens, for which --embedding is given",
                    expected: "one of the two", got: "--embedding \(embedding)")
            }
            fixed["model.embed_tokens"] = .some(table)
        }
        var record: Budget.Record?
        var seconds = 0.0
        if let target {
            let (found, measuring) = try measured(checkpoint, calibration, method, threads: threads)
            let chosen = try Budget.plan(checkpoint, found, limit: target, fixed: fixed)
            (plan, seconds) = (chosen.plan, measuring)
            note(String(format: "chosen by sensitivity: expected mean KL %.5f nats", chosen.divergence))
            let kept = found.unknown(of: model).filter { !fixed.keys.contains($0.module) }
            if !kept.isEmpty {
                let names = kept.map { "\($0.module) (\($0.columns))" }.joined(separator: ", ")
                note(
                    "note: kept as they are, their sensitivity not being known (32 has to divide the columns): "
                        + names)
            }
            record = Budget.Record(limit: target, sensitivities: found)
        }
        if plan["model.embed_tokens"] != nil {
            note(
                "note: the embedding is quantized: qinfer and qbench load that, transformers 5.23 does not; "
                    + "--embedding keep leaves it as it is")
        }
        return Choice(plan: plan, budget: record, measuringSeconds: seconds)
    }

    /// From their file, or measured, and kept in it where one is named.
    private func measured(
        _ checkpoint: Checkpoint, _ calibration: CalibrationSet?, _ method: MethodFlags, threads: Int?
    ) throws -> (sensitivities: Sensitivities, seconds: Double) {
        if let sensitivities, hasSensitivities {
            let found = try Sensitivities(reading: URL(fileURLWithPath: sensitivities), of: checkpoint)
            try refuseContradiction(of: found, in: sensitivities, checkpoint, calibration, method)
            return (found, 0)
        }
        guard let calibration else { preconditionFailure("calibration was checked") }
        var options = Sensitivities.Options()
        if let sensitivityTokens { options.tokens = sensitivityTokens }
        options.symmetric = symmetry == .symmetric
        options.threads = threads
        if calibration.tokens < options.tokens {
            note(
                "note: sensitivities are measured over the \(calibration.tokens) tokens of calibration; expected "
                    + "\(options.tokens) (--sensitivity-tokens); give more text, or a larger --calibration-tokens")
        }
        let began = Date()
        let progress = Progress("sensitivity of layers", total: checkpoint.configuration.layers)
        let found = try Sensitivities.measure(checkpoint, calibration: calibration, options: options) { done, _ in
            progress.update(done)
        }
        progress.finish()
        let seconds = Date().timeIntervalSince(began)
        let done = String(format: "sensitivities measured over %d tokens in %.1f s", found.tokens, seconds)
        guard let sensitivities else {
            note(done)
            return (found, seconds)
        }
        try AtomicFile.write(found.json.serialized(), to: URL(fileURLWithPath: sensitivities))
        note("\(done), and kept in \(sensitivities)")
        return (found, 0)
    }

    /// - Throws: `QuantizationError.calibration` where a flag that was given says otherwise than the file.
    private func refuseContradiction(
        of found: Sensitivities, in file: String, _ checkpoint: Checkpoint, _ calibration: CalibrationSet?,
        _ method: MethodFlags
    ) throws {
        func check<Value: Equatable>(_ flag: String, _ given: Value?, _ recorded: Value) throws {
            guard let given, given != recorded else { return }
            throw QuantizationError.calibration(
                place: file, problem: "its sensitivities were measured with another \(flag)", expected: "\(recorded)",
                got: "\(given)", advice: "delete the file or name another to measure anew, or leave the flag out")
        }
        let options = found.calibrationOptions
        try check("--sensitivity-tokens", sensitivityTokens, found.wantedTokens)
        try check("--seed", method.seed, options.seed)
        try check("--calibration-window", method.calibrationWindow, options.window)
        // Drawn as it was then: only another text has another digest.
        guard let calibration else { return }
        let text = try calibration.options == options ? calibration : method.calibrationSet(checkpoint, options)
        try check("--calibration (SHA-256 of its tokens)", text.digest, found.calibrationDigest)
    }
}
