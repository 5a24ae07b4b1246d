#!/usr/bin/env python3
"""Compares files of the sample model that nibble quantizes with those of llama-quantize: the mean KL of every mix from
the model as it is stored, without and with an importance matrix, must be at most 1.02 of llama-quantize's, or within
two standard errors of the paired difference.

  quality.py NIBBLE TREE WORK [--windows N] [--only MIX,MIX] [--table OUT.md]

TREE: the tree of llama.cpp (tests/loaders/tree.sh). Prints a table, and PASS or FAIL for each row.
"""
import argparse
import array
import json
import math
import os
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import compare

MIXES = ["Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_0", "Q4_1", "IQ4_XS", "IQ4_NL", "Q4_K_S", "Q4_K_M", "Q5_0", "Q5_1",
         "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0"]
# Searched by importance in nibble.
WEIGHED = ["Q2_K", "Q2_K_S", "Q3_K_S", "Q3_K_M", "Q3_K_L", "IQ4_XS", "IQ4_NL", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M",
           "Q6_K"]
MOST = 1.02
WINDOW, BATCHES = 256, 8


class Quality:
    def __init__(self, options):
        self.peer = compare.Peer(options.nibble, options.tree, "", options.work)
        self.work = options.work
        with open(os.path.join(compare.SAMPLE, "test_ids.npy"), "rb") as file:
            data = file.read()
        (size,) = struct.unpack_from("<H", data, 8)
        ids = array.array("i", data[10 + size:]).tolist()
        per_batch = max(options.windows // BATCHES, 1) * WINDOW
        for batch in range(BATCHES):
            with open(self.path(f"batch{batch}.npy"), "wb") as file:
                file.write(compare.npy_of(ids[batch * per_batch:(batch + 1) * per_batch]))

    def path(self, name):
        return os.path.join(self.work, name)

    def nibble(self, *words):
        done = subprocess.run([self.peer.nibble, *words, "--device", "cpu", "--json"], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            raise SystemExit(f"{words}: {done.stderr.decode()}")
        return json.loads(done.stdout)

    def divergences(self, name):
        """Mean KL of each batch, and the perplexity."""
        reports = [self.nibble("eval", self.path(name), "--data", self.path(f"batch{batch}.npy"), "--window",
                               str(WINDOW), "--against", compare.SAMPLE) for batch in range(BATCHES)]
        return [r["mean_kl"] for r in reports], math.exp(sum(r["nll"] for r in reports) / len(reports))

    def row(self, mix, weighed):
        options = ["--imatrix", self.path("sample.imatrix.gguf")] if weighed else []
        self.nibble("quantize", compare.SAMPLE, "-o", self.path("ours.gguf"), "--force", "--type", mix, "--no-errors",
                    *options)
        options = ["--imatrix", "/mnt/sample.imatrix.gguf"] if weighed else []
        self.peer.inside("llama-quantize", *options, "/mnt/F16.gguf", "/mnt/theirs.gguf", mix)
        ours, perplexity = self.divergences("ours.gguf")
        theirs, _ = self.divergences("theirs.gguf")
        mean = sum(ours) / BATCHES, sum(theirs) / BATCHES
        deltas = [a - b for a, b in zip(ours, theirs)]
        delta = mean[0] - mean[1]
        error = math.sqrt(sum((d - delta) ** 2 for d in deltas) / (BATCHES - 1) / BATCHES)
        good = mean[0] <= MOST * mean[1] or delta <= 2 * error
        sizes = [os.path.getsize(self.path(name)) for name in ("ours.gguf", "theirs.gguf")]
        return mix, weighed, mean, error, perplexity, sizes, good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nibble")
    parser.add_argument("tree")
    parser.add_argument("work")
    parser.add_argument("--windows", type=int, default=64)
    parser.add_argument("--only")
    parser.add_argument("--table")
    options = parser.parse_args()
    quality = Quality(options)
    quality.peer.quantize(compare.SAMPLE, "F16.gguf", "--type", "F16")
    data = os.path.join(compare.SAMPLE, "calib_ids.npy")
    quality.nibble("calibrate", compare.SAMPLE, "--data", data, "--importance", "--samples", "16", "-o",
                   quality.path("sample.imatrix.gguf"), "--force")
    only = options.only.split(",") if options.only else None
    rows = [(mix, False) for mix in MIXES] + [(mix, True) for mix in WEIGHED]
    lines = ["| mix | importance | MB | perplexity | mean KL | that of llama-quantize | ratio |",
             "|---|---|---:|---:|---:|---:|---:|"]
    failures = 0
    print(lines[0], lines[1], sep="\n", flush=True)
    for mix, weighed in rows:
        if only and mix not in only:
            continue
        _, _, (ours, theirs), error, perplexity, sizes, good = quality.row(mix, weighed)
        lines.append(f"| {mix} | {'yes' if weighed else 'no'} | {sizes[0] / 1e6:.2f} | {perplexity:.3f} | {ours:.5f} | "
                     f"{theirs:.5f} | {ours / theirs:.3f} |")
        failures += not good
        print(lines[-1], "PASS" if good else "FAIL", f"+- {error:.5f}", f"{sizes[1] / 1e6:.2f} MB", flush=True)
    if options.table:
        with open(options.table, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
