#!/usr/bin/env python3
"""Times `nibble quantize` beside llama-quantize, in turn, on the same matrices in memory.

    quantize.py --nibble PROGRAM --llama COMMAND --model DIR [--llama-model GGUF] [--device D] [--rounds N] [-o FILE]

DIR is made by llama_shaped.py, in memory (/dev/shm); both write into DIR. COMMAND is llama-quantize, or a command line
that runs it elsewhere (`chroot /opt/sid llama-quantize`), which knows DIR/model.gguf as GGUF. Prints wall and processor
time (medians of N rounds), the ratio of wall times (below 1: nibble is faster) and nibble's peak of anonymous memory.
"""
import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import threading
import time

THREADS = "2"
ROWS = [("int4 g32", ["--type", "int4", "--group-size", "32"], "Q4_0"), ("int8", ["--type", "int8"], "Q8_0")]
ERRORS = [("without errors", ["--no-errors"]), ("with errors", [])]


def watch(process, peak):
    """Samples the anonymous memory of a process until it ends."""
    path = f"/proc/{process.pid}/status"
    while process.returncode is None:
        try:
            with open(path, encoding="utf-8") as file:
                for line in file:
                    if line.startswith("RssAnon:"):
                        peak[0] = max(peak[0], int(line.split()[1]))
        except OSError:
            return
        time.sleep(0.005)


def timed(command):
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peak = [0]
    watcher = threading.Thread(target=watch, args=(process, peak))
    watcher.start()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = status
    watcher.join()
    if status != 0:
        raise SystemExit(f"{shlex.join(command)}: {errors[-500:]}")
    return wall, usage.ru_utime + usage.ru_stime, peak[0] / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nibble", required=True)
    parser.add_argument("--llama", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--llama-model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output")
    args = parser.parse_args()
    gguf = args.llama_model or os.path.join(args.model, "model.gguf")
    result = {"schema": 1, "device": args.device, "rounds": args.rounds, "rows": []}
    for name, options, kind in ROWS:
        for errors, flags in ERRORS:
            runs = {"nibble": [], "llama": []}
            out = os.path.join(args.model, "out")
            ours = shlex.split(args.nibble) + ["quantize", args.model, "-o", out, "--device", args.device, *options,
                                               *flags]
            theirs = shlex.split(args.llama) + [gguf, os.path.join(os.path.dirname(gguf), "out.gguf"), kind, THREADS]
            for turn in range(args.rounds + 1):
                shutil.rmtree(out, ignore_errors=True)
                for who, command in (("nibble", ours), ("llama", theirs)):
                    figures = timed(command)
                    if turn > 0:  # the first warms up
                        runs[who].append(figures)
            median = {who: [statistics.median(column) for column in zip(*rows)] for who, rows in runs.items()}
            ratio = statistics.median(a[0] / b[0] for a, b in zip(runs["nibble"], runs["llama"]))
            result["rows"].append({
                "name": f"{name}, {errors}", "beside": f"llama-quantize {kind}", "ratio": round(ratio, 3),
                "wall_s": round(median["nibble"][0], 3), "cpu_s": round(median["nibble"][1], 3),
                "peak_mb": round(max(r[2] for r in runs["nibble"])), "llama_wall_s": round(median["llama"][0], 3),
                "llama_cpu_s": round(median["llama"][1], 3), "llama_peak_mb": round(max(r[2] for r in runs["llama"]))})
            print(json.dumps(result["rows"][-1]), flush=True)
    shutil.rmtree(out, ignore_errors=True)
    if args.output:
        with open(args.output, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
