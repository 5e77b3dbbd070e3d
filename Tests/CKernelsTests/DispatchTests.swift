import CKernels
import Testing

@Suite struct DispatchTests {
    @Test func genericIsLastAndSupported() {
        #expect(KernelSet.all.last?.name == "generic")
        #expect(KernelSet.all.last?.supported == true)
    }

    @Test func selectionTakesTheFirstSupportedSet() {
        #expect(String(cString: qk_select(nil).pointee.name) == KernelSet.supported.first?.name)
    }

    @Test func unknownAndUnsupportedNamesAreRefused() {
        #expect(qk_select("") == nil)
        #expect(qk_select("avx") == nil)
        #expect(qk_select("AVX2") == nil)
        for set in KernelSet.all where !set.supported { #expect(qk_select(set.name) == nil) }
    }
}
