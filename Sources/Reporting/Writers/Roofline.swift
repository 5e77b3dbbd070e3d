import Foundation

/// A roofline (Williams, Waterman, Patterson 2009): what was computed a second over the products per byte read, under
/// the two roofs of the machine, its arithmetic and its memory. A point near a roof leaves nothing to gain but by
/// another algorithm; the roof says which.
public struct Roofline: Sendable {
    public struct Point: Sendable {
        public var name: String
        /// Products (multiply-adds) for each byte read.
        public var intensity: Double
        public var productsPerSecond: Double

        public init(name: String, intensity: Double, productsPerSecond: Double) {
            self.name = name
            self.intensity = intensity
            self.productsPerSecond = productsPerSecond
        }
    }

    /// Of the arithmetic, in products a second.
    public var peak: Double
    /// Of the memory, in bytes a second.
    public var bandwidth: Double
    public var points: [Point]

    public init(peak: Double, bandwidth: Double, points: [Point]) {
        self.peak = peak
        self.bandwidth = bandwidth
        self.points = points
    }

    /// The most that the machine allows at an intensity, in products a second.
    public func roof(at intensity: Double) -> Double { min(peak, bandwidth * intensity) }

    /// The picture, as SVG that takes its colours from the report's style sheet. Points without a place on logarithmic
    /// axes (zero, infinite) are left out.
    public func svg() -> String {
        let shown = points.filter {
            $0.intensity > 0 && $0.productsPerSecond > 0 && ($0.intensity * $0.productsPerSecond).isFinite
        }
        guard peak > 0, bandwidth > 0, (peak / bandwidth).isFinite else { return "" }
        let ridge = peak / bandwidth
        let x = LogAxis(
            values: shown.map(\.intensity) + [ridge / 2, ridge * 4], from: Self.left, to: Self.width - Self.right)
        let y = LogAxis(
            values: shown.map(\.productsPerSecond) + [peak * 1.3, peak / 30], from: Self.height - Self.bottom,
            to: Self.top)
        var parts = ticks(x, y)
        let line = [x.low, ridge, x.high].map { "\(Self.text(x($0))),\(Self.text(y(max(roof(at: $0), y.low))))" }
        // Where the memory's roof leaves the picture at the bottom, it starts on the edge.
        let start = max(x.low, y.low / bandwidth)
        let edge = "\(Self.text(x(start))),\(Self.text(y(roof(at: start))))"
        parts.append(#"<polyline class="roof" points="\#(edge) \#(line.dropFirst().joined(separator: " "))"/>"#)
        parts.append(
            label(
                "\(Format.significant(peak / 1e9)) GMAC/s of arithmetic", at: (Self.width - Self.right, y(peak) - 8),
                anchor: "end"))
        // In the middle of the slope, on its free side.
        let middle = (start * ridge).squareRoot()
        parts.append(
            label(
                "\(Format.significant(bandwidth / 1e9)) GB/s of memory", at: (x(middle) - 12, y(roof(at: middle)) - 8),
                anchor: "end"))
        var taken: [Box] = []
        for point in shown {
            let place = (x(point.intensity), y(point.productsPerSecond))
            let share = Format.percent(point.productsPerSecond / roof(at: point.intensity))
            parts.append(
                #"<g class="point"><title>\#(Escape.html(point.name)): \#(Format.significant(point.productsPerSecond / 1e9)) GMAC/s, "#
                    + #"\#(Format.significant(point.intensity)) products a byte</title>"#
                    + #"<circle cx="\#(Self.text(place.0))" cy="\#(Self.text(place.1))" r="5"/></g>"#)
            // Below the point, or further below where another name is already.
            var box = Box(
                middle: min(place.0, Self.width - 90), baseline: place.1 + 22,
                width: 7.5 * Double(point.name.count + share.count + 3))
            while taken.contains(where: box.overlaps) { box.baseline += 16 }
            taken.append(box)
            parts.append(label("\(point.name) · \(share)", at: (box.middle, box.baseline), anchor: "middle"))
        }
        return """
            <svg class="roofline" viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" role="img" aria-label="Roofline">
            <style>
            .roofline text { fill: var(--muted); font-size: 13px; } .roofline .grid { stroke: var(--line); }
            .roofline .roof { fill: none; stroke: var(--accent); stroke-width: 2.5; stroke-linejoin: round; }
            .roofline .point circle { fill: var(--second); }
            </style>
            \(parts.joined(separator: "\n"))
            </svg>
            """
    }

    private static let (width, height) = (960.0, 480.0)
    private static let (left, right, top, bottom) = (64.0, 40.0, 24.0, 56.0)

    private func ticks(_ x: LogAxis, _ y: LogAxis) -> [String] {
        let floor = Self.height - Self.bottom
        var parts: [String] = []
        for value in x.ticks {
            let at = Self.text(x(value))
            parts.append(
                #"<line class="grid" x1="\#(at)" x2="\#(at)" y1="\#(Self.text(Self.top))" y2="\#(Self.text(floor))"/>"#)
            parts.append(label(Self.number(value), at: (x(value), floor + 20), anchor: "middle"))
        }
        for value in y.ticks {
            let at = Self.text(y(value))
            parts.append(
                #"<line class="grid" y1="\#(at)" y2="\#(at)" x1="\#(Self.text(Self.left))" x2="\#(Self.text(Self.width - Self.right))"/>"#
            )
            parts.append(label(Self.number(value / 1e9), at: (Self.left - 8, y(value) + 4), anchor: "end"))
        }
        parts.append(
            label(
                "products (multiply-adds) for each byte of weights read",
                at: ((Self.left + Self.width - Self.right) / 2, Self.height - 14), anchor: "middle"))
        parts.append(label("GMAC/s", at: (Self.left - 8, Self.top - 8), anchor: "end"))
        return parts
    }

    private func label(_ text: String, at place: (Double, Double), anchor: String = "start") -> String {
        #"<text x="\#(Self.text(place.0))" y="\#(Self.text(place.1))" text-anchor="\#(anchor)">\#(Escape.html(text))</text>"#
    }

    private static func text(_ value: Double) -> String { Format.fixed(value, 1) }

    private static func number(_ value: Double) -> String {
        value >= 1 ? Format.grouped(value) : String(format: "%g", value)
    }
}

/// Where a name stands.
private struct Box {
    var middle, baseline, width: Double

    func overlaps(_ other: Box) -> Bool {
        abs(middle - other.middle) < (width + other.width) / 2 && abs(baseline - other.baseline) < 16
    }
}

/// A logarithmic axis over some values, with room at both ends.
private struct LogAxis {
    let low, high: Double
    private let from, to: Double

    init(values: [Double], from: Double, to: Double) {
        low = (values.min() ?? 1) / 2
        high = (values.max() ?? 10) * 1.5
        self.from = from
        self.to = to
    }

    func callAsFunction(_ value: Double) -> Double { from + (to - from) * log(value / low) / log(high / low) }

    /// 1, 2 and 5 of each decade within the axis.
    var ticks: [Double] {
        (Int(log10(low).rounded(.down))...Int(log10(high).rounded(.up))).flatMap { decade in
            [1.0, 2, 5].map { $0 * pow(10, Double(decade)) }
        }.filter { $0 >= low && $0 <= high }
    }
}
