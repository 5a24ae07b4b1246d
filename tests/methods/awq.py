#!/usr/bin/env python3
"""AWQ (arXiv 2306.00978): scales of columns by the inputs' mean magnitudes, of which the exponent is searched.

    awq.py [MODEL] [--form duo|plain] [--objective trace|module] [--gqa scales|statistics] [--order forward|back]
           [--schemes S,S] [--windows N] [--samples N]

Scales are x^r (plain) or x^r / w^(1-r) (duo, as AutoAWQ), r = 0, 1/20 ... 19/20, where w is the mean over rows of a
column's magnitude by its group's largest; divided by sqrt(max * min). Under grouped queries v to o has the mean over
repeated heads, of scales or of statistics. The loss is tr(E H E^T) per token, summed over the layers of the group, or
the squared error of the inspected module's outputs per token (all of attention, all of the mlp).
The groups of a block are searched from its front, or from the back: then up_proj's rows have their scales for down_proj
before the sum over up_proj's outputs decides about the scales in front of it.
"""
import numpy as np

import clip
import command
import groups
import network
import rounding

RATIOS = np.arange(20) / 20


def weight_means(weights, size):
    """The mean over rows of |W| by the largest magnitude of its group."""
    parts = []
    for w in weights:
        g = np.abs(rounding.grouped(w, size))
        parts.append((g / (g.max(-1, keepdims=True) + 1e-6)).reshape(w.shape))
    return np.concatenate(parts).mean(0)


def scales(model, group, ratio, x_mean, w_mean, form, gqa="scales"):
    """One scale for each channel in front of the group."""
    def of(x, w):
        s = x ** ratio / (w ** (1 - ratio) + 1e-4) if form == "duo" else x ** ratio
        return np.maximum(s, 1e-4)
    if gqa == "scales":
        s = groups.shared(model, group, of(x_mean, w_mean))
    else:
        s = of(groups.shared(model, group, x_mean), groups.shared(model, group, w_mean))
    s = s / np.sqrt(s.max() * s.min())
    return np.where(np.isfinite(s), s, 1)


def module_output(model, block, group, x):
    """The output of the module that is inspected for the group."""
    if group is groups.QKV:
        return network.attention(model, block, x.reshape(-1, network.WINDOW, x.shape[-1]))
    if group is groups.GATE_UP:
        return network.mlp(block, x)
    return x @ block[group.modules[0] + ".weight"].T


def loss_of(model, block, group, inputs, objective, changed, target):
    """The loss with some weights of the block changed."""
    if objective == "module":
        error = module_output(model, {**block, **changed}, group, inputs.x) - target
        return float((error * error).sum() * inputs.x.shape[-1] / inputs.x.size)
    return sum(groups.output_loss(inputs.hessian, w - block[name]) for name, w in changed.items())


class Loss:
    """The loss of a group of layers whose columns are multiplied by scales; plain rounding without."""

    def __init__(self, model, block, group, inputs, scheme, form="duo", objective="trace", gqa="scales"):
        self.model, self.block, self.group, self.inputs, self.scheme = model, block, group, inputs, scheme
        self.form, self.objective, self.gqa = form, objective, gqa
        self.names = [name + ".weight" for name in group.modules]
        self.w_mean = weight_means([block[name] for name in self.names], scheme.size)
        self.target = module_output(model, block, group, inputs.x) if objective == "module" else None

    def scales(self, ratio):
        return scales(self.model, self.group, ratio, self.inputs.mean_abs, self.w_mean, self.form, self.gqa)

    def __call__(self, s=None):
        columns = groups.spread(self.model, self.group, s) if s is not None else 1.0
        changed = {name: self.scheme.weights(self.block[name] * columns) / columns for name in self.names}
        return loss_of(self.model, self.block, self.group, self.inputs, self.objective, changed, self.target)


def search(*of, **kind):
    """{ratio, scales, loss, plain_loss, losses}: the best ratio, and the losses of all. Arguments as of Loss."""
    loss = Loss(*of, **kind)
    tried = [loss.scales(r) for r in RATIOS]
    losses = [loss(s) for s in tried]
    best = int(np.argmin(losses))
    return {"ratio": float(RATIOS[best]), "scales": tried[best], "loss": losses[best], "losses": losses,
            "plain_loss": loss()}


def transform(model, found, scheme, which=None, seen=None, **kind):
    """The transformed model, and statistics of its inputs. `seen(layer, group, result)` is told of each search. A group
    whose best scales lose against none keeps its weights."""
    found = dict(found)
    for layer in range(model.layers):
        for group in which or groups.GROUPS:
            block = model.block(layer)
            result = search(model, block, group, found[layer, group.source], scheme, **kind)
            if seen is not None:
                seen(layer, group, result)
            if result["loss"] < result["plain_loss"]:
                model = model.put(layer, groups.scale(model, block, group, result["scales"]))
                found[layer, group.source] = found[layer, group.source].scaled(
                    groups.spread(model, group, result["scales"]))
    return model, found


def main():
    parser = command.parser(__doc__, "int4-g128,int3-g128,int2-g64")
    parser.add_argument("--form", choices=["duo", "plain"], default="duo")
    parser.add_argument("--objective", choices=["trace", "module"], default="trace")
    parser.add_argument("--gqa", choices=["scales", "statistics"], default="scales")
    parser.add_argument("--order", choices=["forward", "back"], default="forward")
    options = parser.parse_args()
    which = groups.GROUPS if options.order == "forward" else groups.GROUPS[::-1]
    work = command.Work(options)
    kind = {"form": options.form, "objective": options.objective, "gqa": options.gqa}
    made = {}
    for scheme in work.schemes:
        print(f"{'block':5} {'group':14} {'scheme':10} {'ratio':>5} {'loss before':>12} {'after':>10}")

        def seen(layer, group, result, scheme=scheme):
            if layer in work.shown:
                print(f"{layer:5} {group.label:14} {scheme.name:10} {result['ratio']:5.2f} "
                      f"{result['plain_loss']:12.4e} {result['loss']:10.4e}", flush=True)

        made[scheme.name] = transform(work.model, work.found, scheme, which, seen, **kind)
    for scheme in work.schemes:
        model, found = made[scheme.name]
        work.judge("plain rounding", work.model, scheme)
        work.judge(f"awq {options.form} {options.objective} {options.order}", model, scheme, found=found)
        work.row("the same, then clipped", scheme, clip.rounded_model(model, clip.by_output(scheme, found)))


if __name__ == "__main__":
    main()
