#!/usr/bin/env python3
"""nibble convert, from every container to every other: what is lossless has the same values and comes back with the
same bytes, what is not says so, and what makes no sense is refused.

  convert_tool.py NIBBLE SCRATCH
"""
import json
import os
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tool"), os.path.join(HERE, "..", "golden")]
import checkpoints as ck
import decode_packed
import gguf_models as gm
import packed_models as pm
import quantized_models as qm
from packed_models import Weight, awq_config, gptq_config
from quantized_models import MLP
from tool import Tool, read

CPU = ("--device", "cpu")
W = MLP + ".weight"
TARGETS = ("compressed-tensors", "gptq", "gptq_v2", "awq", "bnb", "gguf", "safetensors")
# Sources: how each is quantized, and for each target L: lossless, R: quantized again, D: dense values, X: refused,
# because it is there already or has more bits than the target holds.
TABLE = {
    "gptq4s": ("--format gptq --type int4 --group-size 32 --sym", "LXLLRLD"),
    "gptq4a": ("--format gptq --type int4 --group-size 32 --asym", "LXLLRRD"),
    "gptq4r": ("--format gptq --type int4 --group-size -1 --sym", "LXLLRRD"),
    "gptq3a": ("--format gptq --type int3 --group-size 32 --asym", "RXLRRRD"),
    "gptq2s": ("--format gptq --type int2 --group-size 32 --sym", "LXLRRRD"),
    "gptq8s": ("--format gptq --type int8 --group-size 32 --sym", "LXLXRLD"),
    "v2": ("--format gptq_v2 --type int4 --group-size 32 --asym", "LLXLRRD"),
    "awq": ("--format awq --group-size 32 --asym", "LLLXRRD"),
    "awqs": ("--format awq --group-size 32 --sym", "LLLXRLD"),
    "ct4": ("--type int4 --group-size 32 --sym", "XLLLRLD"),
    "ct8": ("--type int8", "XLLXRRD"),
    "fp8": ("--type fp8", "XRRXRRD"),
    "mxfp4": ("--type mxfp4", "XRRRRLD"),
    "nf4": ("--format bnb --type nf4", "RRRRXRD"),
    "bnb8": ("--format bnb --type int8", "LRRXXRD"),
    "q4_0": ("--format gguf --type q4_0 --exclude embed_tokens|lm_head", "RRRRRXD"),
    "q4_1": ("--format gguf --type q4_1 --exclude embed_tokens|lm_head", "RRRRRXD"),
    "q8_0": ("--format gguf --type q8_0 --exclude embed_tokens|lm_head", "LLLXRXD"),
}
CONTAINERS = {"gptq": "gptq", "v2": "gptq_v2", "awq": "awq", "ct": "compressed-tensors", "fp8": "compressed-tensors",
              "mxfp4": "compressed-tensors", "nf4": "bnb", "bnb8": "bnb", "q": "gguf"}


def container_of(source):
    return max(((len(key), form) for key, form in CONTAINERS.items() if source.startswith(key)))[1]


def path_of(name, form):
    return name + ".gguf" if form == "gguf" else name


def convert(tool, source, out, form):
    done = tool.passes("convert", source, "-o", out, "--format", form, "--force", "--json", *CPU)
    return json.loads(done.out or "{}"), done


def largest_error(tool, a, b):
    done = tool.passes("compare", a, b, "--json", *CPU)
    report = json.loads(done.out)
    tool.check(not report["only_in_a"] and not report["only_in_b"], f"{a} and {b} differ in tensors")
    return max(t["max_abs"] for t in report["tensors"])


def weights_of(path):
    """The tensors of quantized weights."""
    ends = ("qweight", "qzeros", "scales", "g_idx", "weight_packed", "weight_scale", "weight_zero_point",
            "weight_shape")
    return {name: row for name, row in qm.read_folder(path).items() if name.endswith(ends)}


def check_back(tool, what, source, form, out, target):
    """There, back, and there again."""
    back, there = path_of("back", form), path_of("there", target)
    report, _ = convert(tool, out, back, form)
    if not report["lossless"]:
        return False
    # GGUF has no room for a model's other files, and tells config.json in other words.
    if "gguf" not in (form, target):
        for name in os.listdir(source):
            same = read(os.path.join(source, name)) == read(os.path.join(back, name))
            tool.check(same, f"{what}: the way back changes {name}")
    if form != "gguf":
        tool.check(weights_of(back) == weights_of(source), f"{what}: the way back changes tensors")
        wanted, got = (ck.read_config(p).get("quantization_config") for p in (source, back))
        tool.check(wanted == got, f"{what}: the way back changes {wanted} to {got}")
    convert(tool, back, there, target)
    for name in ["."] if target == "gguf" else sorted(os.listdir(out)):
        one, other = (read(p if name == "." else os.path.join(p, name)) for p in (out, there))
        tool.check(one == other, f"{what}: the second way there changes {name}")
    return True


def test_table(tool):
    gm.INNER = 96
    gm.make("dense", "mistral", dtype="F16", torch_dtype="float16")
    backs = 0
    for source, (options, outcomes) in TABLE.items():
        form = container_of(source)
        path = path_of("in_" + source, form)
        tool.passes("quantize", "dense", "-o", path, "--force", *options.split(), *CPU)
        for target, outcome in zip(TARGETS, outcomes):
            what, out = f"{source} -> {target}", path_of("out", target)
            if outcome == "X":
                part = "already" if form == target else "bits"
                tool.refused(part, "convert", path, "-o", out, "--format", target, "--force", *CPU, codes=(1,))
                continue
            report, done = convert(tool, path, out, target)
            ways = {t["conversion"] for t in report.get("tensors", [])} - {"dense"}
            wanted = {"L": "lossless", "R": "requantized", "D": "decoded"}[outcome]
            if not tool.check(ways == {wanted} and report["lossless"] == (outcome == "L"), f"{what}: {ways}"):
                continue
            tool.check(done.err.count("not lossless") == (outcome != "L") and "lossless" in done.err,
                       f"{what}: {done.err!r}")
            error = largest_error(tool, path, out)
            tool.check(error == 0 if outcome == "L" else error < 0.06, f"{what}: differs by {error}")
            if target in ("gptq", "gptq_v2", "awq"):
                tool.check(len(decode_packed.decode(out)[0]) == 14, f"{what}: the independent reader")
            if outcome == "L":
                backs += check_back(tool, what, path, form, out, target)
    tool.check(backs >= 30, f"only {backs} ways there and back")


def test_refusals(tool):
    order = [c * 7 % 96 // 32 for c in range(96)]
    w = Weight(64, 96, 4, 32, True, 1, of=order)
    pm.folder("ordered", w.gptq(MLP), gptq_config(4, 32, True, True))
    for form in ("awq", "compressed-tensors", "gguf", "bnb"):
        tool.refused("act-order (g_idx)", "convert", "ordered", "-o", path_of("x", form), "--format", form, *CPU,
                     codes=(1,))
    convert(tool, "ordered", "values", "safetensors")
    tool.check(largest_error(tool, "ordered", "values") < 1e-2, "act-order to values")
    none = Weight(64, 96, 4, 32, False, 2, least=0)
    pm.folder("none", none.awq(MLP), awq_config())
    tool.refused("choose --format gptq_v2", "convert", "none", "-o", "x", "--format", "gptq", *CPU, codes=(1,))
    report, _ = convert(tool, "none", "none2", "gptq_v2")
    tool.check(report["lossless"] and largest_error(tool, "none", "none2") == 0, "zero point 0 in version 2")
    qm.folder("plain", [qm.dense(W, 64, 96), *qm.rest()], {})
    tool.refused("no weight is quantized", "convert", "plain", "-o", "x", "--format", "gptq", *CPU, codes=(1,))
    tool.refused("expected one of", "convert", "none", "-o", "x", "--format", "nothing", *CPU, codes=(2,))
    tool.refused("--format F is needed", "convert", "none", "-o", "x", *CPU, codes=(2,))
    tool.refused("GGUF file", "convert", "none", "-o", "x.gguf", "--format", "gptq", *CPU,
                 codes=(2,))
    # The scales of a bfloat16 model are not those of F16, and that is said.
    tool.passes("quantize", "plain", "-o", "plain4", "--group-size", "32", *CPU)
    report, done = convert(tool, "plain4", "plain4_gptq", "gptq")
    tool.check(not report["lossless"] and "scales of BF16" in done.err, f"scales of BF16: {done.err!r}")
    # Activations are not quantized any more, and that is said.
    tool.passes("quantize", "plain", "-o", "w8a8", "--type", "int8", "--activations", "int8-token", *CPU)
    report, done = convert(tool, "w8a8", "w8", "gptq")
    tool.check(any("activations" in note for note in report["notes"]), f"activations: {report['notes']}")
    # Nothing is left of a conversion that fails, and nothing is replaced without --force.
    tool.check(not os.path.exists("x"), "a refused conversion left an output")
    tool.refused("exists", "convert", "none", "-o", "none2", "--format", "gptq_v2", *CPU, codes=(1, 2))
    # Small memory: pieces of lines, the same bytes.
    convert(tool, "none", "none3", "gptq_v2")
    tool.passes("convert", "none", "-o", "none4", "--format", "gptq_v2", "--memory", "16M", *CPU)
    tool.check(qm.read_folder("none3") == qm.read_folder("none4"), "pieces change the bytes")
    shutil.rmtree("none4")


def test_kills(tool):
    """A conversion that is killed can be resumed, and gives the same bytes."""
    names = [f"model.layers.{i}.mlp.up_proj" for i in range(40)]
    w = Weight(128, 256, 4, 32, False, 3)
    parts = [(name + part[0][len(MLP):], *part[1:]) for name in names for part in w.gptq(MLP)]
    qm.folder("many", parts, gptq_config(4, 32, False))
    tool.passes("convert", "many", "-o", "whole", "--format", "awq", *CPU)
    whole, killed = qm.read_folder("whole"), 0
    for attempt in range(8):
        shutil.rmtree("killed", ignore_errors=True)
        shutil.rmtree("killed.partial", ignore_errors=True)
        process = subprocess.Popen([tool.program, "convert", "many", "-o", "killed", "--format", "awq", *CPU],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not os.path.exists("killed.partial"):
            time.sleep(0.0005)
        time.sleep(0.002 * attempt)
        process.kill()
        process.wait()
        if os.path.exists("killed"):
            continue
        killed += 1
        tool.passes("convert", "many", "-o", "killed", "--format", "awq", "--resume", *CPU)
        tool.check(qm.read_folder("killed") == whole, f"kill {attempt}: a resumed run gives other bytes")
    tool.check(killed > 0, "no conversion was killed before its end")


def main():
    tool = Tool(sys.argv[1], sys.argv[2])
    test_table(tool)
    test_refusals(tool)
    test_kills(tool)
    tool.end()


main()
