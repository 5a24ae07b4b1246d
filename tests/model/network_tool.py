#!/usr/bin/env python3
"""nibble eval and nibble generate on the sample model.

    network_tool.py NIBBLE SCRATCH MODEL DEVICE...

The first device is tested in full; perplexity and text of each further one are compared with it.
"""
import json
import math
import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tool"))
from checks import check, check_refused, end, near

NIBBLE, SCRATCH, MODEL, *DEVICES = sys.argv[1:]
IDS, TEXT = os.path.join(MODEL, "test_ids.npy"), os.path.join(MODEL, "test.txt")
# Values of the first 8 windows of 256 tokens, computed with transformers in fp32.
GOLDEN_8_WINDOWS = 8.5939


def run(*arguments):
    return subprocess.run([NIBBLE, *arguments], capture_output=True, text=True, timeout=280)


def evaluate(model, *arguments, data=IDS, device=DEVICES[0]):
    done = run("eval", model, "--data", data, "--device", device, "--json", *arguments)
    if done.returncode != 0:
        sys.exit(f"eval {model} {arguments} failed: {done.stderr}")
    return json.loads(done.stdout)


def refused(code, *words, arguments):
    check_refused(run(*arguments), code, *words, what=" ".join(arguments))


def test_eval():
    windows = ("--window", "256", "--windows", "8")
    whole = evaluate(MODEL, *windows)
    check(near(whole["perplexity"], GOLDEN_8_WINDOWS, 5e-4), f"perplexity {whole['perplexity']:.5f} of 8 windows")
    check(near(math.exp(whole["nll"]), whole["perplexity"], 1e-12), "perplexity is e^nll")
    check((whole["tokens"], whole["windows"]) == (8 * 255, 8), "each window predicts 255 tokens")
    check(evaluate(MODEL, *windows)["nll"] == whole["nll"], "a second run gives the same digits")
    check(evaluate(MODEL, *windows, data=TEXT)["nll"] == whole["nll"], "text gives what its ids give")
    lines = os.path.join(SCRATCH, "test.jsonl")
    with open(TEXT, encoding="utf-8") as text, open(lines, "w", encoding="utf-8") as out:
        out.write(json.dumps({"text": text.read()}) + "\n")
    check(evaluate(MODEL, *windows, data=lines)["nll"] == whole["nll"], "JSON lines give the same")
    strided = evaluate(MODEL, "--window", "256", "--stride", "128", "--windows", "5")
    check(strided["tokens"] == 255 + 4 * 128, f"a stride of 128 scores each token once: {strided['tokens']}")
    peer = evaluate(MODEL, "--window", "256", "--windows", "3", "--protocol", "llamacpp")
    check(peer["tokens"] == 3 * 127, "llamacpp scores the second half of each window, but for its first token")
    half = evaluate(MODEL, *windows, "--kv", "f16")
    check(half["nll"] != whole["nll"] and near(half["nll"], whole["nll"], 1e-3), "a cache of halves differs a little")

    # Activations of 4 bits lose far more than those of 8, with the same weights.
    inputs = {a: evaluate(MODEL, *windows, "--type", "int8", "--activations", a)["nll"]
              for a in ("none", "int8-token", "int4-token")}
    eight, four = inputs["int8-token"] - inputs["none"], inputs["int4-token"] - inputs["none"]
    check(abs(eight) < 0.01 and 0.03 < four < 0.3, f"activations of 8 bits cost {eight:.4f}, of 4 bits {four:.4f}")


def test_against():
    windows = ("--window", "256", "--windows", "2")
    same = evaluate(MODEL, *windows, "--against", MODEL)
    check((same["mean_kl"], same["nll_delta"], same["top1_agreement"]) == (0, 0, 1),
          "a model does not differ from itself")
    quantized = os.path.join(SCRATCH, "int4")
    done = run("quantize", MODEL, "-o", quantized, "--type", "int4", "--group-size", "64", "--device", "cpu", "--force")
    check(done.returncode == 0, "quantize")
    r = evaluate(quantized, *windows, "--against", MODEL)
    check(0.001 < r["mean_kl"] < 0.2 and 0 < r["mean_kl_se"] < r["mean_kl"], f"mean KL {r['mean_kl']:.5f} of int4")
    check(0.7 < r["top1_agreement"] < 1, f"top-1 agreement {r['top1_agreement']:.4f}")
    alone, dense = evaluate(quantized, *windows), evaluate(MODEL, *windows)
    check(near(r["perplexity"], alone["perplexity"], 1e-6), "perplexity is that of the model alone")
    check(near(r["reference_perplexity"], dense["perplexity"], 1e-6), "and so is the reference's")
    check(abs(r["nll_delta"] - (alone["nll"] - dense["nll"])) < 1e-6, "the difference of nll is that of the means")


# A token has 12 rows of 4 heads of 32 elements: keys and values of 6 layers. A scale takes two bytes, a zero point one.
KV_BYTES = {"f32": 12 * 128 * 4, "f16": 12 * 128 * 2, "bf16": 12 * 128 * 2, "int8": 12 * (128 + 8),
            "int4": 12 * (64 + 8), "int4-asym": 12 * (64 + 8 + 4), "fp8": 12 * (128 + 8), "q8_0": 12 * (128 + 8),
            "q4_0": 12 * (64 + 8)}


def test_kv():
    kl = {}
    for kv, size in KV_BYTES.items():
        r = evaluate(MODEL, "--window", "256", "--windows", "2", "--against", MODEL, "--kv", kv.upper())
        check((r["kv"], r["kv_bytes_per_token"]) == (kv, size), f"{kv}: {r['kv_bytes_per_token']} bytes per token")
        kl[kv] = r["mean_kl"]
    text = ", ".join(f"{kv} {x:.2g}" for kv, x in kl.items())
    check(kl["f32"] == 0 and all(x > 0 for kv, x in kl.items() if kv != "f32"),
          f"mean KL from the network with a cache of fp32: {text}")
    check(kl["f16"] < kl["bf16"] < kl["int8"] < kl["fp8"] < kl["int4-asym"] < 0.02, "it grows as bits get fewer")
    r = evaluate(MODEL, "--window", "256", "--windows", "2", "--against", MODEL, "--kv-rotate")
    check(r["kv_rotate"] and abs(r["mean_kl"]) < 1e-7 and r["mean_kl_se"] > 0,
          f"rotated heads have the same scores, but for rounding: mean KL {r['mean_kl']:.2g}")
    for kv in ("int4", "int8"):
        r = evaluate(MODEL, "--window", "256", "--windows", "2", "--against", MODEL, "--kv", kv, "--kv-rotate")
        check(r["mean_kl"] < kl[kv] and r["kv_bytes_per_token"] == KV_BYTES[kv],
              f"{kv} loses less with rotated heads: {r['mean_kl']:.2g}")
    check(kl["q8_0"] < 2 * kl["int8"] and max(kl["int4"], kl["q4_0"]) < 0.04, "blocks are as good as groups")


def broken_copy(name, change):
    folder = os.path.join(SCRATCH, name)
    shutil.copytree(MODEL, folder)
    change(folder)
    return folder


def set_nan(folder):
    path = os.path.join(folder, "model.safetensors")
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        tensor = json.loads(file.read(size))["model.layers.2.mlp.up_proj.weight"]
        assert tensor["dtype"] in ("F16", "BF16")
        file.seek(8 + size + tensor["data_offsets"][0])
        file.write(b"\xff\x7f")  # a NaN as fp16 and as bfloat16


def edit_config(**changes):
    def change(folder):
        path = os.path.join(folder, "config.json")
        os.chmod(path, 0o644)
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        config.update(changes)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
    return change


def test_refusals():
    d = ("--device", DEVICES[0])
    refused(2, "--window", "positions", arguments=("eval", MODEL, "--data", IDS, "--window", "1000000", *d))
    refused(2, "--window", arguments=("eval", MODEL, "--data", IDS, "--window", "1", *d))
    refused(2, "--stride", arguments=("eval", MODEL, "--data", IDS, "--window", "64", "--stride", "65", *d))
    refused(2, "--protocol", arguments=("eval", MODEL, "--data", IDS, "--protocol", "other", *d))
    refused(1, "int4-token with int4", arguments=("eval", MODEL, "--data", IDS, "--type", "nf4", "--activations",
                                                  "int4-token", *d))
    refused(2, "--kv", "q4_0", arguments=("eval", MODEL, "--data", IDS, "--kv", "int3", *d))
    refused(2, "--kv", "int4-asym", arguments=("generate", MODEL, "--prompt", "a", "--kv", "q4_k", *d))
    small, odd = broken_copy("small", edit_config(head_dim=48)), broken_copy("odd", edit_config(head_dim=24))
    for kv in ("q8_0", "q4_0"):
        refused(2, "--kv " + kv, "multiple of 32", "48", arguments=("eval", small, "--data", IDS, "--kv", kv, *d))
    none = broken_copy("none", edit_config(head_dim=184))  # 8 * 23: no matrix of order 92 or 184 is known here
    refused(2, "--kv-rotate", "184", arguments=("eval", none, "--data", IDS, "--kv-rotate", *d))
    for kv in ("int8", "int4", "int4-asym", "fp8"):
        refused(2, "--kv " + kv, "multiple of 16", "24", arguments=("generate", odd, "--prompt", "a", "--kv", kv, *d))
    refused(1, "no-such-file", arguments=("eval", MODEL, "--data", os.path.join(SCRATCH, "no-such-file"), *d))
    short = os.path.join(SCRATCH, "short.txt")
    with open(short, "w", encoding="utf-8") as file:
        file.write("In the beginning")
    refused(1, "tokens", "--window", arguments=("eval", MODEL, "--data", short, "--window", "256", *d))
    refused(1, "config.json", arguments=("eval", os.path.join(MODEL, "model.safetensors"), "--data", IDS, *d))
    nan = broken_copy("nan", set_nan)
    refused(1, "not finite", "layers.2.mlp.up_proj",
            arguments=("eval", nan, "--data", IDS, "--window", "64", "--windows", "1", *d))
    other = broken_copy("other", edit_config(model_type="mamba"))
    refused(1, "mamba", "llama", arguments=("eval", other, "--data", IDS, "--window", "64", *d))
    wide = broken_copy("wide", edit_config(intermediate_size=512))
    refused(1, "mlp", "config.json", arguments=("eval", wide, "--data", IDS, "--window", "64", *d))
    less = broken_copy("less", edit_config(num_hidden_layers=2))
    refused(1, "layers.2", arguments=("eval", less, "--data", IDS, "--window", "64", *d))
    refused(2, "--prompt", arguments=("generate", MODEL, *d))
    refused(2, "--top-p", arguments=("generate", MODEL, "--prompt", "a", "--top-p", "0", *d))
    refused(2, "positions", arguments=("generate", MODEL, "--prompt", "a", "--tokens", "1000000", *d))


PROMPTS = ("In the beginning", "And Moses said unto", "Blessed are they")


def generate(*arguments, device=DEVICES[0]):
    done = run("generate", MODEL, "--device", device, "--json", *arguments)
    if done.returncode != 0:
        sys.exit(f"generate {arguments} failed: {done.stderr}")
    return json.loads(done.stdout)


def test_numbers():
    for words in (("--window", "0"), ("--windows", "0"), ("--stride", "0")):
        refused(2, words[0], arguments=("eval", MODEL, "--data", IDS, *words))
    refused(2, "--temperature must be", arguments=("generate", MODEL, "--prompt", "In", "--temperature", "1e-300"))


def test_generate():
    greedy = generate("--prompt", PROMPTS[0], "--tokens", "24")
    check(len(greedy["ids"]) == 24 and greedy["text"], f"greedy: {greedy['text']!r}")
    done = run("generate", MODEL, "--device", DEVICES[0], "--prompt", PROMPTS[0], "--tokens", "24")
    check(done.stdout == PROMPTS[0] + greedy["text"] + "\n", "what is streamed is the prompt and the text")
    drawn = ["--prompt", PROMPTS[0], "--tokens", "24", "--temperature", "0.9", "--top-p", "0.95"]
    one, again, other = [generate(*drawn, "--seed", seed) for seed in ("1", "1", "2")]
    check(one["ids"] == again["ids"], "the same seed gives the same text")
    check(one["ids"] != other["ids"], "another seed another one")
    narrow = generate(*drawn, "--top-k", "1")
    check(narrow["ids"] == greedy["ids"], "drawing from one token is greedy")
    for kv in ("f16", "int8", "q8_0"):
        other = generate("--prompt", PROMPTS[0], "--tokens", "24", "--kv", kv)
        check((other["kv"], other["kv_bytes_per_token"]) == (kv, KV_BYTES[kv]), f"generate with a cache of {kv}")
        check(other["ids"] == greedy["ids"], f"a cache of {kv} gives the same text")


def bench(*arguments):
    done = run("bench", "--model", MODEL, "--tokens", "32", "--json", *arguments)
    if done.returncode != 0:
        sys.exit(f"bench {arguments} failed: {done.stderr}")
    return json.loads(done.stdout)


def test_bench():
    for device in DEVICES:
        halves, codes = bench("--device", device), bench("--device", device, "--type", "int4")
        # The blocks' 4,423,680 weights: two bytes each, or half a byte and two bytes of scale for 128.
        saved = halves["weight_bytes"] - codes["weight_bytes"]
        check(near(saved, 4423680 * (2 - 0.5 - 2 / 128), 0.01), f"int4 saves {saved} bytes")
        for step in (halves["prefill"], halves["decode"], codes["prefill"], codes["decode"]):
            check(step["tokens_per_s"] > 0 and 0 < step["product_share"] < 1, f"a step: {step}")
            check(near(sum(step["shares"].values()), 1, 1e-6) and step["shares"]["matmul"] == step["product_share"],
                  f"shares: {step['shares']}")
            # Six blocks, each with seven products.
            check(step["nodes"] > 6 * 12 and 0 < step["barriers"] < step["nodes"], f"nodes: {step}")
    d = ("--device", DEVICES[0])
    refused(2, "--type", "int5", arguments=("bench", "--model", MODEL, "--type", "int5", *d))
    refused(2, "config.json", arguments=("bench", "--model", os.path.join(MODEL, "nowhere"), *d))


def test_devices():
    for device in DEVICES[1:]:
        for windows in (("--window", "256", "--windows", "2"),):
            a, b = evaluate(MODEL, *windows), evaluate(MODEL, *windows, device=device)
            check(near(b["perplexity"], a["perplexity"], 5e-4),
                  f"perplexity on {b['device']}: {b['perplexity']:.5f}, on {a['device']} {a['perplexity']:.5f}")
        for prompt in PROMPTS:
            arguments = ("--prompt", prompt, "--tokens", "64")
            a, b = generate(*arguments), generate(*arguments, device=device)
            check(a["ids"] == b["ids"], f"64 tokens after {prompt!r} on {b['device']} as on {a['device']}")
        for kv in ("int8", "int4", "int4-asym", "fp8", "q8_0", "q4_0"):
            windows = ("--window", "256", "--windows", "1", "--against", MODEL, "--kv", kv)
            a, b = evaluate(MODEL, *windows), evaluate(MODEL, *windows, device=device)
            # Roundings that differ change single codes: of 4 bits by 1.6e-3 between instruction sets of one CPU.
            check(near(b["mean_kl"], a["mean_kl"], 0.1) and near(b["nll"], a["nll"], 3e-3),
                  f"mean KL of --kv {kv} on {b['device']}: {b['mean_kl']:.3g}, on {a['device']} {a['mean_kl']:.3g}")
            arguments = ("--prompt", PROMPTS[1], "--tokens", "24", "--kv", kv)
            a, b = generate(*arguments), generate(*arguments, device=device)
            check(a["ids"] == b["ids"], f"24 tokens with --kv {kv} on {b['device']} as on {a['device']}")


shutil.rmtree(SCRATCH, ignore_errors=True)
os.makedirs(SCRATCH)
if len(DEVICES) == 1:
    test_eval()
    test_against()
    test_kv()
    test_refusals()
    test_numbers()
    test_generate()
    test_bench()
test_devices()
end()
