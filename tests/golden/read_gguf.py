#!/usr/bin/env python3
"""Reads GGUF files by the description of the format alone, and decodes their tensors.

  read_gguf.py FILE.gguf            metadata, and the first values of every tensor

Strict: what llama.cpp's reader refuses is an error here, and so is a byte of padding that is not zero. It shares no
code with the writer.
"""
import array
import math
import struct
import sys

import read_gguf_super as super_blocks

TYPES = {0: ("F32", 1, 4), 1: ("F16", 1, 2), 30: ("BF16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
         6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 26: ("I32", 1, 4), 39: ("MXFP4", 32, 17),
         **super_blocks.TYPES}
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


class Bad(Exception):
    pass


def need(holds, what):
    if not holds:
        raise Bad(what)


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        need(count <= len(self.data) - self.at, "ends within the header")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self):
        return self.take(self.number("<Q")).decode()

    def value(self, kind, inner=False):
        if kind == 8:
            return self.text()
        if kind == 9:
            need(not inner, "nested array")
            element, count = self.number("<I"), self.number("<Q")
            return [self.value(element, True) for _ in range(count)]
        need(kind in SCALARS, f"value type {kind}")
        if kind == 7:
            byte = self.take(1)[0]
            need(byte < 2, "a bool that is neither 0 nor 1")
            return byte == 1
        return self.number(SCALARS[kind])


class Gguf:
    """metadata: {key: value}; tensors: {name: (type, dims, bytes)}, dims with the contiguous one first."""

    def __init__(self, data):
        cursor = Cursor(data)
        need(cursor.take(4) == b"GGUF", "not GGUF")
        need(cursor.number("<I") == 3, "version")
        tensor_count, count = cursor.number("<Q"), cursor.number("<Q")
        self.metadata, self.tensors = {}, {}
        for _ in range(count):
            key = cursor.text()
            need(key not in self.metadata, f"{key} twice")
            need(key and all(c.islower() or c.isdigit() or c in "._-" for c in key), f"key {key!r}")
            self.metadata[key] = cursor.value(cursor.number("<I"))
        alignment = self.metadata.get("general.alignment", 32)
        infos = []
        for _ in range(tensor_count):
            name = cursor.text()
            need(len(name.encode()) < 64, f"{name}: too long")
            dims = [cursor.number("<Q") for _ in range(cursor.number("<I"))]
            need(1 <= len(dims) <= 4, f"{name}: {len(dims)} dimensions")
            infos.append((name, dims, cursor.number("<I"), cursor.number("<Q")))
        need(not any(data[cursor.at:self.padded(cursor.at, alignment)]), "padding of the header")
        begin, at = self.padded(cursor.at, alignment), 0
        for name, dims, kind, offset in infos:
            need(kind in TYPES, f"{name}: type {kind}")
            type_name, block, size = TYPES[kind]
            need(dims[0] % block == 0, f"{name}: {dims[0]} columns of {type_name}")
            bytes_ = math.prod(dims) // block * size
            need(offset == at, f"{name}: offset {offset}, not {at}")
            at = self.padded(at + bytes_, alignment)
            need(begin + at <= len(data), f"{name}: exceeds the file")
            need(not any(data[begin + offset + bytes_:begin + at]), f"{name}: padding")
            need(name not in self.tensors, f"{name} twice")
            self.tensors[name] = type_name, dims, data[begin + offset:begin + offset + bytes_]
        need(begin + at == len(data), "bytes after the last tensor")

    @staticmethod
    def padded(at, alignment):
        return (at + alignment - 1) // alignment * alignment

    def values(self, name):
        kind, _, data = self.tensors[name]
        return decode(kind, data)

    def rows(self, name):
        """The rows of a matrix, or one row."""
        dims, values = self.tensors[name][1], self.values(name)
        return [values[at:at + dims[0]] for at in range(0, len(values), dims[0])]


def read(path):
    with open(path, "rb") as file:
        return Gguf(file.read())


def fp32(value):
    return array.array("f", [value])[0]


def nibbles(data):
    return [b & 15 for b in data] + [b >> 4 for b in data]


def block_values(kind, block):
    """The values of a block, in fp32."""
    if kind in super_blocks.DECODERS:
        return super_blocks.block_values(kind, block)
    if kind == "MXFP4":
        scale = math.ldexp(1.0, block[0] - 128)
        table = [0, 1, 2, 3, 4, 6, 8, 12]
        return [scale * (table[q & 7] if q < 8 else -table[q & 7]) for q in nibbles(block[1:])]
    scale = struct.unpack("<e", block[:2])[0]
    if kind == "Q8_0":
        return [scale * q for q in struct.unpack("<32b", block[2:])]
    low = struct.unpack("<e", block[2:4])[0] if kind.endswith("_1") else 0.0
    at = 4 if kind.endswith("_1") else 2
    codes = nibbles(block[-16:])
    if kind.startswith("Q5"):
        high = struct.unpack("<I", block[at:at + 4])[0]
        codes = [q | (high >> j & 1) << 4 for j, q in enumerate(codes)]
    if kind.endswith("_0"):
        zero = 16 if kind == "Q5_0" else 8
        return [scale * (q - zero) for q in codes]
    return [fp32(fp32(scale * q) + low) for q in codes]


def decode(kind, data):
    if kind == "F32":
        return list(struct.unpack(f"<{len(data) // 4}f", data))
    if kind == "F16":
        return list(struct.unpack(f"<{len(data) // 2}e", data))
    if kind == "BF16":
        bits = struct.unpack(f"<{len(data) // 2}H", data)
        return array.array("f", struct.pack(f"<{len(bits)}I", *(b << 16 for b in bits))).tolist()
    size = next(bytes_ for name, _, bytes_ in TYPES.values() if name == kind)
    values = []
    for at in range(0, len(data), size):
        values += block_values(kind, data[at:at + size])
    return values


def main():
    file = read(sys.argv[1])
    for key, value in file.metadata.items():
        print(key, f"[{len(value)}] {value[:4]}" if isinstance(value, list) else repr(value)[:100])
    for name, (kind, dims, _) in file.tensors.items():
        print(name, kind, dims, [round(v, 6) for v in file.values(name)[:4]])


if __name__ == "__main__":
    main()
