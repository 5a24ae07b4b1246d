"""Safetensors files with NumPy and json alone."""
import json
import os
import shutil
import struct

import numpy as np

READ = {"F64": np.float64, "F32": np.float32, "F16": np.float16}
NAMES = {np.dtype(t).str: name for name, t in READ.items()}


def read(path):
    """The tensors of a file, as fp64."""
    with open(path, "rb") as file:
        data = file.read()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        raw = data[8 + size + first:8 + size + end]
        if entry["dtype"] == "BF16":
            values = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        elif entry["dtype"] in READ:
            values = np.frombuffer(raw, np.dtype(READ[entry["dtype"]]).newbyteorder("<"))
        else:
            raise SystemExit(f"{path}: {name} is {entry['dtype']}; only floating-point tensors are read")
        tensors[name] = values.astype(np.float64).reshape(entry["shape"])
    return tensors


def write(path, tensors, dtype=np.float32):
    header, parts, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, values in tensors.items():
        raw = np.ascontiguousarray(values, dtype).tobytes()
        header[name] = {"dtype": NAMES[np.dtype(dtype).str], "shape": list(values.shape),
                        "data_offsets": [at, at + len(raw)]}
        parts.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def write_model(source, folder, tensors, dtype=np.float32, config=None):
    """A folder like `source` with other tensors; `config` replaces entries of its config.json."""
    os.makedirs(folder, exist_ok=True)
    for name in sorted(os.listdir(source)):
        if name.endswith(".json") and "index" not in name:
            shutil.copy(os.path.join(source, name), folder)
    with open(os.path.join(source, "config.json"), encoding="utf-8") as file:
        entries = json.load(file)
    entries.update({"torch_dtype": np.dtype(dtype).name}, **(config or {}))
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(entries, file, indent=1)
    write(os.path.join(folder, "model.safetensors"), tensors, dtype)
