"""What Datasets/recorded says, read by an independent implementation, for QDashboardTests.

    python3 Tests/Fixtures/qdashboard/make-golden.py [--check]

Writes recorded.json (one entry a record, in the order of the files' names) and texts.json (numbers and moments with their
spellings). With --check, fails where the files beside it are not what it would write.
"""

import glob
import hashlib
import json
import os
import random
import struct
import sys
from datetime import datetime, timezone
from decimal import Decimal

HERE = os.path.dirname(os.path.abspath(__file__))
RECORDED = os.path.join(HERE, "..", "..", "..", "Datasets", "recorded")

INTEGERS = {
    "tick": "tick", "currentTick": "tick", "tickNumber": "tick", "epoch": "epoch", "initialTick": "initialTick",
    "duration": "secondsSinceLastTick", "activeAddresses": "activeAddresses", "circulatingSupply": "circulatingSupplyQus",
    "burnedQus": "burnedQus", "ticksInCurrentEpoch": "ticksInEpoch", "ticksInEpoch": "ticksInEpoch",
    "emptyTicksInCurrentEpoch": "emptyTicksInEpoch", "ticksInLast10000": "ticksInLast10000",
    "emptyTicksInLast10000": "emptyTicksInLast10000", "intervals": "intervals", "tickGapBefore": "tickGapBefore",
}
DECIMALS = {
    "price": "priceUSD", "marketCap": "marketCapUSD", "epochTickQuality": "epochTickQualityPercent",
    "last10000TickQuality": "last10000TickQualityPercent", "meanSecondsPerTick": "meanSecondsPerTick",
    "priceOpen": "priceOpenUSD", "priceHigh": "priceHighUSD", "priceLow": "priceLowUSD", "priceClose": "priceCloseUSD",
    "priceMean": "priceMeanUSD",
}


def canonical(value):
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value, key=lambda key: key.encode())}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    return value


def digest(value):
    text = json.dumps(canonical(value), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def body(record):
    payload = record.get("data") or record.get("payload") or record.get("raw_payload")
    for wrapper in ("data", "tickInfo", "lastProcessedTick"):
        if isinstance(payload.get(wrapper), dict):
            return payload[wrapper]
    return payload


def seconds(text):
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def entry(file, line, record):
    fields = body(record)
    values = {INTEGERS[key]: int(fields[key]) for key in fields if key in INTEGERS}
    values |= {DECIMALS[key]: float(fields[key]) for key in fields if key in DECIMALS}
    if "timestamp" in fields:
        values["reportedAt"] = int(fields["timestamp"])
    if "startedAt" in fields:
        values["startedAt"] = seconds(fields["startedAt"])
    if "observed_at" in record:
        values["observedAt"] = seconds(record["observed_at"])
    return {"file": file, "line": line, "id": record["id"], "digest": digest(record), "values": values,
            "texts": {key: text for key, text in [("transition", fields.get("transition")),
                                                  ("healthOverall", fields.get("health", {}).get("overall"))] if text}}


def full(value):
    text = format(Decimal(repr(value)), "f")
    return text[:-2] if text.endswith(".0") else text


def texts():
    generator = random.Random(20261124)
    decimals = [0.000002774, 4.48e-07, 97.31, 98.602036, 100.0, 0.1, 5e-324, 1.5e300, 123456789.125, 79549631.0, -2.5e-05]
    while len(decimals) < 200:
        value = struct.unpack("<d", generator.randbytes(8))[0]
        if value == value and abs(value) < 1e25 and abs(value) > 1e-25:
            decimals.append(value)
    integers = [0, 7, 999, 1000, 592711, 155563915170467, -1234567] + [generator.randrange(10**15) for _ in range(50)]
    moments = ["2026-09-18T21:53:48.254197", "2026-10-05T12:29:08Z", "2025-08-22T16:40+08:00", "2024-02-29T23:59:59-05:30",
               "2000-03-01T00:00:00+00:00", "2099-12-31T23:59:59.999999"]
    moments += [datetime.fromtimestamp(generator.randrange(946684800, 4102444800), timezone.utc).isoformat()
                for _ in range(100)]
    return {
        "full": [[value, full(value)] for value in decimals],
        "grouped": [[value, f"{value:,}"] for value in integers],
        "moments": [[text, seconds(text), datetime.fromtimestamp(int(seconds(text) // 1), timezone.utc)
                     .strftime("%Y-%m-%dT%H:%M:%SZ")] for text in moments],
    }


def main():
    entries = []
    for path in sorted(glob.glob(os.path.join(RECORDED, "*.jsonl"))):
        with open(path, encoding="utf-8") as file:
            entries += [entry(os.path.basename(path), number, json.loads(line)) for number, line in enumerate(file, 1)]
    for name, value in [("recorded.json", entries), ("texts.json", texts())]:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace('},{"file"', '},\n{"file"') + "\n"
        path = os.path.join(HERE, name)
        if "--check" in sys.argv[1:]:
            with open(path, encoding="utf-8") as file:
                if file.read() != text:
                    sys.exit(f"{name} differs from what this script makes")
        else:
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)


main()
