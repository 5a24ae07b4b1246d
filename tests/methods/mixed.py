#!/usr/bin/env python3
"""Bits for each layer by its own effect on the predictions: mean KL with only that layer rounded, then the assignment
with the least sum within a budget, by dynamic programming.

    mixed.py [MODEL] [--bits 2,3,4] [--budgets 2.5,3,3.5] [--measured N] [--windows N]

The sum of KLs is not the KL of the whole, but orders assignments. Sensitivities are measured on the calibration data.
More bits are never taken to be worse. The budget counts codes alone, in weights times bits.
"""
import numpy as np

import command
import network
import rounding


def units(model):
    """Names of the layers that choose on their own."""
    return [f"model.layers.{layer}.{name}.weight" for layer in range(model.layers) for name in network.LINEARS]


def sensitivities(model, ids, schemes):
    """[layers, schemes]: mean KL with one layer rounded. Blocks in front of it run once."""
    reference = network.Reference(model, ids)
    found = np.zeros((len(units(model)), len(schemes)))
    starts = [network.embed(model, part) for part in network.batches(ids)]
    for layer in range(model.layers):
        for at, name in enumerate(network.LINEARS):
            full = f"model.layers.{layer}.{name}.weight"
            for n, scheme in enumerate(schemes):
                other, sums = model.copy({full: scheme.weights(model.tensors[full])}), []
                for number, x in enumerate(starts):
                    log = network.log_softmax(network.run(other, x, layer)[:, :-1])
                    rows = slice(number * network.BATCH, (number + 1) * network.BATCH)
                    sums.append(reference.divergences(log, rows).sum())
                found[layer * len(network.LINEARS) + at, n] = sum(sums) / ids[:, 1:].size
        block = network.typed(model.block(layer), starts[0].dtype)
        starts = [network.run_block(model, block, x) for x in starts]
    return found


def monotone(costs):
    """A narrower type is at least as bad as any wider one; types ascend."""
    return np.maximum.accumulate(costs[:, ::-1], 1)[:, ::-1]


def assign(costs, sizes, bits, budget):
    """The type of each layer: the least sum of costs with sum(size * bits) <= budget * sum(size)."""
    unit = int(np.gcd.reduce(sizes))
    weights = np.outer(np.array(sizes) // unit, bits)
    most = int(budget * sum(sizes) // unit)
    best, taken = np.zeros(most + 1), []
    for cost, weight in zip(costs, weights):
        options = np.full((len(bits), most + 1), np.inf)
        for n, (c, w) in enumerate(zip(cost, weight)):
            if w <= most:
                options[n, w:] = best[:most + 1 - w] + c
        taken.append(options.argmin(0))
        best = options.min(0)
    if not np.isfinite(best[most]):
        raise SystemExit(f"{budget} bits are less than the narrowest type has")
    choice, left = [], most
    for at in range(len(sizes) - 1, -1, -1):
        n = int(taken[at][left])
        choice.append(n)
        left -= weights[at, n]
    return choice[::-1]


def main():
    parser = command.parser(__doc__, "int4-g128")
    parser.add_argument("--bits", default="2,3,4")
    parser.add_argument("--budgets", default="2.5,3,3.5")
    parser.add_argument("--group-size", type=int, default=64)
    parser.add_argument("--measured", type=int, default=8, help="windows for the sensitivities")
    options = parser.parse_args()
    work = command.Work(options, observed=False)
    bits = sorted(int(b) for b in options.bits.split(","))
    schemes = [rounding.Scheme(f"int{b}", b, options.group_size) for b in bits]
    names = units(work.model)
    sizes = [work.model.tensors[name].size for name in names]
    costs = sensitivities(work.model, work.calib[:options.measured], schemes)
    print(f"{'layer':40} " + " ".join(f"{s.name:>10}" for s in schemes))
    for name, row in zip(names, costs):
        print(f"{name.removesuffix('.weight'):40} " + " ".join(f"{c:10.3e}" for c in row))
    print("sum".ljust(40), " ".join(f"{c:10.3e}" for c in costs.sum(0)))
    costs = monotone(costs)
    for scheme in schemes:
        work.judge(f"all {scheme.name}", work.model, scheme)
    for budget in map(float, options.budgets.split(",")):
        choice = assign(costs, sizes, bits, budget)
        used = sum(s * bits[n] for s, n in zip(sizes, choice)) / sum(sizes)
        changed = {name: schemes[n].weights(work.model.tensors[name]) for name, n in zip(names, choice)}
        expected = sum(row[n] for row, n in zip(costs, choice))
        work.row(f"{used:.3f} bits, expected {expected:.2e}", rounding.Scheme(f"<= {budget} bits", 0, 0),
                 work.model.copy(changed))
        print("  " + " ".join(f"int{b}: {sum(n == i for n in choice)}" for i, b in enumerate(bits)))


if __name__ == "__main__":
    main()
