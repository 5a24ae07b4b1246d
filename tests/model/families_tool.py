#!/usr/bin/env python3
"""Every family that nibble runs: its tiny models are quantized, calibrated and evaluated, and keep their names.

  families_tool.py NIBBLE FAMILIES SCRATCH

FAMILIES: folder of small models with golden files (tests/arch/data).
"""
import json
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tool"), os.path.join(HERE, "..", "golden")]
import read_safetensors
from tool import Tool, write_ids

# Model: the modules of a block that are quantized, and the prefix of a block.
SPLIT = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
         "mlp.down_proj"]
FUSED = ["self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj"]
NEOX = ["attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"]
MODELS = {"llama_plain": (SPLIT, "model.layers"), "mistral_window": (SPLIT, "model.layers"),
          "qwen2_plain": (SPLIT, "model.layers"), "qwen3_plain": (SPLIT, "model.layers"),
          "phi3_su": (FUSED, "model.layers"), "gemma2_plain": (SPLIT, "model.layers"),
          "gemma3_plain": (SPLIT, "model.layers"), "gemma3_images": (SPLIT, "language_model.model.layers"),
          "olmo2_plain": (SPLIT, "model.layers"), "gpt_neox_plain": (NEOX, "gpt_neox.layers")}
GPT2 = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
CALIB = ("--calib", "ids.npy", "--seq-len", "32")
INT4 = ("--type", "int4", "--group-size", "16")


def config_of(model):
    with open(os.path.join(model, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    return config.get("text_config", config)


def names_of(folder):
    return {row[0] for row in read_safetensors.read(os.path.join(folder, "model.safetensors"))[0]}


def divergence(tool, model, reference, *options):
    done = tool.passes("eval", model, "--data", "ids.npy", "--window", "32", "--against", reference, "--json",
                       "--device", "cpu", *options)
    return json.loads(done.out or '{"mean_kl": 1e9}')["mean_kl"]


def quantized(tool, model, *options):
    """The divergence of the quantized model."""
    done = tool.passes("quantize", model, "-o", "q", "--force", "--json", "--device", "cpu", *options)
    return divergence(tool, "q", model), json.loads(done.out or "{}")


def test_model(tool, model, modules, prefix):
    config, name = config_of(model), os.path.basename(model)
    layers = config.get("num_hidden_layers")
    write_ids("ids.npy", 256, config["vocab_size"])
    wanted = {f"{prefix}.{layer}.{module}" for layer in range(layers) for module in modules}

    nearest, _ = quantized(tool, model, *INT4)
    tool.check(1e-4 < nearest < 0.5, f"{name}: KL {nearest} of int4")
    packed = {n[:-len(".weight_packed")] for n in names_of("q") if n.endswith(".weight_packed")}
    tool.check(packed == wanted, f"{name}: quantized are {sorted(packed ^ wanted)}")
    others = {n for n in names_of(model) if n[:-len(".weight")] not in wanted}
    tool.check(others <= names_of("q"), f"{name}: lost {sorted(others - names_of('q'))}")

    gptq, report = quantized(tool, model, *INT4, "--method", "gptq", *CALIB)
    tool.check(0 < gptq < nearest, f"{name}: KL {gptq} of GPTQ, {nearest} of rounding to nearest")
    worse = [t["name"] for t in report["tensors"] if "gptq_loss" in t and t["gptq_loss"] > t["nearest_loss"]]
    tool.check(not worse, f"{name}: GPTQ loses more than rounding: {worse}")
    awq, _ = quantized(tool, model, *INT4, "--transform", "awq", *CALIB)
    tool.check(0 < awq < 1.2 * nearest, f"{name}: KL {awq} with AWQ, {nearest} without")
    for options, most in ((("--type", "int8", "--group-size", "16"), 1e-3),
                          (("--type", "int8", "--activations", "int8-token"), 3e-3),
                          (("--type", "int8", "--activations", "int8-static", *CALIB), 1e-2)):
        kl, _ = quantized(tool, model, *options)
        tool.check(0 < kl < most, f"{name} {options}: KL {kl}")
    kl = divergence(tool, model, model, "--type", "int8", "--activations", "int8-token")
    tool.check(kl < 3e-3, f"{name}: in memory: KL {kl}")

    tool.passes("calibrate", model, "--data", "ids.npy", "--seq-len", "32", "-o", "c.json", "--force", "--device",
                "cpu")
    with open("c.json", encoding="utf-8") as file:
        found = {name.removesuffix(".input") for name in json.load(file)["tensors"]}
    tool.check(wanted <= found, f"{name}: calibrated without {sorted(wanted - found)}")
    budget, report = quantized(tool, model, "--budget", "7", "--group-size", "16", *CALIB)
    tool.check(0 < budget < nearest, f"{name}: KL {budget} of 7 bits, {nearest} of int4")
    done = tool.passes("compare", model, "q", "--data", "ids.npy", "--window", "32", "--json", "--device", "cpu")
    tool.check(all(module in done.out for module in wanted), f"{name}: compare lacks layers")


def test_gpt2(tool, families):
    """Layers that files hold as [in, out]: bitsandbytes' container has them transposed, others keep them dense."""
    for name, prefix in (("gpt2_plain", "h"), ("gpt2_inner", "transformer.h")):
        model = os.path.join(families, name)
        config = config_of(model)
        write_ids("ids.npy", 256, config["vocab_size"])
        bnb = ("--type", "int8", "--format", "bnb")
        nearest, _ = quantized(tool, model, *bnb)
        tool.check(0 < nearest < 3e-3, f"{name}: KL {nearest}")
        wanted = {f"{prefix}.{layer}.{module}" for layer in range(config["n_layer"]) for module in GPT2}
        scales = {n[:-len(".SCB")] for n in names_of("q") if n.endswith(".SCB")}
        tool.check(scales == wanted, f"{name}: quantized are {sorted(scales ^ wanted)}")
        gptq, report = quantized(tool, model, *bnb, "--method", "gptq", *CALIB)
        tool.check(0 < gptq < 2 * nearest, f"{name}: KL {gptq} of GPTQ, {nearest} of rounding to nearest")
        tool.check(0 < divergence(tool, model, model, *INT4) < 0.5, f"{name}: int4 in memory")
        tool.refused("stored as [in, out]", "quantize", model, "-o", "no", *INT4, "--device", "cpu")
        tool.refused("--transform awq: not for models of type gpt2", "quantize", model, "-o", "no", *bnb, "--transform",
                     "awq", *CALIB, "--device", "cpu")
        tool.refused("exceeds the", "eval", model, "--data", "ids.npy", "--window", "200", "--device", "cpu")


EXPERTS = {"mixtral_plain": ("block_sparse_moe.experts.{}.", ("w1", "w2", "w3"), 4),
           "qwen2_moe_plain": ("mlp.experts.{}.", ("gate_proj", "up_proj", "down_proj"), 6),
           "qwen3_moe_plain": ("mlp.experts.{}.", ("gate_proj", "up_proj", "down_proj"), 8)}


def test_experts(tool, families):
    """Experts are quantized each, and run by the router's choice; GPTQ and transforms leave them to rounding."""
    for name, (place, parts, count) in EXPERTS.items():
        model = os.path.join(families, name)
        config = config_of(model)
        write_ids("ids.npy", 256, config["vocab_size"])
        nearest, _ = quantized(tool, model, *INT4)
        tool.check(1e-4 < nearest < 0.5, f"{name}: KL {nearest} of int4")
        wanted = {f"model.layers.{layer}.{place.format(i)}{part}" for layer in range(config["num_hidden_layers"])
                  for i in range(count) for part in parts}
        packed = {n[:-len(".weight_packed")] for n in names_of("q") if n.endswith(".weight_packed")}
        tool.check(wanted <= packed, f"{name}: not quantized are {sorted(wanted - packed)}")
        gptq, report = quantized(tool, model, *INT4, "--method", "gptq", *CALIB)
        tool.check(0 < gptq < 1.1 * nearest, f"{name}: KL {gptq} of GPTQ, {nearest} of rounding to nearest")
        notes = {t["name"]: t.get("note", "") for t in report["tensors"]}
        tool.check(all("rounded to nearest: GPTQ has no inputs of it" in notes[n + ".weight"] for n in wanted),
                   f"{name}: experts without a note")
        tool.check(not notes["model.layers.0.self_attn.q_proj.weight"], f"{name}: a note on q_proj")
        for options, most in ((("--type", "int8", "--group-size", "16"), 1e-3), (("--type", "fp8"), 2e-2),
                              (("--type", "fp8", "--granularity", "tensor"), 2e-2),
                              (("--type", "int8", "--activations", "int8-token"), 3e-3),
                              (("--type", "fp8", "--activations", "fp8-token"), 3e-2)):
            kl, _ = quantized(tool, model, *options)
            tool.check(0 < kl < most, f"{name} {options}: KL {kl}")
        kl = divergence(tool, model, model, *INT4)
        tool.check(1e-4 < kl < 0.5, f"{name}: in memory: KL {kl}")
        tool.passes("calibrate", model, "--data", "ids.npy", "--seq-len", "32", "-o", "c.json", "--force", "--device",
                    "cpu")
        done = tool.passes("validate", model, "--against", model, "--data", "ids.npy", "--window", "32", "--device",
                           "cpu")
        tool.check("FAIL" not in done.out, f"{name}: validate: {done.out}")
        tool.refused("what each of them loses is not measured yet", "quantize", model, "-o", "no", "--budget", "7",
                     *CALIB, "--device", "cpu")
        tool.passes("quantize", model, "-o", "mixed", *INT4, "--force", "--device", "cpu", "--rule",
                    place.format(1).replace(".", "[.]") + "=int8:16")
        tool.refused("stored in another way than expert 0", "eval", "mixed", "--data", "ids.npy", "--device", "cpu")
    model = os.path.join(families, "mixtral_plain")
    tool.passes("quantize", model, "-o", "q.gguf", "--type", "q8_0", "--force", "--device", "cpu")
    kl = divergence(tool, "q.gguf", model)
    tool.check(0 < kl < 1e-2, f"GGUF: KL {kl}")


def main():
    families = os.path.abspath(sys.argv[2])
    tool = Tool(sys.argv[1], sys.argv[3])
    for name, (modules, prefix) in MODELS.items():
        test_model(tool, os.path.join(families, name), modules, prefix)
    test_gpt2(tool, families)
    test_experts(tool, families)
    tool.end()


main()
