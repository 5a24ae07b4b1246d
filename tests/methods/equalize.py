#!/usr/bin/env python3
"""Cross-layer equalization (arXiv 1906.04721) of the pairs that stay exact in a Llama block: up_proj's rows with
down_proj's columns, v_proj's rows with o_proj's columns. Needs no data.

    equalize.py [MODEL] [--schemes S,S] [--windows N]

Channel i is divided by s = sqrt(r1 / r2) in front and multiplied by it behind, where r1 and r2 are the largest
magnitudes of the row in front and of the columns behind. Both become sqrt(r1 * r2). A channel without weights stays.
"""
import numpy as np

import command
import groups


def scales(model, block, group):
    rows = np.abs(block[group.before + ".weight"]).max(1)
    columns = groups.shared(model, group, np.abs(block[group.modules[0] + ".weight"]).max(0), np.max)
    with np.errstate(divide="ignore", invalid="ignore"):
        s = np.sqrt(rows / columns)
    return np.where((rows > 0) & (columns > 0), s, 1)


def transform(model, which=(groups.OUT, groups.DOWN)):
    for layer in range(model.layers):
        for group in which:
            block = model.block(layer)
            model = model.put(layer, groups.scale(model, block, group, scales(model, block, group)))
    return model


def main():
    options = command.parser(__doc__, "int4-g128,int3-g128,int2-g64,w8a8-token,w8a8-static,w4a4").parse_args()
    work = command.Work(options)
    print(f"{'block':5} {'group':10} {'scheme':10} {'scales':>17} {'loss before':>12} {'after':>10}")
    for layer in work.shown:
        block = work.model.block(layer)
        for group in (groups.OUT, groups.DOWN):
            s = scales(work.model, block, group)
            changed = groups.scale(work.model, block, group, s)
            name, columns = group.modules[0] + ".weight", groups.spread(work.model, group, s)
            for scheme in work.schemes:
                if scheme.activations == "none":
                    losses = [groups.output_loss(work.found[layer, group.source].hessian,
                                                 scheme.weights(w) / c - block[name])
                              for w, c in ((block[name], 1), (changed[name], columns))]
                    print(f"{layer:5} {group.label:10} {scheme.name:10} {s.min():8.3f} {s.max():8.3f} "
                          f"{losses[0]:12.4e} {losses[1]:10.4e}")
    made = {"equalize": transform(work.model), "equalize, up and down alone": transform(work.model, [groups.DOWN])}
    for scheme in work.schemes:
        work.judge("plain", work.model, scheme)
        for label, model in made.items():
            work.judge(label, model, scheme)


if __name__ == "__main__":
    main()
