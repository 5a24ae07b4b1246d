#!/usr/bin/env python3
"""What the methods around rounding do to the predictions of the sample model, and of one with planted outliers.

    methods.py measure NIBBLE RESULT.json [--only REGEX]    runs every row on the CPU device (long)
    methods.py check RESULT.json                            each method does what it is for
    methods.py table RESULT.json                            prints the tables of docs/methods.md

A row is `nibble quantize MODEL -o OUT` with options, and `nibble eval OUT --data test_ids.npy --window 256
--windows 100 --against MODEL`. The rows of RESULT.json that exist already are not run again.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path[:0] = [os.path.join(ROOT, "tests", "model"), os.path.join(ROOT, "tests", "golden")]
SAMPLE = os.path.join("tests", "data", "tiny-kjv-llama")
WINDOWS = "100"
DATA = ["--calib", os.path.join(SAMPLE, "calib_ids.npy"), "--samples", "64", "--seq-len", "256"]

CHOSEN = "chosen by layer: int2, int3, int4, int8"
T, S, M = "--transform", "--scale-search", "--method"
AWQ, OUTPUT, MSE, GPTQ = [T, "awq"], [S, "output"], [S, "mse"], [M, "gptq"]
ROTATE, HADAMARD, EQUAL = [T, "rotate"], [T, "hadamard"], [T, "equalize"]
TYPES = ["--types", "int2,int3,int4,int8", "--group-size", "128", "--separate"]
SMOOTH, AUTO = [T, "smooth"], [T, "smooth:auto"]
SIZES = [["--samples", size] for size in ("1", "4", "16", "64", "250")]  # sequences of 256 tokens


def weights(kind, size, choices):
    return [(kind, size, options) for options in choices]


# Section: title, model, options of all rows, options of each row, and how they are evaluated ("memory": what no file
# holds is quantized in memory, after the transforms; "file": as it is written).
SECTIONS = [
    ("int4, groups of 128", "sample", ["--type", "int4", "--group-size", "128", "--format", "dense"],
     [[], MSE, OUTPUT, AWQ, AWQ + MSE, AWQ + OUTPUT, EQUAL, ROTATE, [T, "split"], [T, "clip"], GPTQ, GPTQ + MSE,
      GPTQ + OUTPUT, AWQ + GPTQ + OUTPUT, ROTATE + GPTQ + OUTPUT], "file"),
    ("int3, groups of 128", "sample", ["--type", "int3", "--group-size", "128", "--format", "dense"],
     [[], MSE, OUTPUT, AWQ, AWQ + OUTPUT, EQUAL, ROTATE, [T, "split"], [T, "clip:99"], GPTQ, GPTQ + MSE, GPTQ + OUTPUT,
      AWQ + GPTQ + OUTPUT], "file"),
    ("int2, groups of 64", "sample", ["--type", "int2", "--group-size", "64", "--format", "dense"],
     [[], MSE, OUTPUT, AWQ + OUTPUT, [T, "clip:95"], GPTQ, GPTQ + MSE, GPTQ + OUTPUT, AWQ + GPTQ + MSE], "file"),
    ("W8A8, int8 per token", "sample", ["--type", "int8", "--activations", "int8-token"],
     [[], SMOOTH, AUTO, ROTATE, HADAMARD], "memory"),
    ("W8A8, static int8, minmax", "sample", ["--type", "int8", "--activations", "int8-static"],
     [[], SMOOTH, AUTO, ROTATE, HADAMARD], "memory"),
    ("W8A8, static int8, mse", "sample", ["--type", "int8", "--activations", "int8-static", "--range", "mse"],
     [[], SMOOTH, AUTO, HADAMARD], "memory"),
    ("W4A4, int4 per token, weights in groups of 64", "sample",
     ["--type", "int4", "--group-size", "64", "--activations", "int4-token"],
     [[], ROTATE, HADAMARD, ROTATE + HADAMARD], "memory"),
    ("planted outliers: int4, groups of 128", "outliers",
     ["--type", "int4", "--group-size", "128", "--format", "dense"],
     [[], MSE, OUTPUT, AWQ, AWQ + OUTPUT, EQUAL, SMOOTH, GPTQ, AWQ + GPTQ + OUTPUT], "file"),
    ("planted outliers: W8A8, static int8, minmax", "outliers", ["--type", "int8", "--activations", "int8-static"],
     [[], SMOOTH, AUTO, EQUAL, ROTATE], "memory"),
    ("mixed: 3.282 bits per weight, as int3 in groups of 128 has in GPTQ's files", "sample", ["--format", "gptq"],
     [["--type", "int3", "--group-size", "128"], ["--budget", "3.282", *TYPES]], "file"),
    ("mixed: 4.292 bits per weight, as int4 in groups of 128 has in GPTQ's files", "sample", ["--format", "gptq"],
     [["--type", "int4", "--group-size", "128"], ["--budget", "4.292", *TYPES]], "file"),
    ("calibration set: W8A8, static int8, minmax", "sample", ["--type", "int8", "--activations", "int8-static"],
     SIZES, "memory"),
    ("calibration set: W8A8, static int8, mse", "sample",
     ["--type", "int8", "--activations", "int8-static", "--range", "mse"], SIZES, "memory"),
    ("calibration set: GPTQ, int4, groups of 128", "sample",
     ["--type", "int4", "--group-size", "128", "--format", "dense", *GPTQ], SIZES, "file"),
    ("calibration set: GPTQ and scales: output, int3, groups of 128", "sample",
     ["--type", "int3", "--group-size", "128", "--format", "dense", *GPTQ, *OUTPUT], SIZES, "file"),
]


def name_of(options):
    """Two words are one option: the names of options are left out."""
    if "--samples" in options:
        return f"{options[1]} x 256 tokens"
    if "--budget" in options:
        return "chosen by layer: " + options[options.index("--types") + 1].replace(",", ", ")
    if "--group-size" in options:
        return "the same type for all"
    words = [options[i + 1] for i in range(0, len(options), 2)]
    return " + ".join({"mse": "scales: mse", "output": "scales: output"}.get(w, w) for w in words) or "to nearest"


def needs_data(options):
    return bool(set(options) & {"gptq", "output", "awq", "smooth", "smooth:auto", "--budget"})


class Runner:
    def __init__(self, nibble, scratch):
        self.nibble, self.scratch = os.path.abspath(nibble), scratch
        self.outliers = os.path.join(scratch, "outliers")

    def run(self, *words):
        done = subprocess.run([self.nibble, *words, "--device", "cpu"], cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"nibble {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def model(self, name):
        if name == "sample":
            return SAMPLE
        if not os.path.exists(self.outliers):
            import outlier_model
            outlier_model.make(os.path.join(ROOT, SAMPLE), self.outliers)
        return self.outliers

    def evaluate(self, model, *options):
        return json.loads(self.run("eval", model, "--data", os.path.join(SAMPLE, "test_ids.npy"), "--window", "256",
                                   "--windows", WINDOWS, "--against", SAMPLE, "--json", *options))

    def row(self, model, common, options, how):
        model, out = self.model(model), os.path.join(self.scratch, "out")
        static = "int8-static" in common
        if "--samples" in options:
            self.run("quantize", model, "-o", out, "--force", *common, *DATA[:2], *options, *DATA[4:])
            return self.evaluate(out)
        if how == "file" or (static and options != HADAMARD):
            data = DATA if static or needs_data(options) else []
            # Each layer takes a pass over the data.
            data = data[:2] + ["--samples", "16", *data[4:]] if "--budget" in options else data
            self.run("quantize", model, "-o", out, "--force", *common, *options, *data)
            return self.evaluate(out)
        # The transformed model, then its weights and activations in memory: what no file holds.
        if options:
            data = DATA if needs_data(options) else []
            self.run("quantize", model, "-o", out, "--force", "--type", "F32", "--format", "safetensors", *options,
                     *data)
            model = out
        quantization = [w for w in common if w not in ("--range", "mse")]
        if "int8-static" in quantization:
            calib = os.path.join(self.scratch, "c.json")
            ranges = "mse" if "mse" in common else "minmax"
            self.run("calibrate", model, "--data", DATA[1], *DATA[2:], "--range", ranges, "-o", calib, "--force")
            quantization += ["--calib", calib]
        return self.evaluate(model, *quantization)


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def measure(nibble, path, only):
    result = read(path) if os.path.exists(path) else {"schema": 1, "windows": int(WINDOWS), "rows": []}
    done = {(r["section"], r["name"]) for r in result["rows"]}
    with tempfile.TemporaryDirectory() as scratch:
        runner = Runner(nibble, scratch)
        for section, model, common, choices, how in SECTIONS:
            for options in choices:
                name = name_of(options)
                if (section, name) in done or not re.search(only, f"{section}: {name}"):
                    continue
                row = runner.row(model, common, options, how)
                result["rows"].append({"section": section, "name": name,
                                       **{k: row[k] for k in ("perplexity", "mean_kl", "mean_kl_se")}})
                print(f"{section}: {name}: {row['mean_kl']:.5f}", file=sys.stderr, flush=True)
                with open(path, "w", encoding="utf-8") as file:
                    json.dump(result, file, indent=1)
                    file.write("\n")


def found(result, section, name):
    return next(r for r in result["rows"] if r["section"].startswith(section) and r["name"] == name)


def check(path):
    """Returns how many methods do not do what they are for, by more than two standard errors."""
    result, bad = read(path), 0
    for section, better, worse in (
            ("int4, groups", "scales: mse", "to nearest"), ("int4, groups", "scales: output", "scales: mse"),
            ("int4, groups", "gptq", "to nearest"), ("int4, groups", "gptq + scales: output", "gptq"),
            ("int3, groups", "scales: output", "to nearest"), ("int3, groups", "gptq + scales: output", "gptq"),
            ("int2, groups", "scales: mse", "to nearest"), ("int2, groups", "gptq + scales: mse", "gptq"),
            ("W8A8, int8 per", "hadamard", "to nearest"), ("W8A8, static int8, minmax", "smooth", "to nearest"),
            ("W8A8, static int8, minmax", "smooth:auto", "smooth"),
            ("W8A8, static int8, minmax", "hadamard", "to nearest"), ("W4A4", "hadamard", "to nearest"),
            ("planted outliers: int4", "awq", "to nearest"), ("planted outliers: W8A8", "smooth", "to nearest"),
            ("planted outliers: W8A8", "smooth:auto", "smooth"),
            ("calibration set: W8A8, static int8, minmax", "1 x 256 tokens", "250 x 256 tokens"),
            ("calibration set: GPTQ, int4", "64 x 256 tokens", "4 x 256 tokens"),
            ("calibration set: GPTQ and", "64 x 256 tokens", "4 x 256 tokens"),
            ("mixed: 3.282", CHOSEN, "the same type for all"), ("mixed: 4.292", CHOSEN, "the same type for all")):
        a, b = found(result, section, better), found(result, section, worse)
        errors = (b["mean_kl"] - a["mean_kl"]) / (a["mean_kl_se"] ** 2 + b["mean_kl_se"] ** 2) ** 0.5
        bad += errors <= 2
        print(f"{'ok    ' if errors > 2 else 'FAILED'} {a['section']}: {better} {a['mean_kl']:.5f}, {worse} "
              f"{b['mean_kl']:.5f}: {errors:.1f} standard errors")
    return bad


def table(path):
    result = read(path)
    lines = []
    for section, *_ in SECTIONS:
        rows = [r for r in result["rows"] if r["section"] == section]
        if not rows:
            continue
        if lines:
            lines.append("")
        lines += [f"| {section} | perplexity | mean KL |", "|---|---:|---:|"]
        lines += [f"| {r['name']} | {r['perplexity']:.3f} | {r['mean_kl']:.5f} ± {r['mean_kl_se']:.5f} |" for r in rows]
    return "\n".join(lines)


def main():
    verb, arguments = sys.argv[1], sys.argv[2:]
    if verb == "measure":
        only = arguments[arguments.index("--only") + 1] if "--only" in arguments else ""
        return measure(arguments[0], arguments[1], only)
    if verb == "check":
        sys.exit(1 if check(arguments[0]) else 0)
    print(table(arguments[0]))
    return None


main()
