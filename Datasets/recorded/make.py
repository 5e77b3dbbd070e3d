"""Makes the files beside it from the facts about the network.

    python3 Datasets/recorded/make.py FOLDER

FOLDER holds latest_stats_samples.jsonl, epochs_104_231.csv, and the recordings status_*.json and tick_info_*.json. The
recordings themselves are not copied (they carry no licence): the numbers are facts, and each record names its source.
Datasets/README.md says what is in which file.
"""

import csv
import glob
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def write(name, records):
    path = os.path.join(HERE, name)
    with open(path + ".part", "w", encoding="utf-8", newline="\n") as out:
        for record in records:
            out.write(json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n")
    os.replace(path + ".part", path)
    print(f"{name}: {len(records)} records", file=sys.stderr)


def one(samples, wanted):
    found = [sample for sample in samples if wanted in sample["src"]]
    assert len(found) == 1, (wanted, len(found))
    return found[0]


def network_stats(identifier, sample, data, **more):
    return {"id": identifier, "data_type": "network_stats", "source": sample["src"], **more, "data": data}



def only(pattern):
    found = sorted(glob.glob(pattern))
    assert len(found) == 1, (pattern, found)
    with open(found[0], encoding="utf-8") as file:
        return json.load(file)


def envelope(identifier, recording, payload):
    return {
        "id": identifier,
        "observed_at": recording["observed_at"],
        "endpoint": recording["endpoint"],
        "source": f"RPC recording of {recording['observed_at'][:10]}, {recording['source_id']}",
        "raw_payload": payload,
    }


def epoch(row):
    """One week as an analysis request; what the table does not know is left out."""
    columns = {
        "epoch": ("epoch", int),
        "startedAt": ("start_utc", lambda text: text.replace("Z", ":00Z")),
        "initialTick": ("initial_tick", int),
        "tick": ("last_tick", int),
        "ticksInEpoch": ("ticks", int),
        "intervals": ("intervals", int),
        "meanSecondsPerTick": ("mean_s_per_tick", float),
        "tickGapBefore": ("tick_gap_before", int),
        "transition": ("transition", str),
        "priceOpen": ("price_open", float),
        "priceHigh": ("price_high", float),
        "priceLow": ("price_low", float),
        "priceClose": ("price_close", float),
        "priceMean": ("price_avg", float),
    }
    data = {key: convert(row[column]) for key, (column, convert) in columns.items() if row[column] != ""}
    source = "epoch table 104-231, computed from the archive's tick intervals and weekly prices"
    return {"id": f"epoch-{row['epoch']}", "data_type": "epoch_summary", "source": source, "data": data}


def main(folder):
    with open(os.path.join(folder, "latest_stats_samples.jsonl"), encoding="utf-8") as file:
        samples = [json.loads(line) for line in file if line.strip()]

    write("latest_stats.jsonl", [
        {"id": f"latest-stats-epoch-{sample['body']['data']['epoch']}", "endpoint": sample["endpoint"],
         "source": sample["src"], "payload": sample["body"]}
        for sample in samples if sample.get("endpoint") == "/v1/latest-stats"])

    readme = one(samples, "qubic/qubic-http")
    tick_info = only(os.path.join(folder, "tick_info_*.json"))
    status = only(os.path.join(folder, "status_*.json"))
    write("tick_info.jsonl", [
        {"id": f"tick-info-epoch-{body['tickInfo']['epoch']}", "endpoint": endpoint, "source": source, "payload": body}
        for endpoint, source, body in [
            (readme["endpoint"], readme["src"], readme["body"]),
            ("/v1/tick-info", f"RPC recording of {tick_info['observed_at'][:10]}, {tick_info['source_id']}",
             tick_info["raw_payload"])]])

    write("poller.jsonl", [
        envelope("poller-tick-info", tick_info, tick_info["raw_payload"]),
        envelope("poller-status", status, {"lastProcessedTick": status["raw_payload"]["lastProcessedTick"]})])

    tick = one(samples, "deepseek-qubic-ai@b4e9431 README.md")
    fallback = one(samples, "api-proxy.js")
    stats = {key: fallback["fields"][key] for key in (
        "activeAddresses", "marketCap", "price", "epochTickQuality", "circulatingSupply", "burnedQus")}
    write("dashboard.jsonl", [
        {"id": "dashboard-tick-epoch-174", "endpoint": "/api/tick", "source": tick["src"], "payload": tick["body"]},
        {"id": "dashboard-stats-epoch-174", "endpoint": "/api/stats", "source": fallback["src"], "payload": stats}])

    plan = one(samples, "Phase1 dev plan")
    economy = one(samples, "Qubic_Core_Economic_Analysis.md")
    calculation = one(samples, "test_epoch_calculation.js")
    project = one(samples, "Projectplan.md")
    fraction = economy["fields"].pop("epochTickQuality_fraction")
    example = {"src": "the compute layer's API plan, example request"}
    write("network_stats.jsonl", [
        network_stats("plan-example", example,
                      {"tick": 31473834, "activeAddresses": 592711, "epochTickQuality": 97.31}),
        network_stats("epoch-175-start", plan, plan["fields"]),
        network_stats("epoch-175-economy", economy,
                      {**economy["fields"], "epochTickQuality": round(100 * fraction, 2)},
                      converted=f"epochTickQuality from the fraction {fraction}"),
        network_stats("epoch-175-recovering", calculation, calculation["fields"]),
        network_stats("epoch-175-later", project, project["fields"], observed_at="2025-08-22T16:40+08:00")])

    with open(os.path.join(folder, "epochs_104_231.csv"), encoding="utf-8", newline="") as file:
        write("epochs_104_231.jsonl", [epoch(row) for row in csv.DictReader(file)])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
