"""Prints expected.inc: the ranges of ONNX Runtime and independent implementations for the histograms of histograms.py.

run.sh runs it in a tree with python3-onnxruntime. ONNX Runtime rounds divergences to fp32; lines where it differs from
the same code in fp64 go to stderr.
"""
import sys

import peers
from histograms import NAMES, Histogram

PERCENTILES = [99.0, 99.9, 99.99, 99.999]


def main():
    histograms = [Histogram(name) for name in NAMES]
    length = {h.name: len(h.magnitudes()) for h in histograms}
    lines = []

    def line(h, method, symmetric, percentile, low, high):
        lines.append(f'{{"{h.name}", NIB_RANGE_{method}, {symmetric}, {percentile}, {low}, {high}}},')

    for h in histograms:
        n = length[h.name]
        for p in PERCENTILES:
            made = peers.collector("percentile", True, p)
            # The edges of |x|, from 0 on.
            high = peers.unclipped(made, h.magnitudes(), 0)[1]
            line(h, "PERCENTILE", "true", p, -high, high)
            made = peers.collector("percentile", False, p)
            line(h, "PERCENTILE", "false", p, *peers.unclipped(made, h.both(), n))
        edge = peers.trt_edge(h.magnitudes())
        line(h, "ENTROPY_TRT", "true", 0, -edge, edge)
        edge = peers.mse_bin(h.magnitudes())
        line(h, "MSE", "true", 0, -edge, edge)
        step = peers.mse_step(h.both(), n, h.min / h.width, h.max / h.width)
        line(h, "MSE", "false", 0, step, step)
    shipped = {h.name: peers.unclipped(peers.collector("entropy", False), h.both(), length[h.name]) for h in histograms}
    peers.in_double()
    for h in histograms:
        found = peers.unclipped(peers.collector("entropy", False), h.both(), length[h.name])
        line(h, "ENTROPY_ORT", "true", 0, *found)
        same = "the same" if found == shipped[h.name] else f"DIFFERENT: {shipped[h.name]}"
        print(f"ENTROPY_ORT {h.name}: {found} in fp64; as shipped {same}", file=sys.stderr)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
