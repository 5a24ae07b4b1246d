#!/usr/bin/env python3
"""Runs `nibble quantize` and checks its output with a decoder that shares no code with it.

  check_quantized.py NIBBLE MODEL SCRATCH [--all] [--only NAME]... [--device cpu]

For each output: files, config, names, shapes and types of all tensors, unchanged tensors byte by byte, sizes.
For some weights (--all: for all): scales, zero points and codes against those recomputed from the source, and the error
statistics of the report against sums in doubles. Some runs are killed halfway and resumed. Some outputs are dequantized
by nibble, which must give the decoder's values. Then faults are planted in copies of the outputs, one at a time, and
each must be found and named. Finally models with edge-case weights, and all codes of FP8.
"""
import argparse
import json
import math
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from operator import mul, sub

sys.dont_write_bytecode = True
import edge_model
import read_safetensors
import requantize
from decode_model import FP8, Model, Plain, fp32, read_json
from read_safetensors import Bad

SAMPLE = r"layers\.0\.|layers\.5\.self_attn\.k_proj"


class Configuration:
    """`scheme`: a Linear weight's scheme by its name; None if it is not quantized."""

    def __init__(self, name, arguments, scheme, sample=SAMPLE, shard=None, killed=False):
        self.name, self.arguments, self.sample, self.shard = name, arguments.split(), sample, shard
        self.killed = killed  # killed halfway, then resumed
        self.narrow = "--scale narrow" in arguments
        self.scheme = scheme if callable(scheme) else lambda weight, _: None if weight == "lm_head.weight" else scheme


def mixed(weight, columns):
    if weight == "lm_head.weight" or "layers.0." in weight:
        return None
    return "int8 sym group 64" if "down_proj" in weight else "int4 sym group 64"


def mixed_formats(weight, columns):
    if weight == "lm_head.weight":
        return "mxfp4 group 32"
    return "fp8 channel" if "down_proj" in weight else "int4 sym group 128"


def mixed_tables(weight, columns):
    if weight == "lm_head.weight":
        return None
    return "fp4 block 32 nested" if "down_proj" in weight else "nf4 block 64 nested"


CONFIGURATIONS = [
    Configuration("int4", "--type int4 --group-size 64", "int4 sym group 64"),
    Configuration("int4_row", "--type int4 --group-size -1", "int4 sym channel", r"layers\.1\."),
    Configuration("int4_asym", "--type int4 --asym --group-size 32", "int4 asym group 32"),
    Configuration("int8", "--type int8", "int8 sym channel"),
    Configuration("int8_asym", "--type int8 --asym", "int8 asym channel", r"layers\.2\."),
    Configuration("int8_token", "--type int8 --activations int8-token", "int8 sym channel"),
    Configuration("fp8", "--type fp8", "fp8 channel"),
    Configuration("fp8_tensor", "--type fp8 --granularity tensor --activations fp8-token", "fp8 tensor"),
    Configuration("mxfp4", "--type mxfp4", "mxfp4 group 32"),
    Configuration("nf4", "--format bnb --type nf4", "nf4 block 64 nested"),
    Configuration("nf4_single", "--format bnb --type nf4 --no-double-quant", "nf4 block 64"),
    Configuration("fp4", "--format bnb --type fp4", "fp4 block 64 nested"),
    Configuration("f32", "--format safetensors --type F32", lambda *_: "F32"),
    Configuration("bf16", "--format safetensors --type BF16", lambda *_: "BF16"),
    Configuration("mixed", r"--type int4 --group-size 64 --rule down_proj=int8 --exclude layers\.0\.", mixed,
                  r"layers\.0\.|layers\.3\."),
    Configuration("formats", "--rule down_proj=fp8 --rule lm_head=mxfp4", mixed_formats,
                  r"layers\.2\.mlp|layers\.2.*q_proj"),
    Configuration("tables", "--format bnb --type nf4 --rule down_proj=fp4:32", mixed_tables,
                  r"layers\.1\.self|layers\.1.*down"),
    Configuration("sharded", "--type int4 --group-size 64 --max-shard-size 1M", "int4 sym group 64",
                  r"layers\.4\.", shard=1_000_000),
    Configuration("int8_absmax", "--format bnb --type int8", "int8 absmax"),
    Configuration("int4_narrow", "--type int4 --group-size 64 --scale narrow", "int4 sym group 64", r"layers\.3\."),
    Configuration("int8_narrow", "--type int8 --scale narrow", "int8 sym channel", r"layers\.4\.mlp"),
    Configuration("resumed", "--type int4 --group-size 64 --max-shard-size 1M", "int4 sym group 64", r"layers\.3\.",
                  shard=1_000_000, killed=True),
    Configuration("resumed_nested", "--format bnb --type nf4 --max-shard-size 1M", "nf4 block 64 nested",
                  r"layers\.3\.self", shard=1_000_000, killed=True),
]
# Configurations whose outputs are dequantized again.
DEQUANTIZED = ("int4", "int4_asym", "int8_absmax", "nf4", "fp8_tensor", "mxfp4")


def grouped(prefix, wanted):
    """Groups of `wanted` columns, or of the largest power of two that divides the columns; unquantized below 16."""

    def scheme(weight, columns):
        length = wanted
        while columns % length:
            length //= 2
        return f"{prefix} group {length}" if length >= 16 else None

    return scheme


def mx(weight, columns):
    return "mxfp4 group 32" if columns % 32 == 0 else None


# Configurations for the models of edge_model.py, in which every weight is recomputed.
EDGES = [
    Configuration("int4", "--type int4 --group-size 64", grouped("int4 sym", 64), ""),
    Configuration("int4_row", "--type int4 --group-size -1", "int4 sym channel", ""),
    Configuration("int4_asym", "--type int4 --asym --group-size 32", grouped("int4 asym", 32), ""),
    Configuration("int4_row_asym", "--type int4 --asym --group-size -1", "int4 asym channel", ""),
    Configuration("int4_narrow", "--type int4 --group-size 64 --scale narrow", grouped("int4 sym", 64), ""),
    Configuration("int8", "--type int8", "int8 sym channel", ""),
    Configuration("int8_narrow", "--type int8 --scale narrow", "int8 sym channel", ""),
    Configuration("int8_absmax", "--format bnb --type int8", "int8 absmax", ""),
    Configuration("int8_token", "--type int8 --activations int8-token", "int8 sym channel", ""),
    Configuration("int8_asym", "--type int8 --asym", "int8 asym channel", ""),
    Configuration("int8_asym_token", "--type int8 --asym --activations int8-token", "int8 asym channel", ""),
    Configuration("fp8", "--type fp8", "fp8 channel", ""),
    Configuration("fp8_tensor", "--type fp8 --granularity tensor", "fp8 tensor", ""),
    Configuration("mxfp4", "--type mxfp4", mx, ""),
    Configuration("nf4", "--format bnb --type nf4", "nf4 block 64 nested", ""),
    Configuration("nf4_single", "--format bnb --type nf4 --no-double-quant", "nf4 block 64", ""),
    Configuration("fp4", "--format bnb --type fp4 --no-double-quant", "fp4 block 64", ""),
    Configuration("f32", "--format safetensors --type F32", lambda *_: "F32", ""),
]
EDGE_MODELS = [
    ("edge_f16", edge_model.EVEN, "F16"), ("edge_bf16", edge_model.EVEN, "BF16"), ("edge_f32", edge_model.EVEN, "F32"),
    ("odd_f32", edge_model.ODD, "F32"), ("odd_bf16", edge_model.ODD, "BF16"),
    ("edge_e4m3", edge_model.EVEN, "F8_E4M3"), ("edge_e5m2", edge_model.EVEN, "F8_E5M2"),
]
# FP8 models run only some of these.
FP8_CONFIGURATIONS = ("int4", "int4_asym", "int8_absmax", "fp8_tensor", "mxfp4", "nf4", "f32")


# ---------------------------------------------------------------------------------------------------- comparing


def statistics(x, y):
    error = list(map(sub, x, y))
    squares, magnitude = sum(map(mul, error, error)), sum(map(abs, error))
    x_squares, y_squares = sum(map(mul, x, x)), sum(map(mul, y, y))
    product = sum(map(mul, x, y))
    return {
        "mse": squares / len(x),
        "mae": magnitude / len(x),
        "rel": magnitude / sum(map(abs, x)) if x_squares else None,
        "sqnr_db": 10 * math.log10(x_squares / squares) if squares and x_squares else None,
        "cosine": product / math.sqrt(x_squares * y_squares) if x_squares and y_squares else None,
        "max_abs": fp32([max(map(abs, error))])[0],
    }


STATISTICS = ("mse", "mae", "rel", "sqnr_db", "cosine", "max_abs")
TOLERANCE = 1e-8  # relative, for the sums; the maximum is exact in fp32


class Check:
    """Collects the failures of one output, at most a few per tensor."""

    def __init__(self, source, folder, configuration):
        self.source, self.folder, self.configuration = source, folder, configuration
        self.failures, self.compared = [], 0

    def equal(self, found, expected, what):
        if found != expected:
            self.failures.append(f"{what}: {found!r}, expected {expected!r}")

    def files(self):
        rewritten = {"config.json", "model.safetensors.index.json"}
        copied = [f for f in os.listdir(self.source.folder) if not f.endswith(".safetensors") and f not in rewritten]
        for name in copied:
            path = os.path.join(self.folder, name)
            same = os.path.exists(path) and bytes_of(path) == bytes_of(os.path.join(self.source.folder, name))
            if not same:
                self.failures.append(f"{name}: differs from the source's")
        known = set(copied) | {"config.json"}
        for name in sorted(os.listdir(self.folder)):
            if name not in known and name != "model.safetensors.index.json" and not name.endswith(".safetensors"):
                self.failures.append(f"{name}: an unexpected file")

    def config(self, model):
        found = {k: v for k, v in model.config.items() if k not in ("quantization_config", "torch_dtype")}
        expected = {k: v for k, v in self.source.config.items() if k not in ("quantization_config", "torch_dtype")}
        self.equal(found, expected, "config.json")
        plain = {weight.scheme for weight in model.weights.values() if isinstance(weight, Plain)}
        if plain != {model.dtype}:
            self.failures.append(f"config.json: torch_dtype {model.config['torch_dtype']}, its plain tensors are "
                                 f"{sorted(plain)}")

    def shards(self, model):
        if self.configuration.shard is None:
            self.equal(sorted(model.files), ["model.safetensors"], "files of weights")
            return
        if len(model.files) < 2:
            self.failures.append("there is only one shard")
        for name, rows in model.files.items():
            total = sum(len(row[3]) for row in rows)
            if total > self.configuration.shard and len(rows) > 1:
                self.failures.append(f"{name}: {total} bytes in a shard")

    def scheme(self, name):
        """The expected scheme of the weight."""
        norms = self.configuration.name if self.configuration.name in ("f32", "bf16") else None
        columns = self.source.weights[name].shape[-1]
        linear = name.endswith("_proj.weight") or name == "lm_head.weight"
        wanted = self.configuration.scheme(name, columns) if linear else norms
        return wanted and (wanted.upper() if wanted.lower() in ("f32", "bf16") else wanted)

    def report(self, report, model):
        entries = {entry["name"]: entry for entry in report["tensors"]}
        self.equal(sorted(entries), sorted(self.source.weights), "the report's names")
        self.equal(len(entries), len(report["tensors"]), "the report's rows")
        self.equal(report["bytes_in"], self.source.data_bytes, "the report's bytes_in")
        self.equal(report["bytes_out"], model.data_bytes, "the report's bytes_out")
        for name, weight in model.weights.items():
            entry = entries.get(name)
            if entry is None:
                continue
            words = weight.scheme.split()
            keys = ("shape", "type", "group_size", "bytes_in", "bytes_out", "bits_per_weight")
            said = {key: entry[key] for key in keys}
            self.equal(said, {
                "shape": list(weight.shape),
                "type": words[0],
                "group_size": weight.block if "group" in words or "block" in words else None,
                "bytes_in": self.source.weights[name].bytes,
                "bytes_out": weight.bytes,
                "bits_per_weight": 8 * weight.bytes / math.prod(weight.shape),
            }, f"the report: {name}")
        resumed = [name for name, entry in entries.items() if entry.get("resumed", False)]
        if self.configuration.killed and not 0 < len(resumed) < len(entries):
            self.failures.append(f"the report: {len(resumed)} of {len(entries)} tensors are from the run before")
        elif resumed and not self.configuration.killed:
            self.failures.append(f"the report: {resumed[0]} is said to be from a run before")
        return entries

    def weight(self, weight, entry, deep):
        name = weight.name
        source = self.source.weights[name]
        if weight.scheme == source.scheme:
            (_, _, found), (_, _, expected) = weight.tensors[name], source.tensors[name]
            if found != expected:
                at = next(i for i in range(len(found)) if found[i] != expected[i])
                self.failures.append(f"{name}: {weight.place(at // 2)}: differs from the source")
            if entry is not None:
                self.equal([entry[key] for key in STATISTICS], [None] * len(STATISTICS), f"the report: {name}")
            return
        if not deep:
            return
        self.compared += 1
        x = self.source.once(name)
        if isinstance(weight, Plain):
            x = requantize.without_denormals(x, source.scheme)
            data = weight.tensors[name][2]
            size = len(data) // len(x)
            expected = requantize.plain(x, weight.scheme)
            if data != expected:
                for index in range(len(x)):
                    found, wanted = (d[size * index : size * (index + 1)][::-1].hex() for d in (data, expected))
                    if found != wanted:
                        self.failures.append(f"{name}: {weight.place(index)}: 0x{found}, from the source 0x{wanted}")
                        break
        else:
            differences = requantize.differences(weight, x, source.scheme, self.configuration.narrow)
            for tensor, place, found, wanted in differences[:2]:
                count = f" ({len(differences)} such)" if len(differences) > 1 else ""
                self.failures.append(f"{tensor}: {place}: {found}, from the source {wanted}{count}")
        if entry is None:
            return
        if entry.get("resumed"):
            self.equal([entry[key] for key in STATISTICS], [None] * len(STATISTICS), f"the report: {name}")
            return
        for key, expected in statistics(x, weight.values()).items():
            found = entry[key]
            if found is None or expected is None:
                good = found is expected
            else:
                good = abs(found - expected) <= (0 if key == "max_abs" else TOLERANCE * abs(expected))
            if not good:
                self.failures.append(f"the report: {name}: {key} is {found}, expected {expected}")

    def all(self, report, sample):
        try:
            self.files()
            model = Model(self.folder)
            self.config(model)
            self.shards(model)
            entries = self.report(report, model)
            for name, weight in model.weights.items():
                kept = self.source.weights[name].scheme
                # FP8 weights that are not quantized become F16, which represents all their values.
                self.equal(weight.scheme, self.scheme(name) or ("F16" if kept in FP8 else kept), name)
                self.weight(weight, entries.get(name), re.search(sample, name))
        except (Bad, ValueError, OSError) as error:
            self.failures.append(str(error))
        return self


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


# ---------------------------------------------------------------------------------------------------- planted faults


def in_tensor(tensor, offset, change):
    """A fault: change(byte) of a tensor's bytes."""

    def plant(folder, report):
        for file in sorted(os.listdir(folder)):
            if not file.endswith(".safetensors"):
                continue
            path = os.path.join(folder, file)
            rows, _, at = read_safetensors.read(path)
            for name, _, _, data in rows:
                if name == tensor:
                    with open(path, "r+b") as out:
                        out.seek(at + offset % len(data))
                        out.write(bytes([change(data[offset % len(data)])]))
                    return
                at += len(data)
        raise AssertionError("no tensor " + tensor)

    return plant


def in_text(file, old, new):
    """A fault: the first `old` in a file becomes `new`. In a .safetensors file both must have the same length."""

    def plant(folder, report):
        path = os.path.join(folder, file)
        data = bytes_of(path)
        assert old.encode() in data, old
        with open(path, "wb") as out:
            out.write(data.replace(old.encode(), new.encode(), 1))

    return plant


def in_config(change, key="quantization_config"):
    def plant(folder, report):
        path = os.path.join(folder, "config.json")
        config = read_json(path)
        change(config[key] if key else config)
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)

    return plant


def in_report(name, change):
    def plant(folder, report):
        change(next(entry for entry in report["tensors"] if entry["name"] == name))

    return plant


def forget_resumed(folder, report):
    for entry in report["tensors"]:
        entry.pop("resumed", None)


def a_file(name, text):
    def plant(folder, report):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
            out.write(text)

    return plant


def scale(key, factor):
    def change(entry):
        entry[key] *= factor

    return change


def flip(bits):
    return lambda byte: byte ^ bits


Q = "model.layers.0.self_attn.q_proj"
DOWN = "model.layers.0.mlp.down_proj"
DOWN3 = "model.layers.3.mlp.down_proj"
V3 = "model.layers.3.self_attn.v_proj"


def arguments_of(config):
    return config["config_groups"]["group_0"]["weights"]


def group_naming(config, module):
    return next(group for group in config["config_groups"].values() if module in group["targets"])


# Configuration, fault, and the expected failure. The weights are 256 x 256 (q_proj) and 256 x 704 (down_proj).
FAULTS = [
    ("int4", in_tensor(Q + ".weight_packed", 3 * 128 + 8, flip(0x10)),
     Q + r"\.weight_packed: row 3, column 17: code \d+,"),
    ("int4", in_tensor(Q + ".weight_packed", 3 * 128 + 8, flip(0x10)), "the report: " + Q + r"\.weight: mse is"),
    ("int4", in_tensor(Q + ".weight_packed", 3 * 128 + 8, flip(0x01)),
     Q + r"\.weight_packed: row 3, column 16: code \d+,"),
    ("int4", in_tensor(Q + ".weight_scale", 2 * (5 * 4 + 2), flip(1)),
     Q + r"\.weight_scale: row 5, column 128: scale 0x"),
    ("int4", in_tensor(Q + ".weight_scale", 2 * (5 * 4 + 2) + 1, flip(0x80)),
     Q + r"\.weight_scale: row 5, column 128: the"),
    ("int4", in_tensor(Q + ".weight_shape", 0, flip(1)), Q + r"\.weight_shape: \[257, 256\]"),
    ("int4", in_tensor("model.norm.weight", 14, flip(1)), r"model\.norm\.weight: row 0, column 7: differs"),
    ("int4", in_tensor("lm_head.weight", 2 * (256 * 9 + 4), flip(1)), r"lm_head\.weight: row 9, column 4: differs"),
    ("int4", in_text("model.safetensors", Q + ".weight_scale", Q + ".weight_skale"), Q + r"\.weight_scale: missing"),
    ("int4", in_text("model.safetensors", '"dtype":"I64"', '"dtype":"U64"'), r"weight_shape: is U64, expected I64"),
    ("int4", in_text("model.safetensors", '"format":"pt"', '"format":"tf"'), r"does not say format: pt"),
    ("int4", in_text("tokenizer.json", "{", "{ "), r"tokenizer\.json: differs from the source's"),
    ("int4", in_text("config.json", '"rms_norm_eps": 1e-05', '"rms_norm_eps": 1e-06'), r"^config\.json: "),
    ("int4", a_file("model.safetensors.tmp", ""), r"model\.safetensors\.tmp: an unexpected file"),
    ("int4", in_config(lambda c: c.update(torch_dtype="bfloat16"), None),
     r"weight_scale: is F16, expected BF16|torch_dtype bfloat16, its plain tensors are \['F16'\]"),
    ("f32", in_config(lambda c: c.update(torch_dtype="float16"), None),
     r"torch_dtype float16, its plain tensors are \['F32'\]"),
    ("int4", in_config(lambda c: c["ignore"].clear()), r"lm_head\.weight_scale: missing"),
    ("int4", in_config(lambda c: c["ignore"].append(Q)), Q + r"\.weight: missing"),
    ("int4", in_config(lambda c: c["ignore"].append("lm_haed")), r"'lm_haed' is no module"),
    ("int4", in_config(lambda c: c.update(quantization_status="frozen")), r"quantization_status"),
    ("int4", in_config(lambda c: c.update(extra=1)), r"unknown key \['extra'\]"),
    ("int4", in_config(lambda c: arguments_of(c).update(group_size=32)),
     r"weight_scale: shape \[256, 4\], expected \[256, 8\]"),
    ("int4", in_config(lambda c: arguments_of(c).update(num_bits=8)),
     r"weight_packed: shape \[256, 32\], expected \[256, 64\]"),
    ("int4", in_config(lambda c: arguments_of(c).update(symmetric=False)), r"weight_zero_point: missing"),
    ("int4", in_config(lambda c: c["config_groups"]["group_0"].update(targets=[Q])), r"neither a target nor ignored"),
    ("int4", in_report(Q + ".weight", scale("mse", 1 + 1e-6)), "the report: " + Q + r"\.weight: mse is"),
    ("int4", in_report(Q + ".weight", scale("mae", 1 + 1e-6)), "the report: " + Q + r"\.weight: mae is"),
    ("int4", in_report(Q + ".weight", scale("sqnr_db", 1 + 1e-6)), "the report: " + Q + r"\.weight: sqnr_db is"),
    ("int4", in_report(Q + ".weight", scale("cosine", 1 - 1e-6)), "the report: " + Q + r"\.weight: cosine is"),
    ("int4", in_report(Q + ".weight", scale("max_abs", 1 + 1e-6)), "the report: " + Q + r"\.weight: max_abs is"),
    ("int4", in_report(Q + ".weight", scale("bits_per_weight", 1 + 1e-6)),
     "the report: " + Q + r"\.weight: .*bits_per"),
    ("int4", in_report(Q + ".weight", lambda entry: entry.update(name="x")), "the report's names"),
    ("int4_asym", in_tensor(Q + ".weight_zero_point", 4 * (2 * 8 + 5) + 1, flip(0x20)),
     Q + r"\.weight_zero_point: row 19, column 160: zero \d+,"),
    ("int4_asym", in_config(lambda c: arguments_of(c).update(symmetric=True)), r"weight_zero_point: no loader"),
    ("int8", in_tensor(DOWN + ".weight_packed", 704 * 200 + 703, flip(1)),
     DOWN + r"\.weight_packed: row 200, column 703: code"),
    ("int8_token", in_tensor(DOWN + ".weight", 704 * 200 + 703, flip(1)),
     DOWN + r"\.weight: row 200, column 703: code"),
    ("int8_token", in_tensor(DOWN + ".weight_scale", 2 * 77, flip(1)),
     DOWN + r"\.weight_scale: row 77, column 0: scale"),
    ("int8_token", in_config(lambda c: c.update(format="pack-quantized")), r"input_activations with pack-quantized"),
    ("fp8", in_tensor(DOWN + ".weight", 704 * 200 + 703, flip(0x80)), DOWN + r"\.weight: row 200, column 703: code"),
    ("fp8", in_tensor(DOWN + ".weight", 704 * 200 + 703, lambda byte: 0x7F),
     DOWN + r"\.weight: row 200, column 703: NaN"),
    ("fp8_tensor", in_tensor(DOWN + ".weight_scale", 0, flip(1)), DOWN + r"\.weight_scale: row 0, column 0: scale"),
    ("mxfp4", in_tensor(DOWN + ".weight_packed", 352 * 100 + 1, flip(0x80)),
     DOWN + r"\.weight_packed: row 100, column 3: code"),
    ("mxfp4", in_tensor(DOWN + ".weight_scale", 22 * 100 + 1, flip(1)),
     DOWN + r"\.weight_scale: row 100, column 32: scale"),
    ("mxfp4", in_tensor(DOWN + ".weight_scale", 22 * 100 + 1, lambda byte: 255),
     DOWN + r"\.weight_scale: .*the scale is NaN"),
    ("nf4", in_tensor(DOWN + ".weight", 352 * 100 + 1, flip(0x10)), DOWN + r"\.weight: row 100, column 2: code"),
    ("nf4", in_tensor(DOWN + ".weight.absmax", 300, flip(1)), DOWN + r"\.weight\.absmax: block 300: "),
    ("nf4", in_tensor(DOWN + ".weight.nested_absmax", 4 * 2, flip(1)), DOWN + r"\.weight\.nested_absmax: entry 2: "),
    ("nf4", in_tensor(DOWN + ".weight.nested_quant_map", 4 * 40 + 1, flip(0x80)),
     DOWN + r"\.weight\.nested_quant_map: entry 40"),
    ("nf4", in_tensor(DOWN + ".weight.quant_map", 4 * 3, flip(1)), DOWN + r"\.weight\.quant_map: code 3 is"),
    ("nf4", in_text("model.safetensors", Q + ".weight.quant_state.bitsandbytes__nf4",
                    Q + ".weight.quant_state.bitsandbytes__fp4"),
     r"bitsandbytes__fp4: quant_type 'nf4'"),
    ("nf4", in_text("model.safetensors", '"nested_offset":0.0', '"nested_offset":0.9'),
     DOWN + r"\.weight\.quant_state: nested_offset: 0\.9"),
    ("nf4", in_text("model.safetensors", '"blocksize":64', '"blocksize":32'), r"absmax: shape \[\d+\], expected"),
    ("nf4", in_text("model.safetensors", '"nested_dtype"', '"nested_kind_"'),
     r"quant_state.*: keys \[.*'nested_kind_'"),
    ("nf4", in_config(lambda c: c.update(llm_int8_threshold=6)), r"llm_int8_threshold is 6$"),
    ("nf4", in_config(lambda c: c.update(llm_int8_skip_modules=[])), r"lm_head\.weight: 0 quant_state"),
    ("nf4_single", in_tensor(DOWN + ".weight.absmax", 4 * 300, flip(1)),
     DOWN + r"\.weight\.absmax: row 27, column 192: scale"),
    ("fp4", in_tensor(DOWN + ".weight", 352 * 100 + 1, flip(1)), DOWN + r"\.weight: row 100, column 3: code"),
    ("int8_absmax", in_tensor(DOWN + ".weight", 704 * 200 + 703, flip(1)),
     DOWN + r"\.weight: row 200, column 703: code"),
    ("int8_absmax", in_tensor(DOWN + ".SCB", 4 * 77, flip(1)), DOWN + r"\.SCB: row 77, column 0: scale 0x"),
    ("int8_absmax", in_tensor(DOWN + ".SCB", 4 * 77 + 3, flip(0x80)), DOWN + r"\.SCB: row 77: absmax -"),
    ("int8_absmax", in_tensor(DOWN + ".weight_format", 0, flip(1)), DOWN + r"\.weight_format: 1, expected 0"),
    ("int8_absmax", in_text("model.safetensors", DOWN + ".weight_format", DOWN + ".weight_farmot"),
     DOWN + r"\.weight_format: missing"),
    ("int8_absmax", in_text("model.safetensors", DOWN + ".SCB", DOWN + ".SBC"), DOWN + r"\.SCB: missing"),
    ("int8_absmax", in_config(lambda c: c.update(load_in_4bit=True)), r"load_in_8bit: \(True, True\)"),
    ("int8_absmax", in_config(lambda c: c.update(load_in_8bit=False, load_in_4bit=True)),
     r"load_in_8bit: \(False, True\)"),
    ("int8_absmax", in_config(lambda c: c.update(_load_in_8bit=False)), r"load_in_8bit: \(False, False\)"),
    ("int8_absmax", in_config(lambda c: c.update(llm_int8_skip_modules=["lm_head", Q])), Q + r"\.weight: is I8"),
    ("int8_absmax", in_report(DOWN + ".weight", scale("mse", 1 + 1e-6)),
     "the report: " + DOWN + r"\.weight: mse is"),
    ("int4_narrow", in_tensor(V3 + ".weight_packed", 128 * 6, flip(1)),
     V3 + r"\.weight_packed: row 6, column 0: code"),
    ("int4_narrow", in_tensor(V3 + ".weight_scale", 2 * 9, flip(1)), V3 + r"\.weight_scale: row 2, column 64: scale"),
    ("resumed", in_report(V3 + ".weight", lambda entry: entry.update(resumed=True, mse=0.5)),
     "the report: " + V3 + r"\.weight: \["),
    ("resumed", forget_resumed, "the report: 0 of 57 tensors are from the run before"),
    ("int8_absmax", in_report(DOWN + ".weight", lambda entry: entry.update(resumed=True)), "is said to be from a run"),
    ("f32", in_tensor(DOWN + ".weight", 4 * (704 * 7 + 8), flip(1)), DOWN + r"\.weight: row 7, column 8: 0x"),
    ("bf16", in_tensor(DOWN + ".weight", 2 * (704 * 7 + 8), flip(1)), DOWN + r"\.weight: row 7, column 8: 0x"),
    ("mixed", in_config(lambda c: group_naming(c, DOWN3)["targets"].remove(DOWN3)),
     DOWN3 + r"\.weight_packed: shape"),
    ("mixed", in_config(lambda c: c["ignore"].remove(DOWN)), DOWN + r"\.weight_scale: missing"),
    ("mixed", in_tensor(DOWN3 + ".weight_packed", 704 * 6 + 2, flip(1)),
     DOWN3 + r"\.weight_packed: row 6, column 2: code"),
    ("mixed", in_tensor(V3 + ".weight_packed", 128 * 6, flip(1)), V3 + r"\.weight_packed: row 6, column 0: code"),
    ("mixed", in_tensor(Q + ".weight", 2 * 256 * 6, flip(1)), Q + r"\.weight: row 6, column 0: differs"),
    ("formats", in_config(lambda c: c["config_groups"]["group_1"].pop("format")), r"group_1: format None"),
    ("formats", in_config(lambda c: c.update(format="pack-quantized")), r"unknown key \['format'\]"),
    ("sharded", in_text("model.safetensors.index.json", '"total_size": ', '"total_size": 1'),
     r"the index: total_size 1"),
    ("sharded", in_text("model.safetensors.index.json", "model-00001-of", "model-00002-of"),
     r"shards \[|the index says"),
    ("sharded", in_text("model-00002-of-00004.safetensors", Q, Q[:-6] + "r_proj"), r"the index says"),
]


def module_of(expression):
    for module in (Q, DOWN, DOWN3, V3):
        if module in expression:
            return re.escape(module)
    return "^$"


def plant_faults(source, scratch, outputs):
    failed = count = 0
    folder = os.path.join(scratch, "planted")
    for name, plant, expected in FAULTS:
        if name not in outputs:
            continue
        configuration, report = outputs[name]
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(os.path.join(scratch, name), folder)
        report = json.loads(json.dumps(report))
        plant(folder, report)
        failures = Check(source, folder, configuration).all(report, module_of(expected)).failures
        count += 1
        if not any(re.search(expected, failure) for failure in failures):
            failed += 1
            print(f"FAILED {name}: a planted fault was not reported as {expected!r}: {failures[:3]}")
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{count - failed} of {count} planted faults found and reported")
    return failed == 0


# ---------------------------------------------------------------------------------------------------- running


def call(options, verb, *arguments):
    """Runs the tool, which must succeed, and returns its JSON."""
    command = [options.nibble, verb, *arguments, "--json", "--device", options.device]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        raise Bad(f"{' '.join(command)} gave {result.returncode}:\n{result.stderr}")
    return json.loads(result.stdout, object_pairs_hook=read_safetensors.unique)


def done_in(journal):
    try:
        return sum(line.split()[1] == b"done" for line in bytes_of(journal).splitlines() if line.count(b" ") == 3)
    except FileNotFoundError:
        return 0


def kill_halfway(options, model, folder, arguments):
    """Leaves FOLDER.partial with some tensors in its journal and some not; returns how many are.

    The journal is written once a second, and a small model takes less: so the run is paused for longer than that.
    """
    command = [options.nibble, "quantize", model, "-o", folder, *arguments, "--device", options.device]
    partial = folder + ".partial"
    journal = os.path.join(partial, ".nibble-journal")
    for attempt in range(20):
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not os.path.exists(journal):
            time.sleep(0.001)
        time.sleep(0.004 * (attempt % 5))
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.1)
        process.send_signal(signal.SIGCONT)
        while process.poll() is None and done_in(journal) == 0:
            time.sleep(0.001)
        process.kill()
        process.wait()
        done = done_in(journal)
        if done and not os.path.exists(folder):
            return done
    raise Bad(f"{' '.join(command)} was never killed halfway")


def run(options, model, folder, configuration):
    """Runs the tool once and returns its report."""
    shutil.rmtree(folder, ignore_errors=True)
    if not configuration.killed:
        return call(options, "quantize", model, "-o", folder, *configuration.arguments)
    done = kill_halfway(options, model, folder, configuration.arguments)
    report = call(options, "quantize", model, "-o", folder, *configuration.arguments, "--resume")
    resumed = sum(entry.get("resumed", False) for entry in report["tensors"])
    if resumed > done:
        raise Bad(f"{resumed} tensors are reported as resumed, but the journal lists {done}")
    if os.path.exists(folder + ".partial"):
        raise Bad(folder + ".partial is left")
    return report


def run_all(options, source, title, configurations):
    """{name: (configuration, report)} of the successful runs, and whether all checks passed."""
    outputs, good = {}, True
    for configuration in configurations:
        if options.only and title + configuration.name not in options.only:
            continue
        start = time.monotonic()
        folder = os.path.join(options.scratch, title + configuration.name)
        check = Check(source, folder, configuration)
        try:
            report = run(options, source.folder, folder, configuration)
            check.all(report, "" if options.all else configuration.sample)
            outputs[configuration.name] = configuration, report
        except (Bad, OSError) as error:
            check.failures.append(str(error))
        verdict = "FAILED" if check.failures else "ok"
        seconds = time.monotonic() - start
        name = title + configuration.name
        print(f"{verdict:7}{name:24}{check.compared:3} weights recomputed, {seconds:4.1f} s", flush=True)
        for line in check.failures[:20]:
            print("    " + line)
        good = good and not check.failures
    return outputs, good


# ---------------------------------------------------------------------------------------------------- dequantizing


def check_back(source, quantized, dense, to_quantized, to_dense, report, sample):
    """The failures of a dequantized model, and how many weights' values were compared.

    `to_quantized`, `to_dense`: the comparisons of the source with the quantized and with the dequantized model.
    """
    failures, count = [], 0
    rows = [{row["name"]: row for row in comparison["tensors"]} for comparison in (to_quantized, to_dense)]
    entries = {entry["name"]: entry for entry in report["tensors"]}
    for comparison, of in zip((to_quantized, to_dense), rows):
        if sorted(of) != sorted(source.weights) or len(of) != len(comparison["tensors"]):
            failures.append("compare: names differ from the source's")
        for key in ("only_in_a", "only_in_b"):
            if comparison[key]:
                failures.append(f"compare: {key} {comparison[key]}")
    for name, weight in quantized.weights.items():
        one, other = ({key: of.get(name, {}).get(key) for key in (*STATISTICS, "shape", "nonfinite")} for of in rows)
        if one != other:
            failures.append(f"compare: {name}: {one}, of the dense one {other}")
        for key in STATISTICS:
            if entries[name][key] not in (None, one[key]):
                failures.append(f"compare: {name}: {key} is {one[key]}, the report says {entries[name][key]}")
        if not re.search(sample, name):
            continue
        count += 1
        values = weight.values()
        if weight.scheme != "F32":  # F32 is a copy
            values = requantize.without_denormals(values, weight.scheme)
        found, expected = dense.weights[name].tensors[name][2], requantize.plain(values, "F32")
        if dense.weights[name].scheme != "F32":
            failures.append(f"{name}: is {dense.weights[name].scheme}")
        elif found != expected:
            at = next(i for i in range(0, len(found), 4) if found[i : i + 4] != expected[i : i + 4])
            values = (f"0x{data[at : at + 4][::-1].hex()}" for data in (found, expected))
            failures.append(f"{name}: {weight.place(at // 4)}: {', decoded '.join(values)}")
    return failures, count


def back(options, source, title, outputs):
    """Quantized models as input: they are dequantized, and compared with the source."""
    good = True
    for name in DEQUANTIZED:
        if name not in outputs:
            continue
        start, count = time.monotonic(), 0
        folder, again = (os.path.join(options.scratch, title + name + end) for end in ("", ".back"))
        try:
            again_report = call(options, "quantize", folder, "-o", again, "--format", "safetensors", "--type", "F32")
            to_quantized, to_dense = (call(options, "compare", source.folder, f) for f in (folder, again))
            quantized, dense = Model(folder), Model(again)
            report = outputs[name][1]
            sample = "" if options.all or title else r"layers\.0\.(mlp.down|self_attn.q)|layers\.5\.self_attn\.k_proj"
            failures, count = check_back(source, quantized, dense, to_quantized, to_dense, report, sample)
            if dense.dtype != "F32" or "quantization_config" in dense.config:
                failures.append("config.json is not that of an F32 model")
            if again_report["bytes_in"] != quantized.data_bytes or again_report["bytes_out"] != dense.data_bytes:
                failures.append("the report's bytes")
            if not title and not failures:
                failures += undetected(source, quantized, dense, to_quantized, to_dense, report)
        except (Bad, ValueError, OSError) as error:
            failures = [str(error)]
        verdict = "FAILED" if failures else "ok"
        seconds = time.monotonic() - start
        print(f"{verdict:7}{title + name + ', dequantized':36}{count:3} weights' values, {seconds:4.1f} s", flush=True)
        for line in failures[:20]:
            print("    " + line)
        good = good and not failures
    return good


def undetected(source, quantized, dense, to_quantized, to_dense, report):
    """Planted faults in the comparisons and in the dequantized values that check_back does not report."""
    out = []
    row = next(row for row in to_dense["tensors"] if row["name"] == DOWN + ".weight")
    kept = dict(row)
    row["sqnr_db"] = math.nextafter(row["sqnr_db"], 0)
    dtype, shape, data = dense.weights[DOWN + ".weight"].tensors[DOWN + ".weight"]
    changed = bytearray(data)
    changed[4 * (704 * 7 + 8)] ^= 1
    dense.weights[DOWN + ".weight"].tensors[DOWN + ".weight"] = dtype, shape, bytes(changed)
    to_quantized["only_in_b"] = ["x"]
    found, _ = check_back(source, quantized, dense, to_quantized, to_dense, report, "^" + re.escape(DOWN))
    for expected in (f"compare: {DOWN}.weight: ", f"{DOWN}.weight: row 7, column 8: 0x", "compare: only_in_b"):
        if not any(failure.startswith(expected) for failure in found):
            out.append(f"a planted fault was not reported as {expected!r}: {found[:3]}")
    row.update(kept)
    return out


def all_codes(options):
    """FP8 matrices without scales that contain all codes: their values as F32, and int4 of the finite ones."""
    good = True
    for dtype, table in FP8.items():
        name = "model.layers.0.self_attn.q_proj.weight"
        finite = bytes(code for code in range(256) if math.isfinite(table[code]))
        cases = [("", bytes(range(256)), 16), (".finite", (finite * 2)[: len(finite) // 16 * 32], 32)]
        for title, codes, columns in cases:
            shape = [len(codes) // columns, columns]
            file = os.path.join(options.scratch, f"{dtype}{title}.safetensors")
            header = json.dumps({name: {"dtype": dtype, "shape": shape, "data_offsets": [0, len(codes)]}}).encode()
            with open(file, "wb") as out:
                out.write(struct.pack("<Q", len(header)) + header + codes)
            out = file + ".f32"
            failures = []
            try:
                call(options, "quantize", file, "-o", out, "--format", "safetensors", "--type", "F32")
                rows, _, _ = read_safetensors.read(os.path.join(out, "model.safetensors"))
                if [row[:3] for row in rows] != [(name, "F32", shape)]:
                    failures.append(f"holds {[row[:3] for row in rows]}")
                values = struct.unpack(f"<{len(codes)}f", rows[0][3])
                for code, value in zip(codes, values):
                    # NaN stays NaN with the same sign.
                    same = struct.pack("<f", table[code]) == struct.pack("<f", value)
                    if math.isnan(table[code]):
                        same = math.isnan(value) and (math.copysign(1, value) < 0) == (code >= 128)
                    if not same:
                        failures.append(f"code {code} became {value}, expected {table[code]}")
                if title:
                    entry = call(options, "quantize", file, "-o", file + ".int4", "--group-size", "32")["tensors"][0]
                    if entry["type"] != "int4" or not entry["sqnr_db"] > 15:
                        failures.append(f"int4: {entry}")
                elif call(options, "compare", file, out)["tensors"][0]["nonfinite"] != 256 - len(finite):
                    failures.append("compare counts the wrong number of non-finite values")
            except (Bad, ValueError, OSError) as error:
                failures.append(str(error))
            print(f"{'FAILED' if failures else 'ok':7}{dtype + title:24}{len(set(codes)):3} codes", flush=True)
            for line in failures[:20]:
                print("    " + line)
            good = good and not failures
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("nibble", "model", "scratch"):
        parser.add_argument(name)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    shutil.rmtree(options.scratch, ignore_errors=True)
    os.makedirs(options.scratch)
    source = Model(options.model)
    outputs, good = run_all(options, source, "", CONFIGURATIONS)
    good = back(options, source, "", outputs) and good
    good = plant_faults(source, options.scratch, outputs) and good
    for seed, (name, sizes, dtype) in enumerate(EDGE_MODELS):
        folder = os.path.join(options.scratch, name)
        edge_model.write(folder, sizes, dtype, seed)
        source = Model(folder)
        columns = {weight.shape[-1] for name, weight in source.weights.items() if name.endswith("_proj.weight")}
        possible = [edge for edge in EDGES if any(edge.scheme("", c) for c in columns)]
        if dtype in FP8:
            possible = [edge for edge in possible if edge.name in FP8_CONFIGURATIONS]
        outputs, all_good = run_all(options, source, name + ".", possible)
        good = back(options, source, name + ".", outputs) and all_good and good
    good = all_codes(options) and good
    if good:
        shutil.rmtree(options.scratch)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
