"""What the methods need to know of the inputs of linear layers, and of the float model: no code of nibble's."""
import numpy as np

import network


class Inputs:
    """Inputs of linear layers with one source: Hessian per token, mean and largest magnitudes, means, some tokens."""

    def __init__(self, kept):
        self.count, self.kept = 0, kept
        self.x = None

    def add(self, x):
        x = x.reshape(-1, x.shape[-1]).astype(np.float64)
        new = {"hessian": x.T @ x, "mean_abs": np.abs(x).sum(0), "mean": x.sum(0)}
        if not self.count:
            self.sums = new
            self.most = np.abs(x).max(0)
            self.x = x[:self.kept]
        else:
            for name, value in new.items():
                self.sums[name] += value
            self.most = np.maximum(self.most, np.abs(x).max(0))
            if len(self.x) < self.kept:
                self.x = np.concatenate([self.x, x[:self.kept - len(self.x)]])
        self.count += len(x)

    def scaled(self, s):
        """Of inputs that are divided by `s`."""
        other = Inputs(self.kept)
        other.count, other.most, other.x = self.count, self.most / s, self.x / s
        other.sums = {"hessian": self.sums["hessian"] / np.outer(s, s), "mean_abs": self.sums["mean_abs"] / s,
                      "mean": self.sums["mean"] / s}
        return other

    def __getattr__(self, name):
        if name in ("hessian", "mean_abs", "mean"):
            return self.sums[name] / self.count
        raise AttributeError(name)


def observe(model, ids, kept=2048, layers=None):
    """{(layer, first linear layer with that input): Inputs}."""
    found = {}

    def inputs(layer, name, x):
        if layers is None or layer in layers:
            found.setdefault((layer, name), Inputs(kept)).add(x)
        return x

    for part in network.batches(ids):
        network.forward(model, part, inputs)
    return found


def source(name):
    return network.SOURCE.get(name, name)


def quantized(model, scheme, layers=None):
    """The model with rounded weights."""
    changed = {}
    for layer in range(model.layers) if layers is None else layers:
        for name in network.LINEARS:
            full = f"model.layers.{layer}.{name}.weight"
            changed[full] = scheme.weights(model.tensors[full])
    return model.copy(changed)


def rounding_hook(scheme, found, before=None):
    """Rounds the inputs of linear layers as the scheme says. `found`: statistics of the model as it is now;
    `before(name, x)`: an operation that runs before the rounding."""
    if scheme.activations == "none" and before is None:
        return None

    def inputs(layer, name, x):
        if before is not None:
            x = before(name, x)
        return scheme.inputs(x, found[layer, name].most.max() if scheme.activations == "static" else None)
    return inputs


def judge(reference, model, scheme, found=None, before=None):
    """Mean KL, its standard error and nll of the model, rounded. `found` is needed for static activations."""
    return reference.kl(quantized(model, scheme), rounding_hook(scheme, found, before))
