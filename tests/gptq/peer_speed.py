#!/usr/bin/env python3
"""GPTQ's published column loop, plainly in PyTorch: the seconds of one layer whose Hessian is given.

    peer_speed.py ROWS COLS [--threads N] [--repeats N]

int4, groups of 128, damping 1 %, blocks of 128 columns, scales found when a group begins; the factorization is
included. Prints the phases' seconds, the fastest repeat, and what PyTorch multiplies with.
"""
import argparse
import re
import time

import torch

GROUP = BLOCK = 128
LARGEST = 7


def factor(hessian, damp):
    """The upper factor U of the inverse, H^-1 = U^T U."""
    damped = hessian.clone()
    damped.diagonal().add_(damp * damped.diagonal().mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    return torch.linalg.cholesky(inverse, upper=True)


def quantize(weight, upper):
    weight = weight.clone()
    result = torch.empty_like(weight)
    columns = weight.shape[1]
    scale = None
    for first in range(0, columns, BLOCK):
        end = min(first + BLOCK, columns)
        block = weight[:, first:end].clone()
        errors = torch.empty_like(block)
        for i in range(end - first):
            if (first + i) % GROUP == 0:
                group = weight[:, first + i:first + i + GROUP]
                scale = (group.abs().amax(1) / (LARGEST + 0.5)).clamp_min(1e-12)
            column = block[:, i]
            rounded = torch.clamp(torch.round(column / scale), -LARGEST - 1, LARGEST) * scale
            error = (column - rounded) / upper[first + i, first + i]
            block[:, i:] -= error.unsqueeze(1) @ upper[first + i, first + i:end].unsqueeze(0)
            errors[:, i] = error
            result[:, first + i] = rounded
        weight[:, end:] -= errors @ upper[first:end, end:]
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int)
    parser.add_argument("cols", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    inputs = torch.rand(2048, options.cols) * 2 - 1
    hessian = inputs.T @ inputs
    weight = torch.rand(options.rows, options.cols) * 2 - 1
    best = None
    for _ in range(options.repeats):
        start = time.perf_counter()
        upper = factor(hessian, 0.01)
        middle = time.perf_counter()
        quantize(weight, upper)
        end = time.perf_counter()
        if best is None or end - start < sum(best):
            best = middle - start, end - middle
    start = time.perf_counter()
    weight @ torch.rand(options.cols, 512)
    rate = 2 * options.rows * options.cols * 512 / (time.perf_counter() - start)
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    print(f"PyTorch {torch.__version__}, {options.threads} threads, BLAS {blas[1] if blas else 'unknown'}")
    print(f"{options.rows}x{options.cols}: factor {best[0]:.2f} s, columns {best[1]:.2f} s, "
          f"together {sum(best):.2f} s; fp32 products {rate / 1e9:.1f} GFLOP/s")


if __name__ == "__main__":
    main()
