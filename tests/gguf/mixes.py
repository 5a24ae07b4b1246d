#!/usr/bin/env python3
"""The types that llama-quantize chooses for models of several shapes: makes tests/model/data/gguf_mixes.txt.

  mixes.py TREE WORK OUT      TREE: the tree of llama.cpp (tests/loaders/tree.sh)

A line "model NAME ARCHITECTURE LAYERS HEADS KEY_HEADS EXPERTS" begins a model. Each line behind it has the columns of
the rows of some tensors, their type in each mix of the line "mixes", and the names of the tensors without "blk." and
".weight". "+" behind a mix: with an importance matrix.
"""
import os
import re
import struct
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "model"), HERE]
import compare
import gguf_models as gm

MIXES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S",
         "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4_MOE", "Q4_0+", "Q5_0+", "Q2_K_S+", "IQ4_NL+", "IQ4_XS+"]
DENSE = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
EXPERTS = (*DENSE[:4], "ffn_gate_inp", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps")
# Name: architecture, layers, heads, heads of keys, experts, columns of hidden and of inner, tied, modules of a block.
MODELS = {"small": ("llama", 9, 4, 2, 0, 256, 512, False, DENSE),
          "shared_heads": ("llama", 18, 8, 2, 0, 256, 512, False, DENSE),
          "ragged": ("llama", 8, 4, 4, 0, 256, 704, False, DENSE),
          "ragged_hidden": ("qwen2", 5, 9, 3, 0, 576, 1536, True, DENSE),
          "tied": ("gemma2", 26, 8, 4, 0, 256, 512, True, DENSE),
          "fused": ("phi3", 12, 4, 4, 0, 256, 512, False, ("attn_qkv", "attn_output", "ffn_up", "ffn_down")),
          "eight_experts": ("llama", 9, 8, 2, 8, 256, 512, False, EXPERTS),
          "four_experts": ("llama", 17, 4, 4, 4, 256, 512, False, EXPERTS),
          "70b": ("llama", 80, 64, 8, 0, 256, 512, False, ("attn_v", "ffn_down")),
          "65b": ("llama", 80, 8, 8, 0, 256, 512, False, ("attn_v", "ffn_down")),
          "72b": ("qwen2", 80, 8, 8, 0, 256, 512, False, ("attn_v", "ffn_down"))}


def tensors_of(layers, experts, hidden, inner, tied, modules):
    """[(name, dims)]: rows are few, because only columns matter."""
    tensors = [("token_embd.weight", (hidden, 2))] + ([] if tied else [("output.weight", (hidden, 2))])
    for layer in range(layers):
        for module in modules:
            cols = inner if "ffn_down" in module else hidden
            tensors.append((f"blk.{layer}.{module}.weight", (cols, 2, experts) if "_exps" in module else (cols, 2)))
    return tensors


def write_model(path, arch, layers, heads, key_heads, experts, hidden, tensors):
    metadata = {"general.architecture": ("str", arch), "tokenizer.ggml.model": ("str", "none")}
    for key, value in (("vocab_size", 2), ("context_length", 64), ("embedding_length", hidden), ("block_count", layers),
                       ("feed_forward_length", 512), ("attention.head_count", heads), ("expert_count", experts),
                       ("attention.head_count_kv", key_heads), ("expert_used_count", min(experts, 2)),
                       ("attention.sliding_window", 4096)):
        metadata[f"{arch}.{key}"] = ("I", value)
    metadata[f"{arch}.attention.layer_norm_rms_epsilon"] = ("f", 1e-5)
    count = lambda dims: dims[0] * dims[1] * (dims[2] if len(dims) > 2 else 1)
    with open(path, "wb") as file:
        file.write(gm.gguf_bytes(metadata, [(name, dims, 0, bytes(4 * count(dims))) for name, dims in tensors]))


def write_importance(path, tensors):
    tensors = [(name, dims[0], dims[2] if len(dims) > 2 else 1) for name, dims in tensors]
    content = []
    for name, cols, experts in sorted(tensors):
        ones = struct.pack(f"<{cols * experts}f", *[1.0] * cols * experts)
        content.append((name + ".in_sum2", (cols, experts), 0, ones))
        content.append((name + ".counts", (1, experts), 0, struct.pack(f"<{experts}f", *[1.0] * experts)))
    with open(path, "wb") as file:
        file.write(gm.gguf_bytes({"general.type": ("str", "imatrix"), "imatrix.datasets": (["str"], ["none"]),
                                  "imatrix.chunk_count": ("I", 1), "imatrix.chunk_size": ("I", 1)}, content))


def choices(peer, mix, tensors):
    """{tensor: type} as llama-quantize would write it. None where it refuses the mix for this model."""
    options = ["--imatrix", "/mnt/mix.imatrix.gguf"] if mix.endswith("+") else []
    try:
        out, err = peer.inside("llama-quantize", "--dry-run", *options, "/mnt/mix.gguf", "/mnt/unused.gguf",
                               mix.rstrip("+"))
    except SystemExit:
        return None
    found = {}
    for line in (out + err).splitlines():
        match = re.search(r"\] +(\S+\.weight) .* MiB -> .* MiB \((\w+)\)$", line)
        if match:
            found[match[1]] = match[2].upper()
    return {name: found.get(name, "-") for name, _ in tensors}


def main():
    tree, work, path = sys.argv[1:]
    peer = compare.Peer("", tree, "", work)
    lines = ["mixes " + " ".join(MIXES)]
    for name, (arch, layers, heads, key_heads, experts, hidden, inner, tied, modules) in MODELS.items():
        tensors = tensors_of(layers, experts, hidden, inner, tied, modules)
        write_model(os.path.join(work, "mix.gguf"), arch, layers, heads, key_heads, experts, hidden, tensors)
        write_importance(os.path.join(work, "mix.imatrix.gguf"), tensors)
        lines.append(f"model {name} {arch} {layers} {heads} {key_heads} {experts}")
        table = [choices(peer, mix, tensors) for mix in MIXES]
        same = {}
        for tensor, dims in tensors:
            types = " ".join("refused" if t is None else t[tensor] for t in table)
            same.setdefault(f"{dims[0]} {types}", []).append(tensor.removeprefix("blk.").removesuffix(".weight"))
        lines += [f"{types} {' '.join(names)}" for types, names in same.items()]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
