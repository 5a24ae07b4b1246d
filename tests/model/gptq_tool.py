#!/usr/bin/env python3
"""nibble quantize --method gptq on the sample model.

    gptq_tool.py NIBBLE SCRATCH MODEL DEVICE [OTHER] [--kills N]

With OTHER, the losses on that device are compared with those on DEVICE, and nothing else is tested.
--kills: how many times a run is killed at a random moment and resumed (default 2).
"""
import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tool"))
from checks import check, end, same_files

LAYERS = 42


class Tool:
    def __init__(self, options, device):
        self.nibble, self.model, self.device = os.path.abspath(options.nibble), options.model, device
        self.scratch = os.path.abspath(options.scratch)
        self.calib = os.path.join(options.model, "calib_ids.npy")

    def path(self, name):
        return os.path.join(self.scratch, name)

    def command(self, out, *arguments, method="gptq", samples=8):
        data = ["--calib", self.calib, "--samples", str(samples), "--seq-len", "128"] if method == "gptq" else []
        return [self.nibble, "quantize", self.model, "-o", self.path(out), "--force", "--device", self.device,
                "--method", method, *data, *arguments]

    def quantize(self, out, *arguments, **options):
        done = subprocess.run([*self.command(out, *arguments, **options), "--json"], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"quantize {arguments} failed: {done.stderr}")
        return json.loads(done.stdout)

    def divergence(self, out):
        done = subprocess.run([self.nibble, "eval", self.path(out), "--data", os.path.join(self.model, "test_ids.npy"),
                               "--window", "256", "--windows", "8", "--against", self.model, "--device", self.device,
                               "--json"], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"eval failed: {done.stderr}")
        return json.loads(done.stdout)["mean_kl"]

    def refused(self, code, *words, arguments):
        done = subprocess.run([self.nibble, "quantize", self.model, "-o", self.path("refused"), "--device", self.device,
                               *arguments], capture_output=True, text=True)
        check(done.returncode == code, f"{arguments}: exit code {done.returncode}: {done.stderr}")
        lines = done.stderr.strip().splitlines()
        check(lines and all(word in lines[-1] for word in words), f"{arguments}: {done.stderr}")
        check(not os.path.exists(self.path("refused")), f"{arguments}: left an output")


def test_losses(tool):
    for options in (["--bits", "4", "--group-size", "128"], ["--bits", "4", "--group-size", "32", "--asym"],
                    ["--bits", "4", "--group-size", "64", "--act-order", "none", "--parity"],
                    ["--bits", "4", "--group-size", "64", "--act-order", "gar", "--no-true-sequential"]):
        report = tool.quantize("gptq", *options)
        layers = [t["gptq"] for t in report["tensors"] if "gptq" in t]
        check(len(layers) == LAYERS, f"{options}: {len(layers)} layers")
        check(all(not g["rounded_to_nearest"] and g["tokens"] == 1024 for g in layers), f"{options}: {layers}")
        worse = [g for g in layers if not 0 < g["loss"] < 0.9 * g["nearest_loss"]]
        check(not worse, f"{options}: no better than rounding to nearest: {worse}")
        check(not os.path.exists(tool.path("gptq.gptq")), f"{options}: unfinished layers were left")


def test_divergence(tool):
    options = ["--bits", "4", "--group-size", "128"]
    tool.quantize("nearest", *options, method="rtn")
    tool.quantize("gptq", *options, samples=128)
    nearest, gptq = tool.divergence("nearest"), tool.divergence("gptq")
    print(f"mean KL at 4 bits: {nearest:.5f} to nearest, {gptq:.5f} with GPTQ")
    check(gptq < 0.8 * nearest, f"mean KL {gptq} is not well below {nearest}")


def blobs_in(folder):
    return sum(name.endswith(".blob") for name in os.listdir(folder)) if os.path.exists(folder) else 0


def test_foreign(tool):
    """A folder that holds somebody's files is not used, and not deleted."""
    os.mkdir(tool.path("refused.gptq"))
    notes = os.path.join(tool.path("refused.gptq"), "notes.txt")
    with open(notes, "w", encoding="utf-8") as file:
        file.write("mine")
    for more in ((), ("--resume",)):
        tool.refused(1, "notes.txt", "move it away", arguments=["--calib", tool.calib, "--method", "gptq", *more])
        with open(notes, encoding="utf-8") as file:
            check(file.read() == "mine", f"{more}: the file has changed")
        check(not os.path.exists(tool.path("refused.partial")), f"{more}: the output is begun")
    shutil.rmtree(tool.path("refused.gptq"))


def test_kills(tool, kills):
    options = ["--bits", "4", "--group-size", "64"]
    tool.quantize("whole", *options)
    rng = random.Random(1)
    resumed = 0
    folder = tool.path("killed.gptq")
    for _ in range(kills):
        shutil.rmtree(tool.path("killed"), ignore_errors=True)
        process = subprocess.Popen(tool.command("killed", *options), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        layers = rng.randrange(LAYERS)
        while process.poll() is None and blobs_in(folder) < layers:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        resumed += blobs_in(folder) > 0
        done = subprocess.run(tool.command("killed", *options, "--resume"), capture_output=True, text=True)
        check(done.returncode == 0, f"resume: {done.stderr}")
        check(same_files(tool.path("whole"), tool.path("killed")), "a resumed run gives other bytes")
        check(not os.path.exists(folder), "a resumed run leaves unfinished layers")
    print(f"{kills} kills, {resumed} of them with finished layers")
    check(resumed > 0, "no run was killed between its first layer and its end")


def test_memory(tool):
    options = ["--bits", "4", "--group-size", "64"]
    tool.quantize("roomy", *options, samples=64)
    tool.quantize("spilled", *options, "--memory", "16M", samples=64)
    check(same_files(tool.path("roomy"), tool.path("spilled")), "activations in a file change the bytes")
    check(not os.path.exists(tool.path("spilled.gptq")), "the file of activations is left")


def losses(tool, out):
    report = tool.quantize(out, "--bits", "4", "--group-size", "64")
    return {t["name"]: t["gptq"] for t in report["tensors"] if "gptq" in t}


def test_other(tool, other):
    ours, theirs = losses(tool, "one"), losses(other, "other")
    check(len(ours) == LAYERS and ours.keys() == theirs.keys(), "other layers")
    # A code that falls the other way changes those after it, and the inputs of later layers.
    for name, one in ours.items():
        two = theirs[name]
        limit = 0.01 if ".layers.0.self_attn." in name else 0.1
        check(not two["rounded_to_nearest"] and abs(two["loss"] / one["loss"] - 1) < limit, f"{name}: {one}, {two}")
    total, other_total = (sum(g["loss"] for g in layers.values()) for layers in (ours, theirs))
    print(f"sum of losses: {total:.5g} and {other_total:.5g}")
    check(abs(other_total / total - 1) < 0.02, f"sums of losses {total}, {other_total}")


def test_device_memory(tool):
    done = subprocess.run([*tool.command("small", "--bits", "4"), "--device-memory", "8M"], capture_output=True,
                          text=True)
    check(done.returncode == 1 and "MB of device memory" in done.stderr, f"8 MB of device memory: {done.stderr}")
    tool.quantize("small", "--bits", "4", "--device-memory", "24M")
    tool.quantize("large", "--bits", "4", "--device-memory", "64M")


def test_refusals(tool):
    gptq = ["--method", "gptq"]
    calib = ["--calib", tool.calib]
    tool.refused(2, "--calib", arguments=gptq)
    tool.refused(2, "--type", arguments=[*gptq, *calib, "--type", "F16", "--format", "safetensors"])
    tool.refused(2, "--act-order", arguments=[*gptq, *calib, "--act-order", "sideways"])
    tool.refused(2, "--damp", arguments=[*gptq, *calib, "--damp", "-1"])
    tool.refused(2, "--block-size", arguments=[*gptq, *calib, "--block-size", "100"])
    tool.refused(2, "--seq-len", arguments=[*gptq, *calib, "--seq-len", "100000"])
    tool.refused(2, "--method", arguments=["--method", "magic"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("nibble", "scratch", "model", "device"):
        parser.add_argument(name)
    parser.add_argument("other", nargs="?")
    parser.add_argument("--kills", type=int, default=2)
    options = parser.parse_args()
    shutil.rmtree(options.scratch, ignore_errors=True)
    os.makedirs(options.scratch)
    tool = Tool(options, options.device)
    if options.other:
        test_other(tool, Tool(options, options.other))
        test_device_memory(Tool(options, options.other))
    else:
        test_refusals(tool)
        test_losses(tool)
        test_divergence(tool)
        test_foreign(tool)
        test_kills(tool, options.kills)
        test_memory(tool)
    end(options.scratch)


if __name__ == "__main__":
    main()
