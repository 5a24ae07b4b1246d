#!/usr/bin/env python3
"""What the type of the cache of keys and values does to the predictions of the sample model.

    kv.py measure NIBBLE RESULT.json    runs every row on the CPU device
    kv.py table RESULT.json             prints the table of docs/kv.md

A row is `nibble eval MODEL --kv TYPE [--kv-rotate] --data test_ids.npy --window 256 --windows 100 --against MODEL`.
"""
import json
import os
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SAMPLE = os.path.join("tests", "data", "tiny-kjv-llama")
WINDOWS = 100
ROWS = [["f32"], ["f16"], ["bf16"], ["int8"], ["fp8"], ["q8_0"], ["int4-asym"], ["int4"], ["q4_0"],
        ["int8", "--kv-rotate"], ["fp8", "--kv-rotate"], ["q8_0", "--kv-rotate"], ["int4-asym", "--kv-rotate"],
        ["int4", "--kv-rotate"], ["q4_0", "--kv-rotate"]]
KEYS = ("perplexity", "mean_kl", "mean_kl_se", "top1_agreement", "kv_bytes_per_token")


def measure(nibble, path):
    rows = []
    for kv, *options in ROWS:
        command = [os.path.abspath(nibble), "eval", SAMPLE, "--kv", kv, *options, "--data",
                   os.path.join(SAMPLE, "test_ids.npy"), "--window", "256", "--windows", str(WINDOWS), "--against",
                   SAMPLE, "--device", "cpu", "--json"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
        row = json.loads(done.stdout)
        rows.append({"name": " ".join([kv, *options]), **{key: row[key] for key in KEYS}})
        print(f"{rows[-1]['name']}: {row['mean_kl']:.6f}", file=sys.stderr, flush=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"schema": 1, "windows": WINDOWS, "rows": rows}, file, indent=1)
        file.write("\n")


def table(path):
    with open(path, encoding="utf-8") as file:
        rows = json.load(file)["rows"]
    lines = ["| `--kv` | bytes per token | perplexity | mean KL | top-1 agreement |", "|---|---:|---:|---:|---:|"]
    for r in rows:
        lines.append(f"| {r['name']} | {r['kv_bytes_per_token']} | {r['perplexity']:.4f} | {r['mean_kl']:.7f} ± "
                     f"{r['mean_kl_se']:.7f} | {100 * r['top1_agreement']:.2f} % |")
    return "\n".join(lines)


if sys.argv[1] == "measure":
    measure(sys.argv[2], sys.argv[3])
else:
    print(table(sys.argv[2]))
