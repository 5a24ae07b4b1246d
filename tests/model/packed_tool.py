#!/usr/bin/env python3
"""GPTQ's and AWQ's files: what nibble writes has the values that an independent reader finds, what others write is read
with the values of its codes, and everything else is refused by name.

  packed_tool.py NIBBLE SAMPLE SCRATCH
"""
import json
import os
import random
import shutil
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tool"), os.path.join(HERE, "..", "golden")]
import decode_packed
import packed_models as pm
import quantized_models as qm
from packed_models import Weight, awq_config, gptq_config
from quantized_models import DOWN, MLP
from tool import Tool

CPU = ("--device", "cpu")
W = MLP + ".weight"


def dense_values(tool, path):
    """The values of all tensors as nibble reads them."""
    tool.passes("quantize", path, "-o", "read_out", "--format", "safetensors", "--type", "F32", "--force", *CPU)
    return {name: qm.values_of(dtype, data) for name, (dtype, _, data) in qm.read_folder("read_out").items()}


def sample(path, rows=64, cols=96, low=-96):
    """A dense model of two layers' matrices."""
    def matrix(name, r, c, seed):
        draw = random.Random(seed)
        return name, "F16", [r, c], qm.floats("F16", [draw.randrange(low, 97) / 1024 for _ in range(r * c)])

    shutil.rmtree(path, ignore_errors=True)
    return qm.folder(path, [matrix(W, rows, cols, 1), matrix(DOWN + ".weight", cols, rows, 2),
                            ("model.norm.weight", "F16", [cols], qm.floats("F16", [1.0] * cols))],
                     {"torch_dtype": "float16"})


def decoded(tool, path):
    try:
        return decode_packed.decode(path)[0]
    except (decode_packed.Bad, KeyError) as bad:
        tool.check(False, f"{path}: {bad!r}")
        return {}


# ------------------------------------------------------------------------------------------------- written


def test_written(tool):
    """The independent reader and nibble's agree on every value, and it is within half a step of the weight."""
    sample("dense")
    originals = {n: qm.values_of(t, d) for n, (t, _, d) in qm.read_folder("dense").items()}
    cases = [("gptq", "int4", g, sym) for g in ("32", "64", "-1") for sym in ("--sym", "--asym")]
    cases += [(f, f"int{b}", "32", sym) for f in ("gptq", "gptq_v2") for b in (2, 3, 8) for sym in ("--sym", "--asym")]
    cases += [("gptq_v2", "int4", "32", "--asym"), ("awq", "int4", "32", "--asym"), ("awq", "int4", "-1", "--asym"),
              ("awq", "int4", "32", "--sym")]
    for form, kind, group, sym in cases:
        what = f"{form} {kind} {group} {sym}"
        tool.passes("quantize", "dense", "-o", "out", "--format", form, "--type", kind, "--group-size", group, sym,
                    "--force", *CPU)
        theirs, ours = decoded(tool, "out"), dense_values(tool, "out")
        tool.check(sorted(theirs) == [DOWN + ".weight", W], f"{what}: {sorted(theirs)}")
        # The same codes in compressed-tensors have the same values.
        if kind in ("int4", "int8") and sym == "--sym":
            tool.passes("quantize", "dense", "-o", "ct", "--type", kind, "--group-size", group, sym, "--force", *CPU)
            others = dense_values(tool, "ct")
            tool.check(all(others[n] == ours[n] for n in theirs), f"{what}: differs from compressed-tensors")
        for name, rows in theirs.items():
            flat = [v for row in rows for v in row]
            tool.check(flat == ours[name], f"{what}: {name}: the readers differ")
            worst = max(abs(a - b) for a, b in zip(flat, originals[name]))
            # The largest step: the range of all weights, 193/1024, in 2^b - 1 steps; symmetric codes reach from -96 to
            # 96, and their largest code is one half step short.
            step = 193 / 1024 / ((1 << int(kind[3:])) - 1) * (1.01 if sym == "--asym" else 1.05)
            tool.check(worst <= step * (0.51 if sym == "--asym" else 1.0), f"{what}: {name}: {worst} of {step}")


def test_config(tool):
    sample("dense")
    tool.passes("quantize", "dense", "-o", "c", "--format", "gptq", "--group-size", "32", "--rule", "down_proj=int8:-1",
                *CPU)
    with open("c/quantize_config.json") as file:
        config = json.load(file)
    for key, value in (("quant_method", "gptq"), ("bits", 4), ("group_size", 32), ("desc_act", False), ("sym", True),
                       ("checkpoint_format", "gptq"), ("lm_head", False)):
        tool.check(config[key] == value and type(config[key]) is type(value), f"{key}: {config.get(key)}")
    tool.check(0 < config["damp_percent"] < 1, f"damp_percent: {config['damp_percent']}")
    tool.check(list(config["dynamic"].items()) == [("+:^model\\.layers\\.0\\.mlp\\.down_proj$",
                                                    {"bits": 8, "group_size": -1, "sym": True})], f"{config}")
    tool.check(len(decoded(tool, "c")) == 2, "mixed types")
    tool.passes("quantize", "dense", "-o", "d", "--format", "gptq", "--group-size", "32", "--exclude", "down_proj",
                *CPU)
    with open("d/quantize_config.json") as file:
        config = json.load(file)
    tool.check(config["dynamic"] == {"-:^model\\.layers\\.0\\.mlp\\.down_proj$": {}}, f"{config}")
    tool.check(config["modules_in_block_to_quantize"] == [["mlp.up_proj"]], f"{config}")
    tool.check(len(decoded(tool, "d")) == 1, "an excluded layer")
    tool.passes("quantize", "dense", "-o", "e", "--format", "awq", "--group-size", "32", "--exclude", "down_proj", *CPU)
    with open("e/config.json") as file:
        config = json.load(file)["quantization_config"]
    tool.check(config == {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm",
                          "modules_to_not_convert": [DOWN]}, f"{config}")
    tool.check(len(decoded(tool, "e")) == 1, "an excluded layer of awq")
    # A folder that was quantized before: its file is not carried over.
    tool.passes("quantize", "c", "-o", "f", "--format", "safetensors", "--type", "F16", *CPU)
    tool.check("quantize_config.json" not in os.listdir("f"), "a dense model has a quantize_config.json")


def test_zero_point(tool):
    """Positive weights have the zero point 0, which version 1 cannot hold: it is 1, and the scale reaches as far."""
    sample("positive", low=10)
    original = {n: qm.values_of(t, d) for n, (t, _, d) in qm.read_folder("positive").items()}
    for kind in ("int2", "int3", "int4", "int8"):
        for form in ("gptq", "gptq_v2", "awq"):
            if form == "awq" and kind != "int4":
                continue
            tool.passes("quantize", "positive", "-o", "p", "--format", form, "--type", kind, "--group-size", "32",
                        "--asym", "--force", *CPU)
            theirs, ours = decoded(tool, "p"), dense_values(tool, "p")
            for name, rows in theirs.items():
                flat = [v for row in rows for v in row]
                tool.check(flat == ours[name], f"{form} {kind}: {name}: the readers differ")
                levels = (1 << int(kind[3:])) - (2 if form == "gptq" else 1)
                step = 96 / 1024 / levels
                worst = max(abs(a - b) for a, b in zip(flat, original[name]))
                tool.check(worst <= 0.51 * step, f"{form} {kind}: {name}: {worst} of {step}")


def test_memory(tool, model):
    """Small slabs are written in pieces of lines: the same bytes."""
    for form, kind in (("gptq", "int4"), ("gptq", "int3"), ("awq", "int4")):
        for out, memory in (("big", "640M"), ("small", "16M")):
            tool.passes("quantize", model, "-o", out, "--format", form, "--type", kind, "--asym", "--memory", memory,
                        "--force", "--group-size", "64", *CPU, timeout=300)
        big, small = qm.read_folder("big"), qm.read_folder("small")
        tool.check(big == small, f"{form} {kind}: pieces change the bytes")
        shutil.rmtree("big")
        shutil.rmtree("small")


# ------------------------------------------------------------------------------------------------- read


def shuffled(cols, group, seed):
    """Groups of columns in no order, as act-order leaves them."""
    order = list(range(cols))
    random.Random(seed).shuffle(order)
    of = [0] * cols
    for rank, col in enumerate(order):
        of[col] = rank // group
    return of


def reads():
    """(what, tensors, config, weight)"""
    for bits in (2, 3, 4, 8):
        for sym in (True, False):
            for version in (1, 2):
                w = Weight(64, 96, bits, 32, sym, seed=bits * 4 + sym * 2 + version)
                yield (f"{bits} bits, sym {sym}, version {version}", w.gptq(MLP, version),
                       gptq_config(bits, 32, sym, form="gptq_v2" if version == 2 else "gptq"), w)
    w = Weight(64, 96, 4, 32, False, 5)
    yield "no checkpoint_format", w.gptq(MLP), gptq_config(4, 32, False, form=None), w
    yield "no g_idx", w.gptq(MLP, g_idx=False), gptq_config(4, 32, False), w
    yield "in upper case", w.gptq(MLP), {"quantization_config": {
        **gptq_config(4, 32, False)["quantization_config"], "quant_method": "GPTQ"}}, w
    yield "of a text model", w.gptq(MLP), {"text_config": gptq_config(4, 32, False)}, w
    w = Weight(64, 96, 4, -1, False, 6)
    yield "one group per row", w.gptq(MLP), gptq_config(4, -1, False), w
    w = Weight(64, 96, 4, 64, False, 7)
    yield "a short last group", w.gptq(MLP), gptq_config(4, 64, False), w
    w = Weight(64, 96, 4, 32, False, 8, scale="BF16")
    yield "scales of BF16", w.gptq(MLP), gptq_config(4, 32, False), w
    for bits in (2, 3, 4, 8):
        for sym in (True, False):
            w = Weight(64, 96, bits, 32, sym, 9, of=shuffled(96, 32, bits))
            yield f"act-order of {bits} bits, sym {sym}", w.gptq(MLP), gptq_config(bits, 32, sym, True), w
    w = Weight(64, 96, 4, 32, True, 10)
    yield "version 2 that says 1", w.gptq(MLP, 2), gptq_config(4, 32, True), w
    w = Weight(64, 96, 4, 32, False, 11, least=0)
    yield "zero point 0 in version 2", w.gptq(MLP, 2), gptq_config(4, 32, False, form="gptq_v2"), w
    w = Weight(64, 96, 8, -1, True, 12)
    yield "other bits by dynamic", w.gptq(MLP), gptq_config(4, 32, True, dynamic={
        "+:.*up_proj": {"bits": 8, "group_size": -1}, "-:.*q_proj": {}}), w
    w = Weight(64, 96, 4, 32, False, 13, least=0)
    yield "AWQ", w.awq(MLP), awq_config(32), w
    w = Weight(64, 96, 4, -1, False, 14)
    yield "AWQ of one group", w.awq(MLP), awq_config(-1), w
    w = Weight(64, 96, 4, 32, True, 15)
    yield "AWQ of zero points 8", w.awq(MLP), awq_config(32), w
    yield "AWQ of older keys", w.awq(MLP), {"quantization_config": {
        "quant_method": "awq", "w_bit": 4, "q_group_size": 32, "zero_point": True, "version": "GEMM"}}, w


def test_read(tool):
    for what, tensors, config, weight in reads():
        shutil.rmtree("in", ignore_errors=True)
        pm.folder("in", tensors, config)
        values = dense_values(tool, "in").get(W)
        wrong = None if values is None else sum(a != b for a, b in zip(values, weight.values()))
        tool.check(values == weight.values(), f"{what}: {wrong} values differ")
        done = tool.passes("inspect", "in", "--json", *CPU)
        report = json.loads(done.out)
        tool.check(report["quantized"] == {f"int{weight.bits}": 1} and "unread" not in report, f"{what}: {report}")


def test_inspect(tool):
    """Keys that loaders need and the configuration lacks."""
    w = Weight(64, 96, 4, 32, True, 1)
    config = gptq_config()
    del config["quantization_config"]["desc_act"]
    pm.folder("keys", w.gptq(MLP), config)
    notes = json.loads(tool.passes("inspect", "keys", "--json", *CPU).out)["notes"]
    tool.check(len(notes) == 1 and "has no key desc_act" in notes[0], f"{notes}")
    config = awq_config()
    del config["quantization_config"]["group_size"]
    pm.folder("awq_keys", w.awq(MLP), config)
    notes = json.loads(tool.passes("inspect", "awq_keys", "--json", *CPU).out)["notes"]
    tool.check(len(notes) == 1 and "has no key group_size" in notes[0], f"{notes}")


def test_words(tool):
    """Words that the descriptions of the formats spell out: codes 0..7 are 0x76543210 along inputs in GPTQ, and
    0x75316420 along outputs in AWQ; zero points 8 are 0x77777777 in version 1 and 0x88888888 elsewhere."""
    along_inputs, along_outputs = Weight(64, 96, 4, 32, True, 1), Weight(64, 96, 4, 32, True, 1)
    along_inputs.q = [[c % 8 for c in range(96)] for _ in range(64)]
    along_outputs.q = [[r % 8] * 96 for r in range(64)]
    pm.folder("inputs", along_inputs.awq(MLP), awq_config())
    pm.folder("outputs", along_outputs.gptq(MLP), gptq_config())
    for source, form, word, zeros in (("inputs", "gptq", 0x76543210, 0x77777777),
                                      ("inputs", "gptq_v2", 0x76543210, 0x88888888),
                                      ("outputs", "awq", 0x75316420, 0x88888888)):
        tool.passes("convert", source, "-o", "words", "--format", form, "--force", *CPU)
        tensors = qm.read_folder("words")
        found = {w for w in decode_packed.words(tensors[MLP + ".qweight"][2])}
        tool.check(found == {word}, f"{form}: words {[hex(w) for w in found][:4]}")
        found = {w for w in decode_packed.words(tensors[MLP + ".qzeros"][2])}
        tool.check(found == {zeros}, f"{form}: zero points {[hex(w) for w in found][:4]}")


def test_requantized(tool):
    """A model that is read can be quantized again, to other files."""
    w = Weight(64, 96, 4, 32, True, 9, of=shuffled(96, 32, 1))
    pm.folder("ordered", w.gptq(MLP), gptq_config(4, 32, True, True))
    for form in ("gptq", "awq", "compressed-tensors"):
        tool.passes("quantize", "ordered", "-o", "again_" + form, "--format", form, "--group-size", "32", *CPU)
    tool.check(len(decoded(tool, "again_gptq")) == 2, "GPTQ again")
    done = tool.passes("compare", "ordered", "again_gptq", "--json", *CPU)
    rows = {t["name"]: t for t in json.loads(done.out)["tensors"]}
    tool.check(rows[W]["sqnr_db"] > 15, f"{rows[W]}")


# ------------------------------------------------------------------------------------------------- refused


def refusals():
    """(what, words of the message, tensors, config)"""
    def changed(parts, ending, **changes):
        out = []
        for name, dtype, shape, data in parts:
            if name.endswith(ending):
                dtype, shape, data = (changes.get("dtype", dtype), changes.get("shape", shape),
                                      changes.get("data", data))
            if not (name.endswith(ending) and changes.get("gone")):
                out.append((name, dtype, shape, data))
        return out

    sym, asym = Weight(64, 96, 4, 32, True, 1), Weight(64, 96, 4, 32, False, 2)
    good, config = sym.gptq(MLP), gptq_config()
    yield "no scales", ["there is no scales"], changed(good, ".scales", gone=True), config
    yield "no qzeros", ["there is no qzeros"], changed(good, ".qzeros", gone=True), config
    yield "other bits in the config", ["4 bits", "says 8"], good, gptq_config(8)
    yield "other groups in the config", ["3 groups", "96 columns"], good, gptq_config(4, 64)
    yield "one group in the config", ["3 groups", "-1"], good, gptq_config(4, -1)
    yield "five bits", ["5 bits"], changed(good, ".qzeros", shape=[3, 10], data=bytes(120)), gptq_config(5)
    yield "a group beyond", ["g_idx holds 3", "3 groups"], changed(good, ".g_idx", data=pm.pack_i32([3] * 96)), config
    yield "a negative group", ["g_idx holds -1"], changed(good, ".g_idx", data=b"\xff" * 384), config
    yield "a short g_idx", ["g_idx", "[96]"], changed(good, ".g_idx", shape=[95], data=bytes(380)), config
    yield "codes of I16", ["not I32"], changed(good, ".qweight", dtype="I16", shape=[24, 64]), config
    yield "too few outputs", ["qweight and scales differ"], changed(good, ".qweight", shape=[24, 32]), config
    yield "scales of I32", ["scales are of type I32"], changed(good, ".scales", dtype="I32", data=bytes(768)), config
    yield "odd sides", ["multiples of 32"], Weight(64, 80, 4, 16, True, 3).gptq(MLP), gptq_config(4, 16)
    yield "zero points of symmetric codes", ["qzeros", "symmetric"], asym.gptq(MLP), config
    yield "zero point 0 in version 1", ["version 1", "gptq_v2"], Weight(64, 96, 4, 32, False, 4, least=0).gptq(MLP), (
        gptq_config(sym=False))
    nan = b"\x00\x7e" * 192
    yield "a scale of NaN", ["NaN"], changed(good, ".scales", data=nan), config
    yield "a negative scale", ["negative"], changed(good, ".scales", data=b"\x00\xbc" * 192), config
    reordered = Weight(64, 96, 4, 32, True, 1, of=shuffled(96, 32, 1))
    yield "a scale of NaN and act-order", ["NaN"], changed(reordered.gptq(MLP), ".scales", data=nan), (
        gptq_config(desc_act=True))
    yield "act-order without g_idx", ["no g_idx", "desc_act"], sym.gptq(MLP, g_idx=False), gptq_config(desc_act=True)
    yield "Marlin", ["GPTQ marlin", "does not read"], good, gptq_config(form="marlin")
    yield "bits of text", ["bits"], good, gptq_config("four")
    yield "a bad pattern", ["dynamic", "regular expression"], good, gptq_config(dynamic={"+:(": {"bits": 8}})
    yield "AWQ GEMV", ["AWQ gemv", "does not read"], sym.awq(MLP), awq_config(version="gemv")
    yield "AWQ without zero points", ["zero points"], sym.awq(MLP), awq_config(zero_point=False)
    yield "AWQ of other groups", ["3 groups"], sym.awq(MLP), awq_config(64)
    yield "AWQ that says GPTQ", ["GPTQ"], sym.awq(MLP), config
    yield "GPTQ that says AWQ", ["AWQ"], good, awq_config()


def test_refusals(tool):
    for number, (what, words, tensors, config) in enumerate(refusals()):
        path = pm.folder("refused/" + what.replace(" ", "_"), tensors, config)
        out = "refused_out" + str(number)
        done = tool.refused(words[0], "quantize", path, "-o", out, "--format", "safetensors", "--type", "F32", *CPU,
                            codes=(1,))
        for word in words[1:]:
            tool.check(word in done.err, f"{what}: {word!r} is not in {done.err!r}")
        tool.check(not os.path.exists(out), f"{what}: left an output")
        done = tool.run("inspect", path, *CPU)
        listed = done.code == 0 and "not read: " in done.out and words[0] in done.out
        tool.check(listed or (done.code == 1 and words[0] in done.err), f"inspect of {what}: {done.err!r}")
    path = pm.folder("differ", Weight(64, 96, 4, 32, True, 1).gptq(MLP), gptq_config(), quantize_config=json.dumps(
        gptq_config(4, 64)["quantization_config"]))
    tool.refused("quantize_config.json gives", "quantize", path, "-o", "x", "--format", "safetensors", *CPU)
    sample("dense2")
    for words, part in ((("--format", "gptq", "--type", "nf4"), "gptq holds int2, int3, int4 and int8"),
                        (("--format", "gptq", "--granularity", "tensor"), "per channel or group"),
                        (("--format", "gptq", "--type", "int8", "--activations", "int8-token"), "activations"),
                        (("--format", "awq", "--type", "int8"), "awq holds int4"),
                        (("--format", "awq", "--group-size", "32", "--rule", "up_proj=int4:-1"), "other sizes")):
        tool.refused(part, "quantize", "dense2", "-o", "x", *words, *CPU)
    # Sides that loaders cannot hold stay dense, and that is said.
    sample("odd", rows=64, cols=80)
    tool.refused("multiples of 32", "quantize", "odd", "-o", "x", "--format", "gptq", "--group-size", "16", *CPU)


def main():
    tool = Tool(sys.argv[1], sys.argv[3])
    model = sys.argv[2]
    test_written(tool)
    test_config(tool)
    test_zero_point(tool)
    test_memory(tool, model)
    test_read(tool)
    test_inspect(tool)
    test_words(tool)
    test_requantized(tool)
    test_refusals(tool)
    tool.end()


main()
