#!/usr/bin/env python3
"""Models that are quantized already: what nibble reads has the values of an independent decoder, and everything else is
refused by name before anything is written.

  quantized_input_tool.py NIBBLE SCRATCH
"""
import json
import os
import shutil
import sys

from quantized_models import (ATTENTION, DOWN, MLP, codes, dense, e2m1, e4m3, e5m2, floats, folder, read_folder, rest,
                              scale_values, single, values_of, write)
from tool import Tool

CPU = ("--device", "cpu")
W = MLP + ".weight"


# ------------------------------------------------------------------------------------------------- refused


def integers(name, dtype, shape):
    size = {"I32": 4, "U32": 4, "I16": 2, "U8": 1, "I8": 1, "F16": 2, "F32": 4, "BF16": 2, "F8_E4M3": 1, "I64": 8,
            "F8_E8M0": 1, "F4": 0.5, "F8_E4M3FNUZ": 1}[dtype]
    count = 1
    for side in shape:
        count *= side
    return name, dtype, shape, bytes([0x38 if i % 2 else 0x30 for i in range(int(count * size))])


def module(*parts, at=MLP):
    """Parts as "NAME TYPE [SHAPE]", with some bytes."""
    words = [part.split() for part in parts]
    return [integers(at + "." + name, dtype, json.loads(shape)) for name, dtype, shape in words]


GPTQ = module("qweight I32 [8,64]", "qzeros I32 [2,8]", "scales F16 [2,64]")
HQQ = module("W_q U8 [64,32]", "scale F16 [64,1]", "zero F16 [64,1]")
NVFP4 = module("weight_packed U8 [64,32]", "weight_scale F8_E4M3 [64,4]", "weight_global_scale F32 [1]")
NVFP4_MODELOPT = module("weight U8 [64,32]", "weight_scale F8_E4M3 [64,4]", "weight_scale_2 F32 []",
                        "input_scale F32 []")
INT4 = module("weight_packed I32 [64,8]", "weight_scale F16 [64,1]", "weight_shape I64 [2]")
INT4[2] = (INT4[2][0], "I64", [2], (64).to_bytes(8, "little") * 2)
FP8 = module("weight F8_E4M3 [64,64]", "weight_scale F32 [1]")
BARE = module("weight F8_E4M3 [64,64]")

STATE = json.dumps({"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [64, 64]}).encode()


def config(**quantization):
    return {"quantization_config": quantization}


def scheme(form, **weights):
    return config(quant_method="compressed-tensors", format=form, config_groups={"group_0": {
        "targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", "symmetric": True, **weights}}})


def refusals():
    """(what, words of the line, tensors, config, other files)"""
    yield "GPTQ in a file", ["GPTQ", "quantize_config.json"], rest(), None, {"quantize_config":
                                                                             '{"bits": 4, "group_size": 128}'}
    yield "GPTQ deep", ["GPTQ", "thinker_config"], rest(), {
        "thinker_config": {"text_config": config(quant_method="gptq")}}, {}
    yield "AWQ in a file", ["AWQ", "quant_config.json"], rest(), None, {
        "quant_config": '{"w_bit": 4, "zero_point": true}'}
    yield "ModelOpt in a file", ["ModelOpt NVFP4", "hf_quant_config.json"], rest(), None, {
        "hf_quant_config": '{"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4"}}'}
    yield "NVFP4", ["NVFP4"], NVFP4, scheme("nvfp4-pack-quantized", type="float", strategy="tensor_group"), {}
    yield "NVFP4 without a config", ["NVFP4"], NVFP4, None, {}
    yield "NVFP4 of ModelOpt", ["ModelOpt NVFP4"], NVFP4_MODELOPT, config(
        quant_method="modelopt", quant_algo="NVFP4"), {}
    yield "NVFP4 of ModelOpt without a config", ["NVFP4"], NVFP4_MODELOPT, None, {}
    yield "ModelOpt of mixed layers", ["ModelOpt W4A8_AWQ"], FP8, config(
        quant_method="modelopt", quant_algo="MIXED_PRECISION",
        quantized_layers={"a": {"quant_algo": "FP8"}, "b": {"quant_algo": "W4A8_AWQ"}}), {}
    yield "scaled inputs", ["pre_quant_scale"], FP8 + module("pre_quant_scale BF16 [64]"), None, {}
    for method in ("hqq", "aqlm", "torchao", "eetq", "quanto", "vptq", "spqr", "higgs", "bitnet", "quark", "exl2",
                   "auto-round", "fp_quant", "sinq", "a-new-one"):
        yield method + " in config.json", ["quantiz", "config.json"], rest(), config(quant_method=method), {}
    yield "HQQ tensors", ["HQQ"], module("W_q U8 [32,64]", "scale F16 [64,1]", "zero F16 [64,1]"), None, {}
    yield "AQLM tensors", ["AQLM"], module("codes I16 [64,8,1]", "codebooks F16 [1,16,1,8]",
                                           "scales F16 [64,1,1,1]"), None, {}
    yield "quanto tensors", ["quanto"], module("weight._data I8 [64,64]", "weight._scale F16 [64,1]"), None, {}
    yield "torchao tensors", ["torchao"], module("weight_qdata I8 [64,64]", "weight_scale F16 [64,1]"), None, {}
    yield "EETQ tensors", ["EETQ"], module("weight I8 [64,64]", "weight_scales F16 [64]"), None, {}
    yield "VPTQ tensors", ["VPTQ"], module("indices I32 [1,64,8]", "centroids.weight F16 [1,512]"), None, {}
    yield "SpQR tensors", ["SpQR"], module("dense_weights I64 [64]", "row_offsets I32 [65]"), None, {}
    yield "HIGGS tensors", ["HIGGS"], module("weight U8 [64,8]", "scales F16 [64,1]", "tables2 F32 [256]"), None, {}
    yield "EXL2 tensors", ["EXL2"], module("q_weight I32 [8,64]", "q_scale I32 [2,8]"), None, {}
    yield "MLX tensors", ["MLX"], module("weight U32 [64,8]", "scales BF16 [64,1]", "biases BF16 [64,1]"), {
        "quantization": {"group_size": 64, "bits": 4}}, {}
    yield "BitNet tensors", ["U8"], module("weight U8 [16,64]", "weight_scale BF16 [1]"), None, {}
    yield "sparse compressed-tensors", ["sparse"], module("compressed BF16 [64,32]", "bitmask U8 [64,8]"), None, {}
    yield "compressed-tensors of 3 bits", ["3 bits"], INT4, scheme("pack-quantized", num_bits=3), {}
    yield "marlin-24", ["marlin-24"], rest(), scheme("marlin-24"), {}
    yield "a sparse form", ["sparse-24-bitmask"], rest(), config(
        quant_method="compressed-tensors", sparsity_config={"format": "sparse-24-bitmask"}), {}
    yield "rotated weights", ["transform_config"], INT4, {"quantization_config": {
        **scheme("pack-quantized")["quantization_config"], "transform_config": {"config_groups": {"R1": {}}}}}, {}
    yield "columns in another order", ["weight_g_idx"], INT4 + module("weight_g_idx I32 [64]"), None, {}
    yield "columns in another order, with a config", ["already", "reordered"], INT4 + module("weight_g_idx I32 [64]"), \
        scheme("pack-quantized", actorder="group"), {}
    yield "a scale without its weight", [MLP + ".weight", "not there"], FP8[1:], None, {}
    yield "another map of codes", ["quant_map"], module(
        "weight U8 [2048,1]", "weight.absmax F32 [64]", "weight.quant_map F32 [16]") + [
            (W + ".quant_state.bitsandbytes__nf4", "U8", [len(STATE)], STATE)], None, {}
    yield "codes of bytes", ["U8", "without a scale"], module("weight U8 [64,32]"), None, {}
    yield "codes of signed bytes", ["I8", "without a scale"], module("weight I8 [64,64]"), None, {}
    yield "codes of words", ["I32"], module("weight I32 [64,8]"), None, {}
    yield "packed stacks", ["U8"], module("gate_up_proj U8 [4,64,32]", at="model.layers.0.mlp.experts"), None, {}
    yield "FP4 without a scale", ["F4"], module("weight F4 [64,64]"), None, {}
    yield "FP8 of AMD", ["F8_E4M3FNUZ"], module("weight F8_E4M3FNUZ [64,64]", "weight_scale F32 [1]"), None, {}
    yield "FP4 of DeepSeek", ["I8"], module("weight I8 [64,32]", "scale F8_E8M0 [64,2]"), None, {}
    yield "bitsandbytes without its state", ["U8"], module("weight U8 [2048,1]", "weight.absmax F32 [64]"), None, {}
    yield "a scale of another name", [MLP + ".w_scale"], BARE + module("w_scale F32 [64]"), None, {}
    yield "two scales", ["two scales"], FP8 + module("scale_weight F32 [1]"), None, {}
    yield "an offset", ["weight_offset"], module("weight I8 [64,64]", "weight_scale F32 [64,1]",
                                                 "weight_offset F32 [64,1]"), None, {}
    yield "a part of unknown use", [MLP + ".smooth"], FP8 + module("smooth F32 [64]"), None, {}
    yield "scales of no shape", ["[3, 5]"], module("weight F8_E4M3 [64,64]", "weight_scale_inv F32 [3,5]"), None, {}
    yield "blocks of another size", ["64 x 64 (weight_block_size)"], module(
        "weight F8_E4M3 [256,256]", "weight_scale_inv F32 [2,2]"), config(
            quant_method="fp8", weight_block_size=[64, 64]), {}
    yield "scales of integers", ["I32"], module("weight F8_E4M3 [64,64]", "weight_scale I32 [1]"), None, {}
    # Contradictions
    none = ["says that the weights are quantized (", "no tensor is"]
    yield "no quantized tensor", ["fp8", *none], rest(), config(quant_method="fp8"), {}
    yield "no tensor of an unread method", ["AWQ", *none], rest(), config(quant_method="awq"), {}
    yield "no bitsandbytes tensor", ["bitsandbytes", *none], rest(), config(load_in_4bit=True), {}
    yield "FP8 without scales", ["no scale", "says fp8"], BARE, config(quant_method="fp8"), {}
    yield "FP8 with and without scales", ["no scale"], FP8 + module("weight F8_E4M3 [64,64]", at=DOWN), None, {}
    yield "FP8 instead of bitsandbytes", ["bitsandbytes", "fp8"], FP8, config(quant_method="bitsandbytes"), {}
    yield "int4 instead of FP8", ["fp8", "int4"], INT4, config(quant_method="fp8"), {}
    yield "GPTQ instead of FP8", ["fp8", "int4"], GPTQ, config(quant_method="fp8"), {}
    yield "8 bits instead of 4", ["num_bits"], module("weight_packed I32 [64,16]", "weight_scale F16 [64,1]") + [
        INT4[2]], scheme("pack-quantized"), {}
    yield "no zero points", ["zero points"], INT4, scheme("pack-quantized", symmetric=False), {}
    yield "dense with a scale", ["dense"], rest() + module("weight_scale F32 [1]", at=ATTENTION), None, {}


def test_refusals(tool):
    """Each case by one verb and options, in turn."""
    ways = (("--group-size", "64"), ("--format", "safetensors", "--type", "BF16"), None)
    for number, (what, words, tensors, wanted, files) in enumerate(refusals()):
        names = {name for name, *_ in tensors}
        whole = tensors + [row for row in rest() if row[0] not in names]
        path = folder("refused/" + what.replace(" ", "_"), whole, wanted, **files)
        way = ways[number % 3]
        verb = ("compare", path, path) if way is None else ("quantize", path, "-o", "refused_out", *way)
        done = tool.refused(words[0], *verb, *CPU, codes=(1,))
        for word in words[1:]:
            tool.check(word in done.err, f"{what}: {word!r} is not in {done.err!r}")
        tool.check(not [n for n in os.listdir(".") if n.startswith("refused_out")], f"{what}: left an output")
        shutil.rmtree("refused_out", ignore_errors=True)


def test_listing(tool):
    """inspect lists what nibble does not read, and says so."""
    path = folder("listed", HQQ + rest(), config(quant_method="hqq", bits=4))
    done = tool.passes("inspect", path, "--json=listed.json", *CPU)
    with open("listed.json") as file:
        report = json.load(file)
    tool.check(report["quantization"] == "HQQ" and "HQQ" in report["unread"], f"inspect: {report}")
    tool.check("not read: " in done.out and "HQQ" in done.out, f"inspect: {done.out!r}")
    os.makedirs("gguf")
    for name in ("model-q4.gguf", "config.json"):
        with open(os.path.join("gguf", name), "wb") as out:
            out.write(b"{}")
    tool.refused("model-q4.gguf: ends within its header", "quantize", "gguf", "-o", "gguf_out", *CPU, codes=(1,))


# ------------------------------------------------------------------------------------------------- read


class Read:
    """A model of one quantized weight, and what it decodes to."""

    def __init__(self, what, weight, rows, cols, tensors, values, shape=None, settings=None, files=None, kind="fp8",
                 dropped=0):
        self.what, self.weight, self.rows, self.cols = what, weight, rows, cols
        self.tensors, self.values, self.shape = tensors, values, shape or [rows, cols]
        self.settings, self.files, self.kind, self.dropped = settings, files or {}, kind, dropped


def fp8_case(what, rows, cols, name, dtype, shape, scale_of, count, settings=None, code_type="F8_E4M3", power=False,
             more=(), weight=W, stack=None, **options):
    """scale_of(row, col): the index of the scale."""
    decode = e4m3 if code_type == "F8_E4M3" else e5m2
    data, scales = codes(rows * cols, 5, code_type), scale_values(count, 7, power)
    values = [single(decode(data[r * cols + c]) * scales[scale_of(r, c)]) for r in range(rows) for c in range(cols)]
    codes_shape = [stack, rows // stack, cols] if stack else [rows, cols]
    tensors = [(weight, code_type, codes_shape, data), (name, dtype, shape, floats(dtype, scales)), *more]
    return Read(what, weight, rows, cols, tensors, values, codes_shape, settings, **options)


def reads():
    fp8 = config(quant_method="fp8", activation_scheme="dynamic", weight_block_size=[128, 128])
    inv = W + "_scale_inv"
    block = lambda columns: lambda r, c: r // 128 * columns + c // 128
    for dtype in ("F32", "BF16", "F16"):
        yield fp8_case("blocks of " + dtype, 200, 256, inv, dtype, [2, 2], block(2), 4, fp8)
    yield fp8_case("ragged blocks", 200, 300, inv, "F32", [2, 3], block(3), 6, fp8)
    yield fp8_case("blocks larger than the matrix", 40, 48, inv, "F32", [1, 1], block(1), 1, fp8)
    yield fp8_case("blocks without a config", 129, 160, inv, "F32", [2, 2], block(2), 4)
    yield fp8_case("blocks as exponents", 200, 300, MLP + ".scale", "F8_E8M0", [2, 3], block(3), 6, fp8, power=True)
    yield fp8_case("blocks of 64 x 32", 200, 100, inv, "F32", [4, 4], lambda r, c: r // 64 * 4 + c // 32, 16, config(
        quant_method="fp8", weight_block_size=[64, 32]))
    yield fp8_case("blocks of 128 x 512", 200, 1000, inv, "F32", [2, 2], lambda r, c: r // 128 * 2 + c // 512, 4,
                   config(quant_method="fp8", weight_block_size=[128, 512]))
    yield fp8_case("blocks of compressed-tensors", 200, 256, W + "_scale", "BF16", [2, 2], block(2), 4, {
        "quantization_config": {"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {
            "group_0": {"weights": {"num_bits": 8, "type": "float", "symmetric": True, "strategy": "block",
                                    "block_structure": [128, 128]}}}}})
    yield fp8_case("blocks of ModelOpt", 200, 256, W + "_scale", "F32", [2, 1, 2, 1], block(2), 4, config(
        quant_method="modelopt", quant_algo="FP8_PB_WO"))
    yield fp8_case("blocks of E5M2", 200, 256, inv, "F32", [2, 2], block(2), 4, fp8, "F8_E5M2")
    yield fp8_case("groups of 32 as exponents", 64, 96, W + "_scale", "U8", [64, 3], lambda r, c: r * 3 + c // 32, 192,
                   power=True)
    one = lambda r, c: 0
    modelopt = config(quant_method="modelopt", quant_algo="FP8")
    inputs = [(MLP + ".input_scale", "F32", [], floats("F32", [0.01]))]
    yield fp8_case("a scalar", 64, 96, W + "_scale", "F32", [], one, 1, modelopt, more=inputs, dropped=1)
    yield fp8_case("a scalar, stated beside", 64, 96, W + "_scale", "F32", [], one, 1, files={
        "hf_quant_config": '{"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}'})
    yield fp8_case("one scale", 64, 96, W + "_scale", "F32", [1], one, 1)
    yield fp8_case("one scale of E5M2", 64, 96, W + "_scale", "F32", [1], one, 1, code_type="F8_E5M2")
    yield fp8_case("one scale as a matrix", 64, 96, W + "_scale", "BF16", [1, 1], one, 1)
    yield fp8_case("one inverse scale", 64, 96, inv, "BF16", [], one, 1,
                   config(quant_method="fp8", weight_block_size=None), more=[
                       (MLP + ".activation_scale", "BF16", [], floats("BF16", [0.5]))], dropped=1)
    row = lambda r, c: r
    yield fp8_case("a vector", 64, 96, W + "_scale", "F32", [64], row, 64, config(quant_method="fp8"))
    yield fp8_case("a column", 64, 96, W + "_scale", "F32", [64, 1], row, 64, config(quant_method="fbgemm_fp8"))
    yield fp8_case("a column of E5M2", 64, 96, W + "_scale", "F16", [64, 1], row, 64, code_type="F8_E5M2")
    yield fp8_case("exponents of rows", 64, 96, W + "_scale", "F8_E8M0", [64, 1], row, 64, power=True)
    mark = [("scaled_fp8", "F8_E4M3", [2], b"\0\0"), (MLP + ".scale_input", "F32", [], floats("F32", [1.0]))]
    yield fp8_case("ComfyUI", 64, 96, MLP + ".scale_weight", "F32", [], one, 1, more=mark, dropped=2)
    text = b'{"format": "float8_e4m3fn"}'
    yield fp8_case("ComfyUI's later form", 64, 96, W + "_scale", "F32", [], one, 1, more=[
        (MLP + ".comfy_quant", "U8", [len(text)], text)], dropped=1)
    yield fp8_case("Mistral", 64, 96, MLP + ".qscale_weight", "BF16", [], one, 1, more=[
        (MLP + ".qscale_act", "BF16", [], floats("BF16", [0.5]))], dropped=1)
    experts = "model.layers.0.mlp.experts.down_proj"
    yield fp8_case("a stack with scales of matrices", 96, 64, experts + "_scale", "F32", [3, 1, 1],
                   lambda r, c: r // 32, 3, weight=experts, stack=3)
    yield fp8_case("a stack with scales of rows", 96, 64, experts + "_scale", "F32", [3, 32, 1], row, 96,
                   weight=experts, stack=3)
    yield fp8_case("a stack with blocks", 400, 160, experts + "_scale_inv", "F32", [2, 2, 2],
                   lambda r, c: r // 200 * 4 + r % 200 // 128 * 2 + c // 128, 8, fp8, weight=experts, stack=2)
    data = codes(64 * 96, 3)
    yield Read("values", W, 64, 96, [(W, "F8_E4M3", [64, 96], data)], [e4m3(c) for c in data])


def experts_case(name, between, transposed, rows=96, groups=2, experts=3, seed=11):
    """gpt-oss: the dense tensor is [experts, columns, rows], in the publisher's own files [experts, rows, columns]."""
    cols = groups * 32
    count = experts * rows * groups
    data, exponents = codes(count * 16, seed, "any"), scale_values(count, seed, True)
    values = [0.0] * (experts * rows * cols)
    for e in range(experts):
        for r in range(rows):
            for c in range(cols):
                byte = data[((e * rows + r) * groups + c // 32) * 16 + c % 32 // 2]
                scale = exponents[(e * rows + r) * groups + c // 32]
                place = (e * cols + c) * rows + r if transposed else (e * rows + r) * cols + c
                values[place] = e2m1(byte >> 4 if c % 2 else byte & 15) * scale
    tensors = [(name + between + "blocks", "U8", [experts, rows, groups, 16], data),
               (name + between + "scales", "U8", [experts, rows, groups], floats("U8", exponents)),
               (name + "_bias", "BF16", [experts, rows], floats("BF16", [0.5] * experts * rows))]
    settings = config(quant_method="mxfp4", modules_to_not_convert=["model.layers.0.self_attn"])
    return Read("experts " + name, name, experts * rows, cols, tensors, values,
                [experts, cols, rows] if transposed else [experts, rows, cols], settings, kind="mxfp4")


def check_read(tool, case, again):
    """again: also quantize it."""
    path = folder("read/" + case.what.replace(" ", "_"), case.tensors + rest(), case.settings, **case.files)
    done = tool.run("inspect", path, "--json=inspect.json", "--force", *CPU)
    tool.check(done.code == 0, f"{case.what}: inspect ended with {done.code}: {done.err}")
    with open("inspect.json") as file:
        report = json.load(file)
    kind = "fp8_e5m2" if any(dtype == "F8_E5M2" for _, dtype, *_ in case.tensors) else case.kind
    tool.check(report["quantized"] == {kind: 1},
               f"{case.what}: inspect finds {report['quantized']}")
    tool.check("unread" not in report, f"{case.what}: {report.get('unread')}")
    done = tool.passes("quantize", path, "-o", "dense", "--force", "--format", "safetensors", "--type", "F32",
                       "--json=quantize.json", *CPU)
    if done.code != 0:
        return
    with open("quantize.json") as file:
        report = json.load(file)
    tool.check(report["dropped_scales"] == case.dropped, f"{case.what}: {report['dropped_scales']} scales left out")
    got = read_folder("dense")
    names = {name for name, *_ in rest()} | {case.weight} | {t[0] for t in case.tensors if t[0].endswith("_bias")}
    tool.check(set(got) == names, f"{case.what}: tensors {sorted(got)}")
    dtype, shape, data = got[case.weight]
    tool.check((dtype, shape) == ("F32", case.shape), f"{case.what}: {dtype} {shape}, expected F32 {case.shape}")
    values = values_of("F32", data)
    wrong = [(i, a, b) for i, (a, b) in enumerate(zip(values, case.values)) if a != b]
    tool.check(len(values) == len(case.values) and not wrong,
               f"{case.what}: {len(wrong)} of {len(values)} values differ, the first {wrong[:1]}")
    with open("dense/config.json") as file:
        tool.check("quantization_config" not in json.load(file), f"{case.what}: config.json")
    # The same values, stored dense.
    tool.passes("compare", "dense", path, "--json=compare.json", "--force", *CPU)
    with open("compare.json") as file:
        row = next(t for t in json.load(file)["tensors"] if t["name"] == case.weight)
    tool.check(row["max_abs"] == 0 and row["nonfinite"] == 0, f"{case.what}: compare {row}")
    if not again or case.shape != [case.rows, case.cols]:
        return
    # Quantized again, from codes as from values.
    for out, source in (("again", path), ("afresh", "dense")):
        tool.passes("quantize", source, "-o", out, "--force", "--format", "dense", "--type", "int8", *CPU)
    again, afresh = (values_of(*read_folder(out)[case.weight][::2]) for out in ("again", "afresh"))
    absmax = max(map(abs, case.values))
    tool.check(max(abs(a - b) for a, b in zip(again, afresh)) <= absmax / 100, f"{case.what}: quantized again")


def mxfp4_stack(name, rows, groups, experts, seed):
    """The tensors of a stack, and those of its values: exact in bfloat16, [experts, columns, rows]."""
    case = experts_case(name, "_", True, rows, groups, experts, seed)
    return case.tensors[:2], [(name, "BF16", case.shape, floats("BF16", case.values))]


def test_stacks(tool):
    """Each matrix of a stack is quantized as if the stack were dense."""
    at = "model.layers.0.mlp.experts."
    up, dense_up = mxfp4_stack(at + "gate_up_proj", 192, 2, 2, 21)
    down, dense_down = mxfp4_stack(at + "down_proj", 64, 3, 2, 22)
    stacks = {"model_type": "llama4_text", "hidden_size": 64}
    folder("stack", up + down + rest(), {**stacks, **config(quant_method="mxfp4")})
    folder("dense_stack", dense_up + dense_down + rest(), stacks)
    for what, options in (("int4", ("--group-size", "32")), ("int8", ("--type", "int8"))):
        for source in ("stack", "dense_stack"):
            tool.passes("quantize", source, "-o", f"{source}_{what}", *options, *CPU)
        one, other = read_folder(f"stack_{what}"), read_folder(f"dense_stack_{what}")
        tool.check(sum(name.endswith(".weight_packed") for name in one) == 7, f"{what}: {sorted(one)}")
        tool.check(one == other, f"{what}: {[name for name in one if one[name] != other.get(name)]} differ")


def test_bad_scales(tool):
    for what, dtype, data in (("NaN", "F32", floats("F32", [float("nan")])), ("negative", "F32", floats("F32", [-1.0])),
                              ("infinite", "F32", floats("F32", [float("inf")])), ("E8M0's NaN", "F8_E8M0", b"\xff")):
        path = folder("bad/" + what.replace("'", ""), [(W, "F8_E4M3", [64, 64], codes(64 * 64, 1)),
                                                       (W + "_scale_inv", dtype, [1, 1], data)] + rest())
        tool.refused("NaN, infinite or negative", "quantize", path, "-o", "bad_out", *CPU, codes=(1,))


def test_file(tool):
    """A file without a config is judged by its tensors alone."""
    write("one.safetensors", HQQ + rest())
    tool.refused("HQQ", "quantize", "one.safetensors", "-o", "one_out", *CPU, codes=(1,))
    case = fp8_case("a file", 200, 256, W + "_scale_inv", "F32", [2, 2], lambda r, c: r // 128 * 2 + c // 128, 4)
    write("two.safetensors", case.tensors)
    tool.passes("quantize", "two.safetensors", "-o", "two", "--format", "safetensors", "--type", "F32", *CPU)
    tool.check(values_of("F32", read_folder("two")[W][2]) == case.values, "values of a file")


def main():
    tool = Tool(sys.argv[1], sys.argv[2])
    test_refusals(tool)
    test_listing(tool)
    experts = [experts_case("model.layers.0.mlp.experts.gate_up_proj", "_", True),
               experts_case("block.0.mlp.mlp1_weight", ".", False)]
    for number, case in enumerate([*reads(), *experts]):
        check_read(tool, case, number % 4 == 0)
    test_stacks(tool)
    test_bad_scales(tool)
    test_file(tool)
    tool.end()


main()
