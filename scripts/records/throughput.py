#!/usr/bin/env python3
"""How fast recordings are read: `qinfer inspect` on a poller's JSON Lines, on the same as gzip, and on a browser's HAR.

    throughput.py [--records 1000000] [--har-mb 500] [--rounds 3] [--cores N] [--qinfer FILE] [--folder FOLDER]

Makes the recordings (a poll each 20 s; a HAR with bodies as text and as base64, error pages, bodies that are no JSON,
and a cut end), reads each in turn, round by round, and prints a Markdown table: medians of the rounds' wall times, the
highest peak memory. Every record must be accounted for. The files are gone afterwards unless --folder says where to
keep them.
"""
import argparse
import base64
import datetime
import gzip
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
START = datetime.datetime(2025, 3, 1, tzinfo=datetime.timezone.utc)
EPOCH_0 = datetime.datetime(2022, 4, 13, 12, tzinfo=datetime.timezone.utc)
WEEK = 604_800
HOST = "https://rpc.qubic.org"


def numbers(poll):
    """The body of /v1/latest-stats at a poll: numbers that agree with each other, the calendar and the poll before."""
    seconds = int((START - EPOCH_0).total_seconds()) + 20 * poll
    epoch, within = divmod(seconds, WEEK)
    ticks = within // 2 + 1
    empty = ticks * 13 // 1000
    burned = 40_000_000_000_000 + epoch * 100_000_000_000
    supply = epoch * 1_000_000_000_000 - burned
    price = 2.1e-06 + (poll % 997) * 1e-10
    recent = 20 + poll % 40
    return {
        "timestamp": str(int(EPOCH_0.timestamp()) + seconds), "circulatingSupply": str(supply),
        "activeAddresses": 590_000 + poll // 500, "price": price, "marketCap": str(round(price * supply)),
        "epoch": epoch, "currentTick": epoch * 320_000 + ticks, "ticksInCurrentEpoch": ticks,
        "emptyTicksInCurrentEpoch": empty, "epochTickQuality": round(100 * (ticks - empty) / ticks, 6),
        "burnedQus": str(burned), "ticksInLast10000": 10_000, "emptyTicksInLast10000": recent,
        "last10000TickQuality": round(100 - recent / 100, 2)}


def moment(poll):
    return (START + datetime.timedelta(seconds=20 * poll)).strftime("%Y-%m-%dT%H:%M:%S")


def write_lines(path, records):
    with open(path, "w") as file:
        for poll in range(records):
            file.write(json.dumps({
                "id": f"poll-{poll:07}", "observed_at": moment(poll) + ".254197",
                "endpoint": HOST + "/v1/latest-stats", "source": "made by throughput.py",
                "raw_payload": {"data": numbers(poll)}}, separators=(",", ":")) + "\n")


def entry(poll, url, body, *, status=200, kind="application/json", encoded=False):
    content = {"size": len(body), "mimeType": kind, "text": body}
    if encoded:
        content |= {"text": base64.b64encode(body.encode()).decode(), "encoding": "base64"}
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    headers = [{"name": "User-Agent", "value": agent}, {"name": "Accept", "value": "application/json, text/plain, */*"},
               {"name": "Cookie", "value": "sid=0123456789abcdef"}]
    return json.dumps({
        "startedDateTime": moment(poll) + ".254Z", "time": 12.5,
        "request": {"method": "GET", "url": url, "httpVersion": "HTTP/2", "headers": headers,
                    "cookies": [{"name": "sid", "value": "0123456789abcdef"}], "queryString": [], "bodySize": 0},
        "response": {"status": status, "statusText": "", "httpVersion": "HTTP/2", "cookies": [],
                     "headers": [{"name": "content-type", "value": kind}, {"name": "server", "value": "nginx"}],
                     "content": content, "redirectURL": "", "bodySize": len(body)},
        "cache": {}, "timings": {"send": 0, "wait": 12, "receive": 0.5}})


def entries():
    """Entries without end: 15 of 20 are good answers of the network, the others what a page's HAR has beside them."""
    script = "function f(a){return \"{\" + a + '}'} // [not an entry]\n" * 700
    image = "\x89PNG" + "0123456789abcdef" * 2500
    page = "<!DOCTYPE html><html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>"
    poll = 0
    while True:
        for place in range(20):
            body = numbers(poll)
            tick = {"tick": body["currentTick"], "duration": 1, "epoch": body["epoch"],
                    "initialTick": body["currentTick"] - body["ticksInCurrentEpoch"] + 1}
            url = HOST + "/v1/tick-info"
            if place == 4:
                yield entry(poll, url, page, status=502, kind="text/html")
            elif place == 8:
                yield entry(poll, url, page, kind="text/html", encoded=True)
            elif place == 12:
                yield entry(poll, url, "upstream connect error or disconnect/reset before headers", kind="text/plain")
            elif place == 15:
                yield entry(poll, "https://app.example.org/main.js", script, kind="text/javascript")
            elif place == 18:
                yield entry(poll, "https://app.example.org/logo", image, kind="image/png", encoded=True)
            elif place % 5 == 1:
                yield entry(poll, HOST + "/v1/latest-stats", json.dumps({"data": body}), encoded=True)
            else:
                yield entry(poll, url, json.dumps({"tickInfo": tick}))
            poll += 1


def write_har(path, size):
    """Returns how many entries there are, the last one cut in the middle."""
    with open(path, "w") as file:
        file.write('{"log":{"version":"1.2","creator":{"name":"throughput.py","version":"1"},"pages":[],"entries":[')
        for count, text in enumerate(entries(), 1):
            if file.tell() + len(text) >= size:
                file.write(text[:len(text) // 2])
                return count
            file.write(text + ",\n")


def inspect(qinfer, path):
    """Seconds by the wall, seconds of processors, peak bytes, and the report."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        process = subprocess.Popen([qinfer, "inspect", path, "--json"], stdout=out, stderr=errors)
        # What this child alone used. Its peak is at least that of this script when it began, some 20 MB.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 2):  # 2: records were rejected
            errors.seek(0)
            sys.exit(f"qinfer inspect {path}: status {process.returncode}\n{errors.read().decode()}")
        out.seek(0)
        report = json.load(out)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return seconds, usage.ru_utime + usage.ru_stime, peak, report


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def make(folder, arguments):
    """(what it is, file, records in it), each."""
    lines, packed, har = folder / "poller.jsonl", folder / "poller.jsonl.gz", folder / "browser.har"
    write_lines(lines, arguments.records)
    with open(lines, "rb") as text, gzip.open(packed, "wb", compresslevel=6) as out:
        shutil.copyfileobj(text, out, 1 << 20)
    return [
        ("JSON Lines", lines, arguments.records), ("the same as gzip", packed, arguments.records),
        ("HAR, its end cut", har, write_har(har, round(arguments.har_mb * 1e6)))]


def measure(inputs, arguments):
    seconds, used, peaks = ({path: [] for _, path, _ in inputs} for _ in range(3))
    for _ in range(arguments.rounds):
        for name, path, records in inputs:
            wall, cpu, peak, report = inspect(arguments.qinfer, path)
            # What is set aside is in a HAR only: what is not about the network.
            found = report["records"] + report["aside"]
            if found != records:
                sys.exit(f"{path}: {found} records were read; expected {records}")
            seconds[path].append(wall)
            used[path].append(cpu)
            peaks[path].append(peak)
    for name, path, records in inputs:
        wall, size = statistics.median(seconds[path]), path.stat().st_size / 1e6
        print(
            f"| {name} | {records:,} | {size:,.1f} | {wall:.2f} | {statistics.median(used[path]):.2f} "
            f"| {records / wall:,.0f} | {size / wall:,.1f} | {max(peaks[path]) / 1e6:,.0f} MB |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--har-mb", type=float, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, help="use so many cores only (Linux)")
    parser.add_argument("--qinfer", default=str(ROOT / ".build/release/qinfer"))
    parser.add_argument("--folder", type=pathlib.Path, help="keep the recordings here")
    arguments = parser.parse_args()
    if arguments.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:arguments.cores])
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        inputs = make(folder, arguments)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        print(f"{processor()}, {cores} cores; commit {commit}; medians of {arguments.rounds} rounds; MB on the disk.\n")
        print("| Input | Records | MB | Seconds | CPU seconds | Records/s | MB/s | Peak memory |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
        measure(inputs, arguments)


if __name__ == "__main__":
    main()
