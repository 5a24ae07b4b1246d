#!/usr/bin/env python3
"""nibble quantize --budget and --size on the sample model.

    mixed_tool.py NIBBLE SCRATCH MODEL DEVICE [OTHER]

With OTHER, the losses on that device are compared with those on DEVICE, and nothing else is tested.
"""
import argparse
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tool"))
from checks import check, check_refused, end, same_files

LAYERS, UNITS = 42, 24
FUSED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


class Tool:
    def __init__(self, options, device):
        self.nibble, self.model, self.device = os.path.abspath(options.nibble), options.model, device
        self.scratch = os.path.abspath(options.scratch)
        self.calib = os.path.join(options.model, "calib_ids.npy")
        self.data = ["--calib", self.calib, "--samples", "8", "--seq-len", "64", "--kl-samples", "2"]
        self.more_data = ["--calib", self.calib, "--samples", "8", "--seq-len", "128", "--kl-samples", "2"]

    def path(self, name):
        return os.path.join(self.scratch, name)

    def command(self, out, *arguments):
        return [self.nibble, "quantize", self.model, "-o", self.path(out), "--device", self.device, *arguments]

    def quantize(self, out, *arguments):
        done = subprocess.run([*self.command(out, *arguments), "--force", "--json"], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"quantize {arguments} failed: {done.stderr}")
        check(not os.path.exists(self.path(out) + ".costs"), f"{arguments}: left its costs")
        return json.loads(done.stdout)

    def mixed(self, out, *arguments):
        return self.quantize(out, *self.data, *arguments)

    def divergence(self, out, windows=32):
        done = subprocess.run([self.nibble, "eval", self.path(out), "--data", os.path.join(self.model, "test_ids.npy"),
                               "--window", "256", "--windows", str(windows), "--against", self.model, "--device",
                               self.device, "--json"], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"eval failed: {done.stderr}")
        result = json.loads(done.stdout)
        return result["mean_kl"], result["mean_kl_se"]

    def refused(self, code, *words, arguments):
        done = subprocess.run(self.command("refused", *arguments), capture_output=True, text=True)
        check_refused(done, code, *words, what=" ".join(arguments))
        check(not os.path.exists(self.path("refused")), f"{arguments}: left an output")
        check(not os.path.exists(self.path("refused.costs")), f"{arguments}: left its costs")


def tensor_bytes(folder):
    """The bytes of all tensors of a file, read without nibble."""
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    header.pop("__metadata__", None)
    return sum(t["data_offsets"][1] - t["data_offsets"][0] for t in header.values())


def best_cost(mixed):
    """The least sum of KL within the budget: all reachable sizes with their least costs, unit by unit."""
    reached = {0: 0.0}
    for unit in mixed["units"]:
        options, least = [], math.inf
        for option in sorted(unit["types"], key=lambda t: t["bytes"]):
            least = min(least, option["kl"] or 0.0)
            options.append((option["bytes"], least))
        following = {}
        for size, cost in reached.items():
            for more, loss in options:
                if size + more <= mixed["budget_bytes"]:
                    following[size + more] = min(following.get(size + more, math.inf), cost + loss)
        # Sizes that cost no less than a smaller one.
        reached, least = {}, math.inf
        for size in sorted(following):
            if following[size] < least:
                least = reached[size] = following[size]
    return least


def check_report(report, text, units=UNITS):
    mixed = report["mixed"]
    types = {t["name"]: (t["type"], t["group_size"], t["bytes_out"]) for t in report["tensors"]}
    check(len(mixed["units"]) == units, f"{text}: {len(mixed['units'])} units")
    check(mixed["bytes"] <= mixed["budget_bytes"], f"{text}: {mixed['bytes']} bytes of {mixed['budget_bytes']}")
    layers = [name for unit in mixed["units"] for name in unit["layers"]]
    check(len(set(layers)) == len(layers), f"{text}: a layer is in two units")
    check(sum(types[name + ".weight"][2] for name in layers) == mixed["bytes"], f"{text}: sizes of layers")
    check(abs(mixed["bits_per_weight"] - 8 * mixed["bytes"] / mixed["weights"]) < 1e-9, f"{text}: bits per weight")
    for unit in mixed["units"]:
        for name in unit["layers"]:
            kind, group, _ = types[name + ".weight"]
            got = kind + (f":{group}" if group else "")
            check(got in unit["type"].split("+"), f"{text}: {name} is {got}, not {unit['type']}")
        words = {name.rsplit(".", 1)[-1] for name in unit["layers"]}
        for fused in FUSED:
            check(units >= LAYERS or unit["fixed"] or not words & set(fused) or words == set(fused),
                  f"{text}: {words} choose together")
        for option in unit["types"]:
            bits = option["bits_per_weight"]
            check(unit["fixed"] or option["source"] in ("measured", "estimated", "dense"), f"{text}: {option}")
            check(bits < 3.2 or option["kl"] is None or option["kl"] < 0.1, f"{text}: {option}")
    got = sum(next(t["kl"] or 0 for t in unit["types"] if t["type"] == unit["type"]) for unit in mixed["units"])
    check(abs(got - mixed["kl"]) < 1e-12, f"{text}: KL {mixed['kl']}, of the chosen {got}")
    best = best_cost(mixed)
    check(mixed["exact"] and mixed["kl"] <= best * (1 + 1e-9) + 1e-12, f"{text}: KL {mixed['kl']}, best {best}")
    return mixed


def test_better(tool):
    """As many bits as a uniform type, and less loss."""
    data = ["--calib", tool.calib, "--samples", "16", "--seq-len", "256", "--kl-samples", "4", "--format", "gptq"]
    for bits in (3, 4):
        uniform = tool.quantize("uniform", "--bits", str(bits), "--group-size", "128", "--format", "gptq")
        budget = uniform["quantized"]["bits_per_weight"]
        report = tool.quantize("mixed", *data, "--budget", f"{budget:.9f}", "--types", "int2,int3,int4,int8",
                               "--group-size", "128", "--separate")
        mixed = check_report(report, f"{bits} bits", units=LAYERS)
        check(abs(mixed["bits_per_weight"] - budget) < 0.05, f"{mixed['bits_per_weight']} of {budget} bits")
        check(report["quantized"]["bits_per_weight"] <= budget + 1e-9, f"more than {budget} bits")
        (plain, plain_error), (ours, error) = tool.divergence("uniform", 128), tool.divergence("mixed", 128)
        print(f"{budget:.3f} bits: mean KL {plain:.5f} +- {plain_error:.5f} of int{bits}, {ours:.5f} +- {error:.5f} "
              f"mixed, {mixed['kl']:.5f} expected", flush=True)
        check(ours + 2 * math.hypot(error, plain_error) < plain, f"{bits} bits: KL {ours}, uniform {plain}")


def test_choices(tool):
    one = check_report(tool.mixed("one", "--budget", "4.5"), "one")
    sources = [t["source"] for unit in one["units"] for t in unit["types"]]
    check(sources.count("measured") == UNITS and sources.count("estimated") == 2 * UNITS, f"sources {sources}")
    full = check_report(tool.mixed("full", "--budget", "4.5", "--sensitivity", "full"), "full")
    check(all(t["source"] == "measured" for unit in full["units"] for t in unit["types"]), "full is not measured")
    for estimated, measured in zip(one["units"], full["units"]):
        check(estimated["layers"] == measured["layers"], "other units")
        for a, b in zip(estimated["types"], measured["types"]):
            check(a["bytes"] == b["bytes"], f"sizes {a} {b}")
            if a["source"] == "measured":
                check(a["kl"] == b["kl"] and a["kl_se"] == b["kl_se"], f"measured twice: {a} {b}")
            check(0.2 < (a["kl"] + 1e-7) / (b["kl"] + 1e-7) < 5, f"{estimated['layers']}: estimated {a}, measured {b}")
    # The extremes.
    low = check_report(tool.mixed("low", "--budget", "2.4", "--types", "int2,int8"), "low")
    high = check_report(tool.mixed("high", "--budget", "15.99", "--types", "int4,int8,F16"), "high")
    check(sum(unit["type"] == "F16" for unit in high["units"]) == UNITS - 1, "16 bits are not all dense")
    check(sum(unit["type"].startswith("int2") for unit in low["units"]) > UNITS / 2, "2.4 bits are not mostly int2")
    # A layer of F16 among others is told to loaders.
    report = tool.mixed("some", "--budget", "10", "--types", "int4:64,F16")
    some = check_report(report, "some")
    dense = {name for unit in some["units"] if unit["type"] == "F16" for name in unit["layers"]}
    with open(os.path.join(tool.path("some"), "config.json"), encoding="utf-8") as file:
        ignore = json.load(file)["quantization_config"]["ignore"]
    check(0 < len(dense) < LAYERS and dense <= set(ignore), f"dense {dense}, ignored {ignore}")
    tool.divergence("some", 1)


def test_size(tool):
    size = 3_400_000
    report = tool.mixed("sized", "--size", "3.4M", "--types", "int4:64,int4:128,int8")
    check_report(report, "size")
    check(report["bytes_out"] <= size < report["bytes_out"] + 60_000, f"{report['bytes_out']} bytes of {size}")
    check(tensor_bytes(tool.path("sized")) == report["bytes_out"], "bytes_out are not those of the file")


def test_rules(tool):
    """Fixed layers count, and are not measured."""
    report = tool.mixed("ruled", "--budget", "5", "--rule", "layers\\.0\\.=int8", "--rule", "layers\\.5.*down=F16",
                        "--rule", "^lm_head=int8", "--exclude", "layers\\.3\\.")
    mixed = check_report(report, "rules", units=UNITS - 4 - 4 - 1 + 7 + 1 + 1)
    types = {name: unit for unit in mixed["units"] for name in unit["layers"]}
    for name, unit in types.items():
        fixed = ".layers.0." in name or name == "lm_head" or name.endswith("layers.5.mlp.down_proj")
        check(unit["fixed"] == fixed, f"{name}: {unit}")
        if ".layers.0." in name or name == "lm_head":
            check(unit["type"] == "int8", f"{name}: {unit['type']}")
    check(types["model.layers.5.mlp.down_proj"]["type"] == "F16", "a rule of F16")
    check(not any(".layers.3." in name for name in types), "an excluded layer")


def test_methods(tool):
    """With GPTQ, searched scales, and in the containers that hold several types."""
    rows = [["--method", "gptq", "--budget", "3.5", "--format", "gptq"],
            ["--scale-search", "mse", "--budget", "4"],
            ["--method", "gptq", "--scale-search", "mse", "--budget", "4", "--types", "int2:64,int4:64,int8"],
            ["--format", "gguf", "--budget", "5", "--types", "q4_0,q5_0,q8_0"],
            ["--format", "gguf", "--budget", "5"],
            ["--include", "^lm_head", "--budget", "4.3"]]
    for options in rows:
        out = "method.gguf" if "gguf" in options else "method"
        report = tool.quantize(out, *tool.more_data, *options)
        extra = 1 if "--include" in options else 0
        units = LAYERS if "gguf" in options else UNITS
        mixed = check_report(report, " ".join(options), units=units + extra)
        check(len({unit["type"] for unit in mixed["units"]}) > 1, f"{options}: one type for all")
        gptq = [t for t in report["tensors"] if "gptq" in t]
        check(len(gptq) == (LAYERS if "gptq" in options[:2] else 0), f"{options}: {len(gptq)} layers of GPTQ")
        divergence, _ = tool.divergence(out, 2)
        print(f"{' '.join(options)}: KL {divergence:.5f}, expected {mixed['kl']:.5f}", flush=True)
        check(divergence < 2 * mixed["kl"], f"{options}: KL {divergence}, expected {mixed['kl']}")
        if extra:
            head = next(unit for unit in mixed["units"] if unit["layers"] == ["lm_head"])
            check(all(t["source"] == "measured" for t in head["types"]), f"the head is estimated: {head}")


def test_resume(tool):
    arguments = [*tool.data, "--budget", "3.5", "--format", "gptq"]
    tool.quantize("whole", *arguments)
    costs = os.path.join(tool.path("killed.costs"), "costs.json")
    seen = []
    for wanted in (1, 10):
        shutil.rmtree(tool.path("killed"), ignore_errors=True)
        process = subprocess.Popen(tool.command("killed", *arguments, "--force"), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        count = 0
        while process.poll() is None and count < wanted:
            time.sleep(0.005)
            try:
                with open(costs, encoding="utf-8") as file:
                    count = len(json.load(file)["divergences"])
            except (OSError, ValueError):
                count = 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen.append(os.path.exists(costs))
        done = subprocess.run(tool.command("killed", *arguments, "--resume", "--force"), capture_output=True, text=True)
        check(done.returncode == 0, f"resume: {done.stderr}")
        check(same_files(tool.path("whole"), tool.path("killed")), "a resumed run gives other bytes")
        check(not os.path.exists(tool.path("killed.costs")), "a resumed run leaves costs")
    check(all(seen), "no run was killed with costs")
    # Costs that were changed by hand are measured again, as are those of another run. mixed_test reads good ones.
    for budget in ("3.5", "3.6"):
        os.makedirs(tool.path("killed.costs"))
        process = subprocess.Popen(tool.command("killed", *arguments, "--force"), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        kept = None
        while process.poll() is None and kept is None:
            time.sleep(0.005)
            try:
                with open(costs, encoding="utf-8") as file:
                    read = json.load(file)
                    kept = read if len(read["divergences"]) > 2 else None
            except (OSError, ValueError):
                kept = None
        process.send_signal(signal.SIGKILL)
        process.wait()
        first = next(iter(kept["divergences"]))
        kept["divergences"][first] = [100.0, 0.0]
        with open(costs, "w", encoding="utf-8") as file:
            json.dump(kept, file)
        report = tool.quantize("killed", *tool.data, "--budget", budget, "--format", "gptq", "--resume")
        unit = next(u for u in report["mixed"]["units"] if " ".join(u["layers"]) in first)
        check(unit["type"] != "int8", f"budget {budget}: {first} became {unit['type']}")


def test_text(tool):
    done = subprocess.run([*tool.command("text", *tool.data, "--budget", "4.5"), "--force"], capture_output=True,
                          text=True)
    lines = done.stdout.splitlines()
    check(any("self_attn.q_proj, k_proj, v_proj" in line and "int2:128 ~" in line for line in lines), done.stdout)
    check(any("bits per weight in" in line and "estimated" in line for line in lines), done.stdout)


def test_refusals(tool):
    budget = ["--budget", "4"]
    data = [*budget, *tool.data]
    tool.refused(2, "--budget", "--calib", arguments=budget)
    tool.refused(2, "--size", "--calib", arguments=["--size", "3M"])
    tool.refused(2, "--types goes with", arguments=["--types", "int4,int8"])
    tool.refused(2, "exclude each other", arguments=[*data, "--size", "3M"])
    tool.refused(2, "leave out --type", arguments=[*data, "--type", "int4"])
    tool.refused(2, "leave out --bits", arguments=[*data, "--bits", "4"])
    tool.refused(2, "--activations none", arguments=[*data, "--activations", "int8-token"])
    tool.refused(2, "more than 0", arguments=[*tool.data, "--budget", "0"])
    tool.refused(2, "more than 0", arguments=[*tool.data, "--budget", "33"])
    tool.refused(2, "at least two", arguments=[*data, "--types", "int4"])
    tool.refused(2, "twice", arguments=[*data, "--types", "int4,int4"])
    tool.refused(2, "a quantized type", arguments=[*data, "--types", "F16,BF16"])
    tool.refused(2, "unknown type", "int5", arguments=[*data, "--types", "int4,int5"])
    tool.refused(2, "group size", arguments=[*data, "--types", "int4:0,int8"])
    tool.refused(2, "--sensitivity", "one, full", arguments=[*data, "--sensitivity", "some"])
    tool.refused(2, "--format dense", arguments=[*data, "--format", "dense"])
    tool.refused(2, "--size", arguments=[*tool.data, "--size", "lots"])
    start = time.monotonic()
    # Before the work.
    tool.refused(1, "--budget 2", "smallest", "bits per weight", arguments=[*tool.data, "--budget", "2"])
    tool.refused(1, "--size 1000", "smallest", arguments=[*tool.data, "--size", "1000"])
    tool.refused(1, "nothing to quantize", arguments=[*tool.data, "--budget", "16", "--types", "int4,F16"])
    tool.refused(1, "BF16", "is F16", arguments=[*data, "--types", "int4,BF16"])
    tool.refused(1, "awq holds int4",
                 arguments=[*data, "--format", "awq", "--types", "int4,int8", "--group-size", "64"])
    tool.refused(1, "int3", "compressed-tensors", arguments=[*data, "--types", "int3,int4"])
    tool.refused(1, "q5_1", "choose", arguments=[*data, "--format", "gguf", "--method", "gptq", "--types", "q4_0,q5_1"])
    tool.refused(1, "no layer", arguments=[*data, "--rule", ".=int4"])
    # bitsandbytes has one type for all.
    tool.refused(1, "bnb", arguments=[*tool.data, "--budget", "5", "--format", "bnb", "--types", "nf4,int8"])
    tool.quantize("folder", "--type", "int8")
    done = subprocess.run(tool.command("folder", *data, "--format", "gguf", "--force"), capture_output=True, text=True)
    check(done.returncode != 0 and "folder" in done.stderr, f"a folder in the way: {done.stderr}")
    check(time.monotonic() - start < 20, "refusals take as long as work")
    tool.quantize("int4", "--type", "int4")
    quantized = Tool(argparse.Namespace(nibble=tool.nibble, model=tool.path("int4"), scratch=tool.scratch), tool.device)
    quantized.refused(1, "quantized already", arguments=["--budget", "4", *tool.data])
    with open(tool.path("refused.costs"), "w", encoding="utf-8") as file:
        file.write("mine")
    done = subprocess.run(tool.command("refused", *data), capture_output=True, text=True)
    check(done.returncode == 1 and "move it away" in done.stderr, f"a file in the way: {done.stderr}")
    os.remove(tool.path("refused.costs"))


def test_other(tool, other):
    data = ["--calib", tool.calib, "--samples", "4", "--seq-len", "64", "--kl-samples", "1", "--budget", "4.5"]
    ours, theirs = (t.quantize("device", *data)["mixed"] for t in (tool, other))
    for one, two in zip(ours["units"], theirs["units"]):
        check(one["type"] == two["type"], f"{one}, {two}")
        for a, b in zip(one["types"], two["types"]):
            check(a["bytes"] == b["bytes"] and abs(a["kl"] - b["kl"]) <= 0.001 * b["kl"] + 1e-7, f"{one}, {two}")


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
        for test in (test_refusals, test_text, test_choices, test_size, test_rules, test_methods, test_resume,
                     test_better):
            start = time.monotonic()
            test(tool)
            print(f"{test.__name__}: {time.monotonic() - start:.1f} s", flush=True)
    end(options.scratch)


if __name__ == "__main__":
    main()
