#!/usr/bin/env python3
"""The pipeline's figures, into Reports/pipeline.md: throughput over batch in flight for one and three stages, MPI beside
threads, and three stages beside one where each stage has the same share of a processor (a cgroup; needs root).

    figures.py QINFER MODEL SNAPSHOTS [--requests N] [--rounds N] [--share S] [--parts batches,transports,shares]

Writes what it measured into Reports/pipeline.json, by model and part, so that parts can be measured one at a time, and makes
Reports/pipeline.md from all of it. Configurations alternate within a round; a figure is the median of the rounds.
"""
import argparse, gzip, json, os, pathlib, re, shutil, statistics, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPORT = ROOT / "Reports" / "pipeline.json"
PERIOD_US = 10_000


def cpu_group(name, share):
    """A cgroup with a share of one core, of version 2 or 1; returns the file that takes processes."""
    unified = pathlib.Path("/sys/fs/cgroup/cgroup.controllers")
    group = pathlib.Path("/sys/fs/cgroup" if unified.exists() else "/sys/fs/cgroup/cpu") / name
    group.mkdir(exist_ok=True)
    if unified.exists():
        (group / "cpu.max").write_text(f"{int(share * PERIOD_US)} {PERIOD_US}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(int(share * PERIOD_US)))
    return group


def run(arguments, call, *, stages, batch, transport, threads=None, share=None):
    """One run; requests a second and tokens a second by the run's own clock, which starts when the model is loaded."""
    with tempfile.TemporaryDirectory() as folder:
        tool = [arguments.qinfer]
        groups = []
        if share is not None:
            groups = [cpu_group(f"qubic-stage-{stage}", share) for stage in range(stages)]
            wrapper = pathlib.Path(folder) / "in-group.sh"
            wrapper.write_text(
                "#!/bin/sh\n"
                + "".join(
                    f'[ "${{OMPI_COMM_WORLD_RANK:-0}}" = {stage} ] && echo $$ > {group}/cgroup.procs\n'
                    for stage, group in enumerate(groups))
                + 'exec "$@"\n')
            wrapper.chmod(0o755)
            tool = [str(wrapper)] + tool
        command = tool + [
            "run", arguments.model, "--snapshots", call, "--output", f"{folder}/run", "--stages", str(stages),
            "--batch", str(batch), "--transport", transport]
        if threads:
            command += ["--threads", str(threads)]
        if transport == "mpi":
            command = [str(ROOT / "scripts/mpirun.sh"), "-np", str(stages)] + command
        outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        for group in groups:
            group.rmdir()
        if outcome.returncode != 0:
            sys.exit(f"{' '.join(command)}: status {outcome.returncode}\n{outcome.stderr}")
        metrics = (pathlib.Path(folder) / "run/metrics.prom").read_text()

        def values(name):
            return [float(v) for v in re.findall(rf"^qubic_{name}{{[^}}]*}} (\S+)$", metrics, re.M)]

        seconds = values("run_seconds")[0]
        stages_of = [
            {"busy": b, "bubble": u, "batches": n, "hop_ms": h * 1e3, "bytes": s}
            for b, u, n, h, s in zip(
                values("stage_busy_seconds_total"), values("stage_bubble_seconds_total"),
                values("stage_batches_total"), values("stage_hop_seconds"), values("stage_sent_bytes_total"))]
        answered = sum(values("requests_total"))
        results = (pathlib.Path(folder) / "run/results.jsonl").read_bytes()
        return {
            "requests_s": answered / seconds, "tokens_s": values("tokens_total")[0] / seconds, "stages": stages_of,
            "digest": __import__("hashlib").sha256(results).hexdigest()}


def rounds(arguments, configurations):
    """Each configuration once a round; the medians, and all rounds' values."""
    found = {name: [] for name in configurations}
    for _ in range(arguments.rounds):
        for name, settings in configurations.items():
            found[name].append(run(arguments, arguments.lines, **settings))
            print(f"{name}: {found[name][-1]['requests_s']:.2f} requests/s", file=sys.stderr)
    digests = {r["digest"] for runs in found.values() for r in runs}
    if len(digests) != 1:
        sys.exit("the runs' answers differ")
    return {
        name: {
            **settings, "requests": arguments.requests, "requests_s": statistics.median(r["requests_s"] for r in runs),
            "all": [r["requests_s"] for r in runs], "tokens_s": statistics.median(r["tokens_s"] for r in runs),
            "stages_measured": sorted(runs, key=lambda r: r["requests_s"])[len(runs) // 2]["stages"]}
        for (name, settings), runs in zip(configurations.items(), found.values())}


def batches(arguments):
    return rounds(arguments, {
        f"{stages} {batch}": dict(stages=stages, batch=batch, transport="threads", threads=2 // min(stages, 2))
        for batch in arguments.batches for stages in (1, 3)})


def transports(arguments):
    return rounds(arguments, {
        f"{transport} {batch}": dict(stages=3, batch=batch, transport=transport, threads=1)
        for batch in (1, 16, 64) for transport in ("threads", "mpi")})


def shares(arguments):
    return rounds(arguments, {
        f"{stages} {batch}": dict(stages=stages, batch=batch, transport="mpi", threads=1, share=arguments.share)
        for base in arguments.share_batches for stages, batch in ((1, base), (3, base), (3, 3 * base))})


def markdown(report):
    lines = ["# The pipeline, measured", "",
             f"Machine: {report['machine']}. Made by `scripts/pipeline/figures.py`, which alternates what it compares; figures are "
             "medians of the rounds. All runs of a part gave the same results.jsonl.", ""]
    for model, parts in report["models"].items():
        lines += [f"## {model}", ""]
        for name, section in (("batches", batches_section), ("transports", transports_section), ("shares", shares_section)):
            if name in parts:
                measured = parts[name]
                some = next(iter(measured.values()))
                lines += section(measured, f"{some['requests']} requests, {len(some['all'])} rounds. ") + [""]
    return "\n".join(lines)


def sizes(part):
    return sorted({measured["batch"] for measured in part.values()})


def batches_section(part, requests):
    lines = ["### Throughput over batch in flight", "",
             requests + "One process; one stage has two threads, three stages have one each, on two cores.", "",
             "| batch | 1 stage, requests/s | 3 stages, requests/s | 3 ÷ 1 |", "|---|---|---|---|"]
    for batch in sizes(part):
        one, three = part[f"1 {batch}"]["requests_s"], part[f"3 {batch}"]["requests_s"]
        lines.append(f"| {batch} | {one:.2f} | {three:.2f} | {three / one:.2f} |")
    return lines


def transports_section(part, requests):
    lines = ["### MPI beside threads", "",
             requests + "Three stages of a thread each, on two cores: three processes by shared memory, or three threads. "
             "Target: at most 5 % less.", "",
             "| batch | threads, requests/s | MPI, requests/s | overhead | hop, threads | hop, MPI |", "|---|---|---|---|---|---|"]
    for batch in sizes(part):
        pair = part[f"threads {batch}"], part[f"mpi {batch}"]
        hops = [statistics.mean(s["hop_ms"] for s in v["stages_measured"][1:]) for v in pair]
        overhead = 1 - pair[1]["requests_s"] / pair[0]["requests_s"]
        lines.append(f"| {batch} | {pair[0]['requests_s']:.2f} | {pair[1]['requests_s']:.2f} | {overhead * 100:+.1f} % "
                     f"| {hops[0]:.2f} ms | {hops[1]:.2f} ms |")
    return lines + ["", "A hop is from a stage's hand to the beginning of the next one's work: queueing is in it."]


def shares_section(part, requests):
    share = next(iter(part.values()))["share"]
    lines = ["### Three machines' worth", "",
             requests + f"Each stage is a process held to {share:g} of a core by a cgroup (quota per {PERIOD_US // 1000} ms), as if on "
             "a machine of its own. Three machines also hold three times the requests. Rank 0 also reads, schedules and writes, and "
             "has fewer layers for it. Target: at least 2.5.", "",
             "| 1 stage: batch | requests/s | 3 stages: batch | requests/s | 3 ÷ 1 | utilization of the stages |",
             "|---|---|---|---|---|---|"]
    for base in (m["batch"] for m in part.values() if m["stages"] == 1):
        one = part[f"1 {base}"]
        for batch in (base, 3 * base):
            three = part[f"3 {batch}"]
            busy = ", ".join(f"{100 * s['busy'] / max(s['busy'] + s['bubble'], 1e-9):.0f} %" for s in three["stages_measured"])
            lines.append(f"| {base} | {one['requests_s']:.2f} | {batch} | {three['requests_s']:.2f} "
                         f"| {three['requests_s'] / one['requests_s']:.2f} | {busy} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("qinfer")
    parser.add_argument("model")
    parser.add_argument("snapshots")
    parser.add_argument("--requests", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--batches", type=lambda t: [int(n) for n in t.split(",")], default=[1, 4, 16, 64])
    parser.add_argument("--share-batches", type=lambda t: [int(n) for n in t.split(",")], default=[16, 64])
    parser.add_argument("--parts", default="batches,transports,shares")
    arguments = parser.parse_args()
    arguments.qinfer = str(pathlib.Path(arguments.qinfer).resolve())
    REPORT.parent.mkdir(exist_ok=True)
    report = json.loads(REPORT.read_text()) if REPORT.exists() else {"models": {}}
    parts = report["models"].setdefault(pathlib.Path(arguments.model).name, {})
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        opened = gzip.open if arguments.snapshots.endswith(".gz") else open
        with opened(arguments.snapshots, "rt", encoding="utf-8") as source:
            file.writelines(line for _, line in zip(range(arguments.requests), source))
        file.flush()
        arguments.lines = file.name
        cpu = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?")
        report["machine"] = f"{os.cpu_count()} cores of {cpu}"
        for part in arguments.parts.split(","):
            parts[part] = {"batches": batches, "transports": transports, "shares": shares}[part](arguments)
            REPORT.write_text(json.dumps(report, indent=1) + "\n")
    (ROOT / "Reports" / "pipeline.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()
