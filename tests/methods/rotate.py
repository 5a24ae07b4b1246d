#!/usr/bin/env python3
"""Rotation by Hadamard matrices as in QuaRot (arXiv 2404.00456), without means subtracted.

    rotate.py [MODEL] [--seeds N] [--schemes S,S] [--windows N] [--samples N]

residual: norms are folded into the following weights, and the residual stream is rotated by a Hadamard matrix with
random signs. heads: v_proj's outputs are rotated within each head, and o_proj's inputs back. down: down_proj is
multiplied by a Hadamard matrix and its inputs as well, which needs an operation while the network runs.
"""
import numpy as np

import command
import groups
import hadamard
import network
import observe


def fold_norms(model):
    """Norm weights become one; the following weights take their values."""
    changed = {}
    for layer in range(model.layers):
        prefix = f"model.layers.{layer}."
        for group in (groups.QKV, groups.GATE_UP):
            gain = model.tensors[prefix + group.before + ".weight"]
            changed[prefix + group.before + ".weight"] = np.ones_like(gain)
            for name in group.modules:
                changed[prefix + name + ".weight"] = model.tensors[prefix + name + ".weight"] * gain
    gain = model.tensors["model.norm.weight"]
    changed["model.norm.weight"] = np.ones_like(gain)
    changed["lm_head.weight"] = model.tensors["lm_head.weight"] * gain
    return model.copy(changed)


def rotate_residual(model, seed=0):
    """For a model with folded norms."""
    signs = np.random.default_rng(seed).choice([-1, 1], model.hidden)
    q = signs[:, None] * hadamard.orthogonal(model.hidden)
    changed = {name: model.tensors[name] @ q for name in ("model.embed_tokens.weight", "lm_head.weight")}
    for layer in range(model.layers):
        for name in network.LINEARS:
            full = f"model.layers.{layer}.{name}.weight"
            back = name in ("self_attn.o_proj", "mlp.down_proj")
            changed[full] = q.T @ model.tensors[full] if back else model.tensors[full] @ q
    return model.copy(changed)


def rotate_heads(model):
    h, changed = hadamard.orthogonal(model.head), {}
    for layer in range(model.layers):
        v, o = (f"model.layers.{layer}.self_attn.{p}_proj.weight" for p in "vo")
        w = model.tensors[v].reshape(model.kv_heads, model.head, -1)
        changed[v] = (h.T @ w).reshape(model.tensors[v].shape)
        changed[o] = (model.tensors[o].reshape(-1, model.heads, model.head) @ h).reshape(model.tensors[o].shape)
    return model.copy(changed)


def rotate_down(model):
    """The model, and what has to run in front of down_proj."""
    cols = model.tensors["model.layers.0.mlp.down_proj.weight"].shape[1]
    h = hadamard.orthogonal(cols)
    changed = {}
    for layer in range(model.layers):
        full = f"model.layers.{layer}.mlp.down_proj.weight"
        changed[full] = model.tensors[full] @ h
    return model.copy(changed), lambda name, x: x @ h.astype(x.dtype) if name == "mlp.down_proj" else x


def transform(model, seed=0):
    """What every engine can run."""
    return rotate_heads(rotate_residual(fold_norms(model), seed))


def kurtosis(x):
    """Of all elements; 3 for normal ones."""
    return float((x ** 4).mean() / (x * x).mean() ** 2)


def main():
    parser = command.parser(__doc__, "int4-g128,int3-g128,w8a8-token,w8a8-static,w4a4")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    work = command.Work(options)
    folded = fold_norms(work.model)
    residual = rotate_residual(folded)
    made = {"norms folded": (folded, None), "residual": (residual, None)}
    for seed in range(options.seeds):
        made[f"residual and heads, seed {seed}"] = transform(work.model, seed), None
    made["residual, heads and down"] = rotate_down(transform(work.model))
    found = observe.observe(made["residual, heads and down"][0], work.calib[:4], hessian=False,
                            before=made["residual, heads and down"][1])
    print(f"{'block':5} {'input of':18} {'kurtosis':>9} {'of weights':>10} {'after':>6} {'of weights':>10}")
    rotated = made["residual, heads and down"][0]
    for layer in work.shown:
        for name in sorted({name for _, name in work.found}):
            full = f"model.layers.{layer}.{name}.weight"
            print(f"{layer:5} {name:18} {kurtosis(work.found[layer, name].x):9.2f} "
                  f"{kurtosis(work.model.tensors[full]):10.2f} "
                  f"{kurtosis(found[layer, name].x):6.2f} "
                  f"{kurtosis(rotated.tensors[full]):10.2f}")
    for label, (model, before) in made.items():
        hook = None if before is None else lambda layer, name, x, before=before: before(name, x)
        work.row(label, None, model, hook)
    for scheme in work.schemes:
        work.judge("plain", work.model, scheme, found=work.found)
        for label, (model, before) in made.items():
            work.judge(label, model, scheme, before)


if __name__ == "__main__":
    main()
