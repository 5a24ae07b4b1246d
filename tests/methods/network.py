#!/usr/bin/env python3
"""The forward pass of a Llama model in NumPy, without code of nibble's.

    network.py MODEL IDS.npy [--against OTHER] [--windows N] [--double] [--nibble NIBBLE]

Prints perplexity, and mean KL(OTHER || MODEL) with its standard error, over windows of 256 tokens. With --nibble fails
unless `nibble eval` has the same perplexity to 1e-4 and the same mean KL to 1e-3 of it.
"""
import argparse
import json
import os
import subprocess

import numpy as np

import tensors

WINDOW, BATCH = 256, 8
LINEARS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
           "mlp.up_proj", "mlp.down_proj"]
# Linear layers with the same input are named by the first of them.
SOURCE = {"self_attn.k_proj": "self_attn.q_proj", "self_attn.v_proj": "self_attn.q_proj",
          "mlp.up_proj": "mlp.gate_proj"}


class Model:
    """Config and fp64 tensors. A method returns another Model of the same config."""

    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        assert config["model_type"] == "llama" and not config.get("rope_scaling"), "only plain Llama models"
        assert config["hidden_act"] == "silu", "only SiLU"
        self.hidden, self.layers = config["hidden_size"], config["num_hidden_layers"]
        self.heads = config["num_attention_heads"]
        self.kv_heads = config.get("num_key_value_heads") or self.heads
        self.head = config.get("head_dim") or self.hidden // self.heads
        self.eps, self.theta = config["rms_norm_eps"], config["rope_theta"]
        self.tensors = tensors.read(os.path.join(folder, "model.safetensors"))
        if config.get("tie_word_embeddings"):
            self.tensors["lm_head.weight"] = self.tensors["model.embed_tokens.weight"]

    def copy(self, changed=None):
        other = Model.__new__(Model)
        other.__dict__.update(self.__dict__)
        other.tensors = {**self.tensors, **(changed or {})}
        return other

    def block(self, layer):
        """The tensors of a block, without the block's name."""
        prefix = f"model.layers.{layer}."
        return {name[len(prefix):]: value for name, value in self.tensors.items() if name.startswith(prefix)}

    def put(self, layer, changed):
        """A copy with other tensors in one block."""
        return self.copy({f"model.layers.{layer}.{name}": value for name, value in changed.items()})


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + x.dtype.type(eps)) * weight


def silu(x):
    return x / (1 + np.exp(-x))


def softmax(scores):
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return scores / scores.sum(-1, keepdims=True)


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    low, high = x[..., :half], x[..., half:]
    return np.concatenate([low * cos - high * sin, high * cos + low * sin], -1)


def linear(block, name, x, inputs=None):
    """y = x W^T + b; `inputs(name, x)` may look at the input or replace it."""
    if inputs is not None:
        x = inputs(name, x)
    y = x @ block[name + ".weight"].T
    return y + block[name + ".bias"] if name + ".bias" in block else y


def attention(model, block, x, inputs=None):
    """The attention module of a block; x is [windows, tokens, hidden], normed."""
    windows, tokens, _ = x.shape
    if inputs is not None:
        x = inputs("self_attn.q_proj", x)
    q, k, v = (linear(block, f"self_attn.{p}_proj", x).reshape(windows, tokens, -1, model.head).transpose(0, 2, 1, 3)
               for p in "qkv")
    steps = np.arange(model.head // 2) * 2 / model.head
    angles = np.arange(tokens)[:, None] * model.theta ** -steps
    cos, sin = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
    q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    k, v = (np.repeat(part, model.heads // model.kv_heads, 1) for part in (k, v))
    scores = q @ k.swapaxes(-1, -2) * x.dtype.type(model.head ** -0.5)
    scores += np.triu(np.full((tokens, tokens), -np.inf, x.dtype), 1)
    mixed = (softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(windows, tokens, -1)
    return linear(block, "self_attn.o_proj", mixed, inputs)


def mlp(block, x, inputs=None):
    if inputs is not None:
        x = inputs("mlp.gate_proj", x)
    hidden = silu(linear(block, "mlp.gate_proj", x)) * linear(block, "mlp.up_proj", x)
    return linear(block, "mlp.down_proj", hidden, inputs)


def run_block(model, block, x, inputs=None):
    x = x + attention(model, block, rms_norm(x, block["input_layernorm.weight"], model.eps), inputs)
    return x + mlp(block, rms_norm(x, block["post_attention_layernorm.weight"], model.eps), inputs)


def typed(block, dtype):
    return {name: value.astype(dtype) for name, value in block.items()}


def embed(model, ids, dtype=np.float32):
    return model.tensors["model.embed_tokens.weight"].astype(dtype)[ids]


def head(model, x):
    x = rms_norm(x, model.tensors["model.norm.weight"].astype(x.dtype), model.eps)
    return x @ model.tensors["lm_head.weight"].astype(x.dtype).T


def run(model, x, first=0, inputs=None):
    """Logits from the inputs of block `first`. `inputs(layer, name, x)` sees the inputs of linear layers."""
    for layer in range(first, model.layers):
        hook = None if inputs is None else lambda name, value, layer=layer: inputs(layer, name, value)
        x = run_block(model, typed(model.block(layer), x.dtype), x, hook)
    return head(model, x)


def forward(model, ids, inputs=None, dtype=np.float32):
    """Logits [windows, tokens, vocabulary]."""
    return run(model, embed(model, ids, dtype), 0, inputs)


def read_ids(path, windows=0, window=WINDOW):
    ids = np.load(path).reshape(-1).astype(np.int64)
    count = len(ids) // window
    if windows > count:
        raise SystemExit(f"{path}: {count} windows of {window} tokens, not {windows}")
    return ids[:(windows or count) * window].reshape(-1, window)


def log_softmax(logits):
    logits = logits.astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    return logits


def batches(ids):
    return [ids[at:at + BATCH] for at in range(0, len(ids), BATCH)]


class Reference:
    """Log-probabilities of a model's predictions on some windows."""

    def __init__(self, model, ids, dtype=np.float32):
        self.ids = ids
        self.log = np.concatenate([log_softmax(forward(model, part, dtype=dtype)[:, :-1]).astype(np.float32)
                                   for part in batches(ids)])

    def nll(self):
        return -np.take_along_axis(self.log, self.ids[:, 1:, None], -1).mean(dtype=np.float64)

    def divergences(self, log, at=slice(None)):
        """KL(reference || other) of each predicted token."""
        mine = self.log[at].astype(np.float64)
        return (np.exp(mine) * (mine - log)).sum(-1)

    def kl(self, model, inputs=None, dtype=np.float32):
        """Mean KL and its standard error, from the means of windows; nll."""
        means, nll = [], []
        for at in range(0, len(self.ids), BATCH):
            part = self.ids[at:at + BATCH]
            log = log_softmax(forward(model, part, inputs, dtype)[:, :-1])
            means.append(self.divergences(log, slice(at, at + BATCH)).mean(-1))
            nll.append(-np.take_along_axis(log, part[:, 1:, None], -1)[..., 0].mean(-1))
        means = np.concatenate(means)
        error = means.std(ddof=1) / len(means) ** 0.5 if len(means) > 1 else float("nan")
        return means.mean(), error, np.concatenate(nll).mean()


def nibble_eval(nibble, model, ids, windows, *more):
    command = [nibble, "eval", model, "--data", ids, "--window", str(WINDOW), "--windows", str(windows), "--device",
               "cpu", "--json", *more]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("ids")
    parser.add_argument("--against")
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--nibble")
    options = parser.parse_args()
    model, ids = Model(options.model), read_ids(options.ids, options.windows)
    dtype = np.float64 if options.double else np.float32
    reference = Reference(Model(options.against) if options.against else model, ids, dtype)
    mean, error, nll = reference.kl(model, dtype=dtype)
    print(f"{len(ids)} windows: perplexity {np.exp(nll):.6f}, mean KL {mean:.4e} +- {error:.1e}")
    if options.nibble:
        report = nibble_eval(options.nibble, options.model, options.ids, len(ids),
                             *(["--against", options.against] if options.against else []))
        print(f"nibble:     perplexity {report['perplexity']:.6f}, mean KL {report.get('mean_kl', 0):.4e}")
        assert abs(report["perplexity"] - np.exp(nll)) < 1e-4, "perplexities differ"
        # An fp32 forward pass has rounding errors of about 1e-9 in the mean KL.
        assert abs(report.get("mean_kl", 0) - mean) < 1e-3 * mean + 1e-8, "mean KLs differ"


if __name__ == "__main__":
    main()
