#!/usr/bin/env python3
"""Checks of the methods themselves: transforms keep the fp64 model, and small searches find what trying all finds.

    check.py [MODEL]
"""
import itertools
import os
import sys
import tempfile

sys.dont_write_bytecode = True
import numpy as np

import awq
import bias
import clip
import command
import equalize
import groups
import hadamard
import hqq
import mixed
import network
import observe
import outliers
import rotate
import rounding
import smooth
import split
import tensors


def same_logits(model, ids):
    """Fails unless transformed models have the float model's logits in fp64."""
    target = network.forward(model, ids, dtype=np.float64)
    found = observe.observe(model, ids)
    down, before = rotate.rotate_down(model)
    made = {
        "awq": awq.transform(model, found, rounding.SCHEMES["int4-g128"], form="plain")[0],
        "smooth": smooth.transform(model, found, np.array([0.5]))[0],
        "rotate": rotate.transform(model),
        "equalize": equalize.transform(model),
        "planted": outliers.plant(model),
    }
    for name, other in made.items():
        error = np.abs(network.forward(other, ids, dtype=np.float64) - target).max()
        assert error < 1e-8, f"{name}: logits differ by {error}"
    for name in ("awq", "smooth", "rotate", "equalize", "planted"):
        changed = sum(not np.array_equal(value, model.tensors[n]) for n, value in made[name].tensors.items())
        assert changed >= model.layers, f"{name} changes {changed} tensors"
    logits = network.forward(down, ids, lambda _, name, x: before(name, x), np.float64)
    assert np.abs(logits - target).max() < 1e-8, "the rotation in front of down_proj"


def scaled_statistics(model, ids):
    """Statistics of a scaled model's inputs are those that `scaled` tells."""
    block, found = model.block(0), observe.observe(model, ids)
    s = np.exp2(np.arange(model.hidden) % 3)
    other = observe.observe(model.put(0, groups.scale(model, block, groups.QKV, s)), ids)[0, groups.QKV.source]
    told = found[0, groups.QKV.source].scaled(s)
    for name in ("hessian", "mean_abs", "mean", "most", "x"):
        assert np.allclose(getattr(told, name), getattr(other, name), rtol=1e-4, atol=1e-5), name


def losses(model, ids):
    """tr(E H E^T) is the mean squared error of the outputs; losses of modules are those of their outputs."""
    inputs = observe.observe(model, ids, kept=ids.size)[1, "mlp.gate_proj"]
    w = model.tensors["model.layers.1.mlp.gate_proj.weight"]
    error = rounding.SCHEMES["int3-g128"].weights(w) - w
    plain = ((inputs.x @ error.T) ** 2).sum() / ids.size
    assert abs(groups.output_loss(inputs.hessian, error) / plain - 1) < 1e-4
    g, q, factor, first, best = None, *clip.search(w[:8], rounding.SCHEMES["int3-g128"], inputs.hessian)
    g = rounding.grouped(w[:8], 128)
    for row, group in itertools.product(range(3), range(2)):
        h = inputs.hessian[group * 128:(group + 1) * 128, group * 128:(group + 1) * 128]
        tried = []
        for p in clip.GPTQ_GRID:
            e = rounding.quantize_grouped(g[row:row + 1, group:group + 1], 3, True, p) - g[row, group]
            tried.append(float(e[0, 0] @ h @ e[0, 0]))
        assert np.isclose(best[row, group], min(tried)) and np.isclose(first[row, group], tried[0])
        assert factor[row, group] == clip.GPTQ_GRID[int(np.argmin(tried))]
    assert q.shape == (8, w.shape[1])


def biases(model, ids):
    """Corrected in order, the mean output of every layer is the float model's."""
    scheme, found = rounding.SCHEMES["int2-g64"], observe.observe(model, ids)
    corrected = bias.in_order(model, found, scheme, ids)
    after = observe.observe(corrected, ids)
    for layer, name in itertools.product((0, model.layers - 1), network.LINEARS):
        full, of = f"model.layers.{layer}.{name}", (layer, observe.source(name))
        mean = corrected.tensors[full + ".weight"] @ after[of].mean + corrected.tensors[full + ".bias"]
        assert np.allclose(mean, model.tensors[full + ".weight"] @ found[of].mean, atol=1e-4), full


def small():
    """Constructions and searches on small cases."""
    for n in (1, 2, 4, 8, 12, 20, 28, 32, 36, 44, 60, 76, 108, 140, 148, 180, 256, 704, 896):
        hadamard.hadamard(n)
    random = np.random.default_rng(3)
    for budget in (2, 2.4, 3.1, 4):
        costs, sizes, bits = random.random((6, 3)), random.choice([64, 128, 192], 6), [2, 3, 4]
        choice = mixed.assign(costs, sizes, bits, budget)
        fits = [c for c in itertools.product(range(3), repeat=6)
                if sum(s * bits[n] for s, n in zip(sizes, c)) <= budget * sizes.sum()]
        least = min(sum(row[n] for row, n in zip(costs, c)) for c in fits)
        assert tuple(choice) in fits and np.isclose(sum(row[n] for row, n in zip(costs, choice)), least)
    assert (np.diff(mixed.monotone(random.random((5, 4)))) <= 0).all()
    # The shrinkage is the proximal step for p = 1.
    hqq_p, hqq.P = hqq.P, 1
    assert np.allclose(hqq.shrink(np.array([-2.0, 0.0, 0.05, 1.0]), 10), [-1.9, 0, 0, 0.9])
    hqq.P = hqq_p
    w = random.normal(size=(4, 128))
    step = np.abs(w).max(1, keepdims=True) / 7.5
    assert np.allclose(rounding.quantize(w, 4, -1), np.clip(np.round(w / rounding.half(step)), -8, 7)
                       * rounding.half(step))
    # A split column is rounded to the smaller step of the wider matrix; no column split is plain rounding.
    w[:, 5] *= 4
    split8, channel = split.split(w, rounding.Scheme("", 8, -1), 0.05), rounding.Scheme("", 8, -1)
    assert np.array_equal(split.split(w, channel, 0), channel.weights(w))
    inner = np.abs(w[:, :5]).max() * 1.01 + np.abs(w[:, 5]).max() / 2
    assert (np.abs(split8 - w).max() <= 1.01 * inner / 127.5) and not np.array_equal(split8, channel.weights(w))
    assert ((split8 - w) ** 2).sum() < ((channel.weights(w) - w) ** 2).sum()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.safetensors")
        tensors.write(path, {"a": w, "b": w[0]}, np.float64)
        back = tensors.read(path)
        assert np.array_equal(back["a"], w) and np.array_equal(back["b"], w[0])


def main():
    model = network.Model(sys.argv[1] if len(sys.argv) > 1 else command.SAMPLE)
    ids = network.read_ids(os.path.join(command.SAMPLE, "calib_ids.npy"), 2)
    small()
    for test in (same_logits, scaled_statistics, losses, biases):
        test(model, ids)
        print(f"ok {test.__name__}", flush=True)


if __name__ == "__main__":
    main()
