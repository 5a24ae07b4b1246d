#!/usr/bin/env python3
"""Values and scales that a type cannot hold: nothing becomes infinite or zero in silence.

  number_range_tool.py NIBBLE SCRATCH
"""
import json
import math
import os
import random
import struct
import sys

from quantized_models import ATTENTION, MLP, e4m3, floats, folder, read_folder, values_of
from tool import Tool

CPU = ("--device", "cpu")
NORM = "model.norm.weight"
LAYERS = "model.layers.0.self_attn."


def run(tool, what, path, out, *options):
    done = tool.passes("quantize", path, "-o", out, f"--json={out}.json", *options, *CPU)
    with open(out + ".json") as file:
        report = json.load(file)
    return done, report, {t["name"]: t for t in report["tensors"]}, read_folder(out)


def test_cast(tool):
    """To fp16: a tensor with larger values stays as it is, and values that become zero are counted."""
    for dtype in ("F32", "BF16"):
        wide = floats(dtype, [1.0, 2.0**100, -3.0, 0.0])
        big = floats(dtype, [65536.0] + [0.5] * 127)
        tiny = floats(dtype, [2.0**-30, -(2.0**-40), 0.0, 2.0**-20] + [0.25] * 124)
        edge = floats(dtype, [65280.0] + [0.5] * 127)
        path = folder("cast_" + dtype, [(NORM, dtype, [4], wide), (LAYERS + "q_proj.weight", dtype, [2, 64], big),
                                        (LAYERS + "k_proj.weight", dtype, [2, 64], tiny),
                                        (LAYERS + "v_proj.weight", dtype, [2, 64], edge)])
        done, report, tensors, got = run(tool, dtype, path, "half_" + dtype, "--format", "safetensors", "--type", "F16")
        tool.check(report["lost"]["tensors_beyond_type"] == 2 and report["lost"]["vanished"] == 2 and
                   report["lost"]["overflowed"] == 0, f"{dtype}: {report['lost']}")
        tool.check("2 tensors stay as they are" in done.out and "2 values other than zero became zero" in done.out,
                   f"{dtype}: {done.out}")
        tool.check(got[NORM] == (dtype, [4], wide), f"{dtype}: {got[NORM][:2]}")
        tool.check(got[LAYERS + "q_proj.weight"] == (dtype, [2, 64], big), f"{dtype}: a large value")
        tool.check("stays " + dtype in tensors[NORM]["note"], f"{dtype}: {tensors[NORM]}")
        tool.check(got[LAYERS + "k_proj.weight"][0] == "F16" and tensors[LAYERS + "k_proj.weight"]["vanished"] == 2,
                   f"{dtype}: {tensors[LAYERS + 'k_proj.weight']}")
        tool.check(values_of("F16", got[LAYERS + "v_proj.weight"][2])[0] == 65280.0, f"{dtype}: the edge")
    # fp32 beyond bfloat16: rare, so it is not looked for beforehand, but counted.
    path = folder("cast_to_bf16", [(NORM, "F32", [4], floats("F32", [3.4e38, 1.0, -3.4e38, 2.0**-149]))])
    done, report, tensors, got = run(tool, "bf16", path, "to_bf16", "--format", "safetensors", "--type", "BF16")
    norm = tensors[NORM]
    tool.check(norm["overflowed"] == 2 and norm["max_abs"] is None and norm["sqnr_db"] is None, f"to BF16: {norm}")
    tool.check("2 values became infinite" in done.out and "inf" in done.out, f"to BF16: {done.out}")
    # Values that are not finite stay so, and are counted.
    path = folder("cast_nan", [(NORM, "F32", [4], floats("F32", [math.nan, math.inf, -3.0, 1.0]))])
    done, report, tensors, got = run(tool, "nan", path, "nan_bf16", "--format", "safetensors", "--type", "BF16")
    tool.check(tensors[NORM]["nonfinite"] == 2 and "overflowed" not in tensors[NORM], f"NaN: {tensors[NORM]}")
    values = values_of("BF16", got[NORM][2])
    tool.check(math.isnan(values[0]) and values[1:] == [math.inf, -3.0, 1.0], f"NaN: {values}")
    # From codes: 57344 times 4 is beyond fp16.
    path = folder("cast_codes", [(MLP + ".weight", "F8_E5M2", [2, 64], b"\x7b\x3c" * 64),
                                 (MLP + ".weight_scale", "F32", [1], floats("F32", [4.0]))])
    done, report, tensors, got = run(tool, "codes", path, "from_codes", "--format", "safetensors", "--type", "F16")
    tool.check(got[MLP + ".weight"][0] == "F32" and values_of("F32", got[MLP + ".weight"][2])[0] == 229376.0,
               f"from codes: {got[MLP + '.weight'][:2]}")


def unpack4(data, count):
    words = struct.unpack(f"<{len(data) // 4}I", data)
    return [(words[i // 8] >> 4 * (i % 8) & 15) - 8 for i in range(count)]


def test_scales(tool):
    """Weights so small that fp16 cannot hold their scales: the scales are fp32, and the weights keep their values."""
    rows, cols, draw = 16, 128, random.Random(3)
    names = {"q": 1e-1, "k": 1e-5, "v": 1e-6, "o": 2e-7}
    source = {}
    for name, size in names.items():
        source[name] = values_of("F16", floats("F16", [draw.uniform(-size, size) for _ in range(rows * cols)]))
    source["q"][:cols] = [0.0] * cols  # a group of zeros has a scale of zero, and loses nothing
    path = folder("tiny", [(f"{LAYERS}{n}_proj.weight", "F16", [rows, cols], floats("F16", source[n])) for n in names],
                  {"torch_dtype": "float16"})

    def compare(what, name, decoded, step):
        worst = max(abs(a - b) for a, b in zip(decoded, source[name]))
        limit = step * max(map(abs, source[name]))
        tool.check(worst <= limit, f"{what}: {name} is off by {worst}, more than {limit}")

    for what, options, step in (("int4", ["--group-size", "128"], 0.08), ("int8", ["--type", "int8"], 0.005),
                                ("search", ["--group-size", "128", "--scale-search", "mse"], 0.5),
                                ("int8_token", ["--type", "int8", "--activations", "int8-token"], 0.005),
                                ("fp8", ["--type", "fp8"], 0.04),
                                ("fp8_tensor", ["--type", "fp8", "--granularity", "tensor"], 0.04),
                                ("asym", ["--group-size", "128", "--asym"], 0.08)):
        done, report, tensors, got = run(tool, what, path, "scales_" + what, *options)
        lost = report["lost"]
        tool.check(lost["tensors_with_f32_scales"] == sum(t.get("f32_scales", False) for t in report["tensors"]) and
                   lost["lost_groups"] == 0 and lost["saturated_scales"] == 0, f"{what}: {lost}")
        for name in names:
            full = f"{LAYERS}{name}_proj"
            dtype, _, data = got[full + ".weight_scale"]
            tool.check(dtype == ("F16" if name == "q" else "F32"), f"{what}: scales of {name} are {dtype}")
            if what == "asym":
                continue
            scales = values_of(dtype, data)
            if full + ".weight_packed" in got and what in ("int4", "search"):
                q = unpack4(got[full + ".weight_packed"][2], rows * cols)
            elif what == "int8":
                q = [byte - 128 for byte in got[full + ".weight_packed"][2]]
            elif what == "int8_token":
                q = struct.unpack(f"{rows * cols}b", got[full + ".weight"][2])
            else:
                q = [e4m3(code) for code in got[full + ".weight"][2]]
            compare(what, name, [v * scales[0 if len(scales) == 1 else i // cols] for i, v in enumerate(q)], step)
        tool.check("weights have scales of F32" in done.out, f"{what}: {done.out}")
        with open(f"scales_{what}/config.json") as file:
            groups = json.load(file)["quantization_config"]["config_groups"].values()
        with_type = [g for g in groups if g["weights"].get("scale_dtype") == "torch.float32"]
        tool.check(len(groups) == 2 and len(with_type) == 1, f"{what}: {list(groups)}")
    # bitsandbytes has fp32 scales anyway.
    for kind in ("nf4", "int8"):
        done, report, tensors, got = run(tool, kind, path, "bnb_" + kind, "--format", "bnb", "--type", kind,
                                         "--no-double-quant")
        lost = report["lost"]
        tool.check(lost["tensors_with_f32_scales"] == 0 and lost["lost_groups"] == 0, f"{kind}: {lost}")
    # ggml's types have fp16 scales only: a weight of which a group would become zero, or be limited, stays dense.
    done, report, tensors, got = run(tool, "q8_0", path, "dense_q8", "--format", "dense", "--type", "Q8_0")
    types = {name: tensors[f"{LAYERS}{name}_proj.weight"]["type"] for name in names}
    tool.check(types == {"q": "q8_0", "k": "q8_0", "v": "F16", "o": "F16"}, f"q8_0: {types}")
    tool.check(report["lost"]["tensors_beyond_type"] == 2 and report["lost"]["lost_groups"] == 0 and
               "2 tensors stay as they are" in done.out, f"q8_0: {report['lost']}")
    tool.check(got[f"{LAYERS}o_proj.weight"][2] == floats("F16", source["o"]), "q8_0: o")
    large = floats("F32", [1e8] + [1.0] * 63)
    small = floats("F32", [0.5] * 64)
    file = folder("large", [(f"{LAYERS}q_proj.weight", "F32", [1, 64], large),
                            (f"{LAYERS}k_proj.weight", "F32", [1, 64], small)])
    done, report, tensors, got = run(tool, "q4_0", file, "dense_q4", "--format", "dense", "--type", "Q4_0")
    tool.check(got[f"{LAYERS}q_proj.weight"] == ("F32", [1, 64], large) and
               tensors[f"{LAYERS}k_proj.weight"]["type"] == "q4_0", f"q4_0: {report['tensors']}")
    # mxfp4's powers of two end at 2^-120 in nibble.
    path = folder("denormal", [(f"{LAYERS}q_proj.weight", "F32", [4, 64], floats("F32", [2.0**-126] * 256))])
    done, report, tensors, got = run(tool, "mxfp4", path, "mx", "--type", "mxfp4")
    tool.check(report["lost"]["lost_groups"] == 8 and "8 groups became zero" in done.out, f"mxfp4: {report['lost']}")


def main():
    tool = Tool(sys.argv[1], sys.argv[2])
    test_cast(tool)
    test_scales(tool)
    tool.end()


main()
