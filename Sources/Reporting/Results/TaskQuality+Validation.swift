extension BenchmarkResults {
    /// Every figure finite and possible, every confusion square and of the count that it claims.
    func validateTasks(place: String) throws {
        guard let tasks else { return }
        func fail(_ key: String, _ expected: String, _ got: String) -> ReportingError {
            .invalidValue(place: "\(place): tasks.\(key)", problem: "is impossible", expected: expected, got: got)
        }
        func check(_ figure: TaskQuality.Figure?, _ key: String, upTo most: Double = 1) throws {
            guard let figure else { return }
            for value in [figure.value, figure.interval?.low, figure.interval?.high].compactMap({ $0 })
            where !(value >= 0 && value <= most) {
                throw fail(key, "0…\(most)", "\(value)")
            }
        }
        for (m, model) in tasks.models.enumerated() {
            try check(model.accuracy, "models[\(m)].accuracy")
            for (c, choice) in model.choices.enumerated() {
                let key = "models[\(m)].choices[\(c)]"
                let size = choice.labels.count
                let sum = choice.confusion.joined().reduce(0) { $0.addingReportingOverflow($1).partialValue }
                guard choice.confusion.count == size, choice.confusion.allSatisfy({ $0.count == size }),
                    choice.confusion.joined().allSatisfy({ $0 >= 0 }), sum == choice.count
                else { throw fail("\(key).confusion", "\(size) × \(size) counts, \(choice.count) in all", "\(sum)") }
                try check(choice.accuracy, "\(key).accuracy")
                try check(choice.macroF1, "\(key).macroF1")
                try check(choice.ece, "\(key).ece")
                try check(choice.brier, "\(key).brier", upTo: 2)
                for figure in choice.languages.values { try check(figure, "\(key).languages") }
                for bin in choice.bins where !((0...1).contains(bin.confidence) && (0...1).contains(bin.accuracy)) {
                    throw fail("\(key).bins", "shares", "\(bin.confidence), \(bin.accuracy)")
                }
            }
            for (g, grounding) in model.grounding.enumerated() {
                try check(grounding.rate, "models[\(m)].grounding[\(g)].rate")
                try check(grounding.freeRate, "models[\(m)].grounding[\(g)].freeRate")
                try check(grounding.asked, "models[\(m)].grounding[\(g)].asked")
            }
        }
        for (b, baseline) in tasks.baselines.enumerated() {
            try check(baseline.majority, "baselines[\(b)].majority")
            try check(baseline.detector, "baselines[\(b)].detector")
        }
        for (f, forecast) in tasks.forecasts.enumerated() {
            try check(forecast.mase, "forecasts[\(f)].mase", upTo: 1e15)
            try check(forecast.coverage, "forecasts[\(f)].coverage")
        }
    }
}
