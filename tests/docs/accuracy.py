#!/usr/bin/env python3
"""The effect of quantization on the predictions of the sample model.

    accuracy.py measure NIBBLE RESULT.json [--device D] [--windows N] [--only REGEX]    runs every row (long)
    accuracy.py speed NIBBLE RESULT.json [--device D]                                   tokens/s, on a quiet machine
    accuracy.py check RESULT.json [OTHER.json]    GPTQ against rounding to nearest; another device's rows beside these
    accuracy.py page RESULT.json...               prints docs/accuracy.md
    accuracy.py picture RESULT.json               prints docs/accuracy.svg

A row is `nibble eval MODEL --data test_ids.npy --window 256 --against MODEL` and options that quantize MODEL's linear
layers in memory. Rows of GPTQ evaluate the model that `nibble quantize --method gptq` writes, and compare it with what
rounding to nearest writes, token by token. The rows of RESULT.json that exist already are not run again.
"""
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from xml.sax.saxutils import escape

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
MODEL = os.path.join("tests", "data", "tiny-kjv-llama")
STATIC = ["minmax", "percentile:99.99", "mse", "entropy-ort", "entropy-trt"]
INT8 = ["--type", "int8"]


CALIBRATION = ["--calib", os.path.join(MODEL, "calib_ids.npy"), "--samples", "128", "--seq-len", "512"]
GPTQ = ", GPTQ"


def grouped(bits, size, asymmetric=False):
    return ["--type", f"int{bits}", "--group-size", str(size)] + (["--asym"] if asymmetric else [])


def name_of(bits, size, asymmetric=False):
    return f"int{bits}, groups of {size}{', zero points' if asymmetric else ''}"


# Weights that GPTQ rounds, too.
BOTH = [(bits, size, asymmetric) for bits in (4, 3, 2) for size in (64, 128) for asymmetric in (True, False)]


# Group, name, options; {calib:R} = the ranges of method R.
def weights(bits, size, asymmetric=False):
    group = {4: "4 bits", 3: "3 bits", 2: "2 bits and less"}[bits]
    return group, name_of(bits, size, asymmetric), grouped(bits, size, asymmetric)


ROWS = ([("8 bits", "int8, scales per row", INT8),
         ("8 bits", "int8, activations int8 per token", INT8 + ["--activations", "int8-token"])] +
        [("8 bits", f"int8, static activations, {r}",
          INT8 + ["--activations", "int8-static", "--calib", "{calib:%s}" % r]) for r in STATIC] +
        [("8 bits", "fp8, scales per row", ["--type", "fp8"]),
         ("8 bits", "fp8, activations fp8 per token", ["--type", "fp8", "--activations", "fp8-token"]),
         ("8 bits", "fp8, static activations, minmax",
          ["--type", "fp8", "--activations", "fp8-static", "--calib", "{calib:minmax}"]),
         ("8 bits", "q8_0", ["--type", "q8_0"]),
         ("5 bits", "q5_1", ["--type", "q5_1"]),
         ("5 bits", "q5_0", ["--type", "q5_0"]),
         weights(4, 32, True), weights(4, 32)] +
        [weights(*how) for how in BOTH if how[0] == 4] +
        [("4 bits", "q4_1", ["--type", "q4_1"]),
         ("4 bits", "q4_0", ["--type", "q4_0"]),
         ("4 bits", "nf4, double quantization", ["--type", "nf4"]),
         ("4 bits", "fp4, double quantization", ["--type", "fp4"]),
         ("4 bits", "mxfp4", ["--type", "mxfp4"]),
         weights(3, 32, True)] +
        [weights(*how) for how in BOTH if how[0] == 3] +
        [weights(2, 32, True)] +
        [weights(*how) for how in BOTH if how[0] == 2] +
        [("2 bits and less", "ternary, groups of 64", ["--type", "ternary", "--group-size", "64"]),
         ("2 bits and less", "binary, groups of 64", ["--type", "binary", "--group-size", "64"])])
COLORS = {"8 bits": "#1f6fb4", "5 bits": "#5a7d1b", "4 bits": "#b8430f", "3 bits": "#8a3fa0", "2 bits and less": "#444",
          "GPTQ": "#0a8f8f"}


def run(nibble, *arguments):
    done = subprocess.run([nibble, *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"nibble {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


DATA = ["--data", os.path.join(MODEL, "test_ids.npy"), "--window", "256"]


class Result:
    def __init__(self, path):
        self.path = path
        self.json = read(path) if os.path.exists(path) else {"schema": 1, "rows": []}

    def row(self, name):
        return next((row for row in self.json["rows"] if row["name"] == name), None)

    def add(self, name, group, row):
        self.json["device"] = row.pop("device")
        self.json["rows"].append({"name": name, "group": group, **row})
        print(f"{name}: perplexity {row['perplexity']:.4f}, mean KL {row['mean_kl']:.5f}", file=sys.stderr, flush=True)
        self.save()

    def save(self):
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(self.json, file, indent=1)
            file.write("\n")


def measure(nibble, path, device, windows, only):
    nibble = os.path.abspath(nibble)
    result = Result(path)
    on = ["--device", device, "--json"]
    some = ["--windows", str(windows)] if windows else []

    def evaluate(model, against, *options):
        return json.loads(run(nibble, "eval", model, *DATA, *some, "--against", against, *on, *options))

    with tempfile.TemporaryDirectory() as scratch:
        run(nibble, "calibrate", MODEL, "--data", os.path.join(MODEL, "calib_ids.npy"), "--samples", "64", "--seq-len",
            "256", "--range", ",".join(STATIC), "-o", os.path.join(scratch, "c.json"), "--device", device)
        for group, name, options in [("", "as stored (fp16)", []), *ROWS]:
            if result.row(name) or not re.search(only, name):
                continue
            options = [os.path.join(scratch, f"c.{o[7:-1].replace(':', '-')}.json") if o.startswith("{calib:") else o
                       for o in options]
            result.add(name, group, evaluate(MODEL, MODEL, *options))
        for how in BOTH:
            name = name_of(*how)
            if result.row(name + GPTQ) or not re.search(only, name + GPTQ):
                continue
            # No other container holds 3 bits.
            out = ["--format", "dense" if how[0] == 3 else "compressed-tensors", "--force", "--device", device]
            nearest, gptq = os.path.join(scratch, "nearest"), os.path.join(scratch, "gptq")
            run(nibble, "quantize", MODEL, "-o", nearest, *grouped(*how), *out)
            run(nibble, "quantize", MODEL, "-o", gptq, *grouped(*how), *out, "--method", "gptq", *CALIBRATION)
            paired = evaluate(gptq, nearest)
            row = evaluate(gptq, MODEL)
            row["nearest_nll_delta"], row["nearest_nll_delta_se"] = paired["nll_delta"], paired["nll_delta_se"]
            row["bits_per_weight"] = result.row(name)["bits_per_weight"]
            result.add(name + GPTQ, "GPTQ", row)


def measure_speed(nibble, path, device):
    nibble = os.path.abspath(nibble)
    result = Result(path)
    with tempfile.TemporaryDirectory() as scratch:
        run(nibble, "calibrate", MODEL, "--data", os.path.join(MODEL, "calib_ids.npy"), "--samples", "4", "--seq-len",
            "256", "--range", "minmax", "-o", os.path.join(scratch, "c.json"), "--device", device)
        for group, name, options in [("", "as stored (fp16)", []), *ROWS]:
            if not result.row(name):
                continue
            options = [os.path.join(scratch, "c.json") if o.startswith("{calib:") else o for o in options]
            row = json.loads(run(nibble, "eval", MODEL, *DATA, "--windows", "32", "--device", device, "--json",
                                 *options))
            result.row(name)["speed"] = row["tokens_per_s"]
            result.save()
    for row in result.json["rows"]:
        if row["name"].endswith(GPTQ):
            row["speed"] = result.row(row["name"][:-len(GPTQ)])["speed"]
    result.save()


def agree(result, other):
    """Returns how many rows of another device differ by more than they may."""
    bad = 0
    for row in other.json["rows"]:
        mine = result.row(row["name"])
        far = [abs(row[key] / mine[key] - 1) if mine[key] else abs(row[key]) for key in ("perplexity", "mean_kl")]
        limits = (0.005, 0.05) if "activations" in row["name"] else (0.0005, 0.01)
        good = far[0] <= limits[0] and far[1] <= limits[1]
        bad += not good
        print(f"{'ok    ' if good else 'FAILED'} {row['name']} on {other.json['device']}: perplexity "
              f"{100 * far[0]:.4f} % off, mean KL {100 * far[1]:.3f} %")
    return bad


def check(path):
    result, bad = Result(path), 0
    for how in BOTH:
        nearest, gptq = result.row(name_of(*how)), result.row(name_of(*how) + GPTQ)
        lower = 1 - gptq["mean_kl"] / nearest["mean_kl"]
        errors = gptq["nearest_nll_delta"] / gptq["nearest_nll_delta_se"]
        good = errors < (1 if how[0] == 4 else -2) and (how[0] == 2 or lower >= 0.33)
        bad += not good
        print(f"{'ok    ' if good else 'FAILED'} {name_of(*how)}: mean KL {nearest['mean_kl']:.5f} to nearest, "
              f"{gptq['mean_kl']:.5f} with GPTQ, {100 * lower:.0f} % lower; paired nll {errors:+.1f} standard errors")
    return bad


def page(paths):
    lines = ["# Accuracy", "",
             "What quantizing the linear layers of the sample model (tests/data/tiny-kjv-llama, 4.9 million weights)",
             "does to its predictions, by type. Perplexity is e to the mean negative log-likelihood; KL is the",
             "Kullback-Leibler divergence of the quantized model's predictions from those of the model as it is",
             "stored, in nats per token, with its standard error. A row is",
             "", "    nibble eval MODEL --data test_ids.npy --window 256 --against MODEL --type TYPE ...", "",
             "and `python3 tests/docs/accuracy.py measure` runs them all. Scales come from the largest magnitude. Only",
             "GPTQ and the ranges of static activations are calibrated: GPTQ with 128 sequences of 512 tokens, columns",
             "in the order of their inputs (`--act-order static`), scales as without. tokens/s: of `nibble eval`,",
             "windows of 256 tokens, the whole network. Small models lose more than large ones.",
             "",
             "![Mean KL over bits per weight](accuracy.svg)", ""]
    for path in paths:
        result = read(path)
        first = result["rows"][0]
        lines += [f"## {result['device']}", "",
                  f"{first['tokens']} predicted tokens, {first['windows']} windows of {first['window']}.", "",
                  "| weights | bits per weight | perplexity | mean KL | top-1 agreement | tokens/s |",
                  "|---|---:|---:|---:|---:|---:|"]
        for row in result["rows"]:
            bits = f"{row['bits_per_weight']:.3f}" if row["bits_per_weight"] else "16"
            kl = f"{row['mean_kl']:.5f} ± {row['mean_kl_se']:.5f}" if row["mean_kl"] else "0"
            lines.append(f"| {row['name']} | {bits} | {row['perplexity']:.3f} | {kl} | "
                         f"{100 * row['top1_agreement']:.1f} % | {row['speed']:.0f} |")
        lines.append("")
    return "\n".join(lines)


WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 460, 70, 880, 40, 400
CHAR, LINE = 6.0, 12


def picture(path):
    rows = [row for row in read(path)["rows"] if row["mean_kl"] and row["bits_per_weight"]]
    divergences = [r["mean_kl"] for r in rows]
    low, high = math.floor(math.log10(min(divergences))), math.ceil(math.log10(max(divergences)))
    most = math.ceil(max(r["bits_per_weight"] for r in rows)) + 0.6

    def x(bits):
        return LEFT + (bits - 1) / (most - 1) * (RIGHT - LEFT)

    def y(kl):
        return BOTTOM - (math.log10(kl) - low) / (high - low) * (BOTTOM - TOP)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
           'font-size="11">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
           f'<text x="{LEFT}" y="20" font-size="14">Mean KL from the float model: lower loses less, further left is '
           'smaller</text>']
    for power in range(low, high + 1):
        at = y(10 ** power)
        out.append(f'<path d="M{LEFT} {at:.1f}H{RIGHT}" stroke="#e3e3e3"/>')
        out.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end" fill="#555">{10 ** power:g}</text>')
    for bits in range(1, math.floor(most) + 1):
        out.append(f'<path d="M{x(bits):.1f} {BOTTOM}v5" stroke="#888"/>')
        out.append(f'<text x="{x(bits):.1f}" y="{BOTTOM + 19}" text-anchor="middle" fill="#555">{bits}</text>')
    out.append(f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" stroke="#888" fill="none"/>')
    out.append(f'<text x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 40}" text-anchor="middle">bits per weight</text>')
    taken = [(x(r["bits_per_weight"]) - 5, y(r["mean_kl"]) - 5, x(r["bits_per_weight"]) + 5, y(r["mean_kl"]) + 5)
             for r in rows]
    for row in rows:
        at_x, at_y, color = x(row["bits_per_weight"]), y(row["mean_kl"]), COLORS[row["group"]]
        out.append(f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="4" fill="{color}"/>')
        text = row["name"].replace("groups of ", "g").replace("activations", "act.")
        text = text.replace("double quantization", "double")
        width = len(text) * CHAR
        right, left = at_x + 8, at_x - 8 - width
        for box_x, box_y in [(right, at_y + 4), (left, at_y + 4), (right, at_y - 7), (right, at_y + 15),
                             (left, at_y - 7), (left, at_y + 15), (at_x - width / 2, at_y - 18),
                             (at_x - width / 2, at_y + 26)]:
            box = (box_x, box_y - LINE + 2, box_x + width, box_y + 2)
            free = all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in taken)
            if free and LEFT <= box[0] and box[2] <= WIDTH:
                taken.append(box)
                out.append(f'<text x="{box_x:.1f}" y="{box_y:.1f}" fill="{color}" stroke="#fff" stroke-width="3" '
                           f'paint-order="stroke">{escape(text)}</text>')
                break
    return "\n".join(out + ["</svg>", ""])


def main():
    arguments = sys.argv[1:]
    options = {"--device": "cpu", "--windows": "0", "--only": ""}
    for option in list(options):
        if option in arguments:
            at = arguments.index(option)
            options[option] = arguments[at + 1]
            del arguments[at:at + 2]
    if len(arguments) == 3 and arguments[0] == "measure":
        measure(arguments[1], arguments[2], options["--device"], int(options["--windows"]), options["--only"])
    elif len(arguments) == 3 and arguments[0] == "speed":
        measure_speed(arguments[1], arguments[2], options["--device"])
    elif len(arguments) in (2, 3) and arguments[0] == "check":
        bad = check(arguments[1])
        if len(arguments) == 3:
            bad += agree(Result(arguments[1]), Result(arguments[2]))
        sys.exit(1 if bad else 0)
    elif len(arguments) >= 2 and arguments[0] == "page":
        sys.stdout.write(page(arguments[1:]))
    elif len(arguments) == 2 and arguments[0] == "picture":
        sys.stdout.write(picture(arguments[1]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
