#!/usr/bin/env python3
"""Compares ggml's block formats with ggml and gguf-py; blocks.sh calls it inside the tree, where NumPy is.

  blocks.py TOOL MODEL      TOOL: nibble_gguf_blocks; MODEL: a safetensors file
"""
import ctypes
import json
import struct
import subprocess
import sys

import gguf
import numpy
from gguf.quants import dequantize

TYPES = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs")
SEARCHED = TYPES[5:]
# Squared errors may be as much larger than those of ggml.
BOUND = 1.005


def tensors(path):
    """The matrices of a safetensors file whose columns are whole super-blocks, in fp32."""
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    for name, entry in sorted(header.items()):
        shape = entry.get("shape", ())
        if len(shape) != 2 or shape[1] % 256:
            continue
        raw = data[slice(*entry["data_offsets"])]
        if entry["dtype"] == "BF16":
            values = (numpy.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
        else:
            values = numpy.frombuffer(raw, {"F16": "<f2", "F32": "<f4"}[entry["dtype"]]).astype("<f4")
        yield name, numpy.ascontiguousarray(values.reshape(shape)[:256])


class Peer:
    def __init__(self, tool):
        self.tool, self.failures = tool, 0
        self.ggml = ctypes.CDLL("libggml-base.so.0")
        self.ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
        self.ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64,
                                                  ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]

    def check(self, holds, text):
        self.failures += not holds
        print("PASS" if holds else "FAIL", text, flush=True)

    def run(self, kind, rows, cols, data, *words):
        return subprocess.run([self.tool, kind, str(rows), str(cols), *words], input=data, stdout=subprocess.PIPE,
                              check=True).stdout

    def quantized(self, kind, x, importance):
        """By ggml, as values."""
        out = numpy.zeros(x.size * 2, numpy.uint8)
        ggml_type = gguf.GGMLQuantizationType[kind.upper()]
        size = self.ggml.ggml_quantize_chunk(int(ggml_type), x.ctypes.data, out.ctypes.data, 0, *x.shape,
                                             None if importance is None else importance.ctypes.data)
        return dequantize(out[:size].reshape(len(x), -1), ggml_type)

    def decodes(self, kind, generator):
        """Blocks of any bytes, whose halves are finite: values are the same, bit for bit."""
        ggml_type = gguf.GGMLQuantizationType[kind.upper()]
        per_block, size = gguf.GGML_QUANT_SIZES[ggml_type]
        rows, blocks = 37, 512 // per_block
        raw = generator.integers(0, 256, (rows * blocks, size), numpy.uint8)
        places = {"q2_k": (80, 82), "q3_k": (108,), "q6_k": (208,), "q4_k": (0, 2), "q5_k": (0, 2), "q4_1": (0, 2),
                  "q5_1": (0, 2)}.get(kind, (0,))
        for place in places:
            halves = generator.standard_normal(rows * blocks).astype("<f2")
            # Scales of the older types are positive where there is a minimum or a byte per code.
            if kind in ("q4_1", "q5_1", "q8_0") and place == 0:
                halves = abs(halves)
            raw[:, place:place + 2] = halves.view(numpy.uint8).reshape(-1, 2)
        theirs = dequantize(raw.reshape(rows, -1), ggml_type)
        ours = numpy.frombuffer(self.run(kind, rows, 512, raw.tobytes(), "dequantize"), "<f4").reshape(rows, 512)
        self.check((ours == theirs).all(), f"{kind}: gguf-py has the same values of {rows * blocks} blocks")

    def errors(self, kind, name, x, importance):
        words = ["quantize"]
        if importance is not None:
            importance.tofile("/tmp/importance")
            words.append("/tmp/importance")
        packed = self.run(kind, *x.shape, x.tobytes(), *words)
        ggml_type = gguf.GGMLQuantizationType[kind.upper()]
        ours = dequantize(numpy.frombuffer(packed, numpy.uint8).reshape(len(x), -1), ggml_type)
        theirs = self.quantized(kind, x, importance)
        weight = 1.0 if importance is None else importance.astype(numpy.float64)
        ratio = [(((y.astype(numpy.float64) - x) ** 2) * weight).sum() for y in (ours, theirs)]
        return ratio[0] / ratio[1]


def main():
    peer = Peer(sys.argv[1])
    generator = numpy.random.default_rng(7)
    matrices = list(tensors(sys.argv[2]))
    matrices = matrices[:: max(1, len(matrices) // 4)]
    matrices.append(("Student's t", generator.standard_t(3, (64, 1024)).astype("<f4")))
    matrices.append(("positive numbers", generator.random((64, 1024)).astype("<f4")))
    for kind in TYPES:
        peer.decodes(kind, generator)
    for kind in SEARCHED:
        for weighs in (False, True):
            ratios = {}
            for name, x in matrices:
                importance = generator.standard_gamma(0.7, x.shape[1]).astype("<f4") if weighs else None
                ratios[name] = peer.errors(kind, name, x, importance)
            worst = max(ratios, key=ratios.get)
            peer.check(ratios[worst] <= BOUND, f"{kind}{' with importance' if weighs else ''}: squared errors are at "
                       f"most {ratios[worst]:.4f} of ggml's ({worst})")
    sys.exit(1 if peer.failures else 0)


if __name__ == "__main__":
    main()
