#!/usr/bin/env python3
"""Writes a large random model in Hugging Face layout: big_model.py FOLDER [LAYERS [HIDDEN]]

Shapes of a Llama of HIDDEN 4096, F16, shards of about 1 GB; 9 layers are 4.5 GB. Weights are random, of both signs
and with magnitudes from 2^-11 to 2^-4. Needs only Python.
"""
import json
import os
import struct
import sys
import zlib


def random_halves(count):
    """Sign, five bits of exponent (four of them used), mantissa."""
    table = bytes((b & 0x83) | ((4 + (b >> 2 & 7)) << 2) for b in range(256))
    data = bytearray(2 * count)
    data[0::2] = os.urandom(count)
    data[1::2] = os.urandom(count).translate(table)
    return bytes(data)


def tensors(layers, hidden):
    kv, inner, vocabulary = hidden // 4, hidden * 7 // 2, 32000
    yield "model.embed_tokens.weight", (vocabulary, hidden)
    for layer in range(layers):
        block = f"model.layers.{layer}."
        yield block + "input_layernorm.weight", (hidden,)
        for name, rows in (("q", hidden), ("k", kv), ("v", kv), ("o", hidden)):
            yield block + f"self_attn.{name}_proj.weight", (rows, hidden)
        yield block + "post_attention_layernorm.weight", (hidden,)
        for name in ("gate", "up"):
            yield block + f"mlp.{name}_proj.weight", (inner, hidden)
        yield block + "mlp.down_proj.weight", (hidden, inner)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (vocabulary, hidden)


def size(shape):
    count = 2
    for side in shape:
        count *= side
    return count


def write_shard(path, members, pool):
    header, at = {}, 0
    for name, shape in members:
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + size(shape)]}
        at += size(shape)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for number, (name, shape) in enumerate(members):
            left, start = size(shape), 4096 * (zlib.crc32(name.encode()) % 8191) % len(pool)
            while left:
                piece = pool[start : start + left]
                file.write(piece)
                left -= len(piece)
                start = 0


def main():
    folder = sys.argv[1]
    layers = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    hidden = int(sys.argv[3]) if len(sys.argv) > 3 else 4096
    os.makedirs(folder, exist_ok=True)
    pool = random_halves(16 << 20)
    shards, filled = [[]], 0
    for name, shape in tensors(layers, hidden):
        if filled and filled + size(shape) > 1_000_000_000:
            shards.append([])
            filled = 0
        shards[-1].append((name, shape))
        filled += size(shape)
    weight_map = {}
    for i, members in enumerate(shards):
        name = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        write_shard(os.path.join(folder, name), members, pool)
        weight_map.update({tensor: name for tensor, _ in members})
    total = sum(size(shape) for members in shards for _, shape in members)
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
        json.dump({"metadata": {"total_size": total}, "weight_map": weight_map}, file)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
                   "num_hidden_layers": layers, "torch_dtype": "float16"}, file)
    print(f"{folder}: {total} bytes in {len(shards)} shards")


if __name__ == "__main__":
    main()
