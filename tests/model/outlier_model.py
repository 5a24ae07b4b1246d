"""A copy of the sample model with planted outliers, made without other packages."""
import json
import os
import struct

import quantized_models as qm


def make(sample, out):
    """The sample model as fp32, with four channels of each norm 64 times as large, and with rows of up; what reads them
    is divided by as much. Powers of two: the network is the same to the last bit but for sums."""
    os.makedirs(out, exist_ok=True)
    tensors = {n: [d, list(s), qm.values_of(d, b)] for n, (d, s, b) in qm.read_folder(sample).items()}

    def scale_rows(name, rows, factor):
        _, shape, values = tensors[name]
        width = shape[1] if len(shape) == 2 else 1
        for r in rows:
            for i in range(r * width, (r + 1) * width):
                values[i] *= factor

    def scale_columns(name, columns, factor):
        _, shape, values = tensors[name]
        for c in columns:
            for i in range(c, len(values), shape[1]):
                values[i] *= factor

    for layer in range(6):
        block = f"model.layers.{layer}."
        for norm, readers in (("input_layernorm", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
                              ("post_attention_layernorm", ("mlp.gate_proj", "mlp.up_proj"))):
            channels = [(layer * 37 + k * 61 + len(norm)) % 256 for k in range(4)]
            scale_rows(block + norm + ".weight", channels, 64)
            for reader in readers:
                scale_columns(block + reader + ".weight", channels, 1 / 64)
        channels = [(layer * 41 + k * 113) % 704 for k in range(4)]
        scale_rows(block + "mlp.up_proj.weight", channels, 64)
        scale_columns(block + "mlp.down_proj.weight", channels, 1 / 64)
    qm.write(os.path.join(out, "model.safetensors"),
             [(n, "F32", s, struct.pack(f"<{len(v)}f", *v)) for n, (_, s, v) in sorted(tensors.items())],
             {"format": "pt"})
    with open(os.path.join(sample, "config.json")) as source, open(os.path.join(out, "config.json"), "w") as to:
        config = json.load(source)
        config["torch_dtype"] = "float32"
        json.dump(config, to)
