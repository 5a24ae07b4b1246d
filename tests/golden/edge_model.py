"""A small Llama with weights that are edge cases of quantizers, written as a folder in Hugging Face layout."""
import json
import os
import random
import struct

from decode_model import linears, others, tied
from requantize import plain

EVEN = {"hidden_size": 96, "intermediate_size": 80, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 32}
ODD = {"hidden_size": 45, "intermediate_size": 33, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 15}


def row(kind, columns, rng, large, tiny):
    noise = [rng.gauss(0.0, 0.02) for _ in range(columns)]
    if kind == 0:
        return noise
    if kind == 1:
        return [0.0] * columns
    if kind == 2:
        return [-0.0] * columns
    if kind == 3:
        return [abs(v) for v in noise]
    if kind == 4:
        return [-abs(v) for v in noise]
    if kind == 5:  # exact ties between codes: the largest gives the scale 1/64 where it is largest/7.5
        return [7.5 / 64 if c % 8 == 0 else (rng.randrange(-15, 15) + 0.5) / 64 for c in range(columns)]
    if kind == 6:
        return [large if c == columns // 2 else v for c, v in enumerate(noise)]
    if kind == 7:
        return [tiny * rng.randrange(-3, 4) for _ in range(columns)]
    if kind == 8:  # a constant row
        return [-0.375] * columns
    if kind == 9:  # powers of two over a wide range, both signs
        return [(-1) ** c * 2.0 ** -(c % 14) for c in range(columns)]
    if kind == 10:  # around 1.75, where the EVEN rule of MX scales rounds up
        return [(1.75 + (c % 5 - 2) / 128) * (-1) ** c for c in range(columns)]
    return [v * (0.0 if c < columns // 2 else 1.0) for c, v in enumerate(noise)]


def write(folder, sizes, dtype, seed):
    rng = random.Random(seed)
    config = dict(sizes, architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=40, num_hidden_layers=1,
                  attention_bias=True, mlp_bias=False, tie_word_embeddings=True, rms_norm_eps=1e-5, hidden_act="silu",
                  max_position_embeddings=64)
    # Only the linear layers are FP8.
    others_dtype = "F16" if dtype.startswith("F8") else dtype
    config["torch_dtype"] = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}[others_dtype]
    large = {"F16": 60000.0, "BF16": 1e12, "F32": 1e12, "F8_E4M3": 448.0, "F8_E5M2": 57344.0}[dtype]
    tiny = {"F16": 2.0**-24, "BF16": 2.0**-130, "F32": 2.0**-140, "F8_E4M3": 2.0**-9, "F8_E5M2": 2.0**-16}[dtype]
    tensors = {module + ".weight": shape for module, shape in linears(config).items() if not tied(config, module)}
    tensors |= others(config)
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, shape in sorted(tensors.items()):
        count = shape[0] if len(shape) == 2 else 1
        start = rng.randrange(12)
        linear = name.endswith("_proj.weight")
        kinds = [(start + r) % 12 if linear else 0 for r in range(count)]
        stored = dtype if linear else others_dtype
        part = plain([v for kind in kinds for v in row(kind, shape[-1], rng, large, tiny)], stored)
        header[name] = {"dtype": stored, "shape": list(shape), "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "model.safetensors"), "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + data)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as out:
        json.dump(config, out, indent=2)
