#!/usr/bin/env python3
"""nibble quantize --method gptq into GPTQ's, AWQ's and GGUF files: the losses, the files' values and their divergence.

  gptq_files_tool.py NIBBLE SAMPLE SCRATCH
"""
import json
import math
import os
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tool"), os.path.join(HERE, "..", "golden")]
import checkpoints as ck
import decode_packed
import gguf_models as gm
import quantized_models as qm
import read_gguf
from tool import Tool

CPU = ("--device", "cpu")
LAYERS = 42


def gptq(tool, model, out, *options, samples=8):
    calib = os.path.join(model, "calib_ids.npy")
    done = tool.passes("quantize", model, "-o", out, "--method", "gptq", "--calib", calib, "--samples", str(samples),
                       "--seq-len", "128", "--force", "--json", *options, *CPU, timeout=300)
    return {t["name"]: t for t in json.loads(done.out or '{"tensors": []}')["tensors"] if "gptq" in t}


def check_losses(tool, what, layers):
    tool.check(len(layers) == LAYERS, f"{what}: {len(layers)} layers")
    worse = {n: t["gptq"] for n, t in layers.items()
             if t["gptq"]["rounded_to_nearest"] or not 0 < t["gptq"]["loss"] < 0.9 * t["gptq"]["nearest_loss"]}
    tool.check(not worse, f"{what}: no better than rounding to nearest: {worse}")


def sqnr(original, values):
    error = sum((a - b) ** 2 for a, b in zip(original, values))
    return 10 * math.log10(sum(a * a for a in original) / error)


def divergence(tool, model, out):
    done = tool.passes("eval", out, "--data", os.path.join(model, "test_ids.npy"), "--window", "256", "--windows", "8",
                       "--against", model, "--json", *CPU, timeout=300)
    return json.loads(done.out)["mean_kl"]


def originals_of(model):
    return {n: qm.values_of(t, d) for n, (t, _, d) in qm.read_folder(model).items()}


def test_order(tool, model, originals):
    """desc: each column has the scale of the group that g_idx names, and errors of the file are those of the report."""
    for number, options in enumerate((["--type", "int4", "--asym"], ["--type", "int3", "--scale-search", "mse"])):
        what = " ".join(options)
        layers = gptq(tool, model, "desc", "--format", "gptq", "--act-order", "desc", "--granularity", "group",
                      "--group-size", "64", *options)
        check_losses(tool, what, layers)
        weights, rest = decode_packed.decode("desc")
        tool.check(len(weights) == LAYERS, f"{what}: {len(weights)} weights")
        for name in sorted(weights)[number::8]:
            of = decode_packed.words(decode_packed.read_folder("desc")[0][name[:-7] + ".g_idx"][2])
            sizes = [of.count(g) for g in range(max(of) + 1)]
            tool.check(sizes == [64] * (len(of) // 64), f"{what}: {name}: groups of {sizes} columns")
            tool.check(list(of) != sorted(of), f"{what}: {name}: columns are in order")
            values = [v for row in weights[name] for v in row]
            found = sqnr(originals[name], values)
            tool.check(abs(found - layers[name]["sqnr_db"]) < 0.01,
                       f"{what}: {name}: {found} dB, reported {layers[name]['sqnr_db']}")
        if number == 0:
            gptq(tool, model, "desc", "--format", "gptq", "--act-order", "desc", "--group-size", "64", *options,
                 samples=128)
            kl = divergence(tool, model, "desc")
            tool.passes("quantize", model, "-o", "nearest", "--format", "gptq", "--group-size", "64", "--asym",
                        "--force", *CPU)
            nearest = divergence(tool, model, "nearest")
            print(f"mean KL: {nearest:.5f} to nearest, {kl:.5f} with GPTQ and act-order")
            tool.check(kl < 0.8 * nearest, f"mean KL {kl} is not well below {nearest}")


def test_static(tool, model):
    """The same codes as in compressed-tensors."""
    gptq(tool, model, "packed", "--format", "gptq", "--group-size", "64")
    gptq(tool, model, "rows", "--group-size", "64")
    gptq(tool, model, "awq", "--format", "awq", "--group-size", "64", "--sym")
    for other in ("rows", "awq"):
        done = tool.passes("compare", "packed", other, "--json", *CPU)
        differ = [t["name"] for t in json.loads(done.out)["tensors"] if t["max_abs"] != 0]
        tool.check(not differ, f"{other} differs in {differ}")


def test_blocks(tool, model, originals):
    for kind in ("q4_0", "q8_0", "mxfp4"):
        # The embedding and the head of a mix have types that GPTQ does not take.
        layers = gptq(tool, model, "blocks.gguf", "--type", kind, "--exclude", "embed_tokens|lm_head")
        check_losses(tool, kind, layers)
        file = read_gguf.read("blocks.gguf")
        done = json.loads(tool.passes("compare", model, "blocks.gguf", "--json", *CPU).out)
        compared = {t["name"]: t["sqnr_db"] for t in done["tensors"]}
        for name in sorted(layers)[::10]:
            stored, dims, data = file.tensors[gm.gguf_name(name)]
            tool.check(stored == kind.upper(), f"{kind}: {name} is {stored}")
            reported = layers[name]["sqnr_db"]
            tool.check(abs(compared[name] - reported) < 0.01, f"{kind}: {name}: {compared[name]} and {reported} dB")
            # The independent reader finds the same sum of squares; rows of q and k are in another order.
            square = sum(v * v for v in read_gguf.decode(stored, data))
            own = sum(v * v for v in originals[name])
            tool.check(abs(square / own - 1) < 0.05, f"{kind}: {name}: {square} and {own}")
    calib = ("--calib", os.path.join(model, "calib_ids.npy"))
    for kind in ("q4_1", "q5_0", "q5_1"):
        tool.refused("a rule of its own", "quantize", model, "-o", "x.gguf", "--method", "gptq", "--type", kind, *calib,
                     *CPU, codes=(1,))
    for form in ("compressed-tensors", "awq"):
        tool.refused("--act-order desc", "quantize", model, "-o", "x", "--method", "gptq", "--format", form,
                     "--act-order", "desc", *calib, *CPU, codes=(1,))
    tool.check(not os.path.exists("x") and not os.path.exists("x.gguf"), "a refused run left an output")


def test_positive(tool):
    """Positive weights have the zero point 0, which version 1 cannot hold, in every group."""
    gm.INNER = 96
    shapes, config = gm.shapes_of("mistral", 48), gm.config_of("mistral", 48, torch_dtype="float16")
    values = {n: [abs(v) * (0.3 if len(s) == 2 else 1) + 0.02 for v in ck.numbers(s, n)] for n, s in shapes.items()}
    ck.write_model("positive", shapes, config, "F16", values)
    ids = struct.pack("<512i", *(i * 7 % 48 for i in range(512)))
    head = b"{'descr': '<i4', 'fortran_order': False, 'shape': (512,), }"
    head = head.ljust((len(head) + 11 + 63) // 64 * 64 - 11) + b"\n"
    with open("ids.npy", "wb") as file:
        file.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + ids)
    originals = originals_of("positive")
    for kind in ("int2", "int3", "int4", "int8"):
        done = tool.passes("quantize", "positive", "-o", "p", "--method", "gptq", "--calib", "ids.npy", "--seq-len",
                           "64", "--format", "gptq", "--type", kind, "--asym", "--granularity", "group",
                           "--group-size", "32", "--force", "--json", *CPU)
        report = {t["name"]: t for t in json.loads(done.out)["tensors"] if "gptq" in t}
        weights, _ = decode_packed.decode("p")
        tool.check(len(weights) == len(report) == 14, f"{kind}: {len(weights)} weights")
        for name, rows in weights.items():
            found = sqnr(originals[name], [v for row in rows for v in row])
            tool.check(abs(found - report[name]["sqnr_db"]) < 0.01 and found > {"int2": 4, "int3": 10}.get(kind, 16),
                       f"{kind}: {name}: {found} dB, reported {report[name]['sqnr_db']}")


def test_resume(tool, model):
    """The order of columns is kept with a finished layer: a run that is killed and resumed gives the same bytes."""
    words = ["quantize", model, "--method", "gptq", "--calib", os.path.join(model, "calib_ids.npy"), "--samples", "8",
             "--seq-len", "128", "--format", "gptq", "--act-order", "desc", "--group-size", "64", "--force", *CPU]
    tool.passes(*words, "-o", "whole", timeout=300)
    process = subprocess.Popen([tool.program, *words, "-o", "killed"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    while process.poll() is None and (not os.path.exists("killed.gptq") or len(os.listdir("killed.gptq")) < 20):
        time.sleep(0.002)
    process.kill()
    process.wait()
    tool.check(os.path.exists("killed.gptq"), "the run was not killed between its layers")
    tool.passes(*words, "-o", "killed", "--resume", timeout=300)
    tool.check(qm.read_folder("whole") == qm.read_folder("killed"), "a resumed run gives other bytes")


def main():
    tool = Tool(sys.argv[1], sys.argv[3])
    model = sys.argv[2]
    originals = originals_of(model)
    test_order(tool, model, originals)
    test_static(tool, model)
    test_blocks(tool, model, originals)
    test_positive(tool)
    test_resume(tool, model)
    tool.end()


main()
