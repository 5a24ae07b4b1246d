#!/usr/bin/env python3
"""Writes random fp16 weights of Llama's shape as a model folder and as a GGUF file with the same matrices.

    llama_shaped.py DIR [LAYERS [HIDDEN [FFN]]]      default: 8 layers, 2048, 8192: 56 matrices, 1.08 GB

llama-quantize reads DIR/model.gguf, nibble DIR. Needs NumPy.
"""
import json
import os
import struct
import sys

import numpy as np

NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}
UINT32, FLOAT32, STRING, F16, ALIGNMENT = 4, 6, 8, 1, 32


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def metadata(layers, hidden, ffn):
    heads = hidden // 128
    rows = [("general.architecture", "llama"), ("general.alignment", ALIGNMENT), ("llama.block_count", layers),
            ("llama.context_length", 2048), ("llama.embedding_length", hidden), ("llama.feed_forward_length", ffn),
            ("llama.attention.head_count", heads), ("llama.attention.head_count_kv", heads),
            ("llama.attention.layer_norm_rms_epsilon", 1e-5), ("llama.vocab_size", 32),
            ("tokenizer.ggml.model", "none")]
    out = b""
    for key, value in rows:
        if isinstance(value, str):
            out += text(key) + struct.pack("<I", STRING) + text(value)
        elif isinstance(value, float):
            out += text(key) + struct.pack("<If", FLOAT32, value)
        else:
            out += text(key) + struct.pack("<II", UINT32, value)
    return len(rows), out


def main(folder, layers=8, hidden=2048, ffn=8192):
    shapes = {}
    for layer in range(layers):
        for name, gguf in NAMES.items():
            rows = ffn if name in ("mlp.gate_proj", "mlp.up_proj") else hidden
            cols = ffn if name == "mlp.down_proj" else hidden
            shapes[f"model.layers.{layer}.{name}.weight"] = (f"blk.{layer}.{gguf}.weight", rows, cols)
    os.makedirs(folder, exist_ok=True)
    header, at, infos = {}, 0, b""
    for name, (gguf, rows, cols) in shapes.items():
        header[name] = {"dtype": "F16", "shape": [rows, cols], "data_offsets": [at, at + rows * cols * 2]}
        infos += text(gguf) + struct.pack("<IQQIQ", 2, cols, rows, F16, at)
        at += rows * cols * 2
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    count, keys = metadata(layers, hidden, ffn)
    start = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), count) + keys + infos
    start += bytes(-len(start) % ALIGNMENT)
    random = np.random.default_rng(1)
    with open(os.path.join(folder, "model.safetensors"), "wb") as tensors, \
            open(os.path.join(folder, "model.gguf"), "wb") as gguf:
        tensors.write(struct.pack("<Q", len(head)) + head)
        gguf.write(start)
        for _, rows, cols in shapes.values():
            data = (random.standard_normal((rows, cols), np.float32) * 0.02).astype(np.float16).tobytes()
            tensors.write(data)
            gguf.write(data)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": hidden,
                   "intermediate_size": ffn, "num_hidden_layers": layers, "num_attention_heads": hidden // 128,
                   "torch_dtype": "float16", "vocab_size": 32}, file)


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 5:
        sys.exit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:]))
