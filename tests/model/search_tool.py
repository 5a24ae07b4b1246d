#!/usr/bin/env python3
"""nibble quantize --scale-search mse on the sample model.

    search_tool.py NIBBLE SCRATCH MODEL DEVICE [OTHER]

With OTHER, the bytes that both devices write are compared, and nothing else is tested.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tool"))
from checks import check, check_refused, end, same_files

LAYERS = 42
MSE = ["--scale-search", "mse"]


class Tool:
    def __init__(self, options, device):
        self.nibble, self.model, self.device = os.path.abspath(options.nibble), options.model, device
        self.scratch = os.path.abspath(options.scratch)

    def path(self, name):
        return os.path.join(self.scratch, name)

    def command(self, out, arguments):
        return [self.nibble, "quantize", self.model, "-o", self.path(out), "--device", self.device, *arguments]

    def quantize(self, out, *arguments):
        done = subprocess.run([*self.command(out, arguments), "--force", "--json"], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"quantize {arguments} failed: {done.stderr}")
        return json.loads(done.stdout)

    def refused(self, code, *words, arguments):
        done = subprocess.run(self.command("refused", arguments), capture_output=True, text=True)
        check_refused(done, code, *words, what=" ".join(arguments))
        check(not os.path.exists(self.path("refused")), f"{arguments}: left an output")


def test_nearest(tool):
    """Rounding to nearest: every tensor improves, in every container."""
    rows = [(0.5, ["--type", "int4", "--group-size", "128"]),
            (2, ["--type", "int2", "--group-size", "64"]),
            (0.3, ["--type", "int4", "--group-size", "32", "--asym"]),
            (0.3, ["--type", "int4", "--granularity", "channel", "--scale", "narrow"]),
            (0, ["--type", "int8"]),
            (0, ["--type", "fp8"]),
            (0, ["--type", "mxfp4"]),
            (0.1, ["--format", "bnb", "--type", "nf4"]),
            (0.1, ["--format", "bnb", "--type", "fp4", "--no-double-quant"]),
            (0.3, ["--format", "dense", "--type", "int3"])]
    for gain, options in rows:
        plain, searched = tool.quantize("plain", *options), tool.quantize("searched", *options, *MSE)
        check(plain["scale_search"] == "absmax" and searched["scale_search"] == "mse", f"{options}: scale_search")
        before, after = plain["quantized"]["sqnr_db"], searched["quantized"]["sqnr_db"]
        print(f"{' '.join(options)}: {before:.2f} dB, searched {after:.2f} dB, {searched['seconds']:.2f} s", flush=True)
        check(after > before + gain, f"{options}: {before} dB, searched {after} dB")
        # Double quantization rounds the scales that are found, so a tensor may lose.
        if "nf4" in options:
            continue
        worse = [(p["name"], p["sqnr_db"], s["sqnr_db"]) for p, s in zip(plain["tensors"], searched["tensors"])
                 if p["sqnr_db"] is not None and s["sqnr_db"] < p["sqnr_db"]]
        check(not worse, f"{options}: worse than the largest magnitude: {worse}")


def layers(report):
    return {t["name"]: t["gptq"] for t in report["tensors"] if "gptq" in t}


def test_gptq(tool):
    data = ["--method", "gptq", "--calib", os.path.join(tool.model, "calib_ids.npy"), "--samples", "8",
            "--seq-len", "128"]
    for options in (["--bits", "4", "--group-size", "128"], ["--bits", "2", "--group-size", "64"],
                    ["--bits", "4", "--group-size", "64", "--act-order", "gar"],
                    ["--bits", "4", "--group-size", "32", "--act-order", "none"],
                    ["--bits", "4", "--group-size", "256", "--act-order", "none", "--asym"]):
        plain = layers(tool.quantize("plain", *data, *options))
        searched = layers(tool.quantize("searched", *data, *options, *MSE))
        check(len(searched) == LAYERS and not any(g["rounded_to_nearest"] for g in searched.values()),
              f"{options}: {searched}")
        worse = [name for name, g in searched.items() if not 0 < g["loss"] < g["nearest_loss"]]
        check(not worse, f"{options}: no better than rounding to nearest: {worse}")
        lower = sum(g["loss"] < plain[name]["loss"] for name, g in searched.items())
        total, before = (sum(g["loss"] for g in report.values()) for report in (searched, plain))
        print(f"{' '.join(options)}: loss {before:.5g}, searched {total:.5g}, lower in {lower} of {LAYERS}", flush=True)
        check(total < 0.95 * before, f"{options}: sum of losses {total} instead of {before}")
        check(lower >= 0.9 * LAYERS, f"{options}: lower in {lower} of {LAYERS} layers")


def test_text(tool):
    done = subprocess.run([*tool.command("text", MSE), "--force"], capture_output=True, text=True)
    check(done.returncode == 0 and "scales of the least squared error" in done.stdout, f"{done.stdout}{done.stderr}")


def test_refusals(tool):
    gptq = ["--method", "gptq", "--calib", os.path.join(tool.model, "calib_ids.npy")]
    tool.refused(2, "--scale-search", "absmax, mse", arguments=["--scale-search", "best"])
    tool.refused(1, "ternary", "leave the search out", arguments=[*MSE, "--format", "dense", "--type", "ternary"])
    tool.refused(1, "q4_0", "leave the search out", arguments=[*MSE, "--format", "dense", "--type", "q4_0"])
    tool.refused(1, "--granularity channel or group", arguments=[*MSE, "--type", "fp8", "--granularity", "tensor"])
    tool.refused(1, "--format bnb", arguments=[*MSE, "--format", "bnb", "--type", "int8"])
    tool.refused(2, "--parity", "leave out", arguments=[*MSE, *gptq, "--act-order", "none", "--parity"])


def test_other(tool, other):
    for options in (["--type", "int4", "--group-size", "128"], ["--type", "int2", "--group-size", "64", "--asym"],
                    ["--format", "bnb", "--type", "nf4"], ["--type", "fp8"], ["--type", "mxfp4"]):
        tool.quantize("one", *options, *MSE)
        other.quantize("other", *options, *MSE)
        check(same_files(tool.path("one"), other.path("other")), f"{options}: {other.device} writes other bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("nibble", "scratch", "model", "device"):
        parser.add_argument(name)
    parser.add_argument("other", nargs="?")
    options = parser.parse_args()
    shutil.rmtree(options.scratch, ignore_errors=True)
    os.makedirs(options.scratch)
    tool = Tool(options, options.device)
    if options.other:
        test_other(tool, Tool(options, options.other))
    else:
        test_refusals(tool)
        test_text(tool)
        test_nearest(tool)
        test_gptq(tool)
    end(options.scratch)


if __name__ == "__main__":
    main()
