#!/usr/bin/env python3
"""Mixes, importance and parts of GGUF files, read by a reader that shares no code with nibble.

  gguf_mix_tool.py NIBBLE SAMPLE SCRATCH
"""
import json
import math
import os
import struct
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tool"), os.path.join(HERE, "..", "golden")]
import gguf_models as gm
import read_gguf
from tool import Tool


def write(tool, folder, *arguments, out):
    run = tool.passes("quantize", folder, "-o", out, "--device", "cpu", "--force", *arguments)
    return read_gguf.read(out), run


def npy_of(ids):
    head = f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({len(ids)},), }}".encode()
    head += b" " * (-(11 + len(head)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + struct.pack(f"<{len(ids)}i", *ids)


def test_importance(tool):
    """The sums of squares that calibrate --importance writes; those of the first layer, computed here."""
    values, _ = gm.make("i", "qwen3")
    ids = [(7 * i * i + 3) % 48 for i in range(70)]
    with open("ids.npy", "wb") as file:
        file.write(npy_of(ids))
    tool.passes("calibrate", "i", "--data", "ids.npy", "--importance", "--seq-len", "32", "-o", "i.gguf", "--device",
                "cpu", "--force")
    file = read_gguf.read("i.gguf")
    weights = {f"blk.{layer}.{part}.weight" for layer in range(gm.LAYERS) for part in gm.MODULES.values()
               if "norm" not in part}
    tool.check(set(file.tensors) == {w + e for w in weights for e in (".in_sum2", ".counts")}, f"{set(file.tensors)}")
    tool.check(file.metadata == {"general.type": "imatrix", "imatrix.datasets": ["ids.npy"], "imatrix.chunk_count": 3,
                                 "imatrix.chunk_size": 32}, f"{file.metadata}")
    embedding, gain = values["model.embed_tokens.weight"], values["model.layers.0.input_layernorm.weight"]
    wanted = [0.0] * gm.HIDDEN
    for token in ids:
        row = embedding[gm.HIDDEN * token:gm.HIDDEN * (token + 1)]
        scale = 1 / math.sqrt(sum(v * v for v in row) / gm.HIDDEN + 1e-5)
        for i, v in enumerate(row):
            wanted[i] += (v * scale * gain[i]) ** 2
    for part in ("attn_q", "attn_k", "attn_v"):
        got = file.values(f"blk.0.{part}.weight.in_sum2")
        tool.check(all(abs(a / b - 1) < 1e-5 for a, b in zip(got, wanted)) and len(got) == gm.HIDDEN, f"{part}: {got}")
    tool.check(all(file.values(w + ".counts") == [70.0] for w in weights), "counts")
    tool.refused("is an importance matrix", "inspect", "i.gguf", "--device", "cpu")
    for words, part in ((("--importance", "-o", "x.gguf"), "--importance needs MODEL"),
                        (("i", "--data", "ids.npy", "--importance"), "-o OUT.gguf is required"),
                        (("i", "--data", "ids.npy", "--importance", "-o", "x.gguf", "--sym"), "collects no ranges")):
        tool.refused(part, "calibrate", *words, "--device", "cpu", codes=(2,))


def imatrix_dat(entries, calls=2, tail=b""):
    """The older kind: means times calls."""
    data = struct.pack("<i", len(entries))
    for name, means in entries.items():
        data += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", calls, len(means))
        data += struct.pack(f"<{len(means)}f", *(m * calls for m in means))
    return data + tail


def imatrix_gguf(entries, tokens=8, **metadata):
    tensors = []
    for name, means in sorted(entries.items()):
        sums = struct.pack(f"<{len(means)}f", *(m * tokens for m in means))
        tensors.append((name + ".in_sum2", (len(means),), 0, sums))
        tensors.append((name + ".counts", (1,), 0, struct.pack("<f", tokens)))
    return gm.gguf_bytes({"general.type": ("str", "imatrix"), "imatrix.datasets": (["str"], ["words"]),
                          "imatrix.chunk_count": ("I", 3), "imatrix.chunk_size": ("I", 8), **metadata}, tensors)


def put(path, data):
    with open(path, "wb") as file:
        file.write(data)


def test_imatrix(tool, sample):
    """Columns that matter more have smaller errors; files of both kinds say the same; what does not fit is refused."""
    only = ("--exclude", "layers.[1-9]", "--exclude", "embed|lm_head")
    means = [64.0 if i % 8 == 0 else 0.0 if i % 8 == 1 else 1.0 for i in range(256)]
    entries = {f"blk.{layer}.{part}.weight": means for layer in range(6)
               for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up")}
    put("new.gguf", imatrix_gguf(entries))
    put("old.dat", imatrix_dat(entries))
    put("tail.dat", imatrix_dat(entries, tail=struct.pack("<ii", 3, 5) + b"words"))
    plain, _ = write(tool, sample, "--type", "Q4_K_S", *only, out="plain.gguf")
    files = [write(tool, sample, "--type", "Q4_K_S", "--imatrix", name, *only, out="weighed.gguf")
             for name in ("new.gguf", "old.dat", "tail.dat")]
    (weighed, run) = files[0]
    tool.check(all(f.tensors == weighed.tensors for f, _ in files), "files of both kinds give other bytes")
    wanted = {"file": "new.gguf", "dataset": "words", "entries_count": 36, "chunks_count": 3}
    keys = {key: weighed.metadata.get("quantize.imatrix." + key) for key in wanted}
    tool.check(keys == wanted, f"{keys}")
    tool.check("1 weight has a type that is quantized without importance" in run.out, run.out[:600])
    dense, _ = write(tool, sample, "--type", "F16", out="f.gguf")
    for name in ("blk.0.attn_q.weight", "blk.0.ffn_up.weight"):
        tool.check(weighed.tensors[name][0] == "Q4_K", f"{name}: {weighed.tensors[name][0]}")

        def errors(file, name=name):
            found = [0.0, 0.0]
            for i, (a, b) in enumerate(zip(file.values(name), dense.values(name))):
                found[i % 8 == 0] += (a - b) ** 2
            return found
        (rest, dear), (plain_rest, plain_dear) = errors(weighed), errors(plain)
        good = dear < 0.8 * plain_dear and rest < 3 * plain_rest
        tool.check(good, f"{name}: {dear} {plain_dear} {rest} {plain_rest}")
    put("some.dat", imatrix_dat({"blk.0.attn_q.weight": means}))
    _, run = write(tool, sample, "--type", "Q4_K_S", "--imatrix", "some.dat", *only, out="some.gguf")
    said = "has no entry for 5 weights, the first \"model.layers.0.mlp.gate_proj.weight\""
    tool.check(said in run.out, run.out[:600])

    def refused(part, data, *more, kind="Q4_K_S"):
        put("bad.dat", data)
        tool.refused(part, "quantize", sample, "-o", "bad.gguf", "--device", "cpu", "--type", kind, "--imatrix",
                     "bad.dat", *more)
        tool.check(not os.path.exists("bad.gguf"), f"{part}: something is written")

    one = {"blk.0.attn_q.weight": means}
    refused("has 255 numbers for \"blk.0.attn_q.weight\", which has 256",
            imatrix_dat({"blk.0.attn_q.weight": means[1:]}))
    for number in (float("nan"), float("inf"), -1.0):
        for make in (imatrix_dat, imatrix_gguf):
            refused("negative or not finite", make({"blk.0.attn_q.weight": [number] + means[1:]}))
    refused("collected from another model", imatrix_dat({"blk.9.attn_q.weight": means}))
    refused("searched by importance", imatrix_dat(one), kind="Q8_0")
    put("good.dat", imatrix_dat(one))
    tool.refused("--imatrix goes with --format gguf", "quantize", sample, "-o", "m", "--device", "cpu", "--imatrix",
                 "good.dat", codes=(2,))
    refused("not of the type imatrix", gm.gguf_bytes(gm.tiny_metadata(), []))
    refused("without its .counts", gm.gguf_bytes({"general.type": ("str", "imatrix")},
                                                 [("a.in_sum2", (2,), 0, bytes(8))]))
    refused("counts for 3 matrices", gm.gguf_bytes({"general.type": ("str", "imatrix")}, [
        ("a.in_sum2", (2,), 0, bytes(8)), ("a.counts", (1, 3), 0, bytes(12))]))
    whole = imatrix_dat(one)
    refused("was cut short", whole[:-8])
    refused("neither a GGUF file nor an imatrix", struct.pack("<i", 2 ** 30) + whole[4:])
    refused("neither a GGUF file nor an imatrix", struct.pack("<i", -1) + whole[4:])
    refused("has a name of 1073741824 bytes", whole[:4] + struct.pack("<i", 2 ** 30) + whole[8:])
    refused("too short", b"ab")
    refused("goes on behind its end", imatrix_dat(one, tail=struct.pack("<ii", 3, 5) + b"words."))
    refused("occurs twice", struct.pack("<i", 2) + 2 * whole[4:])
    tool.refused("--type Q2_K_S needs --imatrix", "quantize", sample, "-o", "bad.gguf", "--device", "cpu", "--type",
                 "Q2_K_S")


def test_mixes(tool, sample):
    """Types of a whole model; gguf_mix_test.cpp has many more. The rows of down_proj have 704 columns."""
    file, run = write(tool, sample, "--type", "q4_k_m", out="mix.gguf")
    kinds = {name: kind for name, (kind, _, _) in file.tensors.items() if kind != "F32"}
    # Layers 2 and 5 of six have more bits.
    wanted = {"token_embd.weight": "Q4_K", "output.weight": "Q6_K"}
    for layer in range(6):
        more = layer in (2, 5)
        for part in ("attn_q", "attn_k", "attn_output", "ffn_gate", "ffn_up"):
            wanted[f"blk.{layer}.{part}.weight"] = "Q4_K"
        wanted[f"blk.{layer}.attn_v.weight"] = "Q6_K" if more else "Q4_K"
        wanted[f"blk.{layer}.ffn_down.weight"] = "Q8_0" if more else "Q5_0"
    tool.check(kinds == wanted, f"{ {k: v for k, v in kinds.items() if wanted.get(k) != v} }")
    tool.check(file.metadata["general.file_type"] == 15, f"{file.metadata['general.file_type']}")
    tool.check("K 704 is not a multiple of 256: q5_0 instead of q4_k" in run.out, run.out[:300])
    file, _ = write(tool, sample, "--type", "Q4_K_M", "--rule", "up_proj=q8_0", "--rule", "v_proj=q3_k", "--exclude",
                    "embed_tokens", out="mix.gguf")
    kinds = {name: kind for name, (kind, _, _) in file.tensors.items()}
    tool.check((kinds["blk.0.ffn_up.weight"], kinds["blk.5.attn_v.weight"], kinds["blk.0.attn_q.weight"],
                kinds["token_embd.weight"]) == ("Q8_0", "Q3_K", "Q4_K", "F16"), f"{kinds}")
    tool.refused("is a mix of types for llama.cpp, which only --format gguf has", "quantize", sample, "-o", "m",
                 "--device", "cpu", "--type", "Q4_K_M", codes=(2,))
    tool.refused("unknown type \"Q4_K_M\"", "quantize", sample, "-o", "m.gguf", "--device", "cpu", "--rule", "x=Q4_K_M")


def test_writing_splits(tool, sample):
    whole, _ = write(tool, sample, "--type", "Q8_0", out="whole.gguf")
    words = ("quantize", sample, "-o", "parts", "--format", "gguf", "--type", "Q8_0", "--device", "cpu",
             "--split-max-size", "1500K")
    tool.passes(*words, "--force")
    names = sorted(os.listdir("parts"))
    tool.check(len(names) > 2 and names == [f"model-{i + 1:05}-of-{len(names):05}.gguf" for i in range(len(names))],
               f"{names}")
    tensors = {}
    for number, name in enumerate(names):
        part = read_gguf.read(os.path.join("parts", name))
        tool.check(sum(len(data) for _, _, data in part.tensors.values()) <= 1500000 or len(part.tensors) == 1, name)
        split = {k[6:]: v for k, v in part.metadata.items() if k.startswith("split.")}
        tool.check(split == {"no": number, "count": len(names), "tensors.count": 57}, f"{name}: {split}")
        rest = {k: v for k, v in part.metadata.items() if not k.startswith(("split.", "nibble."))}
        wanted = {k: v for k, v in whole.metadata.items() if not k.startswith("nibble.")} if number == 0 else {}
        tool.check(rest == wanted, f"{name}: other metadata")
        tensors.update(part.tensors)
    tool.check(tensors == whole.tensors and list(tensors) == list(whole.tensors), "the parts have other tensors")
    report = json.loads(tool.passes("compare", "parts", "whole.gguf", "--device", "cpu", "--json").out)
    tool.check(len(report["tensors"]) == 57 and all(t["max_abs"] == 0 for t in report["tensors"]), "the parts differ")
    tool.refused("exists and is not empty", *words)
    tool.passes(*words, "--force")
    tool.refused("--split-max-size writes a folder", "quantize", sample, "-o", "p.gguf", "--split-max-size", "1M",
                 codes=(2,))
    tool.refused("--split-max-size goes with --format gguf", "quantize", sample, "-o", "p", "--split-max-size", "1M",
                 codes=(2,))


def main():
    program, sample, scratch = sys.argv[1:]
    sample = os.path.abspath(sample)
    tool = Tool(program, scratch)
    test_importance(tool)
    test_imatrix(tool, sample)
    test_mixes(tool, sample)
    test_writing_splits(tool, sample)
    tool.end()


if __name__ == "__main__":
    main()
