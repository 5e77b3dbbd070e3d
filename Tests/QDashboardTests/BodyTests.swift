import Foundation
import QDashboard
import Runtime
import Testing

@Suite struct BodyTests {
    @Test func latestStatsWithNumbersInEitherSpelling() throws {
        let strings = try snapshot(
            #"{"data":{"timestamp":"1722259858","circulatingSupply":"106929085187330","activeAddresses":476802,"price":0.000001898,"marketCap":"202951409","epoch":119,"currentTick":15102892,"ticksInCurrentEpoch":72892,"emptyTicksInCurrentEpoch":1019,"epochTickQuality":98.602036,"burnedQus":"12070914812670"}}"#
        )
        let numbers = try snapshot(
            #"{"data":{"timestamp":1722259858,"circulatingSupply":106929085187330,"activeAddresses":"476802","price":"1.898e-6","marketCap":202951409,"epoch":"119","currentTick":"15102892","ticksInCurrentEpoch":72892.0,"emptyTicksInCurrentEpoch":"1019","epochTickQuality":"98.602036","burnedQus":12070914812670}}"#
        )
        #expect(strings == numbers)
        #expect(strings.kind == .latestStats)
        #expect(strings.tick == 15_102_892)
        #expect(strings.priceUSD == 0.000001898)
        #expect(strings.circulatingSupplyQus == 106_929_085_187_330)
        #expect(strings.reportedAt == Date(timeIntervalSince1970: 1_722_259_858))
        #expect(strings.initialTick == nil)
        #expect(strings.last10000TickQualityPercent == nil)
    }

    @Test func bareBodies() throws {
        #expect(
            try snapshot(#"{"tickInfo":{"tick":13692242,"duration":7,"epoch":107,"initialTick":13680000}}"#).kind
                == .tickInfo)
        #expect(try snapshot(#"{"latestTick":13692242}"#).tick == 13_692_242)
        let tick = try snapshot(
            #"{"tick":31469232,"epoch":174,"duration":2,"initialTick":31231000,"timestamp":1755673174,"health":{"overall":"健康","tick_status":"正常","epoch_status":"正常","duration_status":"正常"}}"#
        )
        #expect(tick.kind == .dashboardTick)
        #expect(tick.health == Snapshot.Health(overall: "健康", tick: "正常", epoch: "正常", duration: "正常"))
        #expect(tick.secondsSinceLastTick == 2)
        let stats = try snapshot(
            #"{"activeAddresses":592605,"marketCap":433274345,"price":0.000002804,"timestamp":1755673174000}"#)
        #expect(stats.kind == .dashboardStats)
        #expect(stats.reportedAt == Date(timeIntervalSince1970: 1_755_673_174))
    }

    @Test func errorBodiesAreFailuresAndNoMeasurements() throws {
        let rpc = try snapshot(#"{"code":13,"message":"processor is behind node by 7684 ticks","details":[]}"#)
        #expect(rpc.kind == .failure)
        #expect(
            rpc.failure == SourceFailure(kind: .rpcError, code: 13, message: "processor is behind node by 7684 ticks"))
        let polled = try snapshot(
            #"{"observed_at":"2026-09-18T21:53:48","endpoint":"/v1/tick-info","raw_payload":{"code":13,"message":"m","details":[]}}"#
        )
        #expect(polled.kind == .tickInfo)
        #expect(polled.failure?.code == 13)
        for body in [
            #"{"tick":0,"epoch":0,"duration":0,"initialTick":0,"error":"timeout","health":{"overall":"離線"}}"#,
            #"{"tick":0,"epoch":0,"duration":0,"status":"offline","health":{"overall":"離線"}}"#,
            #"{"tick":0,"epoch":0,"data_source":"error","health":{"overall":"離線"}}"#,
        ] {
            let failed = try snapshot(body)
            #expect(failed.failure?.kind == .dashboardError, "\(body)")
            #expect(failed.tick == nil && failed.epoch == nil && failed.secondsSinceLastTick == nil, "\(body)")
            #expect(failed.health?.overall == "離線", "\(body)")
        }
        let bare = try snapshot(#"{"error":"upstream timed out"}"#)
        #expect(bare.failure == SourceFailure(kind: .dashboardError, message: "upstream timed out"))
        let zeros = try snapshot(#"{"tickInfo":{"tick":0,"duration":0,"epoch":0,"initialTick":0}}"#)
        #expect(zeros.failure?.kind == .noComputorList)
        #expect(zeros.tick == nil)
        let silent = try snapshot(
            #"{"observed_at":"2026-09-18T21:53:48","endpoint":"/v1/tick-info","raw_payload":null,"error":"timed out"}"#)
        #expect(silent.failure == SourceFailure(kind: .noAnswer, message: "timed out"))
    }

    /// A fork's fraction is known by the counts beside it, and only by them.
    @Test func qualityAsFraction() throws {
        func quality(_ body: String) throws -> Double? { try snapshot(body).epochTickQualityPercent }
        let known = try quality(
            #"{"data":{"ticksInCurrentEpoch":84874,"emptyTicksInCurrentEpoch":6722,"epochTickQuality":0.92080025,"price":0,"marketCap":"0"}}"#
        )
        #expect(abs(try #require(known) - 92.080025) < 1e-9)
        #expect(try quality(#"{"data":{"epochTickQuality":0.92080025,"price":0,"marketCap":"0"}}"#) == 0.92080025)
        #expect(
            try quality(#"{"data":{"ticksInCurrentEpoch":1000,"emptyTicksInCurrentEpoch":995,"epochTickQuality":0.5}}"#)
                == 0.5)
        #expect(
            try quality(#"{"data":{"ticksInCurrentEpoch":0,"emptyTicksInCurrentEpoch":0,"epochTickQuality":0.5}}"#)
                == 0.5)
    }

    @Test func envelopes() throws {
        let text = try snapshot(
            #"{"observed_at":1789768428.25,"endpoint":"https://user:secret@rpc.qubic.org/v1/status?api_key=k#f","body":"{\"lastProcessedTick\":{\"tickNumber\":5,\"epoch\":3}}"}"#
        )
        #expect(text.tick == 5)
        #expect(text.endpoint == "https://rpc.qubic.org/v1/status")
        #expect(text.observedAt == Date(timeIntervalSince1970: 1_789_768_428.25))
        // An address that is not known: the keys decide.
        #expect(try snapshot(#"{"endpoint":"/proxy/7","payload":{"tickInfo":{"tick":5}}}"#).kind == .tickInfo)
        #expect(
            try rejection(#"{"endpoint":"/v1/rich-list","payload":{"richList":{}}}"#)
                == "endpoint: rich-list carries no snapshot of the network")
        #expect(
            try rejection(#"{"endpoint":"/v1/tick-info","payload":{"data":{"tick":5}}}"#)
                == "payload.tickInfo is missing")
        #expect(
            try rejection(#"{"observed_at":"2026-09-18T21:53:48","endpoint":"/v1/status"}"#) == "raw_payload is missing"
        )
        #expect(
            try rejection(#"{"endpoint":"/v1/status","payload":"<html>502</html>"}"#).hasPrefix(
                "payload: a text that is no JSON object"))
        #expect(
            try rejection(#"{"endpoint":"/v1/status","payload":[1]}"#) == "payload: expected an object, got an array")
        #expect(
            try rejection(#"{"observed_at":"yesterday","payload":{"tickInfo":{"tick":5}}}"#)
                == "observed_at: expected a date and time, got \"yesterday\"")
    }

    static let rejections: [(String, String)] = [
        (
            #"{"data_type":"weather","data":{}}"#,
            #"data_type: expected "network_stats" or "epoch_summary", got "weather""#
        ),
        (#"{"data_type":7,"data":{}}"#, "data_type: expected a string, got an integer"),
        (#"{"data_type":"network_stats"}"#, "data is missing"),
        (#"{"data_type":"network_stats","data":[]}"#, "data: expected an object, got an array"),
        (#"{"data_type":"network_stats","data":{}}"#, "data: no known number of the network in it"),
        (#"{"data_type":"network_stats","data":{"tick":null}}"#, "data: no known number of the network in it"),
        (#"{"data_type":"network_stats","data":{"tick":-1}}"#, "data.tick: expected 0…4294967295, got -1"),
        (
            #"{"data_type":"network_stats","data":{"tick":1.5}}"#,
            "data.tick: expected a whole number 0…4294967295, got 1.5"
        ),
        (#"{"data_type":"network_stats","data":{"tick":true}}"#, "data.tick: expected a number, got a boolean"),
        (#"{"data_type":"network_stats","data":{"tick":"NaN"}}"#, #"data.tick: expected a number, got "NaN""#),
        (#"{"data_type":"network_stats","data":{"tick":" 5"}}"#, #"data.tick: expected a number, got "5""#),
        (#"{"data_type":"network_stats","data":{"tick":"0x10"}}"#, #"data.tick: expected a number, got "0x10""#),
        (#"{"data_type":"network_stats","data":{"tick":""}}"#, #"data.tick: expected a number, got """#),
        (#"{"data_type":"network_stats","data":{"price":"inf"}}"#, #"data.price: expected a number, got "inf""#),
        (#"{"data_type":"network_stats","data":{"price":-0.5}}"#, "data.price: expected 0.0…1000000.0, got -0.5"),
        (
            #"{"data_type":"network_stats","data":{"epochTickQuality":100.5}}"#,
            "data.epochTickQuality: expected 0.0…100.0, got 100.5"
        ),
        (
            #"{"data_type":"network_stats","data":{"tick":1,"currentTick":2}}"#,
            "data.tick is 1 but data.currentTick is 2"
        ),
        (
            #"{"data_type":"network_stats","data":{"tick":1,"timestamp":5}}"#,
            "data.timestamp: expected seconds since 1970 between 2000 and 2100, got 5"
        ),
        (
            #"{"data_type":"epoch_summary","data":{"epoch":5,"transition":"sudden"}}"#,
            #"data.transition: expected seamless or cutover, got "sudden""#
        ),
        (#"{"colour":"red","shape":"round"}"#, #"a record of unknown shape, with the keys "colour", "shape""#),
    ]

    @Test(arguments: rejections) func rejectionsAreWorded(text: String, reason: String) throws {
        #expect(try rejection(text) == reason)
    }
}
