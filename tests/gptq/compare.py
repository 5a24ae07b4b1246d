#!/usr/bin/env python3
"""Parts of run.sh.

    compare.py ids IN.npy OUT.npy COUNT     the first COUNT ids of an .npy file of int32
    compare.py losses FOLDER ORDER          fails unless nibble's losses and mean KL agree with the reference's

A code that falls the other way, as rounding errors in the order of sums decide, changes the codes after it and the
inputs of later layers. So the losses of layers agree within 1 % but for a few, and those within 3 %.
"""
import json
import os
import struct
import sys


def cut(path, out, count):
    with open(path, "rb") as file:
        data = file.read()
    at = 10 + struct.unpack("<H", data[8:10])[0]
    assert b"'<i4'" in data[:at]
    head = f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({count},), }}".encode()
    head += b" " * (63 - (10 + len(head)) % 64) + b"\n"
    with open(out, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data[at:at + 4 * count])


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return json.load(file)


def compare(folder, order):
    reference = read(folder, f"reference-{order}/losses.json")
    report = read(folder, f"nibble-{order}.json")
    layers = {t["name"].removesuffix(".weight"): t["gptq"]["loss"] for t in report["tensors"] if "gptq" in t}
    assert layers.keys() == reference.keys(), "other layers"
    ratios = sorted((layers[name] / reference[name] - 1, name) for name in layers)
    close = sum(abs(ratio) < 0.01 for ratio, _ in ratios)
    ours, theirs = (read(folder, f"{name}-{order}-eval.json")["mean_kl"] for name in ("nibble", "reference"))
    print(f"{order}: {close} of {len(ratios)} losses within 1 %, {ratios[0][0]:+.2%} ({ratios[0][1]}) to "
          f"{ratios[-1][0]:+.2%} ({ratios[-1][1]}); mean KL {ours:.5f} and {theirs:.5f}, {ours / theirs - 1:+.2%}")
    return close >= 0.9 * len(ratios) and all(abs(r) < 0.03 for r, _ in ratios) and abs(ours / theirs - 1) < 0.03


def main():
    if sys.argv[1] == "ids":
        cut(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    elif not compare(sys.argv[2], sys.argv[3]):
        sys.exit("they differ")


if __name__ == "__main__":
    main()
