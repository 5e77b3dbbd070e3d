import Reporting
import Testing

@Suite struct RooflineTests {
    let roofline = Roofline(
        peak: 400e9, bandwidth: 40e9,
        points: [
            .init(name: "decode <1>", intensity: 1, productsPerSecond: 36e9),
            .init(name: "prefill", intensity: 100, productsPerSecond: 200e9),
            .init(name: "nothing", intensity: 0, productsPerSecond: 0),
        ])

    @Test func theLowerRoofCounts() {
        #expect(roofline.roof(at: 1) == 40e9)
        #expect(roofline.roof(at: 10) == 400e9)
        #expect(roofline.roof(at: 1000) == 400e9)
    }

    @Test func pointsShowTheirShare() {
        let svg = roofline.svg()
        #expect(svg.contains("decode &lt;1&gt; · 90.0 %"))
        #expect(svg.contains("prefill · 50.0 %"))
        #expect(!svg.contains("nothing"))
        #expect(svg.components(separatedBy: "<circle").count == 3)
    }

    @Test func aMachineWithoutFiguresHasNoPicture() {
        #expect(Roofline(peak: 0, bandwidth: 40e9, points: roofline.points).svg().isEmpty)
        #expect(Roofline(peak: 400e9, bandwidth: 0, points: roofline.points).svg().isEmpty)
    }
}
