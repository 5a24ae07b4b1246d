#!/usr/bin/env python3
"""nibble quantize --transform: the network stays the same, weights become what they should, and losses fall where they
are meant to.

  transform_tool.py NIBBLE SAMPLE FAMILIES SCRATCH [DEVICE]

FAMILIES: folder of small models with golden files (tests/arch/data).
"""
import json
import math
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tool"), os.path.join(HERE, "..", "golden")]
import outlier_model
import quantized_models as qm
import read_safetensors
from tool import Tool, write_ids

DENSE = ("--type", "F32", "--format", "safetensors")


def values_of(model):
    rows, *_ = read_safetensors.read(os.path.join(model, "model.safetensors"))
    return {row[0]: (row[2], qm.values_of(row[1], row[3])) for row in rows}


def divergence(tool, out, model, data, device, *options):
    done = tool.passes("eval", out, "--data", data, "--against", model, "--json", "--device", device, *options,
                       timeout=300)
    return json.loads(done.out or '{"mean_kl": 1e9}')["mean_kl"]


def config_of(model):
    with open(os.path.join(model, "config.json")) as file:
        return json.load(file)


def row_peaks(shape, values):
    return [max(abs(v) for v in values[r * shape[1]:(r + 1) * shape[1]]) for r in range(shape[0])]


def column_peaks(shape, values):
    return [max(abs(v) for v in values[c::shape[1]]) for c in range(shape[1])]


def near(a, b, part=1e-5):
    return abs(a - b) <= part * max(abs(a), abs(b))


def test_families(tool, families, device):
    """Every transform leaves the logits of every kind of network as they were: biases, tied heads, shared key heads,
    norms of heads, one key head."""
    for family in ("llama_bias", "llama_one_key_head", "mistral_window", "qwen2_plain", "qwen3_plain"):
        model = os.path.join(families, family)
        config = config_of(model)
        write_ids("ids.npy", 96, config["vocab_size"])
        for transform in ("rotate", "rotate:random", "hadamard", "equalize", "smooth:0.7", "split:30"):
            data = ("--calib", "ids.npy", "--seq-len", "32") if transform.startswith("smooth") else ()
            tool.passes("quantize", model, "-o", "same", *DENSE, "--transform", transform, *data, "--force",
                        "--device", device)
            kl = divergence(tool, "same", model, "ids.npy", device, "--window", "32")
            tool.check(abs(kl) < 1e-8, f"{family} {transform}: KL {kl}")
        # The result of the transforms, from the files alone.
        before = values_of(model)
        tool.passes("quantize", model, "-o", "r", *DENSE, "--transform", "rotate", "--force", "--device", device)
        after = values_of("r")
        norms = [n for n in after if n.endswith("layernorm.weight") or n == "model.norm.weight"]
        tool.check(norms and all(set(after[n][1]) == {1.0} for n in norms), f"{family}: norms are not 1")
        shape, rows = after["model.embed_tokens.weight"]
        for r in range(0, shape[0], 7):
            lengths = [math.fsum(v * v for v in m["model.embed_tokens.weight"][1][r * shape[1]:(r + 1) * shape[1]])
                       for m in (before, after)]
            tool.check(near(*lengths), f"{family}: row {r} of the embedding has the length {lengths}")
        tool.check("lm_head.weight" in after and not config_of("r").get("tie_word_embeddings"), f"{family}: tied")
        tool.passes("quantize", model, "-o", "e", *DENSE, "--transform", "equalize", "--force", "--device", device)
        after = values_of("e")
        up, down = (after[f"model.layers.0.mlp.{n}_proj.weight"] for n in ("up", "down"))
        pairs = list(zip(row_peaks(*up), column_peaks(*down)))
        tool.check(all(near(a, b) for a, b in pairs), f"{family}: rows of up and columns of down differ: {pairs[:3]}")
        tool.passes("quantize", model, "-o", "s", *DENSE, "--transform", "split:30", "--force", "--device", device)
        inner = config_of("s")["intermediate_size"]
        expected = min(config["intermediate_size"] + (math.ceil(config["intermediate_size"] * 0.3) + 63) // 64 * 64,
                       2 * config["intermediate_size"])
        tool.check(inner == expected, f"{family}: {inner} inner channels")
        tool.check(values_of("s")["model.layers.0.mlp.down_proj.weight"][0][1] == inner, f"{family}: down is not split")


FUSED = ("rotate", "rotate:random", "hadamard", "equalize", "smooth:0.7", "split:30")
NORMED = "norm what layers add to the hidden states"
# Other blocks: what leaves the network as it was, and what is refused with which words.
OTHER_FAMILIES = {
    "phi3_su": (FUSED, {}), "phi3_window": (FUSED, {}),
    "gemma2_plain": (FUSED[2:], {"rotate": NORMED}), "gemma3_plain": (FUSED[2:], {"rotate:random": NORMED}),
    "olmo2_bias": (FUSED[2:], {"rotate": NORMED}),
    "mixtral_plain": (("equalize", "smooth:0.7"), {t: "have experts" for t in ("rotate", "hadamard", "split")}),
    "qwen2_moe_dense": (("equalize", "smooth:0.7"), {"rotate:random": "have experts"}),
    "gpt_neox_plain": (("hadamard", "equalize", "smooth:0.7"),
                       {"rotate": "passes RMS norms alone", "split": "have no gated layers"}),
    "gpt_neox_sequential": (("hadamard", "equalize", "smooth:0.7"), {}),
    "gpt2_plain": ((), {t: "hold the matrices of layers as [in, out]" for t in ("rotate", "hadamard", "equalize")})}


def test_other_families(tool, families, device):
    """Fused layers, norms with 1 + weight and norms behind layers, layer norms, heads whose parts lie by turns."""
    for family, (kept, refused) in OTHER_FAMILIES.items():
        model = os.path.join(families, family)
        write_ids("ids.npy", 96, config_of(model)["vocab_size"])
        for transform in kept:
            data = ("--calib", "ids.npy", "--seq-len", "32") if transform.startswith("smooth") else ()
            tool.passes("quantize", model, "-o", "same", *DENSE, "--transform", transform, *data, "--force",
                        "--device", device)
            kl = divergence(tool, "same", model, "ids.npy", device, "--window", "32")
            tool.check(abs(kl) < 1e-8, f"{family} {transform}: KL {kl}")
            before, after = values_of(model), values_of("same")
            changed = {name for name in before if name not in after or before[name] != after[name]}
            tool.check(len(changed) >= 2, f"{family} {transform}: only {sorted(changed)} changed")
        for transform, words in refused.items():
            tool.refused(words, "quantize", model, "-o", "no", *DENSE, "--transform", transform, "--device", device)


def test_outliers(tool, sample, device):
    """AWQ and SmoothQuant undo planted outliers: what is left is what the sample model loses without them."""
    outlier_model.make(sample, "outliers")
    test, calib = (os.path.join(sample, n) for n in ("test_ids.npy", "calib_ids.npy"))
    kl = divergence(tool, "outliers", sample, test, device, "--window", "256", "--windows", "2")
    tool.check(abs(kl) < 1e-8, f"the outlier model is another: KL {kl}")
    data = ("--calib", calib, "--samples", "8", "--seq-len", "256")
    losses = {}
    for name, model, options in (
            ("int4", sample, ("--type", "int4")), ("plain int4", "outliers", ("--type", "int4")),
            ("awq", "outliers", ("--type", "int4", "--transform", "awq", *data)),
            ("w8a8", sample, ("--type", "int8", "--activations", "int8-static", *data)),
            ("plain w8a8", "outliers", ("--type", "int8", "--activations", "int8-static", *data)),
            ("smooth", "outliers", ("--type", "int8", "--activations", "int8-static", "--transform", "smooth", *data)),
            ("auto", "outliers", ("--type", "int8", "--activations", "int8-static", "--transform", "smooth:auto",
                                  *data))):
        done = tool.passes("quantize", model, "-o", "q", *options, "--force", "--json", "--device", device, timeout=300)
        losses[name] = divergence(tool, "q", sample, test, device, "--window", "256", "--windows", "4")
        if name != "awq" or done.code != 0:
            continue
        groups = json.loads(done.out)["transforms"][0]["groups"]
        tool.check(len(groups) == 24, f"awq: {len(groups)} groups")
        worse = [g for g in groups if not g["loss"] <= g["plain_loss"]]
        tool.check(not worse, f"awq: worse than without: {worse[:1]}")
        halved = [g for g in groups if g["before"].endswith("layernorm") and g["loss"] < 0.5 * g["plain_loss"]]
        tool.check(len(halved) >= 8, f"awq: only {len(halved)} groups of norms have half the loss")
    print(losses)
    tool.check(losses["plain int4"] > 2 * losses["int4"], f"the outliers do not hurt int4: {losses}")
    tool.check(losses["awq"] < 1.15 * losses["int4"], f"awq does not undo them: {losses}")
    tool.check(losses["plain w8a8"] > 5 * losses["w8a8"], f"the outliers do not hurt static int8: {losses}")
    tool.check(losses["smooth"] < losses["w8a8"], f"smooth does not undo them: {losses}")
    tool.check(losses["auto"] < losses["smooth"], f"a searched alpha is no better: {losses}")


def test_together(tool, sample, device):
    """Transforms combine with each other, GPTQ and containers, and a run gives the same bytes twice."""
    calib = os.path.join(sample, "calib_ids.npy")
    test = os.path.join(sample, "test_ids.npy")
    data = ("--calib", calib, "--samples", "8", "--seq-len", "128")
    plain = ("quantize", sample, "--group-size", "64", "--force", "--device", device)
    tool.passes(*plain, "-o", "plain")
    base = divergence(tool, "plain", sample, test, device, "--window", "256", "--windows", "4")
    for number, options in enumerate((("--transform", "rotate", "--method", "gptq"),
                                      ("--transform", "equalize", "--transform", "awq", "--format", "awq"),
                                      ("--transform", "awq", "--format", "gptq", "--asym"))):
        tool.passes(*plain, "-o", f"t{number}", *options, *data, timeout=300)
        kl = divergence(tool, f"t{number}", sample, test, device, "--window", "256", "--windows", "4")
        tool.check(0 < kl < 1.2 * base, f"{options}: KL {kl}, without {base}")
        dtypes = {d for n, (d, _, _) in qm.read_folder(f"t{number}").items() if "norm" in n}
        tool.check(dtypes == {"F16"}, f"{options}: norms are {dtypes}")
    tool.passes(*plain, "-o", "again", "--transform", "awq", "--format", "gptq", "--asym", *data, timeout=300)
    tool.check(qm.read_folder("again") == qm.read_folder("t2"), "a second run gives other bytes")
    tool.passes("quantize", sample, "-o", "t.gguf", "--type", "q4_0", "--transform", "awq", *data, "--force",
                "--device", device, timeout=300)
    kl = divergence(tool, "t.gguf", sample, test, device, "--window", "256", "--windows", "4")
    tool.check(0 < kl < 1.5 * base, f"gguf: KL {kl}, without {base}")


def test_refusals(tool, sample, device):
    calib = os.path.join(sample, "calib_ids.npy")
    start = ("quantize", sample, "-o", "no", "--device", device)
    for part, options in (
            ("expected one of awq, smooth", ("--transform", "turn")),
            ("ends with a colon", ("--transform", "smooth:")),
            ("ALPHA from 0 to 1", ("--transform", "smooth:1.5", "--calib", calib)),
            ("ALPHA from 0 to 1", ("--transform", "smooth:0.5x", "--calib", calib)),
            ("takes no setting", ("--transform", "equalize:2")),
            ("percentile from 50", ("--transform", "clip:10")),
            ("a percentage", ("--transform", "split:0")),
            ("--transform awq needs --calib DATA", ("--transform", "awq")),
            ("is calibration data", ("--calib", calib)),
            ("is calibration data", ("--calib", calib, "--transform", "rotate")),
            ("go on from row to row", ("--type", "nf4", "--format", "bnb", "--method", "gptq", "--calib", calib)),
            ("go on from row to row", ("--type", "nf4", "--format", "bnb", "--scale-search", "output", "--calib",
                                       calib)),
            ("only nibble runs the result", ("--transform", "hadamard")),
            ("--awq-objective goes with", ("--awq-objective", "module")),
            ("--scale-search output needs --calib DATA", ("--scale-search", "output")),
            ("before columns are rounded", ("--scale-search", "output", "--method", "gptq", "--act-order", "none",
                                            "--calib", calib)),
            ("corrects what --method rtn does", ("--transform", "bias", "--method", "gptq", "--calib", calib)),
            ("--range goes with static", ("--range", "mse")),
            ("expected minmax", ("--type", "int8", "--activations", "int8-static", "--calib", calib, "--range", "no")),
            ("or --calib DATA", ("--type", "int8", "--activations", "int8-static"))):
        tool.refused(part, *start, *options)
    tool.passes("quantize", sample, "-o", "four", "--force", "--device", device)
    tool.refused("make the model dense", "quantize", "four", "-o", "no", "--transform", "rotate", "--device", device)
    tool.refused("needs the model's folder with config.json", "quantize", os.path.join(sample, "model.safetensors"),
                 "-o", "no", "--transform", "rotate", "--device", device)
    tool.check(not [n for n in os.listdir(".") if n.startswith("no")], "a refused run left something")

    os.mkdir("foreign.transform")
    with open("foreign.transform/activations", "w", encoding="utf-8") as file:
        file.write("mine")
    tool.refused("holds activations: move it away", "quantize", sample, "-o", "foreign", "--transform", "equalize",
                 "--device", device)
    with open("foreign.transform/activations", encoding="utf-8") as file:
        tool.check(file.read() == "mine", "somebody's file has changed")
    tool.check(not os.path.exists("foreign"), "a refused run wrote its output")


def test_device(tool, families, device):
    """Another device finds the same losses as the CPU, and models that differ as little."""
    for family in ("llama_plain", "qwen2_plain"):
        model = os.path.join(families, family)
        write_ids("ids.npy", 256, config_of(model)["vocab_size"])
        for transform, options in (("awq", ("--type", "int4", "--group-size", "16")),
                                   ("smooth:auto", ("--type", "int8", "--activations", "int8-token")),
                                   ("bias", ("--type", "int4", "--group-size", "16"))):
            found = []
            for name in ("cpu", device):
                done = tool.passes("quantize", model, "-o", name, *options, "--transform", transform, "--calib",
                                   "ids.npy", "--seq-len", "32", "--force", "--json", "--device", name, timeout=300)
                found.append(json.loads(done.out)["transforms"][0]["groups"])
            tool.check(len(found[0]) > 0, f"{family} {transform}: no groups")
            for one, two in zip(*found):
                for key in ("plain_loss", "loss"):
                    tool.check(one[key] is not None and near(one[key], two[key], 0.002),
                               f"{family} {transform}: {key} differs: {one} {two}")
            kl = divergence(tool, device, "cpu", "ids.npy", "cpu", "--window", "32")
            plain = divergence(tool, device, model, "ids.npy", "cpu", "--window", "32")
            tool.check(kl < 0.2 * plain, f"{family} {transform}: KL {kl} between devices, {plain} from the model")


def main():
    tool = Tool(sys.argv[1], sys.argv[4])
    sample, families = (os.path.abspath(os.path.join(START, p)) for p in sys.argv[2:4])
    device = sys.argv[5] if len(sys.argv) > 5 else "cpu"
    if device == "cpu":
        test_families(tool, families, device)
        test_other_families(tool, families, device)
        test_refusals(tool, sample, device)
        test_together(tool, sample, device)
        test_outliers(tool, sample, device)
    else:
        test_device(tool, families, device)
    tool.end()


START = os.getcwd()
main()
