#!/usr/bin/env python3
"""nibble suggest on the sample model, and on the sizes of a larger one.

    suggest_tool.py NIBBLE SCRATCH MODEL DEVICE
"""
import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tool"))
from checks import check, check_refused, end


LLAMA_7B = {"model_type": "llama", "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "hidden_act": "silu",
            "max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "torch_dtype": "bfloat16",
            "tie_word_embeddings": False}


class Tool:
    def __init__(self, options):
        self.nibble, self.model, self.device = os.path.abspath(options.nibble), options.model, options.device
        self.scratch = os.path.abspath(options.scratch)

    def run(self, *arguments):
        return subprocess.run([self.nibble, *arguments], capture_output=True, text=True, cwd=self.scratch)

    def suggest(self, model, *arguments):
        done = self.run("suggest", model, "--json", *arguments)
        if done.returncode != 0:
            sys.exit(f"suggest {arguments} failed: {done.stderr}")
        check_order(json.loads(done.stdout), arguments)
        return json.loads(done.stdout)

    def refused(self, code, *words, arguments):
        check_refused(self.run("suggest", *arguments), code, *words, what=" ".join(arguments))


def check_order(report, text):
    """What fits comes first, then what is good enough; the good ones by size, the others by loss."""
    limit = {"high": 0.003, "medium": 0.02, "low": 0.1}[report["quality"]]
    ranks = []
    for s in report["suggestions"]:
        fits = report["memory_bytes"] is None or s["bytes"]["all"] <= report["memory_bytes"]
        good = s["kl"] <= limit
        check(s["fits"] == fits and s["good"] == good, f"{text}: {s}")
        ranks.append((not fits, not good, s["bytes"]["all"] if good else s["kl"]))
        parts = s["bytes"]
        check(parts["all"] == parts["weights"] + parts["cache"] + parts["activations"], f"{text}: {parts}")
        for source in ("kl_source", "tokens_per_s_source"):
            check(s[source] in ("measured", "estimated", "exact", "unknown"), f"{text}: {s}")
        check((s["tokens_per_s"] is None) == (s["tokens_per_s_source"] == "unknown"), f"{text}: {s}")
        check((s["command"] is None) == (s["type"] is None), f"{text}: {s}")
    check(ranks == sorted(ranks), f"{text}: order {ranks}")
    check(len(ranks) > 9, f"{text}: {len(ranks)} suggestions")


def find(report, kind, group=None, method="rtn"):
    return next(s for s in report["suggestions"] if (s["type"], s["group_size"], s["method"]) == (kind, group, method))


def test_large(tool):
    """A folder with nothing but config.json, for a device that is not there."""
    os.makedirs(os.path.join(tool.scratch, "seven"))
    with open(os.path.join(tool.scratch, "seven", "config.json"), "w", encoding="utf-8") as file:
        json.dump(LLAMA_7B, file)
    report = tool.suggest("seven", "--profile", "nvidia-geforce-rtx-3090", "--memory", "8G", "--context", "1024",
                          "--quality", "medium")
    layers = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    others = 2 * 32000 * 4096 * 2 + 65 * 4096 * 4
    int4 = find(report, "int4", 128)
    # Scales are 16 bits for 128 weights.
    weights = layers * (4 + 16 / 128) / 8 + others
    check(abs(int4["bits_per_weight"] - 4.125) < 1e-9, f"{int4}")
    check(0 <= int4["bytes"]["weights"] - weights < 0.001 * weights, f"{int4}, expected {weights}")
    check(int4["bytes"]["cache"] == 1024 * 32 * 2 * 4096 * 4, f"{int4}")
    check(0 < int4["bytes"]["activations"] < 2e8, f"{int4}")
    read = int4["bytes"]["weights"] - 32000 * 4096 * 2 + int4["bytes"]["cache"]
    check(report["bandwidth"] == {"gbps": 936, "source": "estimated"}, report["bandwidth"])
    check(abs(int4["tokens_per_s"] * read / 936e9 - 1) < 1e-6, f"{int4}")
    dense = next(s for s in report["suggestions"] if s["type"] is None)
    check(abs(dense["bytes"]["weights"] / (2 * layers + others) - 1) < 0.001 and dense["kl"] == 0, f"{dense}")
    check(not dense["fits"] and int4["fits"] and int4["kl_source"] == "estimated", "what fits 8 GB")
    check("--type int4 --group-size 128" in int4["command"] and "seven-int4-128" in int4["command"], int4["command"])
    by_bits = sorted((s["bits_per_weight"], s["kl"]) for s in report["suggestions"] if s["method"] == "rtn")
    check(all(a[1] >= b[1] for a, b in zip(by_bits, by_bits[1:])), f"more bits, more loss: {by_bits}")
    check(find(report, "int4", 64, "gptq")["kl"] < 0.8 * find(report, "int4", 64)["kl"], "GPTQ")
    # Commands that GGUF cannot express are left out.
    os.makedirs(os.path.join(tool.scratch, "other"))
    with open(os.path.join(tool.scratch, "other", "config.json"), "w", encoding="utf-8") as file:
        json.dump({**LLAMA_7B, "rope_scaling": {"type": "dynamic", "factor": 2.0}}, file)
    other = tool.suggest("other", "--profile", "floor")
    check(report["left_out"] == [] and all("gguf" in line for line in other["left_out"]) and other["left_out"],
          f"{other['left_out']}")
    check(not any(s["format"] == "gguf" for s in other["suggestions"]), "a GGUF file of dynamic rope_scaling")
    # A device of which nothing is known; too little memory; text.
    report = tool.suggest("seven/config.json", "--profile", "floor", "--memory", "1G")
    check(report["bandwidth"] == {"gbps": None, "source": "unknown"}, report["bandwidth"])
    check(not any(s["fits"] for s in report["suggestions"]), "a model of 7 billion weights fits 1 GB")
    done = tool.run("suggest", "seven", "--profile", "floor", "--memory", "1G")
    check("nothing fits 1000.0 MB" in done.stdout and done.returncode == 0, done.stdout)


def test_sample(tool):
    """The sizes of the suggested commands' outputs, and their losses."""
    calib = os.path.join(tool.model, "calib_ids.npy")
    report = tool.suggest(tool.model, "--device", tool.device)
    check(report["bandwidth"]["source"] in ("measured", "unknown"), report["bandwidth"])
    measured = tool.suggest(tool.model, "--device", tool.device, "--calib", calib, "--samples", "2", "--seq-len", "256")
    check(measured["measured_blocks"] == 3 and measured["blocks"] == 6, "blocks")
    for kind, group in (("int8", None), ("int4", 32), ("int4", 128), ("nf4", None), ("Q4_K_M", None),
                        ("Q8_0", None)):
        s = find(measured, kind, group)
        check(s["kl_source"] == "measured", f"{s}")
        words = shlex.split(s["command"])
        check(words[:3] == ["nibble", "quantize", tool.model], s["command"])
        done = tool.run(*words[1:], "--device", tool.device, "--json", "--force")
        if done.returncode != 0:
            sys.exit(f"{s['command']}: {done.stderr}")
        written = json.loads(done.stdout)["bytes_out"]
        # Files pack zero points and scales of blocks tighter, or say more of the weights.
        check(abs(written / s["bytes"]["weights"] - 1) < 0.04, f"{s['command']}: {written} bytes, {s['bytes']}")
        # The loss of all layers, on other text of the same data.
        done = tool.run("eval", words[4], "--data", calib, "--window", "256", "--windows", "24", "--against",
                        tool.model, "--device", tool.device, "--json")
        loss = json.loads(done.stdout)["mean_kl"]
        print(f"{kind}: {s['kl']:.5f} measured on blocks, {loss:.5f} of the model", flush=True)
        check(0.4 < s["kl"] / loss < 2.5, f"{s['command']}: KL {loss}, measured {s['kl']}")
    gptq = find(measured, "int4", 128, "gptq")
    check(gptq["kl_source"] == "estimated" and calib in gptq["command"], f"{gptq}")
    low = tool.suggest(tool.model, "--device", tool.device, "--quality", "low", "--memory", "9.9MB")
    check(low["suggestions"][0]["fits"] and not all(s["fits"] for s in low["suggestions"]), "9.9 MB")


def test_refusals(tool):
    tool.refused(2, "config.json", arguments=["nowhere", "--profile", "floor"])
    tool.refused(2, "--profile nonsense", arguments=[tool.model, "--profile", "nonsense"])
    tool.refused(2, "--quality", "high, medium, low", arguments=[tool.model, "--quality", "best"])
    tool.refused(2, "--memory", arguments=[tool.model, "--memory", "much"])
    tool.refused(2, "--context 100000", "512", arguments=[tool.model, "--context", "100000"])
    tool.refused(2, "exceeds the model's 512 positions",
                 arguments=[tool.model, "--calib", os.path.join(tool.model, "calib_ids.npy"), "--seq-len", "513"])
    tool.refused(2, "--blocks", arguments=[tool.model, "--blocks", "0"])
    os.makedirs(os.path.join(tool.scratch, "strange"))
    with open(os.path.join(tool.scratch, "strange", "config.json"), "w", encoding="utf-8") as file:
        json.dump({"model_type": "strange"}, file)
    tool.refused(1, "strange", arguments=["strange", "--profile", "floor"])
    done = tool.run("quantize", tool.model, "-o", "int4", "--type", "int4", "--device", tool.device)
    check(done.returncode == 0, done.stderr)
    tool.refused(1, "quantized already", arguments=["int4", "--device", tool.device, "--calib",
                                                    os.path.join(tool.model, "calib_ids.npy")])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("nibble", "scratch", "model", "device"):
        parser.add_argument(name)
    options = parser.parse_args()
    options.model = os.path.abspath(options.model)
    shutil.rmtree(options.scratch, ignore_errors=True)
    os.makedirs(options.scratch)
    tool = Tool(options)
    test_refusals(tool)
    test_large(tool)
    test_sample(tool)
    end(options.scratch)


if __name__ == "__main__":
    main()
