#!/usr/bin/env python3
"""nibble validate and nibble compare --ab on the sample model.

    validate_tool.py NIBBLE SCRATCH MODEL
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

NIBBLE, SCRATCH, MODEL = sys.argv[1:]
IDS = os.path.join(MODEL, "test_ids.npy")
INT4, NAN = os.path.join(SCRATCH, "int4"), os.path.join(SCRATCH, "nan")
WINDOWS = ("--data", IDS, "--window", "64", "--windows", "6", "--device", "cpu")


def run(*arguments):
    return subprocess.run([NIBBLE, *arguments], capture_output=True, text=True, timeout=120)


def result(*arguments, code=0):
    done = run(*arguments, "--json")
    if done.returncode != code:
        sys.exit(f"{arguments}: exit {done.returncode}, not {code}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def refused(code, *words, arguments):
    check_refused(run(*arguments), code, *words, what=" ".join(arguments))


def edit_tensor(folder, name, edit):
    """Replaces the bytes of a tensor by edit(bytes)."""
    path = os.path.join(folder, "model.safetensors")
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        tensor = json.loads(file.read(size))[name]
        first, last = (8 + size + offset for offset in tensor["data_offsets"])
        file.seek(first)
        changed = edit(file.read(last - first), tensor["dtype"])
        file.seek(first)
        file.write(changed)


def plant_nan(data, dtype):
    assert dtype in ("F16", "BF16")
    return b"\xff\x7f" + data[2:]  # a NaN as fp16 and as bfloat16


def double(data, dtype):
    """Twice the values."""
    if dtype == "BF16":
        data = [bits + 0x80 if bits & 0x7f80 else bits for bits in struct.unpack(f"<{len(data) // 2}H", data)]
        return struct.pack(f"<{len(data)}H", *data)
    assert dtype == "F16"
    values = struct.unpack(f"<{len(data) // 2}e", data)
    return struct.pack(f"<{len(values)}e", *(2 * value for value in values))


def make_models():
    shutil.rmtree(SCRATCH, ignore_errors=True)
    os.makedirs(SCRATCH)
    done = run("quantize", MODEL, "-o", INT4, "--type", "int4", "--group-size", "64", "--device", "cpu")
    check(done.returncode == 0, f"quantize {done.stderr[-200:]}")
    shutil.copytree(MODEL, NAN)
    edit_tensor(NAN, "model.layers.3.mlp.down_proj.weight", plant_nan)


def test_measured(expected):
    """Without limits everything is measured, and only edges and finite values are judged."""
    v = result("validate", INT4, "--against", MODEL, *WINDOWS)
    check(v["passed"] and v["limits"] == [] and v["nonfinite"] is None, "without limits it passes")
    for key in ("perplexity", "reference_perplexity", "mean_kl", "mean_kl_se"):
        check(near(v[key], expected[key], 1e-4), f"{key} {v[key]} as of eval {expected[key]}")
    check(abs(v["top1_agreement"] - expected["top1_agreement"]) < 0.006, f"top-1 agreement {v['top1_agreement']}")
    rise = 100 * (expected["perplexity"] / expected["reference_perplexity"] - 1)
    check(abs(v["perplexity_rise_percent"] - rise) < 0.01, f"rise {v['perplexity_rise_percent']} of {rise} %")
    check((v["tokens"], v["logit_tokens"], v["windows"]) == (6 * 63, 6 * 63, 6), "all tokens' logits are compared")
    # KL is at most the spread of the logits' differences.
    check(v["mean_kl"] < 2 * v["max_logit_difference"] < 40, f"logit difference {v['max_logit_difference']}")
    check([e["input"] for e in v["edges"]] == ["one token", "a full window", "one token repeated", "an unknown token",
                                               "an empty input", "one token again"], "edge inputs")
    check(all(e["passed"] for e in v["edges"]), f"edges pass: {v['edges']}")
    check([e["result"] for e in v["edges"][3:5]] == ["refused", "refused"], "unknown tokens and nothing are refused")
    for step, tokens in ((v["decode"], 1), (v["prefill"], 64)):
        check(step["tokens"] == tokens and step["steps"] >= 3, f"steps of {tokens}")
        check(0 < step["p50_ms"] <= step["p95_ms"] <= step["p99_ms"], f"percentiles {step}")
        # The mean of a step lies between p50 / 2 and the largest.
        check(step["tokens_per_s"] < 2 * tokens / (step["p50_ms"] / 1e3), f"tokens/s {step['tokens_per_s']}")
    check(v["device_bytes"] == v["weight_bytes"] + v["cache_bytes"] + v["arena_bytes"], "device memory is a sum")
    with open(os.path.join(MODEL, "config.json"), encoding="utf-8") as file:
        c = json.load(file)
    head = c["hidden_size"] // c["num_attention_heads"]
    cache = 2 * 4 * 64 * head * c["num_key_value_heads"] * c["num_hidden_layers"]
    check(v["cache_bytes"] == cache, f"the cache has {v['cache_bytes']} bytes, computed {cache}")
    files = os.path.getsize(os.path.join(INT4, "model.safetensors"))
    check(v["file_bytes"] == files and files < v["weight_bytes"] * 1.5, f"files {files}")
    check(v["host_bytes"] is None or v["host_bytes"] > v["weight_bytes"], f"host memory {v['host_bytes']}")
    return v


def test_limits(expected):
    """Limits on either side of what eval measured."""
    kl, top = expected["mean_kl"], 100 * expected["top1_agreement"]
    rise = 100 * (expected["perplexity"] / expected["reference_perplexity"] - 1)
    keys = ["perplexity_rise_percent", "mean_kl", "top1_agreement_percent", "decode_tokens_per_s", "host_bytes",
            "device_bytes"]
    wide = ("--max-kl", f"{kl * 1.01}", "--max-ppl-rise", f"{rise + 0.1}", "--min-top1", f"{top - 1}",
            "--min-tokens-per-s", "0.001", "--max-memory", "100G")
    page = os.path.join(SCRATCH, "page.html")
    v = result("validate", INT4, "--against", MODEL, *WINDOWS, *wide, "--html", page)
    check([line["name"] for line in v["limits"]] == keys and all(line["passed"] for line in v["limits"]), "all pass")
    with open(page, encoding="utf-8") as file:
        text = file.read()
    check(">passed</h1>" in text and "FAIL</td>" not in text and f"{kl:.4f}"[:-1] in text, "the page says so")
    narrow = ("--max-kl", f"{kl * 0.99}", "--max-ppl-rise", f"{rise - 0.1}", "--min-top1", f"{top + 1}",
              "--min-tokens-per-s", "1e12", "--max-memory", "1M")
    v = result("validate", INT4, "--against", MODEL, *WINDOWS, *narrow, "--html", page, "--force", code=1)
    check([line["name"] for line in v["limits"]] == keys and not any(line["passed"] for line in v["limits"]),
          "all fail")
    check(not v["passed"], "and so does the whole")
    with open(page, encoding="utf-8") as file:
        text = file.read()
    check(text.count("FAIL</td>") == 6 and ">failed: 6</h1>" in text, "the page has six failures")
    done = run("validate", INT4, "--against", MODEL, *WINDOWS, "--max-kl", f"{kl * 0.99}", "--min-top1", f"{top - 1}")
    check(done.returncode == 1 and done.stdout.count("FAIL\n") + done.stdout.count("FAIL ") == 1
          and done.stdout.rstrip().endswith("FAILED: 1"), "one limit that is not kept fails the run")


def test_nan():
    v = result("validate", NAN, "--against", MODEL, *WINDOWS, "--max-kl", "1000", code=1)
    check(v["nonfinite"] == {"value": "model.layers.3.mlp.down_proj", "input": "one token"} or
          "layers.3.mlp.down_proj" in v["nonfinite"]["value"], f"a NaN in a weight is named: {v['nonfinite']}")
    check(v["perplexity"] is None and v["mean_kl"] is None, "what is not known is null")
    check([(line["name"], line["passed"]) for line in v["limits"]] == [("mean_kl", False)],
          "a value that is not known fails its limit")
    check([e["passed"] for e in v["edges"]] == [False] * 3 + [True] * 3, "inputs that give NaN fail")
    refused(1, "reference", "layers.3", arguments=("validate", MODEL, "--against", NAN, *WINDOWS))


def t_tail(t, freedom):
    """P(|T| >= |t|) by integration: with T = sqrt(freedom) tan(u) the density is cos(u)^(freedom - 1)."""
    def integral(first, last, steps=20000):
        width = (last - first) / steps
        return width * sum(math.cos(first + (i + 0.5) * width) ** (freedom - 1) for i in range(steps))
    return integral(math.atan(abs(t) / math.sqrt(freedom)), math.pi / 2) / integral(0, math.pi / 2)


def check_test(r, values, name):
    """The numbers of a paired test from the windows' means."""
    differences = [b - a for a, b in values]
    count = len(differences)
    mean = sum(differences) / count
    error = math.sqrt(sum((d - mean) ** 2 for d in differences) / (count - 1) / count)
    check(near(r["difference"], mean, 1e-9) and near(r["se"], error, 1e-9), f"{name}: {mean:+.6f} +- {error:.6f}")
    check(abs(r["a"] - sum(a for a, _ in values) / count) < 1e-12, f"{name}: mean of A")
    check(abs(r["p_t"] - t_tail(mean / error, count - 1)) < 1e-6, f"{name}: p {r['p_t']:.3g}")
    reach = (r["high_95"] - r["low_95"]) / 2
    check(near((r["high_95"] + r["low_95"]) / 2, mean, 1e-9) and abs(t_tail(reach / error, count - 1) - 0.05) < 1e-6,
          f"{name}: 95 % interval")


def test_paired(expected, dense):
    r = result("compare", MODEL, INT4, "--ab", *WINDOWS)
    check((r["tokens"], r["windows"], len(r["by_window"])) == (6 * 63, 6, 6), "tokens and windows")
    check(near(r["nll"]["a"], dense["nll"], 1e-5) and near(r["nll"]["b"], expected["nll"], 1e-5), "nll as of eval")
    check(abs(r["nll"]["difference"] - expected["nll_delta"]) < 1e-5, "the difference as of eval")
    for key in ("nll", "top1_accuracy"):
        check_test(r[key], [row[key] for row in r["by_window"]], key)
    check(all(near(63 * a, round(63 * a), 1e-9) for row in r["by_window"] for a in row["top1_accuracy"]),
          "accuracies are shares of 63 tokens")
    check("kl" not in r, "no KL without a reference")
    again = result("compare", MODEL, INT4, "--ab", *WINDOWS)
    check(again == r, "a second run gives the same digits")
    swapped = result("compare", INT4, MODEL, "--ab", *WINDOWS)
    check(swapped["nll"]["difference"] == -r["nll"]["difference"], "the other order gives the other sign")
    same = result("compare", MODEL, MODEL, "--ab", *WINDOWS)
    check((same["nll"]["difference"], same["nll"]["p_t"], same["nll"]["better"]) == (0, 1, None),
          "a model is no better than itself")
    # KL to the dense model tells what six windows of nll need not.
    against = result("compare", MODEL, INT4, "--ab", *WINDOWS, "--against", MODEL)
    check(against["kl"]["a"] == 0 and near(against["kl"]["b"], expected["mean_kl"], 1e-4), "KL as of eval")
    check(against["kl"]["better"] == "A" and against["kl"]["p_t"] < 0.05, f"A is nearer: {against['kl']}")
    check_test(against["kl"], [row["kl"] for row in against["by_window"]], "kl")
    check(near(against["top1_accuracy"]["b"], r["top1_accuracy"]["b"], 1e-9),
          "accuracy is of the text, not of --against")


def test_layers():
    """A layer with twice the weights gives twice the outputs: its error is 1, and 0 before it and in other blocks."""
    def errors(model):
        rows = result("compare", MODEL, model, "--data", IDS, "--window", "64", "--windows", "2",
                      "--device", "cpu")["layers"]
        whole = [row["relative_squared_error"] for row in rows]
        check(whole == sorted(whole, reverse=True), "the worst layer is the first")
        return {row["name"]: (row["relative_squared_error"], row["relative_squared_error_block"]) for row in rows}
    layers = [f"model.layers.{block}.{name}" for block in range(6) for name in (
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
        "mlp.down_proj")]
    same = errors(MODEL)
    check(sorted(same) == sorted(layers) and set(same.values()) == {(0, 0)}, "a model's layers equal its own")
    for layer in ("model.layers.2.self_attn.k_proj", "model.layers.2.mlp.down_proj"):
        changed = os.path.join(SCRATCH, "doubled")
        shutil.rmtree(changed, ignore_errors=True)
        shutil.copytree(MODEL, changed)
        edit_tensor(changed, layer + ".weight", double)
        got = errors(changed)
        check(all(near(e, 1, 1e-4) for e in got[layer]), f"{layer} doubled: {got[layer]}")
        after = layers[layers.index(layer) + 1:] if "down" in layer else layers[layers.index(layer) + 2:]
        rest = [name for name in layers if name not in after and name != layer]
        check(all(got[name] == (0, 0) for name in rest), f"no error in the {len(rest)} layers before it, and in v_proj")
        check(all(got[name][0] > 0 for name in after), f"an error in the {len(after)} layers after it")
        check(all((got[name][1] > 0) == (".2." in name) for name in after), "of the block alone in its own block")


def test_sensitivity():
    """One layer's weights of B in A: of a model with one layer doubled this is the model itself."""
    layer = "model.layers.2.mlp.down_proj"
    changed, page = os.path.join(SCRATCH, "doubled"), os.path.join(SCRATCH, "layers.html")
    shutil.rmtree(changed, ignore_errors=True)
    shutil.copytree(MODEL, changed)
    edit_tensor(changed, layer + ".weight", double)
    rows = result("compare", MODEL, changed, *WINDOWS, "--sensitivity", "--html", page)["layers"]
    check(rows[0]["name"] == layer and len(rows) == 43, "the changed layer is the worst of 42 and the head")
    check(all((row["kl"], row["nll_delta"]) == (0, 0) for row in rows[1:]), "layers that are equal cost nothing")
    expected = result("eval", changed, "--against", MODEL, *WINDOWS)
    for key, other in (("kl", "mean_kl"), ("kl_se", "mean_kl_se"), ("nll_delta", "nll_delta"),
                       ("nll_delta_se", "nll_delta_se")):
        check(near(rows[0][key], expected[other], 1e-4), f"{key} {rows[0][key]:.6g} as of eval")
    with open(page, encoding="utf-8") as file:
        text = file.read()
    check(text.count("<tr>") == 44 and text.index(layer) < text.index("model.layers.0.") and "<rect" in text,
          "the page has all layers, the worst first")
    quantized = result("compare", MODEL, INT4, *WINDOWS, "--sensitivity")["layers"]
    total, whole = sum(row["kl"] for row in quantized), result("eval", INT4, "--against", MODEL, *WINDOWS)["mean_kl"]
    check(near(total, whole, 0.3), f"single layers cost {total:.5f} together, all at once {whole:.5f}")
    refused(1, "--sensitivity", "dense", "int4", arguments=("compare", INT4, MODEL, *WINDOWS, "--sensitivity"))
    refused(2, "--data", arguments=("compare", MODEL, INT4, "--sensitivity"))
    refused(2, "--data", arguments=("compare", MODEL, INT4, "--html", page))
    refused(2, "--sensitivity", arguments=("compare", MODEL, INT4, "--ab", *WINDOWS, "--sensitivity"))


def read_ids():
    with open(IDS, "rb") as file:
        data = file.read()
    first = 10 + struct.unpack("<H", data[8:10])[0]
    assert b"'<u2'" in data[:first] or b"'<i4'" in data[:first], data[:first]
    return list(struct.unpack(f"<{(len(data) - first) // 2}H", data[first:])) if b"'<u2'" in data[:first] else list(
        struct.unpack(f"<{(len(data) - first) // 4}i", data[first:]))


def write_ids(path, ids):
    header = f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({len(ids)},), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.write(struct.pack(f"<{len(ids)}i", *ids))


def test_watch():
    """Calibrated on every other window of a text; the windows between have not drifted, random tokens have."""
    window, ids = 64, read_ids()
    windows = [ids[i:i + window] for i in range(0, len(ids) - window, window)][:72]
    names = {name: os.path.join(SCRATCH, name + ".npy") for name in ("before", "between", "random")}
    write_ids(names["before"], sum(windows[::2], []))
    write_ids(names["between"], sum(windows[1::2], []))
    state, noise = 1, []
    for _ in range(12 * window):
        state = (state * 1103515245 + 12345) % 2 ** 31
        noise.append((state >> 12) % 1000)
    write_ids(names["random"], noise)
    calib = os.path.join(SCRATCH, "calib.json")

    def calibrate(*arguments):
        done = run("calibrate", MODEL, "--data", names["before"], "--seq-len", str(window), "-o", calib, "--force",
                   "--device", "cpu", *arguments)
        check(done.returncode == 0, f"calibrate {' '.join(arguments)} {done.stderr[-200:]}")

    def watch(name, code):
        return result("validate", MODEL, "--against", MODEL, "--data", names[name], "--window", str(window),
                      "--device", "cpu", "--watch", calib, code=code)["watch"]
    calibrate()
    with open(calib, encoding="utf-8") as file:
        ranges = json.load(file)["tensors"]
    for name, code in (("before", 0), ("between", 0), ("random", 1)):
        w = watch(name, code)
        least = min(i["p"] for i in w["inputs"])
        check(len(w["inputs"]) == 24 and any(i["drifted"] for i in w["inputs"]) == (code == 1),
              f"{name}: least p {least:.4f}, {sum(i['drifted'] for i in w['inputs'])} of 24 drifted")
        check(sum(len(i["modules"]) for i in w["inputs"]) == 42, "all 42 layers have an input")
        for i in w["inputs"]:
            range_of = ranges[i["modules"][0] + ".input"]
            if (i["min"], i["max"]) != (range_of["min"], range_of["max"]):
                check(False, f"the calibrated range of {i['modules']}")
            if name == "before" and i["outside"] != 0:
                check(False, f"minmax ranges hold their own data: {i['outside']}")
    arguments = ("validate", MODEL, "--against", MODEL, "--device", "cpu", "--watch", calib)
    refused(1, "8 windows", arguments=(*arguments, "--data", names["random"], "--window", "64", "--windows", "7"))
    refused(1, "none.json", arguments=(*arguments[:-1], os.path.join(SCRATCH, "none.json"), "--data", names["random"]))
    calibrate("--granularity", "channel")
    refused(1, "--granularity tensor", arguments=(*arguments, "--data", names["random"], "--window", "64"))


def test_refusals():
    refused(2, "--against", arguments=("validate", MODEL, "--data", IDS))
    refused(2, "--max-kl", arguments=("validate", MODEL, "--against", MODEL, *WINDOWS, "--max-kl=-1"))
    refused(2, "--max-kl", arguments=("validate", MODEL, "--against", MODEL, *WINDOWS, "--max-kl=nan"))
    refused(2, "--min-top1", arguments=("validate", MODEL, "--against", MODEL, *WINDOWS, "--min-top1", "101"))
    refused(2, "--max-memory", arguments=("validate", MODEL, "--against", MODEL, *WINDOWS, "--max-memory", "8 G"))
    refused(2, "--window", arguments=("validate", MODEL, "--against", MODEL, "--data", IDS, "--window", "1000000"))
    refused(2, "is an input", arguments=("validate", MODEL, "--against", MODEL, *WINDOWS, "--force",
                                         "--html", os.path.join(MODEL, "config.json")))
    refused(2, "--data", arguments=("compare", MODEL, INT4, "--ab"))
    refused(2, "--ab", arguments=("compare", MODEL, INT4, "--data", IDS, "--against", MODEL))
    refused(2, "--data", arguments=("compare", MODEL, INT4, "--window", "64"))
    refused(1, "window", "chance", arguments=("compare", MODEL, INT4, "--ab", "--data", IDS, "--window", "64",
                                              "--windows", "1", "--device", "cpu"))


make_models()
against = result("eval", INT4, "--against", MODEL, *WINDOWS)
test_measured(against)
test_limits(against)
test_nan()
test_paired(against, result("eval", MODEL, *WINDOWS))
test_layers()
test_sensitivity()
test_watch()
test_refusals()
end()
