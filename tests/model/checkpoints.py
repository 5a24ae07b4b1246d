"""Small checkpoints for tests of what is quantized, written and read without other packages; and the rules by which
loaders decide which modules are dense."""
import array
import json
import math
import os
import random
import re
import struct

SIZES = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1, "U8": 1, "I32": 4, "I64": 8}


def numbers(shape, seed):
    """Random values whose low bits are zero, so that they are exact in 16 bits."""
    source = random.Random(seed)
    return [source.randint(-128, 127) / 256 for _ in range(math.prod(shape))]


def data_of(dtype, values):
    if dtype == "F32":
        return array.array("f", values).tobytes()
    if dtype == "F16":
        return struct.pack(f"<{len(values)}e", *values)
    bits = array.array("I", array.array("f", values).tobytes())
    return struct.pack(f"<{len(bits)}H", *(b >> 16 for b in bits))


def write_tensors(path, shapes, dtype="F32", values=None):
    """shapes: {name: shape}. values: {name: list} for some of them. Returns all values by name."""
    header, blobs, at, all_values = {}, [], 0, {}
    for name, shape in shapes.items():
        all_values[name] = (values or {}).get(name) or numbers(shape, name)
        blob = data_of(dtype, all_values[name])
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(blob)]}
        at += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    return all_values


def write_model(folder, shapes, config, dtype="F32", values=None, files=()):
    result = write_tensors(os.path.join(folder, "model.safetensors"), shapes, dtype, values)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        file.write(config if isinstance(config, str) else json.dumps(config))
    for name in files:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(name)
    return result


def read_tensors(folder):
    """{name: (dtype, shape, bytes)} of all files of the folder."""
    tensors = {}
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".safetensors"):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(size))
            data = file.read()
        for tensor, entry in header.items():
            if tensor != "__metadata__":
                begin, end = entry["data_offsets"]
                tensors[tensor] = entry["dtype"], entry["shape"], data[begin:end]
    return tensors


def read_config(folder):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        return json.load(file)


def quantized_modules(tensors):
    """The modules that are stored quantized, in either container."""
    ends = (".weight_packed", ".weight.absmax", ".SCB")
    return {name[: -len(end)] for name in tensors for end in ends if name.endswith(end)}


EMBEDDINGS = {"embed_tokens", "wte", "wpe", "shared", "word_embeddings", "tok_embeddings", "embed_in",
              "embed_positions", "position_embeddings", "token_type_embeddings", "position_embedding",
              "relative_attention_bias"}


def dense_linears(tensors):
    """Modules with a dense matrix, without embeddings."""
    names = {name[: -len(".weight")] for name, (dtype, shape, _) in tensors.items()
             if name.endswith(".weight") and len(shape) == 2 and dtype in ("F32", "F16", "BF16")}
    return {name for name in names if name.rpartition(".")[2] not in EMBEDDINGS}


def is_ignored(config, module):
    """compressed-tensors: equal names, or patterns that match from the start."""
    return any(re.match(entry[3:], module) if entry.startswith("re:") else entry == module
               for entry in config["quantization_config"]["ignore"])


def is_skipped(config, module):
    """bitsandbytes in transformers 5: patterns that match from the start, or equal ends."""
    return any(re.match(rf"{entry}\.", module) or re.match(entry, module) or module.endswith(entry)
               for entry in config["quantization_config"]["llm_int8_skip_modules"])


def is_skipped_by_prefix(config, module):
    """Older versions, and vLLM: whole segments."""
    return any(module == entry or module.startswith(entry + ".")
               for entry in config["quantization_config"]["llm_int8_skip_modules"])


def llama(hidden=32, inner=64, layers=1, vocab=48, prefix="model.", head=True, attention=True, mlp=True):
    """Shapes of a small Llama."""
    shapes = {prefix + "embed_tokens.weight": (vocab, hidden)}
    for n in range(layers):
        block = f"{prefix}layers.{n}."
        for m in "qkvo" if attention else "":
            shapes[f"{block}self_attn.{m}_proj.weight"] = (hidden, hidden)
        for m, shape in [("gate", (inner, hidden)), ("up", (inner, hidden)), ("down", (hidden, inner))] if mlp else []:
            shapes[f"{block}mlp.{m}_proj.weight"] = shape
        shapes[block + "input_layernorm.weight"] = (hidden,)
    shapes[prefix + "norm.weight"] = (hidden,)
    if head:
        shapes["lm_head.weight"] = (vocab, hidden)
    return shapes


def linear(name, rows, columns, bias=True):
    shapes = {name + ".weight": (rows, columns)}
    if bias:
        shapes[name + ".bias"] = (rows,)
    return shapes
