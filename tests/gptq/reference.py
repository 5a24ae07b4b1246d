#!/usr/bin/env python3
"""GPTQ of a Llama model as published (arXiv 2210.17323), in PyTorch and fp64, without code of nibble's.

    reference.py MODEL IDS.npy OUT [--bits B] [--group-size G] [--asym] [--order none|static] [--damp D]
                 [--sequences N] [--length L]

Takes the first N sequences of L token ids, quantizes the linear layers of each block in the order q k v, o, gate up,
down, and writes OUT/model.safetensors with the quantized weights' values, fp32, and OUT/losses.json: for each layer the
mean over tokens of the squared error of its outputs, with the damped Hessian. Scales follow nibble's rule: absmax over
2^(B-1) - 1/2, or the range over 2^B - 1 with --asym, rounded to fp16.
"""
import argparse
import json
import os
import shutil

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

GROUPS = [["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], ["self_attn.o_proj"],
          ["mlp.gate_proj", "mlp.up_proj"], ["mlp.down_proj"]]


class Reached(Exception):
    pass


def find_scale(w, bits, asym):
    """Scale and zero point of each row of w, one group."""
    low, high = w.min(1).values.clamp(max=0), w.max(1).values.clamp(min=0)
    if asym:
        scale = ((high - low) / (2 ** bits - 1)).half().double()
        zero = torch.where(scale > 0, torch.round(-low / scale), torch.zeros_like(low)).clamp(0, 2 ** bits - 1)
    else:
        scale = (torch.maximum(-low, high) / (2 ** (bits - 1) - 0.5)).half().double()
        zero = torch.full_like(scale, 2 ** (bits - 1))
    return scale, zero


def nearest(w, scale, zero, bits):
    code = torch.where(scale > 0, torch.round(w / scale) + zero, zero).clamp(0, 2 ** bits - 1)
    return (code - zero) * scale


def gptq(weight, hessian, options):
    w, h = weight.double().clone(), hessian.double().clone()
    rows, cols = w.shape
    diagonal = h.diagonal().clone()
    h += torch.eye(cols, dtype=torch.double) * options.damp * diagonal.mean()
    order = torch.arange(cols)
    size = options.group_size
    found = [find_scale(w[:, g:g + size], options.bits, options.asym) for g in range(0, cols, size)]
    if options.order == "static":
        order = torch.argsort(diagonal, descending=True, stable=True)
    w, h = w[:, order], h[order][:, order]
    upper = torch.linalg.cholesky(torch.linalg.inv(h), upper=True)
    result, loss = torch.zeros_like(w), 0.0
    for i in range(cols):
        if options.order == "none" and i % size == 0:
            found[i // size] = find_scale(w[:, i:i + size], options.bits, options.asym)
        scale, zero = found[int(order[i]) // size]
        result[:, i] = nearest(w[:, i], scale, zero, options.bits)
        error = (w[:, i] - result[:, i]) / upper[i, i]
        loss += float((error ** 2).sum())
        w[:, i + 1:] -= error[:, None] * upper[i, i + 1:][None]
    back = torch.empty_like(result)
    back[:, order] = result
    return back, loss


def inputs_of(model, module, sequences):
    """The Hessian of a module's inputs."""
    total = None

    def hook(_, arguments):
        nonlocal total
        x = arguments[0].reshape(-1, arguments[0].shape[-1]).double()
        total = x.T @ x if total is None else total + x.T @ x
        raise Reached

    handle = module.register_forward_pre_hook(hook)
    for ids in sequences:
        try:
            model(ids[None])
        except Reached:
            pass
    handle.remove()
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "ids", "out"):
        parser.add_argument(name)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--group-size", type=int, default=64)
    parser.add_argument("--asym", action="store_true")
    parser.add_argument("--order", choices=["none", "static"], default="static")
    parser.add_argument("--damp", type=float, default=0.01)
    parser.add_argument("--sequences", type=int, default=32)
    parser.add_argument("--length", type=int, default=256)
    options = parser.parse_args()
    model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    ids = torch.tensor(np.load(options.ids).astype(np.int64).reshape(-1)[:options.sequences * options.length])
    sequences = ids.reshape(options.sequences, options.length)
    losses = {}
    with torch.no_grad():
        for number, layer in enumerate(model.model.layers):
            for group in GROUPS:
                hessian = inputs_of(model, layer.get_submodule(group[0]), sequences)
                for name in group:
                    module = layer.get_submodule(name)
                    values, loss = gptq(module.weight, hessian, options)
                    module.weight.copy_(values.float())
                    losses[f"model.layers.{number}.{name}"] = loss / ids.numel()
            print(number, flush=True)
    os.makedirs(options.out, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()},
              os.path.join(options.out, "model.safetensors"), metadata={"format": "pt"})
    shutil.copy(os.path.join(options.model, "config.json"), options.out)
    with open(os.path.join(options.out, "losses.json"), "w", encoding="utf-8") as file:
        json.dump(losses, file, indent=1)


if __name__ == "__main__":
    main()
