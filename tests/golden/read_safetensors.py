#!/usr/bin/env python3
"""Reads safetensors files strictly by the description of the format alone, and prints their tensors as JSON.

  read_safetensors.py FILE...                        names, dtypes, shapes, SHA-256 of the bytes
  read_safetensors.py --expect LIST.json FILE...     compares them with [{name, dtype, shape, hex}, ...]; returns 1 if
                                                     they differ
"""
import hashlib
import json
import os
import struct
import sys

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}


class Bad(Exception):
    pass


def need(holds, what):
    if not holds:
        raise Bad(what)


def unique(pairs):
    need(len({key for key, _ in pairs}) == len(pairs), "a duplicate key")
    return dict(pairs)


def no_float(text):
    raise Bad("not an integer: " + text)


def is_size(value):
    return type(value) is int and 0 <= value < 1 << 64


def read(path):
    """[(name, dtype, shape, bytes)] in the order of the data, and the metadata."""
    with open(path, "rb") as file:
        data = file.read()
    need(len(data) >= 8, "shorter than 8 bytes")
    (size,) = struct.unpack("<Q", data[:8])
    need(size <= 100_000_000, "the header is too long")
    need(8 + size <= len(data), "the header ends beyond the file")
    text = data[8 : 8 + size].decode("utf-8")
    need(text.startswith("{"), "the header does not begin with {")
    need(text.rstrip(" ").endswith("}"), "the header does not end with } and spaces")
    header = json.loads(text, object_pairs_hook=unique, parse_float=no_float, parse_constant=no_float)
    metadata = header.pop("__metadata__", {})
    need(type(metadata) is dict and all(type(v) is str for v in metadata.values()), "__metadata__ is not of strings")

    rows = []
    for name, entry in header.items():
        need(type(entry) is dict and set(entry) == {"dtype", "shape", "data_offsets"}, "keys of " + repr(name))
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        need(type(dtype) is str and dtype in BITS, "dtype of " + repr(name))
        need(type(shape) is list and all(map(is_size, shape)), "shape of " + repr(name))
        need(type(offsets) is list and len(offsets) == 2 and all(map(is_size, offsets)),
             "data_offsets of " + repr(name))
        bits = BITS[dtype]
        for length in shape:
            bits *= length
        need(bits < 1 << 64 and bits % 8 == 0, "size of " + repr(name))
        begin, end = offsets
        need(end - begin == bits // 8, "bytes of " + repr(name))
        rows.append((begin, end, name, dtype, shape))

    rows.sort(key=lambda row: row[:2])
    at = 0
    for begin, end, name, _, _ in rows:
        need(begin == at, "a hole or an overlap before " + repr(name))
        at = end
    need(8 + size + at == len(data), "the file is not fully covered")
    start = 8 + size
    return [(name, dtype, shape, data[start + b : start + e]) for b, e, name, dtype, shape in rows], metadata, start


def describe(name, dtype, shape, data):
    return {"name": name, "dtype": dtype, "shape": shape, "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest()}


def compare(found, expected):
    wanted = {row["name"]: describe(row["name"], row["dtype"], row["shape"], bytes.fromhex(row["hex"]))
              for row in expected}
    need(len(wanted) == len(expected), "the list has a duplicate name")
    names = [row["name"] for row in found]
    need(len(set(names)) == len(names), "a tensor is in two files")
    need(set(names) == set(wanted), "names differ from the list: " + repr(sorted(set(names) ^ set(wanted))[:3]))
    for row in found:
        need(row == wanted[row["name"]], "expected " + repr(wanted[row["name"]]) + ", found " + repr(row))


def main(arguments):
    expected = None
    if arguments[:1] == ["--expect"]:
        with open(arguments[1], encoding="utf-8") as file:
            expected = json.load(file)
        arguments = arguments[2:]
    tensors, files = [], []
    for path in arguments:
        try:
            rows, metadata, start = read(path)
            if expected is not None:
                need(start % 8 == 0, "the data does not begin at a multiple of 8")
        except (Bad, ValueError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
        tensors += [describe(*row) for row in rows]
        files.append({"file": os.path.basename(path), "metadata": metadata})
    if expected is None:
        json.dump({"files": files, "tensors": tensors}, sys.stdout, indent=1)
        print()
        return 0
    try:
        compare(tensors, expected)
    except Bad as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(tensors)} tensors of {len(files)} files are as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
