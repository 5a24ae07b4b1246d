"""Small models that are quantized already, and an independent decoder of their codes. Python's own library only."""
import json
import os
import random
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tool"))
import read_safetensors

MLP = "model.layers.0.mlp.up_proj"
DOWN = "model.layers.0.mlp.down_proj"
ATTENTION = "model.layers.0.self_attn.q_proj"


def e4m3(code):
    exponent, fraction = code >> 3 & 15, code & 7
    if exponent == 15 and fraction == 7:
        return float("nan")
    value = fraction / 8 * 2.0**-6 if exponent == 0 else (1 + fraction / 8) * 2.0 ** (exponent - 7)
    return -value if code & 128 else value


def e5m2(code):
    exponent, fraction = code >> 2 & 31, code & 3
    if exponent == 31:
        return float("nan") if fraction else float("-inf" if code & 128 else "inf")
    value = fraction / 4 * 2.0**-14 if exponent == 0 else (1 + fraction / 4) * 2.0 ** (exponent - 15)
    return -value if code & 128 else value


def e2m1(code):
    value = (0, 0.5, 1, 1.5, 2, 3, 4, 6)[code & 7]
    return -value if code & 8 else value


def floats(dtype, values):
    """The bytes of these values; bfloat16 must hold them exactly."""
    if dtype == "F32":
        return struct.pack(f"<{len(values)}f", *values)
    if dtype == "F16":
        return struct.pack(f"<{len(values)}e", *values)
    if dtype == "BF16":
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    if dtype in ("F8_E8M0", "U8"):
        return bytes(exponent_of(value) + 127 for value in values)
    raise ValueError(dtype)


def exponent_of(power):
    bits = struct.unpack("<I", struct.pack("<f", power))[0]
    assert bits & 0x807FFFFF == 0
    return (bits >> 23) - 127


def values_of(dtype, data):
    if dtype == "BF16":
        return [struct.unpack("<f", b"\0\0" + data[i : i + 2])[0] for i in range(0, len(data), 2)]
    code = {"F32": "f", "F16": "e"}[dtype]
    return list(struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data))


def single(value):
    """Rounded to fp32."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def write(path, rows, metadata=None):
    """rows: (name, dtype, shape, bytes)."""
    header, at = ({} if metadata is None else {"__metadata__": metadata}), 0
    for name, dtype, shape, data in rows:
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + b"".join(row[3] for row in rows))


def folder(path, rows, config=None, metadata=None, **files):
    """config: of config.json, beside what every model has. files: NAME=text of NAME.json."""
    os.makedirs(path)
    write(os.path.join(path, "model.safetensors"), rows, metadata)
    whole = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", **(config or {})}
    for name, text in {"config": json.dumps(whole), **files}.items():
        with open(os.path.join(path, name + ".json"), "w") as out:
            out.write(text)
    return path


def dense(name, rows, cols, dtype="BF16", seed=1):
    draw = random.Random(seed)
    values = [draw.randrange(-96, 97) / 1024 for _ in range(rows * cols)]
    return name, dtype, [rows, cols], floats(dtype, values)


def rest():
    """Dense tensors beside the quantized weights."""
    return [dense(ATTENTION + ".weight", 64, 64), ("model.norm.weight", "BF16", [64], floats("BF16", [1.0] * 64))]


def codes(count, seed, dtype="F8_E4M3"):
    """Codes of finite values; bytes of any value for other types."""
    draw = random.Random(seed)
    bad = {"F8_E4M3": {0x7F, 0xFF}, "F8_E5M2": {c for c in range(256) if c >> 2 & 31 == 31}}.get(dtype, ())
    return bytes(draw.choice([c for c in range(256) if c not in bad]) for _ in range(count))


def scale_values(count, seed, power=False):
    draw = random.Random(seed)
    if power:
        return [2.0 ** draw.randrange(-14, -6) for _ in range(count)]
    return [draw.randrange(129, 256) / 2.0**20 for _ in range(count)]  # exact in bfloat16


def read_folder(path):
    """{name: (dtype, shape, bytes)}"""
    out = {}
    for name in sorted(os.listdir(path)):
        if name.endswith(".safetensors"):
            rows, *_ = read_safetensors.read(os.path.join(path, name))
            for row in rows:
                out[row[0]] = (row[1], row[2], row[3])
    return out
