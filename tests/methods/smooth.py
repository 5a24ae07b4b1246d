#!/usr/bin/env python3
"""SmoothQuant (arXiv 2211.10438): columns of weights take over a part of the activations' range.

    smooth.py [MODEL] [--schemes S,S] [--groups qkv,out,gate_up,down] [--windows N] [--samples N]

s = a^alpha / w^(1-alpha), where a is a channel's largest activation and w its largest weight. alpha is fixed, or of
0, 0.1 ... 1 the one with the least squared error of the outputs of int8 weights (a scale per row) and int8 activations
(a scale per token), group by group.
"""
import numpy as np

import command
import groups
import rounding

ALPHAS = np.arange(11) / 10
PAIRS = {"qkv": groups.QKV, "out": groups.OUT, "gate_up": groups.GATE_UP, "down": groups.DOWN}


def scales(model, block, group, most, alpha):
    """One scale for each channel in front of the group; of repeated heads the largest count."""
    w = np.max([np.abs(block[name + ".weight"]).max(0) for name in group.modules], 0)
    w, most = groups.shared(model, group, w, np.max), groups.shared(model, group, most, np.max)
    return np.maximum(most ** alpha / np.maximum(w, 1e-5) ** (1 - alpha), 1e-5)


def loss(block, group, x, s, targets, scheme=rounding.SCHEMES["w8a8-token"]):
    """Squared error of the outputs per token, with rounded weights and activations."""
    total, rounded = 0.0, scheme.inputs((x / s).astype(x.dtype))
    for name, target in zip(group.modules, targets):
        error = rounded @ scheme.weights(block[name + ".weight"] * s).T.astype(x.dtype) - target
        total += float((error.astype(np.float64) ** 2).sum()) / len(x)
    return total


def search(model, block, group, inputs, alphas=ALPHAS):
    """{alpha, scales, loss, plain_loss, losses}: the best alpha, and the losses of all."""
    x = inputs.x
    targets = [x @ block[name + ".weight"].T.astype(x.dtype) for name in group.modules]
    tried = [scales(model, block, group, inputs.most, alpha) for alpha in alphas]
    losses = [loss(block, group, x, groups.spread(model, group, s), targets) for s in tried]
    best = int(np.argmin(losses))
    return {"alpha": float(alphas[best]), "scales": tried[best], "loss": losses[best], "losses": losses,
            "plain_loss": loss(block, group, x, np.ones(x.shape[-1]), targets)}


def transform(model, found, alphas=ALPHAS, pairs=None, seen=None):
    """The transformed model, and statistics of its inputs. A single alpha is taken as it is."""
    found = dict(found)
    for layer in range(model.layers):
        for group in pairs or PAIRS.values():
            block = model.block(layer)
            result = search(model, block, group, found[layer, group.source], alphas)
            if seen is not None:
                seen(layer, group, result)
            model = model.put(layer, groups.scale(model, block, group, result["scales"]))
            found[layer, group.source] = found[layer, group.source].scaled(
                groups.spread(model, group, result["scales"]))
    return model, found


def main():
    parser = command.parser(__doc__, "w8a8-token,w8a8-static,w4a4")
    parser.add_argument("--groups", default="qkv,out,gate_up,down")
    options = parser.parse_args()
    work = command.Work(options)
    pairs = [PAIRS[name] for name in options.groups.split(",")]
    print(f"{'block':5} {'group':14} {'alpha':>5} {'loss before':>12} {'after':>10} {'alpha 0.5':>10} "
          f"{'alpha 0.8':>10}")

    def seen(layer, group, result):
        if layer in work.shown:
            print(f"{layer:5} {group.label:14} {result['alpha']:5.1f} {result['plain_loss']:12.4e} "
                  f"{result['loss']:10.4e} {result['losses'][5]:10.4e} {result['losses'][8]:10.4e}", flush=True)

    made = {"smooth auto": transform(work.model, work.found, pairs=pairs, seen=seen)}
    made["smooth auto, norms alone"] = transform(work.model, work.found, pairs=[groups.QKV, groups.GATE_UP])
    for alpha in (0.5, 0.65, 0.8):
        made[f"smooth {alpha}"] = transform(work.model, work.found, np.array([alpha]), pairs)
    for scheme in work.schemes:
        work.judge("plain", work.model, scheme, found=work.found)
        for label, (model, found) in made.items():
            work.judge(label, model, scheme, found=found)


if __name__ == "__main__":
    main()
