import Foundation

/// cos and sin of rotary position embeddings (RoFormer, Su et al. 2021), a row of headDim/2 each a position.
///
/// Frequencies and angles are rounded to fp32 where transformers rounds them, so that far positions agree with it.
final class RotaryTable {
    private let frequencies: [Float]
    private var cosines: AlignedBuffer<Float>
    private var sines: AlignedBuffer<Float>
    private var positions = 0
    private let half: Int

    init(_ rope: RopeConfiguration, headDim: Int) {
        half = headDim / 2
        frequencies = RotaryTable.frequencies(rope, headDim: headDim)
        cosines = AlignedBuffer(count: 0)
        sines = AlignedBuffer(count: 0)
    }

    func cosine(at position: Int) -> UnsafeMutablePointer<Float> { cosines.pointer + position * half }
    func sine(at position: Int) -> UnsafeMutablePointer<Float> { sines.pointer + position * half }

    /// Makes room for positions below `count`; grows by doubling.
    func reserve(_ count: Int) {
        guard count > positions else { return }
        let size = max(count, positions * 2, 256)
        cosines = AlignedBuffer(count: size * half)
        sines = AlignedBuffer(count: size * half)
        for position in 0..<size {
            for index in 0..<half {
                let angle = Double(Float(position) * frequencies[index])
                cosines.pointer[position * half + index] = Float(cos(angle))
                sines.pointer[position * half + index] = Float(sin(angle))
            }
        }
        positions = size
    }

    /// Angle per position of each pair of dimensions, [headDim/2], after the configuration's scaling.
    static func frequencies(_ rope: RopeConfiguration, headDim: Int) -> [Float] {
        let plain = (0..<headDim / 2).map { Float(1) / Float(pow(rope.theta, Double(2 * $0) / Double(headDim))) }
        switch rope.scaling {
        case .none:
            return plain
        case .linear(let factor):
            return plain.map { $0 / Float(factor) }
        case .llama3(let factor, let low, let high, let originalContext):
            // Long wavelengths are stretched by the factor, short ones kept, those between blended (Llama 3.1).
            return plain.map { frequency in
                let wavelength = 2 * Double.pi / Double(frequency)
                if wavelength < Double(originalContext) / high { return frequency }
                if wavelength > Double(originalContext) / low { return frequency / Float(factor) }
                let smooth = (Double(originalContext) / wavelength - low) / (high - low)
                return Float((1 - smooth) * Double(frequency) / factor + smooth * Double(frequency))
            }
        }
    }
}
