#!/usr/bin/env python3
"""Smaller ranges for groups of weights: by squared error, by a percentile of the magnitudes, and by the error of the
outputs, e^T H e with the block of the Hessian that belongs to the group (AWQ's clip search, arXiv 2306.00978).

    clip.py [MODEL] [--schemes S,S] [--windows N] [--samples N]

Of ranges p * [min, max] the first of the least error is taken.
"""
import numpy as np

import command
import groups
import network
import observe
import rounding

GPTQ_GRID = 1 - np.arange(80) / 100     # 80 ranges down to 0.21
AWQ_GRID = 1 - np.arange(10) / 20       # ranges down to 0.55
# AWQ leaves queries and keys alone: their errors are multiplied with each other.
NOT_CLIPPED = ("self_attn.q_proj", "self_attn.k_proj")


def blocks(hessian, size):
    """The diagonal blocks of the Hessian, [groups, size, size]."""
    count = len(hessian) // size
    return np.stack([hessian[g * size:(g + 1) * size, g * size:(g + 1) * size] for g in range(count)])


def errors_of(g, q, hessian):
    """The error of each group of each row: [rows, groups]."""
    e = q - g
    if hessian is None:
        return (e * e).sum(-1)
    return ((e.swapaxes(0, 1) @ hessian).swapaxes(0, 1) * e).sum(-1)


def search(w, scheme, hessian=None, grid=GPTQ_GRID):
    """Rounded weights with the best of the ranges; the ranges' factors; errors before and after, per row and group."""
    g = rounding.grouped(w, scheme.size)
    h = None if hessian is None else blocks(hessian, g.shape[-1])
    best = factor = values = plain = None
    for p in grid:
        q = rounding.quantize_grouped(g, scheme.bits, scheme.sym, p)
        error = errors_of(g, q, h)
        if best is None:
            best = plain = error
            factor, values = np.full(error.shape, p), q
            continue
        better = error < best
        best, factor = np.where(better, error, best), np.where(better, p, factor)
        values = np.where(better[..., None], q, values)
    return values.reshape(w.shape), factor, plain, best


def percentile(w, scheme, percent):
    """Rounded weights; the range of a group ends at this percentile of its magnitudes."""
    g = rounding.grouped(w, scheme.size)
    bound = np.percentile(np.abs(g), percent, axis=-1, keepdims=True)
    return rounding.quantize_grouped(np.clip(g, -bound, bound), scheme.bits, scheme.sym).reshape(w.shape)


def rounded_model(model, round_weight):
    """The model with `round_weight(layer, name, w)` of each linear layer."""
    return model.copy({f"model.layers.{layer}.{name}.weight":
                       round_weight(layer, name, model.tensors[f"model.layers.{layer}.{name}.weight"])
                       for layer in range(model.layers) for name in network.LINEARS})


def by_output(scheme, found, grid=AWQ_GRID, skip=NOT_CLIPPED):
    def round_weight(layer, name, w):
        if name in skip:
            return scheme.weights(w)
        return search(w, scheme, found[layer, observe.source(name)].hessian, grid)[0]
    return round_weight


def in_order(model, scheme, ids, grid=GPTQ_GRID, seen=None):
    """The rounded model; each group of layers with the Hessian of its inputs behind the rounded layers before it.
    `seen(layer, name, hessian, w, q)` is told of each search."""
    batches = [network.embed(model, part) for part in network.batches(ids)]
    for layer in range(model.layers):
        for group in groups.GROUPS:
            inputs = observe.Inputs()
            block = network.typed(model.block(layer), batches[0].dtype)

            def hook(name, x, wanted=group.source, inputs=inputs):
                if name == wanted:
                    inputs.add(x)
                return x

            for x in batches:
                network.run_block(model, block, x, hook)
            changed = {}
            for name in group.modules:
                w = model.block(layer)[name + ".weight"]
                changed[name + ".weight"] = q = search(w, scheme, inputs.hessian, grid)[0]
                if seen is not None:
                    seen(layer, name, inputs.hessian, w, q)
            model = model.put(layer, changed)
        block = network.typed(model.block(layer), batches[0].dtype)
        batches = [network.run_block(model, block, x) for x in batches]
    return model


def main():
    options = command.parser(__doc__, "int4-g128,int3-g128,int2-g64", "0").parse_args()
    work = command.Work(options)
    for scheme in work.schemes:
        print(f"{'block':5} {'layer':18} {'scheme':10} {'range':>6} {'squared error':>19} {'range':>6} "
              f"{'output error':>20}")
        for layer in work.shown:
            for name in network.LINEARS:
                w = work.model.tensors[f"model.layers.{layer}.{name}.weight"]
                _, p, plain, best = search(w, scheme)
                _, r, before, after = search(w, scheme, work.found[layer, observe.source(name)].hessian)
                print(f"{layer:5} {name:18} {scheme.name:10} {p.mean():6.3f} {plain.sum():9.3e} {best.sum():9.3e} "
                      f"{r.mean():6.3f} {before.sum():10.3e} {after.sum():9.3e}")
    for scheme in work.schemes:
        work.judge("absmax", work.model, scheme)
        for label, rule in [
                ("percentile 99", lambda _, __, w: percentile(w, scheme, 99)),
                ("percentile 97", lambda _, __, w: percentile(w, scheme, 97)),
                ("mse", lambda _, __, w: search(w, scheme)[0]),
                ("output, 10 ranges, not q k", by_output(scheme, work.found)),
                ("output, 80 ranges, not q k", by_output(scheme, work.found, GPTQ_GRID)),
                ("output, 80 ranges", by_output(scheme, work.found, GPTQ_GRID, ()))]:
            work.row(label, scheme, rounded_model(work.model, rule))
        work.row("output, 80 ranges, in order", scheme, in_order(work.model, scheme, work.calib[:16]))


if __name__ == "__main__":
    main()
