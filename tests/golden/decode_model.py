#!/usr/bin/env python3
"""Decodes the weights of a quantized model's folder by the descriptions of the formats alone.

  decode_model.py FOLDER            every weight: how it is stored, and its first values

Knows compressed-tensors (pack-quantized, int-quantized, float-quantized, mxfp4-pack-quantized), bitsandbytes NF4, FP4
and LLM.int8, and plain F32, F16, BF16 and FP8 matrices, in the layout of Llama. Like a loader it reads from config.json
how each module is stored; then a missing or surplus tensor, or one of another shape or type, is an error. It shares no
code with the writer.
"""
import array
import json
import math
import os
import re
import sys

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import read_safetensors
from read_safetensors import Bad, need

# ---------------------------------------------------------------------------------------------------- numbers


def float_bits(bits, exponent_bits, mantissa_bits):
    """The value of the bits of a binary float without Inf and NaN."""
    mantissa = bits & ((1 << mantissa_bits) - 1)
    exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1)
    bias = (1 << (exponent_bits - 1)) - 1
    if exponent:
        mantissa |= 1 << mantissa_bits
    value = math.ldexp(mantissa, max(exponent, 1) - bias - mantissa_bits)
    return -value if bits >> (exponent_bits + mantissa_bits) else value


def ieee_table(exponent_bits, mantissa_bits):
    table = []
    top = (1 << exponent_bits) - 1
    for bits in range(1 << (1 + exponent_bits + mantissa_bits)):
        if bits >> mantissa_bits & top != top:
            table.append(float_bits(bits, exponent_bits, mantissa_bits))
        else:
            infinite = bits & ((1 << mantissa_bits) - 1) == 0
            table.append((-math.inf if bits >> (exponent_bits + mantissa_bits) else math.inf) if infinite else math.nan)
    return table


F16 = ieee_table(5, 10)
BF16 = ieee_table(8, 7)
E4M3 = [math.nan if bits & 0x7F == 0x7F else float_bits(bits, 4, 3) for bits in range(256)]
E5M2 = ieee_table(5, 2)
E2M1 = [float_bits(bits, 2, 1) for bits in range(16)]
FP8 = {"F8_E4M3": E4M3, "F8_E5M2": E5M2}


def fp32(values):
    """The values, each rounded to the nearest fp32 (ties to even)."""
    return array.array("f", values).tolist()


NF4 = fp32([
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
])
FP4 = fp32([sign * v / 12 for sign in (1.0, -1.0) for v in (0, 0.0625, 8, 12, 4, 6, 2, 3)])


def dynamic_map():
    """The 256 values of nested block scales; a map written by another program may differ in the last bits."""
    values = [0.0, 1.0]
    for i in range(7):
        count = 1 << i
        for k in range(count):
            middle = 0.1 + 0.9 * (k + 0.5) / count
            values += [middle * 10.0 ** (i - 6), -middle * 10.0 ** (i - 6)]
    return sorted(values)


def words(typecode, size, data):
    values = array.array(typecode)
    need(values.itemsize == size, "this Python's array has other item sizes")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def floats(dtype, data):
    if dtype == "F32":
        return words("f", 4, data).tolist()
    if dtype in FP8:
        return [FP8[dtype][bits] for bits in data]
    return [{"F16": F16, "BF16": BF16}[dtype][bits] for bits in words("H", 2, data)]


def low_first(data):
    """Codes of 4 bits, the first in the low bits of the first byte."""
    codes = bytearray(2 * len(data))
    codes[0::2] = data.translate(bytes(b & 15 for b in range(256)))
    codes[1::2] = data.translate(bytes(b >> 4 for b in range(256)))
    return codes


def unpacked(data, bits):
    """Codes of 2, 4 or 8 bits from little-endian 32-bit words, the first in the low bits of the first word."""
    if bits == 8:
        return bytearray(data)
    codes = bytearray(len(data) * 8 // bits)
    for i in range(8 // bits):
        codes[i::8 // bits] = bytes(b >> i * bits & (1 << bits) - 1 for b in data)
    return codes


# ---------------------------------------------------------------------------------------------------- one weight


class Weight:
    """A stored weight. `tensors`: its entries in the files. `scheme`: a short name. `block`: elements per scale.

    Quantized weights: `codes`, a byte per element in row-major order as stored (integers: offset binary or two's
    complement); `scales` as floats, `scale_bytes` as stored; `zeros` like `codes`, or None.
    """

    def __init__(self, name, shape, scheme):
        self.name, self.shape, self.scheme = name, shape, scheme
        self.tensors, self.codes, self.scales, self.scale_bytes, self.zeros, self.block = {}, None, None, None, None, 0
        self.code_tensor = self.scale_tensor = self.zero_tensor = name
        self.load_dtype = None
        self.scale_dtype = None  # None: that of the model

    @property
    def bytes(self):
        return sum(len(data) for _, _, data in self.tensors.values())

    def place(self, index):
        row, column = divmod(index, self.shape[-1])
        return f"row {row}, column {column}"

    def values(self):
        """The weight's values as fp32."""
        raise NotImplementedError


class Plain(Weight):
    def values(self):
        dtype, _, data = self.tensors[self.name]
        return floats(dtype, data)


class Table(Weight):
    """value = fp32(table[code] * scale of its block)"""

    table = None

    def values(self):
        table, block, codes = self.table, self.block, self.codes
        out = []
        for index, scale in enumerate(self.scales):
            if len(table) == 16:
                products = [value * scale for value in table]
                out += [products[code] for code in codes[index * block : (index + 1) * block]]
            else:
                out += [table[code] * scale for code in codes[index * block : (index + 1) * block]]
        return fp32(out)


class Integer(Weight):
    """value = (code - zero) * scale of its block"""

    offset = 0

    def values(self):
        block, codes = self.block, self.codes
        view = "b" if self.offset == 0 else "B"
        signed = memoryview(codes).cast(view)
        zeros = None if self.zeros is None else memoryview(self.zeros).cast(view)
        out = []
        for index, scale in enumerate(self.scales):
            zero = self.offset if zeros is None else zeros[index]
            out += [(code - zero) * scale for code in signed[index * block : (index + 1) * block]]
        return fp32(out)


# ---------------------------------------------------------------------------------------------------- the model


def size(config, key, default=None):
    value = config.get(key, default)
    need(type(value) is int and value > 0, f"config.json: {key} is {value!r}")
    return value


def linears(config):
    """{module: (N, K)} of every Linear of a Llama. One that is tied to the embeddings has no separate tensor."""
    hidden, heads = size(config, "hidden_size"), size(config, "num_attention_heads")
    inner, kv_heads = size(config, "intermediate_size"), size(config, "num_key_value_heads", heads)
    head = size(config, "head_dim", hidden // heads)
    out = {}
    for layer in range(size(config, "num_hidden_layers")):
        prefix = f"model.layers.{layer}."
        out[prefix + "self_attn.q_proj"] = heads * head, hidden
        out[prefix + "self_attn.k_proj"] = kv_heads * head, hidden
        out[prefix + "self_attn.v_proj"] = kv_heads * head, hidden
        out[prefix + "self_attn.o_proj"] = hidden, heads * head
        out[prefix + "mlp.gate_proj"] = inner, hidden
        out[prefix + "mlp.up_proj"] = inner, hidden
        out[prefix + "mlp.down_proj"] = hidden, inner
    out["lm_head"] = size(config, "vocab_size"), hidden
    return out


def tied(config, module):
    return module == "lm_head" and config.get("tie_word_embeddings", False)


def others(config):
    """{tensor: shape} of all other tensors."""
    hidden = size(config, "hidden_size")
    out = {"model.embed_tokens.weight": (size(config, "vocab_size"), hidden), "model.norm.weight": (hidden,)}
    for layer in range(size(config, "num_hidden_layers")):
        for norm in ("input_layernorm", "post_attention_layernorm"):
            out[f"model.layers.{layer}.{norm}.weight"] = (hidden,)
    for module, (rows, _) in linears(config).items():
        if config.get("attention_bias" if ".self_attn." in module else "mlp_bias", False) and module != "lm_head":
            out[module + ".bias"] = (rows,)
    return out


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file, object_pairs_hook=read_safetensors.unique)


def only_keys(value, keys, where):
    need(type(value) is dict, where + " is not an object")
    unknown = set(value) - set(keys)
    need(not unknown, f"{where}: unknown key {sorted(unknown)}")


class Model:
    def __init__(self, folder):
        self.folder = folder
        self.config = read_json(os.path.join(folder, "config.json"))
        need(self.config.get("model_type") == "llama", "config.json: not of a Llama")
        self.read_files()
        self.used, self.kept = set(), {}
        quantization = self.config.get("quantization_config")
        if quantization is None:
            stored = PlainConfig()
        else:
            methods = {"compressed-tensors": CompressedTensors, "bitsandbytes": BitsAndBytes}
            method = quantization.get("quant_method")
            need(method in methods, f"config.json: quant_method is {method!r}")
            stored = methods[method](quantization, self)
        self.weights = {}
        for module, shape in linears(self.config).items():
            if tied(self.config, module):
                need(stored.unquantized(module), f"{module}: tied to the embeddings, so it cannot be quantized")
            else:
                self.weights[module + ".weight"] = stored.weight(self, module, shape)
        for name, shape in others(self.config).items():
            self.weights[name] = self.plain(name, shape)
        left = set(self.tensors) - self.used
        if left:
            raise Bad(f"{min(left)}: no loader looks for it (of {len(left)} such)")

    def read_files(self):
        index = os.path.join(self.folder, "model.safetensors.index.json")
        found = sorted(name for name in os.listdir(self.folder) if name.endswith(".safetensors"))
        if os.path.exists(index):
            index = read_json(index)
            only_keys(index, {"metadata", "weight_map"}, "the index")
            files = sorted(set(index["weight_map"].values()))
            names = [f"model-{i:05}-of-{len(files):05}.safetensors" for i in range(1, len(files) + 1)]
            need(files == names, f"shards {files}")
        else:
            index, files = None, ["model.safetensors"]
        need(found == files, f"files of weights: {found}, expected {files}")
        self.files, self.tensors, where = {}, {}, {}
        for file in files:
            try:
                rows, metadata, start = read_safetensors.read(os.path.join(self.folder, file))
                need(metadata.get("format") == "pt", "its __metadata__ does not say format: pt")
                need(start % 8 == 0, "the data does not begin at a multiple of 8")
            except Bad as error:
                raise Bad(f"{file}: {error}") from None
            self.files[file] = rows
            for name, dtype, shape, data in rows:
                need(name not in self.tensors, f"{name}: in two files")
                self.tensors[name], where[name] = (dtype, tuple(shape), data), file
        self.data_bytes = sum(len(data) for _, _, data in self.tensors.values())
        if index is not None:
            for name in sorted(set(where) | set(index["weight_map"])):
                there, said = where.get(name), index["weight_map"].get(name)
                need(there == said, f"{name}: in {there}, the index says {said}")
            total = index["metadata"].get("total_size")
            need(total == self.data_bytes, f"the index: total_size {total}, there are {self.data_bytes} bytes")

    def take(self, weight, name, dtypes, shape):
        """The entry of that name, which belongs to the weight and must have this dtype and shape."""
        need(name in self.tensors, f"{name}: missing ({weight.name} is {weight.scheme})")
        dtype, found, data = self.tensors[name]
        need(dtype in dtypes, f"{name}: is {dtype}, expected {' or '.join(dtypes)}")
        need(found == tuple(shape), f"{name}: shape {list(found)}, expected {list(shape)}")
        self.used.add(name)
        weight.tensors[name] = self.tensors[name]
        return data

    def plain(self, name, shape, more_dtypes=()):
        weight = Plain(name, shape, "plain")
        self.take(weight, name, ("F32", "F16", "BF16", *more_dtypes), shape)
        weight.scheme = weight.tensors[name][0]
        return weight

    def once(self, name):
        """The values of a weight, decoded once."""
        if name not in self.kept:
            self.kept[name] = self.weights[name].values()
        return self.kept[name]

    @property
    def dtype(self):
        """The type of the unquantized weights, by the model's config."""
        names = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
        name = self.config.get("torch_dtype", self.config.get("dtype"))
        need(name in names, f"config.json: torch_dtype is {name!r}")
        return names[name]


class PlainConfig:
    def unquantized(self, module):
        return True

    def weight(self, model, module, shape):
        return model.plain(module + ".weight", shape, tuple(FP8))


# ------------------------------------------------------------------------------------------------- compressed-tensors

GROUP_KEYS = {"targets", "weights", "input_activations", "output_activations"}
ARGUMENT_KEYS = {
    "num_bits", "type", "symmetric", "strategy", "group_size", "dynamic", "actorder", "block_structure", "observer",
    "observer_kwargs", "scale_dtype", "zp_dtype",
}
CONFIG_KEYS = {
    "quant_method", "format", "quantization_status", "global_compression_ratio", "ignore", "kv_cache_scheme",
    "config_groups",
}
STORABLE = {
    "pack-quantized": {("int", 2), ("int", 4), ("int", 8)}, "int-quantized": {("int", 8)},
    "float-quantized": {("float", 8)},
    "mxfp4-pack-quantized": {("float", 4)},
}


class CompressedTensors:
    def __init__(self, config, model):
        only_keys(config, CONFIG_KEYS, "quantization_config")
        self.format = config.get("format")
        known = self.format in STORABLE or self.format == "mixed-precision"
        need(known, f"quantization_config: format {self.format!r}")
        need(config.get("quantization_status") == "compressed", "quantization_config: quantization_status")
        need(config.get("kv_cache_scheme") is None, "quantization_config: kv_cache_scheme")
        self.ignore = config.get("ignore")
        need(type(self.ignore) is list, "quantization_config: ignore is not a list")
        self.groups = config.get("config_groups")
        need(type(self.groups) is dict and self.groups, "quantization_config: config_groups")
        for name, group in self.groups.items():
            self.check_group(name, group)
        modules = linears(model.config)
        for entry in self.ignore + [target for group in self.groups.values() for target in group["targets"]]:
            known = entry == "Linear" or any(self.holds(entry, module) for module in modules)
            need(known, f"quantization_config: {entry!r} is no module")

    def check_group(self, name, group):
        mixed = self.format == "mixed-precision"
        only_keys(group, GROUP_KEYS | {"format"} if mixed else GROUP_KEYS, name)
        stored = group.get("format") if mixed else self.format
        need(stored in STORABLE, f"{name}: format {stored!r}")
        need(type(group.get("targets")) is list and group["targets"], name + ": targets")
        weights = group.get("weights")
        only_keys(weights, ARGUMENT_KEYS, name + ".weights")
        kind = weights.get("type"), weights.get("num_bits")
        need(kind in STORABLE[stored], f"{name}: {kind} cannot be {stored}")
        need(type(weights.get("symmetric")) is bool, name + ": symmetric")
        need(weights["symmetric"] or kind[0] == "int", name + ": floats with zero points")
        need(weights.get("dynamic") is False and weights.get("actorder") is None, name + ": dynamic or actorder")
        strategy, size = weights.get("strategy"), weights.get("group_size")
        need(strategy in ("tensor", "channel", "group"), f"{name}: strategy {strategy!r}")
        if strategy == "group":
            need(type(size) is int and size > 0, f"{name}: group_size {size!r}")
        else:
            need(size in (None, -1), f"{name}: group_size {size!r} with strategy {strategy}")
        if stored == "mxfp4-pack-quantized":
            need(strategy == "group" and size == 32, name + ": MX blocks are groups of 32")
        # Newer loaders identify MX scales by it; others are fp32 where the model's type cannot hold them.
        scale = "torch.uint8" if stored == "mxfp4-pack-quantized" else "torch.float32"
        need(weights.get("scale_dtype") in (None, scale), f"{name}: scale_dtype {weights.get('scale_dtype')!r}")
        need(weights.get("zp_dtype") in (None, scale), f"{name}: zp_dtype {weights.get('zp_dtype')!r}")
        need(group.get("output_activations") is None, name + ": output_activations")
        inputs = group.get("input_activations")
        if inputs is not None:
            only_keys(inputs, ARGUMENT_KEYS, name + ".input_activations")
            need(stored in ("int-quantized", "float-quantized"), f"{name}: input_activations with {stored}")
            need((inputs.get("type"), inputs.get("num_bits")) == kind, name + ": activations of another type")
            way = inputs.get("strategy"), inputs.get("dynamic")
            need(way in (("token", True), ("tensor", False)), f"{name}: activations by {way[0]}, dynamic {way[1]}")
            zeros = kind[0] == "int" and way[0] == "tensor"
            need(inputs.get("symmetric") is True or (zeros and inputs.get("symmetric") is False),
                 name + ": activations with zero points")

    @staticmethod
    def holds(entry, module):
        return re.match(entry[3:], module) is not None if entry.startswith("re:") else entry == module

    def scheme(self, module):
        """The group of a module: exact names take precedence over patterns, and those over the class."""
        if any(entry == "Linear" or self.holds(entry, module) for entry in self.ignore):
            return None
        for exact, pattern, of_class in ((True, False, False), (False, True, False), (False, False, True)):
            for group in self.groups.values():
                for target in group["targets"]:
                    if target.startswith("re:"):
                        found = pattern and self.holds(target, module)
                    else:
                        found = exact and target == module or of_class and target == "Linear"
                    if found:
                        return group
        raise Bad(f"{module}: neither a target nor ignored")

    def unquantized(self, module):
        return self.scheme(module) is None

    def weight(self, model, module, shape):
        group = self.scheme(module)
        if group is None:
            return model.plain(module + ".weight", shape)
        weights, stored = group["weights"], group.get("format", self.format)
        bits, strategy = weights["num_bits"], weights["strategy"]
        rows, columns = shape
        kind = "fp" if weights["type"] == "float" else "int"
        name = "mxfp4" if (kind, bits) == ("fp", 4) else kind + str(bits)
        length = {"tensor": rows * columns, "channel": columns, "group": weights["group_size"]}[strategy]
        where = f" group {length}" if strategy == "group" else " " + strategy
        scheme = name + ("" if weights["type"] == "float" else " sym" if weights["symmetric"] else " asym") + where
        weight = (Integer if weights["type"] == "int" else Table)(module + ".weight", shape, scheme)
        weight.block = length
        if strategy == "group":
            need(columns % length == 0, f"{module}: {columns} columns in groups of {length}")
        scale_shape = {"tensor": (1,), "channel": (rows, 1), "group": (rows, columns // length)}[strategy]

        weight.scale_tensor = module + ".weight_scale"
        if name == "mxfp4":
            weight.code_tensor = module + ".weight_packed"
            weight.table = E2M1
            weight.codes = low_first(model.take(weight, weight.code_tensor, ("U8",), (rows, columns // 2)))
            weight.scale_bytes = model.take(weight, weight.scale_tensor, ("U8",), scale_shape)
            for index, exponent in enumerate(weight.scale_bytes):
                need(exponent != 255, f"{weight.scale_tensor}: {weight.place(index * 32)}: the scale is NaN")
            weight.scales = [math.ldexp(1.0, exponent - 127) for exponent in weight.scale_bytes]
            return weight

        if weights.get("scale_dtype") == "torch.float32":
            weight.scale_dtype = "F32"
        scale_dtype = weight.scale_dtype or model.dtype
        weight.scale_bytes = model.take(weight, weight.scale_tensor, (scale_dtype,), scale_shape)
        weight.scales = floats(scale_dtype, weight.scale_bytes)
        for index, scale in enumerate(weight.scales):
            good = math.isfinite(scale) and scale >= 0
            need(good, f"{weight.scale_tensor}: {weight.place(index * length)}: the scale is {scale}")
        if stored == "pack-quantized":
            weight.code_tensor = module + ".weight_packed"
            row_words = -(-columns * bits // 32)
            codes = unpacked(model.take(weight, weight.code_tensor, ("I32",), (rows, row_words)), bits)
            row_codes = row_words * 32 // bits
            if row_codes != columns:
                codes = bytearray().join(codes[r * row_codes : r * row_codes + columns] for r in range(rows))
            weight.codes, weight.offset = codes, 1 << (bits - 1)
            said = words("q", 8, model.take(weight, module + ".weight_shape", ("I64",), (2,))).tolist()
            need(said == [rows, columns], f"{module}.weight_shape: {said}, expected {[rows, columns]}")
        else:
            dtype = "F8_E4M3" if name == "fp8" else "I8"
            weight.codes = bytearray(model.take(weight, module + ".weight", (dtype,), shape))
            if name == "fp8":
                weight.table = E4M3
                for nan in (0x7F, 0xFF):
                    at = weight.codes.find(nan)
                    need(at < 0, f"{module}.weight: {weight.place(at)}: NaN")
        if not weights["symmetric"]:
            weight.zero_tensor = module + ".weight_zero_point"
            groups = scale_shape[-1]
            if stored == "pack-quantized":
                per_word = 32 // bits
                data = model.take(weight, weight.zero_tensor, ("I32",), (-(-rows // per_word), groups))
                zeros = words("I", 4, data)
                mask = (1 << bits) - 1
                weight.zeros = bytearray(
                    zeros[row // per_word * groups + g] >> bits * (row % per_word) & mask
                    for row in range(rows) for g in range(groups))
            else:
                weight.zeros = bytearray(model.take(weight, weight.zero_tensor, ("I8",), scale_shape))
        inputs = group.get("input_activations")
        if inputs is not None and not inputs["dynamic"]:
            name = module + ".input_scale"
            weight.input_scale = floats("F32", model.take(weight, name, ("F32",), (1,)))[0]
            need(math.isfinite(weight.input_scale) and weight.input_scale > 0, f"{name}: is {weight.input_scale}")
            weight.input_zero = 0
            if not inputs["symmetric"]:
                weight.input_zero = words("b", 1, model.take(weight, module + ".input_zero_point", ("I8",), (1,)))[0]
        return weight


# ---------------------------------------------------------------------------------------------------- bitsandbytes

BNB_CONFIG = {
    "quant_method": str, "load_in_4bit": bool, "load_in_8bit": bool, "_load_in_4bit": bool, "_load_in_8bit": bool,
    "bnb_4bit_quant_type": str, "bnb_4bit_use_double_quant": bool, "bnb_4bit_compute_dtype": str,
    "bnb_4bit_quant_storage": str, "llm_int8_threshold": float, "llm_int8_skip_modules": list,
    "llm_int8_enable_fp32_cpu_offload": bool, "llm_int8_has_fp16_weight": bool,
}
STATE_KEYS = {"quant_type", "blocksize", "dtype", "shape"}
NESTED_KEYS = {"nested_blocksize", "nested_dtype", "nested_offset"}
DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


class BitsAndBytes:
    def __init__(self, config, model):
        only_keys(config, BNB_CONFIG, "quantization_config")
        for key, kind in BNB_CONFIG.items():
            need(type(config.get(key)) is kind, f"quantization_config: {key} is {config.get(key)!r}")
        self.eight = config["load_in_8bit"]
        for prefix in ("", "_"):
            said = config[prefix + "load_in_4bit"], config[prefix + "load_in_8bit"]
            need(said == (not self.eight, self.eight), f"quantization_config: load_in_4bit, load_in_8bit: {said}")
        self.quant_type = config["bnb_4bit_quant_type"]
        need(self.quant_type in ("nf4", "fp4"), f"quantization_config: bnb_4bit_quant_type {self.quant_type!r}")
        need(config["bnb_4bit_quant_storage"] == "uint8", "quantization_config: bnb_4bit_quant_storage")
        need(config["bnb_4bit_compute_dtype"] in DTYPES, "quantization_config: bnb_4bit_compute_dtype")
        self.nested = config["bnb_4bit_use_double_quant"]
        self.skip = config["llm_int8_skip_modules"]
        for entry in self.skip:
            need(entry in linears(model.config), f"quantization_config: {entry!r} is no module")

    def unquantized(self, module):
        return module in self.skip

    def weight(self, model, module, shape):
        name = module + ".weight"
        if self.unquantized(module):
            return model.plain(name, shape)
        if self.eight:
            return self.eight_bit(model, module, shape)
        rows, columns = shape
        count = rows * columns
        weight = Table(name, shape, self.quant_type)
        prefix = name + ".quant_state."
        states = [tensor for tensor in model.tensors if tensor.startswith(prefix)]
        need(len(states) == 1, f"{name}: {len(states)} quant_state tensors")
        # Each weight stores its own type; the config's is the type to which a loader would quantize.
        quant_type = {prefix + "bitsandbytes__nf4": "nf4", prefix + "bitsandbytes__fp4": "fp4"}.get(states[0])
        need(quant_type is not None, f"{states[0]}: neither of nf4 nor of fp4")
        text = model.take(weight, states[0], ("U8",), model.tensors[states[0]][1][:1])
        try:
            state = json.loads(text.decode("utf-8"), object_pairs_hook=read_safetensors.unique)
        except ValueError as error:
            raise Bad(f"{states[0]}: {error}") from None
        keys = STATE_KEYS | NESTED_KEYS if self.nested else STATE_KEYS
        need(type(state) is dict and set(state) == keys, f"{states[0]}: keys {sorted(state)}, expected {sorted(keys)}")
        need(state["quant_type"] == quant_type, f"{states[0]}: quant_type {state['quant_type']!r}")
        need(state["shape"] == [rows, columns], f"{states[0]}: shape {state['shape']}, expected {[rows, columns]}")
        same = DTYPES.get(state["dtype"]) == model.dtype
        need(same, f"{states[0]}: dtype {state['dtype']!r}, the model is {model.dtype}")
        block = state["blocksize"]
        need(block in (32, 64, 128, 256, 512, 1024, 2048, 4096), f"{states[0]}: blocksize {block!r}")
        weight.scheme = f"{quant_type} block {block}" + (" nested" if self.nested else "")
        weight.block, weight.load_dtype = block, DTYPES[state["dtype"]]

        data = model.take(weight, name, ("U8",), (-(-count // 2), 1))
        codes = low_first(data)
        codes[0::2], codes[1::2] = codes[1::2], codes[0::2]
        weight.codes = codes[:count]
        weight.table = floats("F32", model.take(weight, name + ".quant_map", ("F32",), (16,)))
        expected = NF4 if quant_type == "nf4" else FP4
        for code in range(16):
            need(weight.table[code] == expected[code],
                 f"{name}.quant_map: code {code} is {weight.table[code]}, expected {expected[code]}")

        blocks = -(-count // block)
        weight.scale_tensor = name + ".absmax"
        if not self.nested:
            weight.scale_bytes = model.take(weight, weight.scale_tensor, ("F32",), (blocks,))
            weight.scales = floats("F32", weight.scale_bytes)
        else:
            self.read_nested(model, weight, state, states[0], blocks)
        for index, scale in enumerate(weight.scales):
            good = math.isfinite(scale) and (scale >= 0 or self.nested)
            need(good, f"{weight.scale_tensor}: block {index} ({weight.place(index * block)}): absmax {scale}")
        return weight

    @staticmethod
    def eight_bit(model, module, shape):
        """Codes of LLM.int8; the scale of a row is its largest magnitude, which is stored, divided by 127."""
        rows, columns = shape
        weight = Integer(module + ".weight", shape, "int8 absmax")
        weight.block = columns
        weight.codes = bytearray(model.take(weight, weight.name, ("I8",), shape))
        weight.scale_tensor = module + ".SCB"
        weight.scale_bytes = model.take(weight, weight.scale_tensor, ("F32",), (rows,))
        absmax = floats("F32", weight.scale_bytes)
        for row, value in enumerate(absmax):
            need(math.isfinite(value) and value >= 0, f"{weight.scale_tensor}: row {row}: absmax {value}")
        weight.scales = fp32(value / 127 for value in absmax)
        order = model.take(weight, module + ".weight_format", ("U8",), ())
        need(order == b"\0", f"{module}.weight_format: {order[0]}, expected 0 (by rows)")
        return weight

    @staticmethod
    def read_nested(model, weight, state, where, blocks):
        need(state["nested_blocksize"] == 256, f"{where}: nested_blocksize {state['nested_blocksize']!r}")
        need(state["nested_dtype"] == "float32", f"{where}: nested_dtype {state['nested_dtype']!r}")
        need(type(state["nested_offset"]) is float, f"{where}: nested_offset {state['nested_offset']!r}")
        name = weight.name
        weight.scale_bytes = model.take(weight, weight.scale_tensor, ("U8",), (blocks,))
        weight.nested_map = floats("F32", model.take(weight, name + ".nested_quant_map", ("F32",), (256,)))
        absmax = model.take(weight, name + ".nested_absmax", ("F32",), (-(-blocks // 256),))
        weight.nested_absmax = floats("F32", absmax)
        (weight.nested_offset,) = fp32([state["nested_offset"]])
        for index, (found, expected) in enumerate(zip(weight.nested_map, dynamic_map())):
            good = abs(found - expected) <= 1e-6 * abs(expected)
            need(good, f"{name}.nested_quant_map: entry {index} is {found}, expected {expected}")
        codes = enumerate(weight.scale_bytes)
        scaled = fp32(weight.nested_map[code] * weight.nested_absmax[i // 256] for i, code in codes)
        weight.scales = fp32(value + weight.nested_offset for value in scaled)


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        model = Model(arguments[0])
    except (Bad, ValueError, OSError) as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 1
    for name, weight in sorted(model.weights.items()):
        print(f"{name}  {list(weight.shape)}  {weight.scheme}  {weight.bytes} bytes  {weight.values()[:4]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
