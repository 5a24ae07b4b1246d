#!/usr/bin/env python3
"""Records the inputs of the projections of a float model for nibble calibrate: OUT/MODULE.npy, [tokens, channels].

  record.py MODEL IDS OUT

IDS: a .npy of token ids, of which the first windows are run.
"""
import os
import sys

os.environ.update(TQDM_DISABLE="1", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
import numpy
import torch
import transformers

WINDOWS, LENGTH = 4, 256


def main(folder, ids, out):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    recorded = {}

    def record(name):
        return lambda _, inputs: recorded.setdefault(name, []).append(
            inputs[0].reshape(-1, inputs[0].shape[-1]).numpy())

    for name, module in model.named_modules():
        if name.endswith("_proj"):
            module.register_forward_pre_hook(record(name))
    windows = torch.from_numpy(numpy.load(ids)[: WINDOWS * LENGTH].astype("int64")).reshape(WINDOWS, LENGTH)
    with torch.no_grad():
        for window in windows:
            model(window[None])
    os.makedirs(out, exist_ok=True)
    for name, rows in recorded.items():
        numpy.save(os.path.join(out, name + ".npy"), numpy.concatenate(rows).astype("float32"))
    print(f"{len(recorded)} modules recorded, {WINDOWS * LENGTH} tokens")


if __name__ == "__main__":
    main(*sys.argv[1:])
