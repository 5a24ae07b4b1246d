#!/usr/bin/env python3
"""Runs `nibble quantize` and checks what it writes with a decoder that shares nothing with it.

  check_quantized.py NIBBLE MODEL SCRATCH [--all] [--only NAME]... [--device cpu]

Of each output: files, config, names, shapes and types of all tensors, unchanged tensors byte by byte, sizes.
Of some weights (--all: of every one): scales, zero points and codes against those computed again from the source, and
the error statistics of the report against sums in doubles. Then faults are planted in copies of the outputs, one at a
time, and each must be found and named. Last, models of awkward weights.
"""
import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from operator import mul, sub

sys.dont_write_bytecode = True
import edge_model
import read_safetensors
import requantize
from decode_model import Model, Plain, fp32, read_json
from read_safetensors import Bad

SAMPLE = r"layers\.0\.|layers\.5\.self_attn\.k_proj"


class Configuration:
    """`scheme`: of a Linear's weight, by its name; None where it stays as it is."""

    def __init__(self, name, arguments, scheme, sample=SAMPLE, shard=None):
        self.name, self.arguments, self.sample, self.shard = name, arguments.split(), sample, shard
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
]


def grouped(prefix, wanted):
    """Groups of that many columns, or of the largest power of two that divides them; unquantized below 16."""

    def scheme(weight, columns):
        length = wanted
        while columns % length:
            length //= 2
        return f"{prefix} group {length}" if length >= 16 else None

    return scheme


def mx(weight, columns):
    return "mxfp4 group 32" if columns % 32 == 0 else None


# Of the models of edge_model.py, in which every weight is recomputed.
EDGES = [
    Configuration("int4", "--type int4 --group-size 64", grouped("int4 sym", 64), ""),
    Configuration("int4_row", "--type int4 --group-size -1", "int4 sym channel", ""),
    Configuration("int4_asym", "--type int4 --asym --group-size 32", grouped("int4 asym", 32), ""),
    Configuration("int4_row_asym", "--type int4 --asym --group-size -1", "int4 asym channel", ""),
    Configuration("int8", "--type int8", "int8 sym channel", ""),
    Configuration("int8_token", "--type int8 --activations int8-token", "int8 sym channel", ""),
    Configuration("int8_asym", "--type int8 --asym", "int8 asym channel", ""),
    Configuration("int8_asym_token", "--type int8 --asym --activations int8-token", "int8 asym channel", ""),
    Configuration("fp8", "--type fp8", "fp8 channel", ""),
    Configuration("fp8_tensor", "--type fp8 --granularity tensor", "fp8 tensor", ""),
    Configuration("mxfp4", "--type mxfp4", mx, ""),
    Configuration("nf4", "--format bnb --type nf4", "nf4 block 64 nested", ""),
    Configuration("nf4_single", "--format bnb --type nf4 --no-double-quant", "nf4 block 64", ""),
    Configuration("fp4", "--format bnb --type fp4 --no-double-quant", "fp4 block 64", ""),
]
EDGE_MODELS = [
    ("edge_f16", edge_model.EVEN, "F16"), ("edge_bf16", edge_model.EVEN, "BF16"), ("edge_f32", edge_model.EVEN, "F32"),
    ("odd_f32", edge_model.ODD, "F32"), ("odd_bf16", edge_model.ODD, "BF16"),
]


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
TOLERANCE = 1e-8  # of the sums, relative; the maximum is exact in fp32


class Check:
    """The failures of one output, at most a few of each tensor."""

    def __init__(self, source, folder, configuration):
        self.source, self.folder, self.configuration = source, folder, configuration
        self.failures, self.notes, self.compared = [], [], 0

    def equal(self, found, expected, what):
        if found != expected:
            self.failures.append(f"{what}: {found!r}, expected {expected!r}")

    def files(self):
        rewritten = {"config.json", "model.safetensors.index.json"}
        copied = [f for f in os.listdir(self.source.folder) if f.endswith(".json") and f not in rewritten]
        for name in copied:
            path = os.path.join(self.folder, name)
            same = os.path.exists(path) and bytes_of(path) == bytes_of(os.path.join(self.source.folder, name))
            if not same:
                self.failures.append(f"{name}: not the source's")
        known = set(copied) | {"config.json"}
        for name in sorted(os.listdir(self.folder)):
            if name not in known and name != "model.safetensors.index.json" and not name.endswith(".safetensors"):
                self.failures.append(f"{name}: what is this file?")

    def config(self, model):
        found = {k: v for k, v in model.config.items() if k not in ("quantization_config", "torch_dtype")}
        expected = {k: v for k, v in self.source.config.items() if k not in ("quantization_config", "torch_dtype")}
        self.equal(found, expected, "config.json")
        plain = {weight.scheme for weight in model.weights.values() if isinstance(weight, Plain)}
        if plain != {model.dtype}:
            self.notes.append(f"config.json says {model.config['torch_dtype']}, its plain tensors are {sorted(plain)}")

    def shards(self, model):
        if self.configuration.shard is None:
            self.equal(sorted(model.files), ["model.safetensors"], "files of weights")
            return
        if len(model.files) < 2:
            self.failures.append("there is one shard only")
        for name, rows in model.files.items():
            total = sum(len(row[3]) for row in rows)
            if total > self.configuration.shard and len(rows) > 1:
                self.failures.append(f"{name}: {total} bytes in a shard")

    def scheme(self, name):
        """What the weight of that name should be now."""
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
            differences = requantize.differences(weight, x, source.scheme)
            for tensor, place, found, wanted in differences[:2]:
                count = f" ({len(differences)} such)" if len(differences) > 1 else ""
                self.failures.append(f"{tensor}: {place}: {found}, from the source {wanted}{count}")
        if entry is None:
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
                self.equal(weight.scheme, self.scheme(name) or self.source.weights[name].scheme, name)
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
    """A fault: other text in a file, once. In a .safetensors file both must have the same length."""

    def plant(folder, report):
        path = os.path.join(folder, file)
        data = bytes_of(path)
        assert old.encode() in data, old
        with open(path, "wb") as out:
            out.write(data.replace(old.encode(), new.encode(), 1))

    return plant


def in_config(change):
    def plant(folder, report):
        path = os.path.join(folder, "config.json")
        config = read_json(path)
        change(config["quantization_config"])
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)

    return plant


def in_report(name, change):
    def plant(folder, report):
        change(next(entry for entry in report["tensors"] if entry["name"] == name))

    return plant


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


# Configuration, fault, what the failures must say. The weights are 256 x 256 (q_proj) and 256 x 704 (down_proj).
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
    ("int4", in_text("tokenizer.json", "{", "{ "), r"tokenizer\.json: not the source's"),
    ("int4", in_text("config.json", '"rms_norm_eps": 1e-05', '"rms_norm_eps": 1e-06'), r"^config\.json: "),
    ("int4", a_file("model.safetensors.tmp", ""), r"model\.safetensors\.tmp: what is this"),
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
    ("f32", in_tensor(DOWN + ".weight", 4 * (704 * 7 + 8), flip(1)), DOWN + r"\.weight: row 7, column 8: 0x"),
    ("bf16", in_tensor(DOWN + ".weight", 2 * (704 * 7 + 8), flip(1)), DOWN + r"\.weight: row 7, column 8: 0x"),
    ("mixed", in_config(lambda c: c["config_groups"]["group_0"]["targets"].remove(DOWN3)),
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
            print(f"FAILED {name}: a planted fault was not named {expected!r}: {failures[:3]}")
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{count - failed} of {count} planted faults found and named")
    return failed == 0


# ---------------------------------------------------------------------------------------------------- running


def run(options, model, folder, configuration):
    """The report of one run."""
    report = folder + ".json"
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.exists(report):
        os.remove(report)
    command = [options.nibble, "quantize", model, "-o", folder, *configuration.arguments, "--json=" + report,
               "--device", options.device]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        raise Bad(f"{' '.join(command)} gave {result.returncode}:\n{result.stdout}")
    return read_json(report)


def run_all(options, source, title, configurations):
    """{name: (configuration, report)} of the runs that ended well, and whether all was right."""
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
        for line in check.notes:
            print("    note: " + line)
        good = good and not check.failures
    return outputs, good


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
    good = plant_faults(source, options.scratch, outputs) and good
    for seed, (name, sizes, dtype) in enumerate(EDGE_MODELS):
        folder = os.path.join(options.scratch, name)
        edge_model.write(folder, sizes, dtype, seed)
        source = Model(folder)
        columns = {weight.shape[-1] for name, weight in source.weights.items() if name.endswith("_proj.weight")}
        possible = [edge for edge in EDGES if any(edge.scheme("", c) for c in columns)]
        good = run_all(options, source, name + ".", possible)[1] and good
    if good:
        shutil.rmtree(options.scratch)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
