"""What the methods need to know of the inputs of linear layers, and how a model is rounded and judged."""
import numpy as np

import network


class Inputs:
    """Inputs of linear layers with one source: Hessian per token, mean and largest magnitudes, means, some tokens."""

    def __init__(self, kept=0):
        self.count, self.kept = 0, kept

    def add(self, x, hessian=True):
        """`x` is fp32; sums of a batch are fp32, and fp64 over batches."""
        x = x.reshape(-1, x.shape[-1])
        new = {"mean_abs": np.abs(x).sum(0), "mean": x.sum(0)}
        if hessian:
            new["hessian"] = x.T @ x
        new = {name: value.astype(np.float64) for name, value in new.items()}
        most, kept = np.abs(x).max(0).astype(np.float64), x[:self.kept]
        if self.count:
            new = {name: value + self.sums[name] for name, value in new.items()}
            most = np.maximum(most, self.most)
            kept = np.concatenate([self.x, x[:self.kept - len(self.x)]])
        self.sums, self.most, self.x = new, most, kept
        self.count += len(x)

    def scaled(self, s):
        """Of inputs that are divided by `s`."""
        other = Inputs(self.kept)
        other.count, other.most, other.x = self.count, self.most / s, (self.x / s).astype(self.x.dtype)
        other.sums = {name: value / (np.outer(s, s) if name == "hessian" else s) for name, value in self.sums.items()}
        return other

    def __getattr__(self, name):
        if name in ("hessian", "mean_abs", "mean"):
            return self.sums[name] / self.count
        raise AttributeError(name)


def observe(model, ids, kept=1024, hessian=True, before=None):
    """{(layer, first linear layer with that input): Inputs}. `before(name, x)` runs in front of the layers."""
    found = {}

    def inputs(layer, name, x):
        if before is not None:
            x = before(name, x)
        found.setdefault((layer, name), Inputs(kept)).add(x, hessian)
        return x

    for part in network.batches(ids):
        network.forward(model, part, inputs)
    return found


def source(name):
    return network.SOURCE.get(name, name)


def quantized(model, scheme):
    """The model with rounded weights."""
    changed = {}
    for layer in range(model.layers):
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
