"""Small models in GPTQ's and AWQ's files, made from codes by the descriptions of the formats. Python's own library
only."""
import json
import os
import random
import struct

import quantized_models as qm

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def stream(values, bits):
    """Words of a dense stream of fields, the first in the lowest bits."""
    whole = 0
    for i, value in enumerate(values):
        whole |= value << i * bits
    size = len(values) * bits // 32
    return [whole >> 32 * i & 0xFFFFFFFF for i in range(size)]


def pack_i32(words):
    return struct.pack(f"<{len(words)}I", *words)


class Weight:
    """Codes q[row][col], zero points z[row][group], scales s[row][group], the group of every column."""

    def __init__(self, rows, cols, bits=4, group=32, symmetric=True, seed=1, of=None, least=1, scale="F16"):
        draw = random.Random(seed)
        self.rows, self.cols, self.bits, self.scale = rows, cols, bits, scale
        size = cols if group == -1 else group
        self.groups = -(-cols // size)
        self.of = list(of) if of else [c // size for c in range(cols)]
        top = (1 << bits) - 1
        self.q = [[draw.randint(0, top) for _ in range(cols)] for _ in range(rows)]
        middle = 1 << bits - 1
        self.z = [[middle if symmetric else draw.randint(least, top) for _ in range(self.groups)] for _ in range(rows)]
        self.s = [[draw.randrange(129, 256) / 2.0**16 for _ in range(self.groups)] for _ in range(rows)]

    def values(self):
        return [qm.single((self.q[r][c] - self.z[r][self.of[c]]) * self.s[r][self.of[c]])
                for r in range(self.rows) for c in range(self.cols)]

    def scales(self):
        return qm.floats(self.scale, [self.s[r][g] for g in range(self.groups) for r in range(self.rows)])

    def gptq(self, module, version=1, g_idx=True):
        n, k = self.rows, self.cols
        columns = [stream([self.q[r][c] for c in range(k)], self.bits) for r in range(n)]
        qweight = [columns[r][w] for w in range(k * self.bits // 32) for r in range(n)]
        less = 1 if version == 1 else 0
        qzeros = [w for g in range(self.groups)
                  for w in stream([(self.z[r][g] - less) % (1 << self.bits) for r in range(n)], self.bits)]
        parts = [(module + ".qweight", "I32", [k * self.bits // 32, n], pack_i32(qweight)),
                 (module + ".qzeros", "I32", [self.groups, n * self.bits // 32], pack_i32(qzeros)),
                 (module + ".scales", self.scale, [self.groups, n], self.scales())]
        if g_idx:
            parts.append((module + ".g_idx", "I32", [k], pack_i32(self.of)))
        return parts

    def awq(self, module):
        n, k = self.rows, self.cols

        def turned(value):
            return lambda line, c: sum(value(8 * c + AWQ_ORDER[i], line) << 4 * i for i in range(8))

        code, zero = turned(lambda r, line: self.q[r][line]), turned(lambda r, line: self.z[r][line])
        words = [code(i, c) for i in range(k) for c in range(n // 8)]
        return [(module + ".qweight", "I32", [k, n // 8], pack_i32(words)),
                (module + ".qzeros", "I32", [self.groups, n // 8],
                 pack_i32([zero(g, c) for g in range(self.groups) for c in range(n // 8)])),
                (module + ".scales", self.scale, [self.groups, n], self.scales())]


def gptq_config(bits=4, group=32, sym=True, desc_act=False, form="gptq", **more):
    config = {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": desc_act, "sym": sym,
              "lm_head": False, **more}
    if form:
        config["checkpoint_format"] = form
    return {"quantization_config": config}


def awq_config(group=32, **more):
    return {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True,
                                    "version": "gemm", "modules_to_not_convert": None, **more}}


def folder(path, tensors, config, **files):
    return qm.folder(path, tensors + qm.rest(), config, **files)
