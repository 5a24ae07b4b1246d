#!/usr/bin/env python3
"""Decodes the weights of GPTQ's and AWQ's folders by the descriptions of the formats alone.

  decode_packed.py FOLDER            every weight: how it is stored, and its first values

GPTQ (AutoGPTQ, GPTQModel): qweight I32 [K*b/32, N] holds the codes of output n in column n, a dense stream of b bits
along K whose first code has the lowest bits. qzeros I32 [G, N*b/32] holds the zero points of a group in the same way
along N: less 1 in version 1 ("gptq"), as they are in version 2 ("gptq_v2"). scales [G, N]; g_idx I32 [K] is the group
of every input. AWQ (AutoAWQ, GEMM): qweight I32 [K, N/8] and qzeros I32 [K/g, N/8] hold outputs 8c + 0, 2, 4, 6, 1, 3,
5, 7 in the nibbles of word c, lowest first. A weight is (code - zero) * scale. Like a loader this takes bits and groups
from config.json; a missing tensor, or one of another shape or type, is an error. It shares no code with the writer.
"""
import json
import os
import re
import struct
import sys

sys.dont_write_bytecode = True  # no __pycache__ in the source tree
import read_safetensors
from read_safetensors import Bad, need

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def single(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def words(data):
    return struct.unpack(f"<{len(data) // 4}I", data)


def scale_values(dtype, data):
    if dtype == "BF16":
        return [struct.unpack("<f", b"\0\0" + data[i : i + 2])[0] for i in range(0, len(data), 2)]
    return list(struct.unpack(f"<{len(data) // {'F16': 2, 'F32': 4}[dtype]}{ {'F16': 'e', 'F32': 'f'}[dtype] }", data))


def fields(line, bits):
    """The fields of a dense stream of words, the first in the lowest bits."""
    stream = 0
    for i, word in enumerate(line):
        stream |= word << 32 * i
    mask = (1 << bits) - 1
    return [stream >> at & mask for at in range(0, 32 * len(line) - bits + 1, bits)]


def settings_of(config, module):
    """bits, group_size and sym of a module: the first entry of `dynamic` that matches decides. None: it is dense."""
    settings = {key: config[key] for key in ("bits", "group_size", "sym", "desc_act")}
    for pattern, values in config.get("dynamic", {}).items():
        sign, expression = (pattern[:2], pattern[2:]) if pattern[:2] in ("+:", "-:") else ("+:", pattern)
        if re.match(expression, module):
            return None if sign == "-:" else {**settings, **values}
    return settings


def decode_gptq(module, tensors, config):
    s = settings_of(config, module)
    need(s is not None, f"{module}: is quantized, and `dynamic` says that it is dense")
    bits, version = s["bits"], {"gptq": 1, "gptq_v2": 2}[config["checkpoint_format"]]
    need(bits in (2, 3, 4, 8), f"{module}: {bits} bits")
    (code_type, code_shape, codes), (zero_type, zero_shape, zeros), (scale_type, scale_shape, scales) = (
        tensors.pop(f"{module}.{part}") for part in ("qweight", "qzeros", "scales"))
    need(code_type == zero_type == "I32", f"{module}: codes of type {code_type}, {zero_type}")
    n, k = code_shape[1], code_shape[0] * 32 // bits
    group = k if s["group_size"] == -1 else s["group_size"]
    groups = -(-k // group)
    need(code_shape == [k * bits // 32, n], f"{module}: qweight is {code_shape}")
    need(zero_shape == [groups, n * bits // 32], f"{module}: qzeros is {zero_shape}")
    need(scale_shape == [groups, n], f"{module}: scales is {scale_shape}")
    index_type, index_shape, index = tensors.pop(f"{module}.g_idx", ("I32", [k], None))
    need(index_type == "I32" and index_shape == [k], f"{module}: g_idx is {index_type} {index_shape}")
    of = words(index) if index is not None else [i // group for i in range(k)]
    need(all(0 <= g < groups for g in of), f"{module}: g_idx is beyond the groups")
    if not s["desc_act"]:
        need(list(of) == [i // group for i in range(k)], f"{module}: columns are in another order")
    code_words, scale = words(codes), scale_values(scale_type, scales)
    zero_words, per_group = words(zeros), n * bits // 32
    stored = [fields(zero_words[g * per_group : (g + 1) * per_group], bits) for g in range(groups)]
    zero = [[z + (1 if version == 1 else 0) for z in line] for line in stored]
    need(all(z < 1 << bits for line in zero for z in line), f"{module}: a zero point of 0 in version 1")
    if s["sym"]:
        need(all(z == 1 << bits - 1 for line in zero for z in line), f"{module}: zero points of symmetric codes")
    out = []
    for row in range(n):
        q = fields(code_words[row::n], bits)
        out.append([single((q[i] - zero[of[i]][row]) * scale[of[i] * n + row]) for i in range(k)])
    return out


def decode_awq(module, tensors, config):
    need(config["bits"] == 4 and config["zero_point"] is True and config["version"] == "gemm", f"{module}: {config}")
    (code_type, code_shape, codes), (zero_type, zero_shape, zeros), (scale_type, scale_shape, scales) = (
        tensors.pop(f"{module}.{part}") for part in ("qweight", "qzeros", "scales"))
    need(code_type == zero_type == "I32", f"{module}: codes of type {code_type}, {zero_type}")
    k, n = code_shape[0], code_shape[1] * 8
    group = k if config["group_size"] == -1 else config["group_size"]
    need(k % group == 0, f"{module}: {k} inputs are not whole groups of {group}")
    need(zero_shape == [k // group, n // 8], f"{module}: qzeros is {zero_shape}")
    need(scale_shape == [k // group, n], f"{module}: scales is {scale_shape}")

    def unpacked(data, lines):
        flat = words(data)
        out = []
        for line in range(lines):
            values = [0] * n
            for c in range(n // 8):
                word = flat[line * n // 8 + c]
                for i, offset in enumerate(AWQ_ORDER):
                    values[8 * c + offset] = word >> 4 * i & 15
            out.append(values)
        return out

    q, z, s = unpacked(codes, k), unpacked(zeros, k // group), scale_values(scale_type, scales)
    return [[single((q[i][row] - z[i // group][row]) * s[i // group * n + row]) for i in range(k)] for row in range(n)]


def read_folder(folder):
    """({name: (dtype, shape, bytes)}, quantization_config)"""
    tensors = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors"):
            rows, *_ = read_safetensors.read(os.path.join(folder, name))
            tensors.update({row[0]: (row[1], row[2], row[3]) for row in rows})
    with open(os.path.join(folder, "config.json")) as file:
        return tensors, json.load(file)["quantization_config"]


def decode(folder):
    """{name of the weight: rows of values}, and the tensors that are left: the dense ones."""
    tensors, config = read_folder(folder)
    name = {"gptq": "quantize_config.json", "awq": "quant_config.json"}[config["quant_method"]]
    with open(os.path.join(folder, name)) as file:
        need(json.load(file) == config, f"{name} and config.json differ")
    one = {"gptq": decode_gptq, "awq": decode_awq}[config["quant_method"]]
    modules = [name[: -len(".qweight")] for name in tensors if name.endswith(".qweight")]
    weights = {module + ".weight": one(module, tensors, config) for module in modules}
    for name, (dtype, shape, _) in tensors.items():
        need(not name.endswith((".qzeros", ".scales", ".g_idx")), f"{name}: there is no qweight")
        module = name[: -len(".weight")] if name.endswith(".weight") else None
        if module is None or len(shape) != 2 or ".layers." not in module:
            continue
        kept = settings_of(config, module) is None if config["quant_method"] == "gptq" else any(
            key in module for key in config["modules_to_not_convert"] or ())
        need(kept, f"{module}: is dense, and config.json says that it is quantized")
    return weights, tensors


def main():
    weights, rest = decode(sys.argv[1])
    for name, rows in weights.items():
        print(name, f"{len(rows)} x {len(rows[0])}", rows[0][:4])
    print(f"{len(weights)} quantized weights, {len(rest)} dense tensors")


if __name__ == "__main__":
    try:
        main()
    except Bad as bad:
        sys.exit(f"{sys.argv[1]}: {bad}")
