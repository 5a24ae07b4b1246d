#!/usr/bin/env python3
"""A model that does not fit is refused before it is loaded, with the memory that it needs.

    memory_tool.py NIBBLE SCRATCH MODEL DEVICE
"""
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tool"))
from checks import check, check_refused, end

NIBBLE, SCRATCH, MODEL, DEVICE = sys.argv[1:]
IDS = os.path.join(MODEL, "test_ids.npy")


def run(*arguments):
    return subprocess.run([NIBBLE, *arguments, "--device", DEVICE], capture_output=True, text=True, timeout=300)


def megabytes(text, what):
    number, unit = re.search(rf"{what} ([0-9.]+) (MB|GB)", text).groups()
    return float(number) * (1000 if unit == "GB" else 1)


def refused(done):
    if not check_refused(done, 1, "needs", what="too little memory"):
        end()
    return done.stderr.strip()


shutil.rmtree(SCRATCH, ignore_errors=True)
shutil.copytree(MODEL, SCRATCH)
path = os.path.join(SCRATCH, "config.json")
with open(path, encoding="utf-8") as file:
    config = json.load(file)
TOKENS, POSITIONS = 30_000_000, 300_000_000  # 184 GB of cache
config["max_position_embeddings"] = POSITIONS
os.chmod(path, 0o644)
with open(path, "w", encoding="utf-8") as file:
    json.dump(config, file)
with open("/proc/meminfo", encoding="ascii") as file:
    available = next(int(line.split()[1]) / 1e6 for line in file if line.startswith("MemAvailable:"))
if DEVICE == "cpu" and available > 180:
    print(f"not tested: {available:.0f} GB are free here")
elif DEVICE == "cpu":
    line = refused(run("generate", SCRATCH, "--prompt", "In the", "--tokens", str(TOKENS)))
    head = config["hidden_size"] // config["num_attention_heads"]
    # Keys and values of 4 bytes.
    cache = 2 * 4 * head * config["num_key_value_heads"] * config["num_hidden_layers"] * (TOKENS + 3) / 1e6
    check(abs(megabytes(line, "cache") - cache) <= 0.001 * cache, f"the cache takes {cache:.0f} MB")
else:
    evaluate = ("eval", MODEL, "--data", IDS, "--window", "128", "--windows", "2")
    line = refused(run(*evaluate, "--device-memory", "1M"))
    needs = megabytes(line, "needs")
    parts = [megabytes(line, part) for part in ("weights", "cache", "arena")]
    check(abs(sum(parts) - needs) < 0.2, f"{needs} MB are the sum of {parts}")
    refused(run(*evaluate, "--device-memory", f"{int(needs * 1e6 * 0.99)}"))
    # Blocks for copies come on top.
    done = run(*evaluate, "--device-memory", f"{int(needs * 1e6 + 8e6)}")
    check(done.returncode == 0, f"8 MB more are enough: {done.stderr.strip()}")
end()
