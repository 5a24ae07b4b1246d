"""Thresholds of other programs for given histograms: ONNX Runtime's own code, and others by their publications.

Counts are lists of integers; results are edges: k stands for k bin widths.
"""
import contextlib
import inspect
import io

import numpy as np

LEVELS = 128


# ------------------------------------------------------------------------------------------ ONNX Runtime
def in_double():
    """From here on ONNX Runtime's own source with fp64 instead of fp32: this release rounds to fp32, earlier ones did
    not."""
    from onnxruntime.quantization import calibrate, quant_utils

    for module, names in ((quant_utils, ["smooth_distribution"]), (calibrate, ["rel_entr", "entropy"])):
        for name in names:
            exec(inspect.getsource(getattr(module, name)).replace("float32", "float64"), module.__dict__)
    calibrate.smooth_distribution = quant_utils.smooth_distribution


def collector(method, symmetric, percentile=99.999):
    from onnxruntime.quantization import calibrate

    return calibrate.HistogramCollector(method, symmetric, 2048, LEVELS, percentile, "same")


def ort_range(made, counts, edges, smallest, largest):
    """The range that `made` finds, with its clipping."""
    counts = np.array(counts, dtype=np.int64)
    edges = np.array(edges, dtype=np.float64)
    threshold = np.array(max(abs(smallest), abs(largest)))
    made.histogram_dict = {"x": (counts, edges, np.array(smallest), np.array(largest), threshold)}
    with contextlib.redirect_stdout(io.StringIO()):
        low, high = made.compute_collection_result()["x"][:2]
    return float(low), float(high)


def unclipped(made, counts, length):
    """Edges in widths, before clipping: a histogram whose extremes are far away."""
    edges = np.arange(len(counts) + 1) - length
    low, high = ort_range(made, counts, edges, -1e30, 1e30)
    return int(low), int(high)


# ---------------------------------------------------------------- TensorRT's entropy, as in Model-Optimizer
def trt_edge(counts):
    """From the description of _compute_amax_entropy: bin 0 = bin 1; cells of equal width over the first i bins; the
    last minimum. None with too few bins."""
    bins = np.array(counts, dtype=np.float64)
    if len(bins) <= LEVELS:
        return None
    bins[0] = bins[1]
    best, best_edge = np.inf, None
    for i in range(LEVELS, len(bins) + 1):
        reference = bins[:i].copy()
        reference[-1] += bins[i:].sum()
        assert round(reference.sum()) == round(bins.sum())
        cell = np.digitize(np.arange(i), np.linspace(0, i, LEVELS + 1)) - 1
        filled = bins[:i] != 0
        sums = np.bincount(cell[filled], weights=bins[:i][filled], minlength=LEVELS)
        numbers = np.bincount(cell[filled], minlength=LEVELS)
        new = np.where(filled, sums[cell] / np.maximum(numbers[cell], 1), 0.0)
        if new.sum() == 0:  # nothing to compare with
            continue
        p, q = reference / reference.sum(), new / new.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            divergence = np.where(p > 0, p * np.log(p / q), 0.0).sum()
        if divergence <= best:
            best, best_edge = divergence, i
    return best_edge


# ------------------------------------------------------------------------------------------- squared error
def mse_bin(counts):
    """Model-Optimizer's histogram MSE with the grid of full-range int8: the bin whose centre is the threshold; the
    first minimum."""
    counts = np.array(counts, dtype=np.float64)
    if len(counts) <= LEVELS:
        return None
    centres = np.arange(len(counts)) + 0.5
    errors = []
    for i in range(LEVELS, len(counts)):
        scale = centres[i] / 127.5
        errors.append((counts * (centres - np.minimum(np.rint(centres / scale), 127) * scale) ** 2).sum())
    return LEVELS + int(np.argmin(errors))


def mse_step(counts, length, smallest, largest):
    """k of 128: the fraction of the whole asymmetric range, in widths, with the least error of int8 codes."""
    counts = np.array(counts, dtype=np.float64)
    centres = np.arange(len(counts)) - length + 0.5
    smallest, largest = min(smallest, 0.0), max(largest, 0.0)
    errors = []
    for k in range(32, 129):
        scale = (largest - smallest) * k / 128 / 255
        zero = np.rint(-smallest * k / 128 / scale)
        codes = np.clip(np.rint(centres / scale) + zero, 0, 255)
        errors.append((counts * (centres - scale * (codes - zero)) ** 2).sum())
    return 32 + int(np.argmin(errors))
