import QDashboard
import Testing

@Suite struct ScrubberTests {
    @Test(arguments: [
        "Authorization: Bearer abcdef123456", "bearer abcdef123456", "Basic dXNlcjpwYXNz", "api_key=abcdef123456",
        "\"apiKey\": \"abcdef123456\"", "x-api-key: abcdef123456", "token=abcdef123456&x=1", "Cookie: sid=abcdef123456",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdef123456", "sk-abcdef123456abcdef123456", "password=abcdef123456",
        "sessionid=abcdef123456",
    ]) func secrets(text: String) {
        let result = Scrubber.scrub("before \(text) after")
        #expect(result.secrets >= 1, "\(result)")
        #expect(!result.text.contains("abcdef123456"), "\(result)")
        #expect(!result.text.contains("dXNlcjpwYXNz"), "\(result)")
        #expect(result.text.hasPrefix("before ") && result.text.hasSuffix(" after"), "\(result)")
    }

    @Test func identities() {
        let identity = String(repeating: "QX", count: 30)
        #expect(Scrubber.scrub("to \(identity)!").text == "to [identity]!")
        #expect(Scrubber.scrub(identity + " " + identity).identities == 2)
        #expect(Scrubber.scrub(String(identity.prefix(29))).identities == 0)
        // One that a length limit cut.
        #expect(Scrubber.scrub(String(identity.prefix(45)) + "…").text == "[identity]…")
    }

    @Test(arguments: [
        "https://rpc.qubic.org/v1/tick-info", "健康", "processor is behind node by 7684 ticks", "QUBIC", "",
        "a basic problem with the key", "network_stats",
    ]) func harmlessTextStays(text: String) {
        let result = Scrubber.scrub(text)
        #expect(result.text == text && result.identities + result.secrets == 0, "\(result)")
    }
}
