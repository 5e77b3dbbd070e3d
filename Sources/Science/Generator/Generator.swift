import Foundation

/// Makes days of polling from the epochs' real numbers. Truth comes from what is injected here, never from a threshold.
///
/// Every second epoch gets a segment: its lead is the end of the epoch before, so no two segments share an epoch, and a
/// split by segment leaks nothing.
public struct Generator: Sendable {
    public let anchors: [EpochAnchor]
    public let settings: SyntheticSettings
    /// Epoch → split, in the order of epochs.
    public let plan: [(epoch: Int, split: Segment.Split)]

    public init(anchors: [EpochAnchor], settings: SyntheticSettings) {
        self.anchors = anchors
        self.settings = settings
        // Strata of ten neighbours keep the eras' paces in every split: 5 train, 2 calibration, 3 test.
        let epochs = anchors.indices.dropFirst().filter { anchors[$0].secondsPerTick != nil && $0 % 2 == 0 }
            .map { anchors[$0].epoch }
        var random = SeededRandom(seed: settings.seed, stream: 1)
        var plan: [(epoch: Int, split: Segment.Split)] = []
        for start in stride(from: 0, to: epochs.count, by: 10) {
            var splits: [Segment.Split] = [
                .train, .calibration, .test, .train, .test, .train, .calibration, .test, .train, .train,
            ]
            random.shuffle(&splits)
            for (epoch, split) in zip(epochs[start..<min(start + 10, epochs.count)], splits) {
                plan.append((epoch, split))
            }
        }
        self.plan = plan
    }

    /// The segment of an epoch of the plan.
    public func segment(epoch: Int, split: Segment.Split) -> Segment {
        let index = anchors.firstIndex { $0.epoch == epoch }!
        var simulation = Simulation(
            anchor: anchors[index], before: anchors[index - 1], settings: settings,
            money: Money(epoch: epoch, anchors: anchors))
        return simulation.run(split: split)
    }

    public func segments(_ split: Segment.Split) -> [Segment] {
        plan.filter { $0.split == split }.map { segment(epoch: $0.epoch, split: split) }
    }
}

/// Price, burn and addresses at the start of an epoch: real where the table has them, on a line between the recorded
/// bodies (epochs 119, 174, 232) elsewhere.
struct Money: Sendable {
    var price: Double
    var burned: Int
    var addresses: Int

    init(epoch: Int, anchors: [EpochAnchor]) {
        func line(_ points: [(Double, Double)]) -> Double {
            let x = Double(epoch)
            let index = x < points[1].0 ? 0 : points.count - 2
            let (a, b) = (points[index], points[index + 1])
            return a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0)
        }
        let known = anchors.first { $0.epoch == epoch }?.priceOpen
        price = known ?? (epoch < 173 ? line([(119, 1.898e-6), (173, 2.19e-6)]) : 4.4e-7)
        burned = Int(line([(119, 12_070_914_812_670), (174, 19_093_189_741_423), (232, 54_433_860_634_895)]))
        addresses = Int(line([(119, 476_802), (174, 592_605), (232, 671_275)]))
    }
}
