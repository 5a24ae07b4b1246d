#!/usr/bin/env python3
"""Outlier channel splitting (arXiv 1901.09504): columns with the largest weights are stored twice and halved.

    split.py [MODEL] [--ratio R] [--schemes S,S] [--windows N] [--samples N]

The input channel is read twice, so the layer computes the same. A column w becomes (w - step/2) / 2 and
(w + step/2) / 2, the published form for which rounding both gives rounding of w; in groups, whose steps depend on the
other columns, two halves. The largest |w| by its row's scale decides; H-weighted: |w| * sqrt(H_jj). Columns are
appended behind the others.
"""
import math

import numpy as np

import command
import groups
import network
import observe
import rounding


def expand(w, count, importance=None):
    """(columns of the wider matrix, of which column each is a part, its share): split one by one."""
    source, share = list(range(w.shape[1])), [1.0] * w.shape[1]
    rows = np.abs(w).max(1, keepdims=True)
    size = (np.abs(w) / np.where(rows > 0, rows, 1)).max(0)
    if importance is not None:
        size = size * importance
    size = list(size)
    for _ in range(count):
        j = int(np.argmax(size))
        size[j] /= 2
        share[j] /= 2
        source.append(source[j])
        share.append(share[j])
        size.append(size[j])
    return np.array(source), np.array(share)


def split(w, scheme, ratio, importance=None):
    """The sum of the rounded parts of every column: what the layer multiplies with."""
    count = math.ceil(ratio * w.shape[1])
    source, share = expand(w, count, importance)
    wide = w[:, source] * share
    step = np.abs(wide).max(1, keepdims=True) / (2 ** (scheme.bits - 1) - 0.5)
    twice = np.flatnonzero(np.bincount(source) == 2) if scheme.size < 0 else []
    for j in twice:
        first, second = np.flatnonzero(source == j)
        wide[:, first] -= step[:, 0] / 4
        wide[:, second] += step[:, 0] / 4
    pad = 0 if scheme.size < 0 else -wide.shape[1] % rounding.group_size(w.shape[1], scheme.size)
    values = scheme_weights(np.pad(wide, ((0, 0), (0, pad))), scheme, w.shape[1])[:, :wide.shape[1]]
    result = np.zeros_like(w)
    np.add.at(result.T, source, values.T)
    return result


def scheme_weights(wide, scheme, cols):
    size = wide.shape[1] if scheme.size < 0 else rounding.group_size(cols, scheme.size)
    return rounding.quantize(wide, scheme.bits, size, scheme.sym)


def main():
    parser = command.parser(__doc__, "int4-g128,int4-channel,int3-channel", "0")
    parser.add_argument("--ratio", type=float, default=0.02)
    options = parser.parse_args()
    work = command.Work(options)

    def importance(layer, name):
        return np.sqrt(np.diag(work.found[layer, observe.source(name)].hessian))

    print(f"{'block':5} {'layer':18} {'scheme':12} {'loss before':>12} {'split':>10} {'H-weighted':>10}")
    for scheme in work.schemes:
        made = {"split": {}, "split, H-weighted": {}}
        for layer in range(work.model.layers):
            for name in network.LINEARS:
                full = f"model.layers.{layer}.{name}.weight"
                w, h = work.model.tensors[full], work.found[layer, observe.source(name)].hessian
                made["split"][full] = split(w, scheme, options.ratio)
                made["split, H-weighted"][full] = split(w, scheme, options.ratio, importance(layer, name))
                if layer in work.shown:
                    losses = [groups.output_loss(h, q - w) for q in
                              (scheme.weights(w), made["split"][full], made["split, H-weighted"][full])]
                    print(f"{layer:5} {name:18} {scheme.name:12} {losses[0]:12.4e} {losses[1]:10.4e} {losses[2]:10.4e}")
        work.judge("plain", work.model, scheme)
        for label, changed in made.items():
            work.row(label, scheme, work.model.copy(changed))


if __name__ == "__main__":
    main()
