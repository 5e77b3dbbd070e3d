import Reporting

extension EngineFigures {
    /// The machine's roofs and what was measured under them.
    public var roofline: Roofline {
        Roofline(
            peak: speed.productsPerSecond, bandwidth: speed.readBytesPerSecond,
            points: rows.map {
                .init(
                    name: $0.name, intensity: $0.productsPerSecond / $0.bytesPerSecond,
                    productsPerSecond: $0.productsPerSecond)
            })
    }

    /// The figures as one page that fetches nothing.
    public func html() -> String {
        let name = Escape.html(model)
        let facts = [
            ("Weights", Format.bytes(Double(weightBytes))), ("Loaded in", Format.duration(loadSeconds * 1000)),
            ("Peak memory", peakMemoryBytes.map { Format.bytes(Double($0)) } ?? "–"),
            ("Kernels", Escape.html(machine.kernelSet ?? "–")),
        ]
        return """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
            <title>\(name) · engine</title>
            <link rel="icon" href="data:,">
            <style>
            \(HTMLStyle.css)
            table.rows { width: 100%; border-collapse: collapse; }
            table.rows th, table.rows td { padding: 9px 22px; text-align: right; white-space: nowrap; }
            table.rows th { color: var(--muted); font-size: 13px; font-weight: 500; }
            table.rows tr + tr td { border-top: 1px solid var(--line); }
            table.rows th:first-child, table.rows td:first-child { text-align: left; }
            .scroll { overflow-x: auto; } svg.roofline { display: block; width: 100%; height: auto; min-width: 640px; }
            </style>
            </head>
            <body>
            <main>
            <header class="title"><div><h1>\(name)</h1>
            <p class="lede">The engine on random tokens: \(stages) × \(threadsPerStage) threads, medians of
            \(rows.first?.seconds.count ?? 0) repetitions on \(Escape.html(machine.cpu ?? machine.architecture)).</p></div></header>
            <dl class="figures">\(facts.map { "<div><dt>\($0.0)</dt><dd>\($0.1)</dd></div>" }.joined())</dl>
            <section><h2>Under the machine's roofs</h2>
            <p class="about">Both roofs were measured in this run. Each point shows the share of what the roof above it
            allows; a little more than 100 % is possible where the caches hold part of the weights.</p>
            <div class="card scroll">\(roofline.svg())</div></section>
            <section><h2>Figures</h2><div class="card flush scroll"><table class="rows">
            <tr><th></th><th>tokens/s</th><th>±</th><th>GMAC/s</th><th>of peak</th><th>GB/s</th><th>of reading</th></tr>
            \(rows.map(Self.tableRow).joined(separator: "\n"))
            </table></div></section>
            </main>
            </body>
            </html>

            """
    }

    private static func tableRow(_ row: Row) -> String {
        let cells = [
            Escape.html(row.name), Format.significant(row.tokensPerSecond), Format.percent(row.spread),
            Format.significant(row.productsPerSecond / 1e9), Format.percent(row.shareOfPeak),
            Format.significant(row.bytesPerSecond / 1e9), Format.percent(row.shareOfBandwidth),
        ]
        return "<tr>\(cells.map { "<td>\($0)</td>" }.joined())</tr>"
    }
}
