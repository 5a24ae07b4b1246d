#!/usr/bin/env python3
"""Half-quadratic quantization (HQQ, M. Badri and A. Shaji, 2023): zero points found without data.

    hqq.py [MODEL] [--schemes S,S] [--windows N]

min over z and E of |E|_p^p + beta/2 |E - (W - s (Q - z))|^2, p = 0.7, in turn: E by shrinkage, z as the mean of
Q - (W - E) / s over the group, which stays a real number; beta from 10, times 1.01, at most 20 times, until the mean
absolute error no longer falls. Scales stay as they are.
"""
import numpy as np

import clip
import command
import groups
import network
import observe
import rounding

P, BETA, KAPPA, STEPS = 0.7, 10.0, 1.01, 20


def shrink(x, beta):
    size = np.abs(x)
    with np.errstate(divide="ignore"):
        return np.sign(x) * np.maximum(size - np.where(size > 0, size, 1) ** (P - 1) / beta, 0)


def zero_points(g, scale, zero, bits):
    """The zero points of [rows, groups, columns] after the last step that lowered the error of the matrix."""
    best, beta, kept = np.inf, BETA, zero
    for _ in range(STEPS):
        codes = np.clip(np.round(g / scale + zero), 0, 2 ** bits - 1)
        values = (codes - zero) * scale
        error = np.abs(g - values).mean()
        if error >= best:
            break
        best, kept = error, zero
        e = shrink(g - values, beta)
        zero = (codes - (g - e) / scale).mean(-1, keepdims=True)
        beta *= KAPPA
    return kept


def quantize(w, scheme, whole=False):
    """Rounded weights; scales of the asymmetric range, zero points of fp16 or whole ones."""
    g = rounding.grouped(w, scheme.size)
    most = 2 ** scheme.bits - 1
    low, high = g.min(-1, keepdims=True), g.max(-1, keepdims=True)
    scale = rounding.half((high - low) / most)
    scale = np.where(scale > 0, scale, 1)
    zero = zero_points(g, scale, -low / scale, scheme.bits)
    zero = np.clip(np.round(zero), 0, most) if whole else rounding.half(zero)
    codes = np.clip(np.round(g / scale + zero), 0, most)
    return ((codes - zero) * scale).reshape(w.shape)


def main():
    options = command.parser(__doc__, "uint4-g128,uint3-g128,uint2-g64", "0").parse_args()
    work = command.Work(options)
    print(f"{'block':5} {'layer':18} {'scheme':10} {'loss before':>12} {'after':>10} {'mse range':>10}")
    for scheme in work.schemes:
        for layer in work.shown:
            for name in network.LINEARS:
                w, h = work.model.tensors[f"model.layers.{layer}.{name}.weight"], work.found[
                    layer, observe.source(name)].hessian
                losses = [groups.output_loss(h, q - w) for q in
                          (scheme.weights(w), quantize(w, scheme), clip.search(w, scheme)[0])]
                print(f"{layer:5} {name:18} {scheme.name:10} {losses[0]:12.4e} {losses[1]:10.4e} {losses[2]:10.4e}")
    for scheme in work.schemes:
        work.judge("plain", work.model, scheme)
        for label, rule in [("hqq", lambda _, __, w: quantize(w, scheme)),
                            ("hqq, whole zero points", lambda _, __, w: quantize(w, scheme, True)),
                            ("mse range", lambda _, __, w: clip.search(w, scheme)[0])]:
            work.row(label, scheme, clip.rounded_model(work.model, rule))


if __name__ == "__main__":
    main()
