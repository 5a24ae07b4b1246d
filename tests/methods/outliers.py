#!/usr/bin/env python3
"""Plants outliers: a model that computes the same, but has a few large activations and columns of small weights.

    outliers.py MODEL OUT [--channels N] [--factor F] [--seed N]

N channels of every block's norms are multiplied by F, and the columns of the following weights divided by it; so are N
rows of up_proj and columns of down_proj. F is a power of two, so the planted model's sums are those of MODEL, bit by
bit.
OUT is fp32: fp16 would lose bits of the small weights.
"""
import argparse
import math

import numpy as np

import groups
import network
import tensors


def plant(model, channels=4, factor=64, seed=1):
    """The same channels in every norm, as in large models, and others in front of every down_proj."""
    assert math.frexp(factor)[0] == 0.5, "the factor is a power of two"
    random = np.random.default_rng(seed)
    residual = random.choice(model.hidden, channels, replace=False)
    for layer in range(model.layers):
        for group in (groups.QKV, groups.GATE_UP, groups.DOWN):
            before = model.block(layer)[group.before + ".weight"]
            s = np.ones(len(before))
            s[residual if before.ndim == 1 else random.choice(len(before), channels, replace=False)] = 1 / factor
            model = model.put(layer, groups.scale(model, model.block(layer), group, s))
    for name, value in model.tensors.items():
        assert (value.astype(np.float32) == value).all(), f"{name} is not exact in fp32"
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--factor", type=float, default=64)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    planted = plant(network.Model(options.model), options.channels, options.factor, options.seed)
    tensors.write_model(options.model, options.out, planted.tensors)


if __name__ == "__main__":
    main()
