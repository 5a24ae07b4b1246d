"""Rounding of weights and activations by nibble's rules (docs/numbers.md), and how a model is judged with them."""
import numpy as np


def half(x):
    return x.astype(np.float16).astype(np.float64)


def group_size(cols, size):
    """The largest half, quarter ... of the group size that divides the columns; -1 is one group per row."""
    if size < 0:
        return cols
    while cols % size:
        size //= 2
    return size


def grouped(w, size):
    rows, cols = w.shape
    return w.reshape(rows, -1, group_size(cols, size))


def rounded(w, scale, zero, least, most):
    """Values of the codes of [rows, groups, columns], with scales of [rows, groups, 1]."""
    x = w / np.where(scale > 0, scale, 1)
    np.rint(x, out=x)
    x += zero
    np.clip(x, least, most, out=x)
    x -= zero
    x *= scale
    return x


def quantize_grouped(g, bits, sym=True, shrink=1.0, stored=half):
    """`g` is [rows, groups, columns]; ranges are multiplied by `shrink` first."""
    if sym:
        most = 2 ** (bits - 1) - 1
        return rounded(g, stored(np.abs(g).max(-1, keepdims=True) * shrink / (most + 0.5)), 0, -most - 1, most)
    low, high = np.minimum(g.min(-1, keepdims=True), 0) * shrink, np.maximum(g.max(-1, keepdims=True), 0) * shrink
    scale = stored((high - low) / (2 ** bits - 1))
    zero = np.clip(np.round(-low / np.where(scale > 0, scale, 1)), 0, 2 ** bits - 1)
    return rounded(g, scale, zero, 0, 2 ** bits - 1)


def quantize(w, bits, size, sym=True):
    return quantize_grouped(grouped(w, size), bits, sym).reshape(w.shape)


def quantize_tokens(x, bits=8):
    """Activations, each token with its own scale."""
    most = 2 ** (bits - 1) - 1
    scale = np.abs(x).max(-1, keepdims=True) / x.dtype.type(most + 0.5)
    scale = np.where(scale > 0, scale, 1)
    return np.clip(np.round(x / scale), -most - 1, most) * scale


def quantize_static(x, threshold, bits=8):
    """Activations, one scale for the tensor, from the largest magnitude of the calibration data."""
    most = 2 ** (bits - 1) - 1
    scale = x.dtype.type(threshold / (most + 0.5))
    return np.clip(np.round(x / scale), -most - 1, most) * scale


class Scheme:
    """Bits and groups of weights; how activations are rounded: none, token, static."""

    def __init__(self, name, bits, size, activations="none", activation_bits=8, sym=True):
        self.name, self.bits, self.size, self.sym = name, bits, size, sym
        self.activations, self.activation_bits = activations, activation_bits

    def weights(self, w):
        return quantize(w, self.bits, self.size, self.sym)

    def inputs(self, x, threshold=None):
        if self.activations == "none":
            return x
        if self.activations == "token":
            return quantize_tokens(x, self.activation_bits)
        return quantize_static(x, threshold, self.activation_bits)


SCHEMES = {s.name: s for s in [
    Scheme("int4-g128", 4, 128), Scheme("int3-g128", 3, 128), Scheme("int2-g64", 2, 64),
    Scheme("uint4-g128", 4, 128, sym=False), Scheme("uint3-g128", 3, 128, sym=False),
    Scheme("uint2-g64", 2, 64, sym=False),
    Scheme("int4-channel", 4, -1), Scheme("int3-channel", 3, -1),
    Scheme("w8a8-token", 8, -1, "token"), Scheme("w8a8-static", 8, -1, "static"), Scheme("w4a4", 4, 128, "token", 4)]}
