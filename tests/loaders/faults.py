#!/usr/bin/env python3
"""Plants faults in copies of quantized models, to check that a comparison finds them.

  faults.py MODELS FAULTY       prints NAME=FOLDER@ORIGINAL for each; MODELS/x is the model of configuration x
"""
import json
import os
import shutil
import struct
import sys

Q = "model.layers.2.self_attn.q_proj"
DOWN = "model.layers.3.mlp.down_proj"


def in_tensor(name, change):
    """Replaces the bytes of a tensor by change(bytes)."""

    def plant(folder):
        with open(os.path.join(folder, "model.safetensors"), "r+b") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            begin, end = json.loads(file.read(size))[name]["data_offsets"]
            file.seek(8 + size + begin)
            data = change(file.read(end - begin))
            file.seek(8 + size + begin)
            file.write(data)

    return plant


def in_config(change):
    def plant(folder):
        path = os.path.join(folder, "config.json")
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        change(config["quantization_config"])
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)

    return plant


def weights(config):
    return config["config_groups"]["group_0"]["weights"]


def each(change):
    """Applies `change` to every byte."""
    return lambda data: data.translate(bytes(change(byte) for byte in range(256)))


def one(at, change):
    """Applies `change` to one byte, counted from the end if negative."""

    def changed(data):
        data = bytearray(data)
        data[at] = change(data[at])
        return bytes(data)

    return changed


def swapped(byte):
    return byte >> 4 | (byte & 15) << 4


FAULTS = [
    ("codes swapped", "int4", in_tensor(Q + ".weight_packed", each(swapped))),
    ("one scale x 16", "int4", in_tensor(Q + ".weight_scale", one(1, lambda byte: byte + 0x10))),
    ("8 bits", "int4", in_config(lambda c: weights(c).update(num_bits=8))),
    ("nothing ignored", "int4", in_config(lambda c: c.update(ignore=[]))),
    ("one zero point", "int4_asym", in_tensor(Q + ".weight_zero_point", one(0, lambda byte: byte ^ 0x08))),
    ("called symmetric", "int4_asym", in_config(lambda c: weights(c).update(symmetric=True))),
    ("signed codes", "int8", in_tensor(DOWN + ".weight_packed", each(lambda byte: byte ^ 0x80))),
    ("one row's scale x 2", "int8_token", in_tensor(DOWN + ".weight_scale", one(1, lambda byte: byte + 4))),
    ("an input's scale x 2", "int8_static", in_tensor(DOWN + ".input_scale", one(2, lambda byte: byte ^ 0x80))),
    ("an input's zero + 16", "int8_static_asym",
     in_tensor(DOWN + ".input_zero_point", one(0, lambda byte: byte + 16 & 255))),
    ("activations as are", "int8_token",
     in_config(lambda c: c["config_groups"]["group_0"].update(input_activations=None))),
    ("E5M2 for E4M3", "fp8", in_tensor(DOWN + ".weight", each(lambda byte: byte & 0x80 | (byte & 0x7F) >> 1))),
    ("codes swapped", "mxfp4", in_tensor(DOWN + ".weight_packed", each(swapped))),
    ("one scale x 16", "mxfp4", in_tensor(DOWN + ".weight_scale", one(7, lambda byte: byte + 4))),
    ("codes swapped", "nf4", in_tensor(Q + ".weight", each(swapped))),
    ("one scale", "nf4", in_tensor(Q + ".weight.absmax", one(3, lambda byte: 255))),
    ("map reversed", "nf4",
     in_tensor(DOWN + ".weight.nested_quant_map", lambda data: data[-4:] + data[4:-4] + data[:4])),
    ("one scale x 4", "nf4_single", in_tensor(Q + ".weight.absmax", one(3, lambda byte: byte + 1))),
    ("one group lost", "mixed", in_config(lambda c: c["config_groups"].pop("group_1"))),
]


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    for index, (name, configuration, plant) in enumerate(FAULTS):
        original = os.path.join(arguments[0], configuration)
        folder = os.path.join(arguments[1], str(index))
        shutil.copytree(original, folder)
        plant(folder)
        print(f"{configuration}, {name}={folder}@{original}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
