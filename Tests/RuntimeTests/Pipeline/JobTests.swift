import Foundation
import Runtime
import Synchronization
import Testing

/// Jobs without MPI: ranks as threads.
@Suite struct JobTests {
    private func jobs(
        _ ranks: Int, stages: Int, timeout: Double = 60, last: @escaping @Sendable (JobError) -> Void = { _ in }
    ) -> ([Job], LoopbackMessenger.Network) {
        let (messengers, network) = LoopbackMessenger.ranks(ranks)
        return (
            messengers.map { Job(messenger: $0, stages: stages, peerTimeout: timeout, lastResort: last) }, network
        )
    }

    /// Runs each rank's part on a thread of its own.
    private func together(_ jobs: [Job], _ body: @escaping @Sendable (Job) throws -> Void) -> [(any Error)?] {
        let errors = Mutex<[(any Error)?]>(Array(repeating: nil, count: jobs.count))
        let group = DispatchGroup()
        for (rank, job) in jobs.enumerated() {
            group.enter()
            Thread {
                do { try body(job) } catch { errors.withLock { $0[rank] = error } }
                group.leave()
            }.start()
        }
        group.wait()
        return errors.withLock { $0 }
    }

    @Test func places() {
        let place = JobPlace(rank: 5, ranks: 6, stages: 3)
        #expect(place.stage == 2 && place.replica == 1 && place.head == 3 && place.replicas == 2 && !place.isHead)
        #expect(place.name(of: 4) == "rank 4 (stage 2 of pipeline 2)")
        #expect(JobPlace(rank: 0, ranks: 3, stages: 3).name(of: 2) == "rank 2 (stage 3 of 3)")
    }

    /// A rank of another version, or with another flag, is named with the field, on every rank.
    @Test(arguments: ["version", "--kv-cache"])
    func differences(field: String) {
        let (jobs, _) = jobs(3, stages: 3)
        let errors = together(jobs) { job in
            do {
                try job.agree(
                    [("version", "1"), ("--kv-cache", "fp32")].map { name, value in
                        (name, name == field && job.place.rank == 1 ? "other" : value)
                    })
            } catch {
                throw job.declare(error)
            }
        }
        for error in errors {
            let text = "\(error.map { "\($0)" } ?? "none")"
            #expect(text.contains("rank 1 (stage 2 of 3)") && text.contains(field) && text.contains("other"), "\(text)")
        }
    }

    /// A rank that falls silent ends the job within the timeout, by name; it itself sees the others gone.
    @Test func silence() {
        let (jobs, network) = jobs(3, stages: 3, timeout: 1)
        let begin = ProcessInfo.processInfo.systemUptime
        let errors = together(jobs) { job in
            try job.agree([("version", "1")])
            if job.place.rank == 0 { network.cut.withLock { $0 = [2] } }
            try job.waitForStop()
        }
        #expect(ProcessInfo.processInfo.systemUptime - begin < 3)
        for rank in 0...1 {
            let error = errors[rank] as? JobError
            #expect(error?.rank == 2 && error?.lostAtWork == true, "\(errors)")
            #expect("\(error.map { "\($0)" } ?? "")".contains("rank 2 (stage 3 of 3): no sign of life"))
        }
        #expect((errors[2] as? JobError)?.rank.map { $0 < 2 } == true)
    }

    /// Where nobody shows the failure in time, the last resort ends the process.
    @Test func lastResort() {
        let told = DispatchSemaphore(value: 0)
        let (jobs, _) = jobs(2, stages: 2, timeout: 1) { if $0.rank == 1 { told.signal() } }
        jobs[0].fail(.died(1, jobs[0].place))
        #expect(told.wait(timeout: .now() + 5) == .success)
    }

    /// One rank's own error reaches all.
    @Test func ownErrors() {
        let (jobs, _) = jobs(3, stages: 3)
        let errors = together(jobs) { job in
            do {
                if job.place.rank == 1 { throw EngineError.outOfMemory(purpose: "KV cache", bytes: 7) }
                try job.agree([("version", "1")])
            } catch {
                throw job.declare(error)
            }
        }
        #expect("\(errors[1]!)".hasPrefix("KV cache: the memory cannot be had"))
        for rank in [0, 2] {
            #expect("\(errors[rank]!)".contains("rank 1 (stage 2 of 3): ended with an error: KV cache"), "\(errors)")
        }
    }

    /// A pipeline over ranks answers as one over threads does.
    @Test func pipelines() throws {
        let checkpoint = try Checkpoint(directory: Golden.directory("llama"))
        var options = EngineOptions()
        options.stages = 2
        options.cacheBytes = 16 << 20
        options.rowsPerBatch = 24
        let requests = (0..<6).map { index in
            var request = Request(
                id: "r\(index)",
                program: [
                    .tokens((0..<Int32(20 + index)).map { $0 * 3 + 1 }),
                    .generate(name: "text", maxTokens: 9, stop: []),
                ],
                sampling: Sampling(
                    temperature: index % 2 == 0 ? 0 : 0.9, repetitionPenalty: index % 3 == 0 ? 1.2 : 1,
                    seed: UInt64.max - UInt64(index)))
            request.logProbabilities = index
            return request
        }
        let engine = try Engine(checkpoint, tokenizer: nil, options: options)
        let expected = try requests.map { try engine.answer($0) }
        engine.stop()
        let tokens = expected.reduce(0) { $0 + $1.promptTokens + $1.outputTokens }

        let (jobs, _) = jobs(4, stages: 2)
        let answers = Mutex<[String: [Completion]]>([:])
        let errors = together(jobs) { [options] job in
            let work = JobWork(checkpoint, options: options, format: .fp32)
            guard job.place.rank == 0 else {
                try job.assist(work, tokenizer: nil)
                try job.leave()
                return
            }
            let (engine, others) = try job.lead(work, tokenizer: nil)
            let done = DispatchGroup()
            let pipelines: [any Answering] = [engine] + others
            for pipeline in pipelines {
                for request in requests {
                    done.enter()
                    try pipeline.submit(request) { result in
                        if case .success(let completion) = result {
                            answers.withLock { $0[completion.id, default: []].append(completion) }
                        }
                        done.leave()
                    }
                }
            }
            done.wait()
            job.refreshReports()
            #expect(engine.usage.map(\.stage) == [0, 1] && engine.usage.allSatisfy { $0.batches > 0 })
            #expect(job.tokens(of: 2) == tokens && job.tokens(of: 3) == tokens)
            for rank in 1...3 { #expect(job.secondsSinceReport(of: rank).map { $0 < 60 } == true) }
            try job.leave()
            engine.stop()
        }
        #expect(errors.allSatisfy { $0 == nil }, "\(errors)")
        for whole in expected {
            let both = answers.withLock { $0[whole.id] ?? [] }
            #expect(both.count == 2)
            for answer in both { #expect(answer.texts == whole.texts && answer.tokens == whole.tokens) }
        }
    }

    /// Rank 0 has another pipeline's first rank sign; one that does not in time is named.
    @Test(arguments: [0.0, 5.0])
    func signatures(delay: Double) {
        let (jobs, _) = jobs(2, stages: 1, timeout: delay > 0 ? 3 : 60)
        let errors = together(jobs) { job in
            do {
                job.onStatement { statement in
                    Thread.sleep(forTimeInterval: delay)
                    return NodeSignature(publicKey: "key", signature: String(decoding: statement, as: UTF8.self))
                }
                try job.agree([("version", "1")])
                if job.place.rank == 0 {
                    let signed = try job.remotePipelines()[0].signature(of: Array("text".utf8))
                    #expect(signed == NodeSignature(publicKey: "key", signature: "text"))
                } else {
                    try job.waitForStop()
                }
                try job.leave()
            } catch {
                throw job.declare(error)
            }
        }
        let late = "rank 1 (stage 1 of pipeline 2): it did not come to signing"
        for error in errors {
            #expect((error.map { "\($0)".contains(late) } ?? false) == (delay > 0), "\(errors)")
        }
    }

    /// A message that is cut short is refused by name, and nothing traps.
    @Test(arguments: [MessageKind.batch, .readings])
    func damaged(kind: MessageKind) throws {
        let checkpoint = try Checkpoint(directory: Golden.directory("llama"))
        var options = EngineOptions()
        options.stages = 2
        options.cacheBytes = 16 << 20
        let (jobs, network) = jobs(2, stages: 2)
        let errors = together(jobs) { [options] job in
            let work = JobWork(checkpoint, options: options, format: .fp32)
            guard job.place.rank == 0 else { return try job.assist(work, tokenizer: nil) }
            let (engine, _) = try job.lead(work, tokenizer: nil)
            defer { engine.stop() }
            network.damages.withLock { $0 = kind }
            _ = try engine.answer(
                Request(id: "a", program: [.tokens([1, 2, 3]), .generate(name: "t", maxTokens: 3, stop: [])]))
        }
        let sender = kind == .batch ? "rank 0 (stage 1 of 2)" : "rank 1 (stage 2 of 2)"
        for error in errors {
            #expect(
                "\(error.map { "\($0)" } ?? "none")".contains("\(sender): it sent a malformed \(kind)"), "\(errors)")
        }
    }

    /// Requests and completions keep every number on their way between pipelines.
    @Test func exactNumbers() throws {
        let schema = try JSONSchema(
            parsing: Data(#"{"type":"object","properties":{"n":{"type":"number","maximum":0.1}}}"#.utf8), place: "test")
        var request = Request(
            id: "é", program: [.text("x"), .json(name: "j", schema: schema, maxTokens: 9)],
            sampling: Sampling(temperature: 0.1, minP: 0.3, seed: .max))
        (request.priority, request.deadline) = (.medium, 0.1)
        let got: Request = try Parcel(encoding: request).decode()
        #expect(got.program == request.program && got.sampling == request.sampling && got.id == "é")
        #expect(got.priority == .medium && got.deadline == 0.1)
        let weights = [0.1, 1 / 3, -5e-324, -.infinity].map { TokenProbability(token: 1, logProbability: $0) }
        let back: [TokenProbability] = try Parcel(encoding: weights).decode()
        #expect(back == weights)
    }
}
