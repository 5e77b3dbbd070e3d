import Foundation
import Testing
import Yams

/// The files of deploy/: that they can be read, that their commands are ones that the tools take, and that the scripts do
/// what they say when a machine, a run or a scheduler answers one way or another.
@Suite struct DeployTests {
    private static let scripts = ["deploy/gcp/three-nodes.sh", "deploy/slurm/qinfer.sbatch", "scripts/mpirun.sh"]

    @Test(arguments: scripts)
    func shellIsSound(script: String) throws {
        let parsed = try shell(["bash", "-n", path(script)])
        #expect(parsed.status == 0, "\(parsed.errors)")
        let checked = try shell(["shellcheck", "--severity=style", path(script)])
        #expect(checked.status == 0, "\(checked.output)\(checked.errors)")
    }

    /// Plain mpirun waits for ever where a link is cut: whatever is deployed calls the wrapper, and the image has it.
    @Test func launchesByTheWrapper() throws {
        func search(_ pattern: String, _ more: String...) throws -> Tool.Outcome {
            try shell(["grep", "--recursive", "--line-number", "--perl-regexp", pattern] + more, in: repository)
        }
        // What is no comment; on the page, what has a flag.
        let plain = try search(#"^(?!\s*#).*mpirun(?!\.sh)"#, "deploy", "Containerfile")
        #expect(plain.status == 1, "\(plain.output)\(plain.errors)")
        let documented = try search("mpirun +-", "docs/deployment.md")
        #expect(documented.status == 1, "\(documented.output)\(documented.errors)")
        for file in ["deploy/gcp", "deploy/kubernetes", "deploy/slurm", "docs/deployment.md"] {
            #expect(try search(#"mpirun\.sh"#, file).status == 0, "\(file) has no wrapper")
        }
        let image = try text(URL(fileURLWithPath: path("Containerfile")))
        let stages = image.split(separator: "\nFROM ")
        #expect(stages.last?.contains("COPY scripts/mpirun.sh /usr/local/bin/") == true)
        // The wrapper's pgrep.
        #expect(stages.last?.contains(" procps ") == true)
        #expect(FileManager.default.isExecutableFile(atPath: path("scripts/mpirun.sh")))
    }

    /// Every flag of these calls is one that `qinfer --help` knows; those of MPI where this build has it.
    private func expectKnown(_ call: some Sequence<String>, _ command: String) throws {
        let help = try Tool.qinfer(command, "--help").output
        let words = Set(help.split { !($0.isLetter || $0.isNumber || $0 == "-") }.map(String.init))
        let ofMPI: Set = ["--transport", "--peer-timeout", "--wire"]
        let hasMPI = words.contains("--transport")
        let flags = call.filter { $0.hasPrefix("--") }
        #expect(!flags.isEmpty, "\(call) has no flags")
        for flag in flags where hasMPI || !ofMPI.contains(flag) {
            #expect(words.contains(flag), "qinfer \(command) has no \(flag)")
        }
    }

    // MARK: Kubernetes

    @Test func manifestIsAnMPIJob() throws {
        let job = try #require(
            try Yams.load(yaml: text(URL(fileURLWithPath: path("deploy/kubernetes/mpijob.yaml")))) as? [String: Any])
        #expect(job["apiVersion"] as? String == "kubeflow.org/v2beta1" && job["kind"] as? String == "MPIJob")
        let spec = try #require(job["spec"] as? [String: Any])
        // The keys of the operator's own resource definition, v0.6.
        let known: Set = [
            "launcherCreationPolicy", "mpiImplementation", "mpiReplicaSpecs", "runLauncherAsWorker", "runPolicy",
            "slotsPerWorker", "sshAuthMountPath",
        ]
        #expect(Set(spec.keys).subtracting(known).isEmpty)
        let policy = try #require(spec["runPolicy"] as? [String: Any])
        let policies: Set = [
            "activeDeadlineSeconds", "backoffLimit", "cleanPodPolicy", "managedBy", "schedulingPolicy", "suspend",
            "ttlSecondsAfterFinished",
        ]
        #expect(Set(policy.keys).subtracting(policies).isEmpty)
        let replicas = try #require(spec["mpiReplicaSpecs"] as? [String: [String: Any]])
        #expect(Set(replicas.keys) == ["Launcher", "Worker"])
        func container(_ role: String) throws -> [String: Any] {
            let replica = try #require(replicas[role])
            #expect(Set(replica.keys).subtracting(["replicas", "restartPolicy", "template"]).isEmpty)
            let pod = try #require((replica["template"] as? [String: Any])?["spec"] as? [String: Any])
            let containers = try #require(pod["containers"] as? [[String: Any]])
            #expect(containers.count == 1)
            return containers[0]
        }
        let launcher = try container("Launcher")
        let call = (launcher["args"] as? [Any] ?? []).map { "\($0)" }
        let qinfer = try #require(call.firstIndex(of: "qinfer"))
        #expect(call[qinfer + 1] == "run")
        try expectKnown(call[(qinfer + 2)...], "run")
        // As many ranks as pods with a slot each, the launcher's among them, and as stages.
        func value(_ flag: String) -> String? { call.firstIndex(of: flag).map { call[$0 + 1] } }
        #expect(value("-np") == "3" && value("--stages") == "3" && replicas["Worker"]?["replicas"] as? Int == 2)
        #expect(spec["runLauncherAsWorker"] as? Bool == true)
        #expect((launcher["command"] as? [String])?.contains { $0.contains("mpirun.sh \"$@\"") } == true)
        for role in ["Launcher", "Worker"] {
            let mounts = try container(role)["volumeMounts"] as? [[String: Any]]
            #expect(mounts?.first?["mountPath"] as? String == "/data", "\(role) does not see the model")
        }
        // What the server listens on is what the client is told, here and in the image.
        let probe = (try container("Worker")["readinessProbe"] as? [String: Any])?["tcpSocket"] as? [String: Any]
        #expect(probe?["port"] as? Int == 2222)
        #expect(try lines(URL(fileURLWithPath: path("deploy/sshd_config"))).contains("Port 2222"))
        #expect(try text(URL(fileURLWithPath: path("Containerfile"))).contains("Port 2222"))
    }

    /// What the image copies is there and is not left out of the build's context.
    @Test func imageCopiesWhatIsThere() throws {
        let kept = try lines(URL(fileURLWithPath: path(".dockerignore"))).filter { $0.hasPrefix("!") }
            .map { String($0.dropFirst()) }
        var copied = 0
        for line in try lines(URL(fileURLWithPath: path("Containerfile"))) where line.hasPrefix("COPY ") {
            let words = line.split(separator: " ").dropFirst()
            guard !words.contains(where: { $0.hasPrefix("--from") }) else { continue }
            for source in words.dropLast().map(String.init) {
                copied += 1
                #expect(FileManager.default.fileExists(atPath: path(source)), "\(source) is not there")
                #expect(kept.contains { source == $0 || source.hasPrefix($0 + "/") }, "\(source) is ignored")
            }
        }
        #expect(copied >= 8)
    }

    // MARK: Google Cloud

    /// Runs the script with a gcloud that notes how it was called and answers as `answers`, a shell's case clauses, says.
    /// What is in the archive of the tools is among the calls; `earlier` names the files that the output folder holds.
    private func threeNodes(
        _ answers: String = "", _ more: String..., earlier: [String] = []
    ) throws -> (Tool.Outcome, calls: [String], output: [String: String]) {
        try withFolder { folder in
            let fakes = folder.appending(path: "bin")
            let log = folder.appending(path: "calls")
            try Data().write(to: log)
            try executable(
                fakes.appending(path: "gcloud"),
                """
                printf '%s\\n' "$*" >>'\(log.path)'
                case "$*" in
                \(answers)
                */qubic.tar.gz*)
                    for file; do [ "${file##*/}" != qubic.tar.gz ] || tar -tzf "$file" >>'\(log.path)'; done ;;
                *describe*qubic-1*) echo 10.0.0.1 ;;
                *describe*qubic-2*) echo 10.0.0.2 ;;
                *describe*qubic-3*) echo 10.0.0.3 ;;
                *10.0.0.3*--json*) printf '"batch_tokens_per_second" : 900,\\n  "tokens_per_second" : 15.5,\\n' ;;
                *--json*) printf '  "tokens_per_second" : 3.1e1,\\n' ;;
                esac
                """)
            let tools = folder.appending(path: "tools")
            try FileManager.default.createDirectory(at: tools, withIntermediateDirectories: true)
            try FileManager.default.copyItem(
                at: URL(fileURLWithPath: "/bin/true"), to: tools.appending(path: "qinfer"))
            let model = try makeModel(in: folder)
            let output = folder.appending(path: "out")
            if !earlier.isEmpty {
                try FileManager.default.createDirectory(at: output, withIntermediateDirectories: true)
                for name in earlier { try Data("old\n".utf8).write(to: output.appending(path: name)) }
            }
            let outcome = try shell(
                [
                    path("deploy/gcp/three-nodes.sh"), "--project", "p", "--model", model, "--snapshots",
                    try makeSnapshots(in: folder, count: 2), "--tools", tools.path, "--output", output.path,
                ] + more, in: repository, path: fakes.path, environment: ["THREE_NODES_PAUSE": "0"])
            var left: [String: String] = [:]
            for name in (try? FileManager.default.contentsOfDirectory(atPath: output.path)) ?? [] {
                left[name] = try text(output.appending(path: name))
            }
            return (outcome, try lines(log).map(String.init), left)
        }
    }

    @Test func machinesAreMadeUsedAndDeleted() throws {
        let (outcome, calls, _) = try threeNodes()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(calls.first?.contains("instances list") == true)
        let create = try #require(calls.first { $0.contains("instances create") })
        #expect(create.contains("qubic-1 qubic-2 qubic-3") && create.contains("--machine-type n1-standard-4"))
        #expect(
            calls.last
                == "compute instances delete qubic-1 qubic-2 qubic-3 --project p --zone europe-west4-a --quiet")
        // The third node is half as fast, and gets its share.
        let run = try #require(calls.first { $0.contains("mpirun.sh ") })
        #expect(run.contains("qubic/bin/mpirun.sh --hostfile hosts -np 3"))
        #expect(calls.contains("qubic/bin/mpirun.sh"), "the wrapper is packed")
        #expect(run.contains("--node-speed 1.000,1.000,0.500") && !run.contains("--resume"))
        try expectKnown(Self.words(run, after: "qinfer run"), "run")
        let plans = calls.filter { $0.contains("qinfer plan") }
        #expect(plans.count == 4)
        for plan in plans { try expectKnown(Self.words(plan, after: "qinfer plan"), "plan") }
        #expect(calls.contains { $0.contains("scp --recurse") })
    }

    /// The ledger of an earlier run goes up, and what comes back replaces it, its log included.
    @Test func anEarlierRunGoesOn() throws {
        let (outcome, calls, output) = try threeNodes(
            "*'scp --recurse'*) echo new >\"${!#}/run.sqlite\" ;;",
            earlier: ["run.sqlite", "run.sqlite-wal", "run.sqlite-shm", "results.jsonl"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(calls.contains { $0.contains("/run.tar.gz ") }, "\(calls)")
        let unpacked = try #require(calls.firstIndex { $0.contains("tar -C run -xzf run.tar.gz") })
        let run = try #require(calls.firstIndex { $0.contains("mpirun.sh ") })
        #expect(unpacked < run && calls[run].hasSuffix("--resume"))
        try expectKnown(Self.words(calls[run], after: "qinfer run"), "run")
        #expect(output == ["run.sqlite": "new\n", "results.jsonl": "old\n"])
    }

    @Test func dryRunCallsNothing() throws {
        let (outcome, calls, _) = try threeNodes("", "--dry-run", "--zone", "us-central1-a")
        #expect(outcome.status == 0 && calls.isEmpty, "\(outcome.errors)")
        let shown = outcome.errors.split(separator: "\n").filter { $0.hasPrefix("+ ") }
        for word in ["instances create", "ssh-keygen", "rsync", "mpirun", "scp --recurse", "instances delete"] {
            #expect(shown.contains { $0.replacing("\\ ", with: " ").contains(word) }, "no \(word)")
        }
        #expect(shown.allSatisfy { !$0.contains("gcloud") || $0.contains("us-central1-a") || $0.contains("list") })
    }

    /// Whatever goes wrong, what was made is deleted, and nothing else.
    @Test func failuresLeaveNoMachines() throws {
        let failed = try threeNodes("*mpirun*) exit 1 ;;")
        #expect(failed.0.status == 1 && failed.calls.last?.contains("instances delete") == true)
        #expect(failed.calls.contains { $0.contains("scp --recurse") }, "what was answered is fetched")
        let rejected = try threeNodes("*mpirun*) exit 2 ;;")
        #expect(rejected.0.status == 2 && rejected.calls.last?.contains("instances delete") == true)
        let silent = try threeNodes("*qubic-2*' true') exit 255 ;;")
        #expect(silent.0.status == 1 && silent.calls.last?.contains("instances delete") == true)
        #expect(silent.0.errors.contains("qubic-2 cannot be reached"))
        let half = try threeNodes("*'instances create'*) exit 1 ;;")
        #expect(half.0.status == 1 && half.calls.last?.contains("instances delete") == true)
        let taken = try threeNodes("*'instances list'*) echo qubic-3 ;;")
        #expect(taken.0.status == 1 && taken.calls.count == 1, "\(taken.calls)")
        #expect(taken.0.errors.contains("qubic-3"))
        let kept = try threeNodes("", "--keep")
        #expect(kept.0.status == 0 && !kept.calls.contains { $0.contains("delete") })
        #expect(kept.0.errors.contains("gcloud compute instances delete"))
        for wrong in [["--nonsense"], ["--wire", "fp8"], ["--name", "A B"], ["--batch"], ["--model", "/nowhere"]] {
            let outcome = try shell(
                [
                    path("deploy/gcp/three-nodes.sh"), "--project", "p", "--model", "m", "--snapshots", "s", "--output",
                    "o",
                ] + wrong, in: repository)
            #expect(outcome.status == 64, "\(wrong): \(outcome.errors)")
        }
    }

    // MARK: Slurm

    @Test func eachTaskHasItsShard() throws {
        try withFolder { folder in
            let fakes = folder.appending(path: "bin")
            let log = folder.appending(path: "calls")
            for name in ["mpirun", "qinfer", "scontrol"] {
                try executable(
                    fakes.appending(path: name),
                    "printf '%s\\n' \"\(name) $*\" >>'\(log.path)'\n[ \(name) != mpirun ] || exit \"${STATUS:-0}\"")
            }
            let shards = folder.appending(path: "shards")
            try FileManager.default.createDirectory(at: shards, withIntermediateDirectories: true)
            for name in ["a 0.jsonl", "b.jsonl"] { try Data().write(to: shards.appending(path: name)) }
            func task(_ number: Int, _ more: [String: String] = [:]) throws -> (Tool.Outcome, calls: [String]) {
                try Data().write(to: log)
                let outcome = try shell(
                    [path("deploy/slurm/qinfer.sbatch")], in: folder, path: fakes.path,
                    environment: [
                        "MODEL": "models/m", "SHARDS": "shards", "OUTPUT": "runs", "SLURM_ARRAY_TASK_ID": "\(number)",
                        "SLURM_JOB_ID": "77", "SLURM_NTASKS": "3", "SLURM_SUBMIT_DIR": repository.path,
                    ].merging(more) { $1 })
                return (outcome, try lines(log).map(String.init))
            }
            let first = try task(0, ["QINFER_FLAGS": "--language zh"])
            #expect(first.0.status == 0, "\(first.0.errors)")
            #expect(first.calls.count == 2 && first.calls[1] == "qinfer verify runs/shard-000")
            let call = first.calls[0]
            #expect(call.contains("--snapshots shards/a 0.jsonl --output runs/shard-000"))
            #expect(call.contains("-np 3") && call.hasSuffix("--resume --language zh"))
            try expectKnown(Self.words(call, after: "qinfer run"), "run")
            #expect(try task(1).calls[0].contains("shards/b.jsonl --output runs/shard-001"))
            let beyond = try task(2)
            #expect(beyond.0.status == 64 && beyond.calls.isEmpty && beyond.0.errors.contains("--array=0-1"))
            let elsewhere = try task(0, ["SLURM_SUBMIT_DIR": folder.path])
            #expect(elsewhere.0.status == 64 && elsewhere.calls.isEmpty && elsewhere.0.errors.contains("QUBIC_MPIRUN"))
            // A dead node is worth another start, rejected inputs are not, and not for ever.
            #expect(try task(0, ["STATUS": "1"]).calls.last == "scontrol requeue 77")
            #expect(try task(0, ["STATUS": "1", "SLURM_RESTART_COUNT": "3"]).calls.count == 1)
            let rejected = try task(0, ["STATUS": "2"])
            #expect(rejected.0.status == 2 && rejected.calls.last == "qinfer verify runs/shard-000")
            #expect(try task(0, ["STATUS": "64"]).calls.count == 1)
        }
    }

    // MARK: Documentation

    @Test func documentedCallsAreTaken() throws {
        let page = try text(URL(fileURLWithPath: path("docs/deployment.md"))).replacing("\\\n", with: " ")
        var calls = 0
        for line in page.split(separator: "\n") {
            for command in ["run", "plan"] where line.contains("qinfer \(command) ") && line.contains(" --") {
                guard !line.hasPrefix("|") else { continue }
                try expectKnown(Self.words(String(line), after: "qinfer \(command)"), command)
                calls += 1
            }
        }
        #expect(calls >= 2)
    }

    // MARK: Helpers

    private static func words(_ call: String, after: String) -> [String] {
        guard let range = call.range(of: after) else { return [] }
        return call[range.upperBound...].split { " '\"`".contains($0) }.map(String.init)
    }

    private func executable(_ url: URL, _ body: String) throws {
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data("#!/usr/bin/env bash\n\(body)\n".utf8).write(to: url)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: url.path)
    }

    /// Runs a command with `path` before all else on the PATH.
    private func shell(
        _ call: [String], in folder: URL? = nil, path: String? = nil, environment: [String: String] = [:]
    ) throws -> Tool.Outcome {
        let before = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let process = Tool.qinfer.process(
            call, in: folder,
            environment: environment.merging(["PATH": path.map { "\($0):\(before)" } ?? before]) { $1 })
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        return try Tool.outcome(of: process)
    }
}
