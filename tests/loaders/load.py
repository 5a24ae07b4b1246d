#!/usr/bin/env python3
"""Loads quantized models with transformers as a user does, and compares their logits with the dequantized models'.

  load.py IDS [NAME=FOLDER]... [NAME=FOLDER@ORIGINAL]...

IDS: a .npy of token ids, of which the first windows are run. FOLDER: the model that the loader reads by its
config.json. With ORIGINAL the folder is a copy with a fault: the dequantized model is that of ORIGINAL, and they must
differ. Prints one line each, and below it the loader's messages; returns 1 if one failed.
"""
import contextlib
import importlib.metadata
import importlib.util
import math
import os
import platform
import sys
import tempfile

os.environ.update(TQDM_DISABLE="1", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
if importlib.util.find_spec("bitsandbytes") is None:
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "standin"))
import numpy
import torch
import transformers

import reference

LIMIT = 1e-2  # of the largest |difference of logits|
WINDOWS, LENGTH = 4, 256  # of tokens
PACKAGES = ("torch", "safetensors", "transformers", "compressed-tensors", "accelerate")
HEAD = f"{'':8}{'':33} {'max |d|':>9} {'mean |d|':>9} {'same top-1':>10} {'weights that differ':>20} {'perplexity':>11}"


class Refused(Exception):
    """A loader did not load all of the files unchanged."""


@contextlib.contextmanager
def complaints(lines):
    """Adds all that is written to stderr meanwhile, from any library."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            lines += [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]


def dtype_for(config):
    # compressed-tensors unpacks FP4 to bfloat16 for any model type, and torch cannot multiply mixed types.
    return torch.bfloat16 if "mxfp4" in config else torch.float32


def load(folder, lines):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        dtype = dtype_for(file.read())
    with complaints(lines):
        model, info = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    for what, keys in info.items():
        if keys:
            raise Refused(f"{what}: {sorted(map(str, keys))[0]} (of {len(keys)} such)")
    if getattr(model, "is_loaded_in_4bit", False):
        # bitsandbytes multiplies in the type of the config: its weights are compared in fp32 like all others.
        with complaints([]):
            model = model.dequantize(dtype)
        if hasattr(sys.modules["bitsandbytes"], "STANDS_IN"):
            lines.append("bitsandbytes is a stand-in here")
    if dtype != torch.float32:
        lines.append(f"run as {dtype}")
    return model.eval()


def logits(model, windows):
    with torch.no_grad():
        return torch.stack([model(window[None]).logits[0].float() for window in windows])


def perplexity(values, windows):
    scores = torch.log_softmax(values[:, :-1], dim=-1)
    return math.exp(-scores.gather(2, windows[:, 1:, None]).mean())


class Comparison:
    """Compares models on the same windows of tokens."""

    def __init__(self, windows):
        self.windows, self.kept = windows, {}

    def dequantized(self, folder, dtype):
        """The dequantized model and its logits, with unquantized activations and with the config's."""
        if (folder, dtype) not in self.kept:
            expected = reference.Dequantized(folder, dtype)
            plain = rounded = logits(expected.model, self.windows)
            if expected.inputs is not None:
                expected.round_inputs()
                rounded = logits(expected.model, self.windows)
            self.kept[folder, dtype] = expected, plain, rounded
        return self.kept[folder, dtype]

    def run(self, folder, original, lines):
        """The numbers of a line, and whether they are within the limit."""
        model = load(folder, lines)
        with complaints(lines):
            found = logits(model, self.windows)
        expected, plain, rounded = self.dequantized(original, model.dtype)
        if expected.inputs is not None:
            lines.append(f"activations rounded on both sides; against a model that does not round them,"
                         f" max |d| is {(found - plain).abs().max():.2e}")
        # The loader has decompressed its weights by now.
        weights, wanted = dict(model.named_parameters()), dict(expected.model.named_parameters())
        differ = sum(not torch.equal(weights[name], weight) for name, weight in wanted.items())
        delta = (found - rounded).abs()
        top = (found.argmax(-1) == rounded.argmax(-1)).float().mean().item()
        numbers = (f"{delta.max():9.2e} {delta.mean():9.2e} {100 * top:8.2f} % {differ:13} of {len(wanted):3}"
                   f" {perplexity(found, self.windows):11.3f}")
        return numbers, bool(delta.max() < LIMIT)  # false for NaN, too


def main(arguments):
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    ids = torch.from_numpy(numpy.load(arguments[0])[: WINDOWS * LENGTH].astype("int64"))
    comparison = Comparison(ids.reshape(WINDOWS, LENGTH))
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    print("python " + platform.python_version(), *versions, sep=", ")
    print(HEAD)
    failed = 0
    for argument in arguments[1:]:
        name, _, folders = argument.partition("=")
        folder, planted, original = folders.partition("@")
        lines = []
        try:
            numbers, good = comparison.run(folder, original or folder, lines)
        except Exception as error:  # any exception means that the model did not load
            numbers, good = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}", False
        verdict = ("PASS" if good else "FAIL") if not planted else ("MISSED" if good else "found")
        failed += verdict in ("FAIL", "MISSED")
        print(f"{verdict:8}{name:33} {numbers}", flush=True)
        if not planted:
            for line in lines[:20]:
                print(f"{'':8}{line}")
    print(f"{len(arguments) - 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
