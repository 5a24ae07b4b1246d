#!/usr/bin/env python3
"""Encoders of texts and images: masked-token loss, outputs, quantization, and the verbs that refuse them.

  encoders_tool.py NIBBLE ENCODERS SCRATCH

ENCODERS: folder of small encoders with golden files (tests/arch/encoders).
"""
import array
import ast
import json
import math
import os
import shutil
import string
import struct
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tool"), os.path.join(HERE, "..", "golden")]
import read_safetensors
from checkpoints import read_tensors
from tool import Tool, write_ids

LETTERS = string.ascii_lowercase
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *("##" + c for c in LETTERS), *"0123"]
CPU = ("--device", "cpu")
MODULES = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
           "intermediate.dense", "output.dense"]


def read_npy(path):
    with open(path, "rb") as file:
        data = file.read()
    assert data[:8] == b"\x93NUMPY\x01\0", data[:8]
    (size,) = struct.unpack("<H", data[8:10])
    header = ast.literal_eval(data[10:10 + size].decode())
    assert header["descr"] == "<f4" and not header["fortran_order"] and (10 + size) % 64 == 0, header
    values = array.array("f", data[10 + size:])
    assert len(values) == math.prod(header["shape"])
    return header["shape"], values


def golden(folder, name):
    dtype, shape, data = read_tensors(folder)[name]
    return shape, array.array({"F32": "f", "I32": "i"}[dtype], data)


def farthest(found, expected):
    return max(abs(a - b) for a, b in zip(found, expected, strict=True))


def evaluated(tool, model, *options):
    return json.loads(tool.passes("eval", model, "--json", *CPU, *options).out or "{}")


def test_outputs(tool, encoders):
    """Hidden states and pooled values of the golden texts, and of texts of their own lengths beside each other."""
    for name in ("bert_plain", "bert_bare", "roberta_bare"):
        model = os.path.join(encoders, name)
        os.makedirs("golden", exist_ok=True)
        shutil.copy(os.path.join(model, "golden.safetensors"), "golden/model.safetensors")
        for text in "01":
            _, ids = golden("golden", "ids." + text)
            shape, hidden = golden("golden", "hidden." + text)
            _, pooled = golden("golden", "pooled." + text)
            write_rows("row.npy", [ids])
            tool.passes("eval", model, "--data", "row.npy", "--outputs", "hidden=h.npy", "--outputs", "pooled=p.npy",
                        "--force", *CPU)
            found_shape, found = read_npy("h.npy")
            tool.check(list(found_shape) == [1, *shape] and farthest(found, hidden) < 1e-3, f"{name}: hidden states")
            found_shape, found = read_npy("p.npy")
            tool.check(list(found_shape) == [1, shape[1]] and farthest(found, pooled) < 1e-4, f"{name}: pooled values")

    write_jsonl("texts.jsonl", ["abc def", "x", "hello worlds"])
    tool.passes("eval", "bert", "--data", "texts.jsonl", "--outputs", "pooled=all.npy", *CPU)
    shape, together = read_npy("all.npy")
    tool.check(shape == (3, 32), f"shape {shape}")
    for i, ids in enumerate(([2, 5, 32, 33, 8, 35, 36, 3], [2, 28, 3])):
        write_rows("row.npy", [ids])
        tool.passes("eval", "bert", "--data", "row.npy", "--outputs", "pooled=one.npy", "--force", *CPU)
        _, alone = read_npy("one.npy")
        tool.check(farthest(together[32 * i:32 * i + 32], alone) < 1e-5, f"text {i} alone and beside others")
    tool.refused("the texts have 3 to 13 tokens", "eval", "bert", "--data", "texts.jsonl", "--outputs", "hidden=no.npy",
                 *CPU)
    tool.refused("text 3 has 13 tokens with the special ones; the model reads 12", "eval", "bert", "--data",
                 "texts.jsonl", "--window", "12", "--outputs", "pooled=no.npy", *CPU)
    tool.refused("the model has no pooler, roberta.pooler.dense", "eval", os.path.join(encoders, "roberta_plain"),
                 "--data", "row.npy", "--outputs", "pooled=no.npy", *CPU)
    for wrong in ("logits=a.npy", "states=a.npy", "pooled", "pooled=a.txt"):
        tool.refused("--outputs " + wrong, "eval", "bert", "--data", "row.npy", "--outputs", wrong, *CPU, codes=(2,))


def write_rows(path, rows):
    header = repr({"descr": "<i4", "fortran_order": False, "shape": (len(rows), len(rows[0]))}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header)
        for row in rows:
            file.write(array.array("i", row).tobytes())


def write_images(path, shape, values):
    header = repr({"descr": "<f4", "fortran_order": False, "shape": tuple(shape)}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + array.array("f", values).tobytes())


def test_images(tool, encoders):
    heads = {"vit_plain": "logits", "vit_sides": "logits", "vit_bare": "pooled", "clip_projection": "embedding",
             "clip_vision": "pooled", "clip_both": "embedding"}
    for name, kind in heads.items():
        model = os.path.join(encoders, name)
        shutil.copy(os.path.join(model, "golden.safetensors"), "golden/model.safetensors")
        for text in "01":
            shape, pixels = golden("golden", "pixels." + text)
            write_images("images.npy", shape, pixels)
            tool.passes("eval", model, "--data", "images.npy", "--outputs", "hidden=h.npy", "--outputs",
                        kind + "=p.npy", "--force", *CPU)
            for what, path in (("hidden", "h.npy"), ("pooled" if kind == "pooled" else "logits", "p.npy")):
                shape, expected = golden("golden", f"{what}.{text}")
                found_shape, found = read_npy(path)
                tool.check(list(found_shape) == shape and farthest(found, expected) < 1e-3, f"{name}: {what}")
        # Quantized: near, but not the same.
        if name in ("vit_plain", "clip_projection"):
            tool.passes("quantize", model, "-o", "q", "--force", "--type", "int8", "--group-size", "16", *CPU)
            tool.passes("eval", "q", "--data", "images.npy", "--outputs", kind + "=q.npy", "--force", *CPU)
            distance = farthest(read_npy("q.npy")[1], read_npy("p.npy")[1])
            tool.check(0 < distance < 0.1, f"{name}: int8 is {distance} away")
    # The text part of a whole CLIP is quantized; the image part as before.
    tool.passes("quantize", os.path.join(encoders, "clip_both"), "-o", "q", "--force", "--type", "int8", "--group-size",
                "16", *CPU)
    tool.passes("eval", "q", "--data", "images.npy", "--outputs", "embedding=q.npy", "--force", *CPU)
    tool.check(read_npy("q.npy")[1] == read_npy("p.npy")[1], "clip_both: another embedding")

    vit = os.path.join(encoders, "vit_plain")
    tool.refused("images are 1 x 3 x 8 x 8; the model reads 3 x 16 x 16", "eval", vit, "--data", "images.npy",
                 "--outputs", "logits=no.npy", *CPU)
    write_images("images.npy", (3, 16, 16), [0.5] * 767 + [math.nan])
    tool.refused("image 1 has a value that is not finite", "eval", vit, "--data", "images.npy", "--outputs",
                 "logits=no.npy", *CPU)
    write_images("images.npy", (3, 16, 16), [0.5] * 768)
    data = ("--data", "images.npy", *CPU)
    tool.refused("vit models have hidden, pooled, logits", "eval", vit, "--outputs", "embedding=no.npy", *data,
                 codes=(2,))
    tool.refused("the model has no pooler, vit.pooler.dense", "eval", vit, "--outputs", "pooled=no.npy", *data)
    tool.refused("MODEL: vit models read images", "eval", vit, *data, codes=(2,))
    tool.refused("--type: vit models are quantized by nibble quantize alone", "eval", vit, "--type", "int8",
                 "--outputs", "logits=no.npy", *data, codes=(2,))
    only = "vit models read images, which `nibble eval --outputs` alone gives them"
    tool.refused(only, "calibrate", vit, "--seq-len", "16", "-o", "no.json", *data)
    tool.refused(only, "compare", vit, vit, *data)
    tool.refused(only, "compare", vit, vit, "--ab", *data)
    tool.refused(only, "quantize", vit, "-o", "no", "--type", "int4", "--group-size", "16", "--method", "gptq",
                 "--calib", "images.npy", "--seq-len", "16", *CPU)


def write_jsonl(path, texts):
    with open(path, "w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"text": text}) + "\n")


def test_loss(tool):
    """Text is cut into windows with the special tokens in each: as the same ids from a file."""
    of_text = evaluated(tool, "bert", "--data", "text.txt", "--window", "20")
    with open("text.txt", encoding="utf-8") as file:
        words = file.read().split()
    ids = [VOCABULARY.index(("##" if i else "") + c) for word in words for i, c in enumerate(word)]
    rows = [[2, *ids[at:at + 18], 3] for at in range(0, len(ids) - 17, 18)]
    write_rows("rows.npy", rows)
    of_rows = evaluated(tool, "bert", "--data", "rows.npy", "--window", "20")
    tool.check(of_text["nll"] == of_rows["nll"] and of_text["windows"] == len(rows), f"{of_text}, {of_rows}")
    tool.check(of_text["protocol"] == "masked" and of_text["tokens"] == 3 * len(rows), f"{of_text}")
    some = evaluated(tool, "bert", "--data", "text.txt", "--window", "20", "--windows", "2")
    tool.check(some["tokens"] == 6, f"{some}")
    same = evaluated(tool, "bert", "--data", "text.txt", "--window", "20", "--against", "bert")
    tool.check(same["mean_kl"] == 0 and same["nll_delta"] == 0 and same["nll"] == of_text["nll"], f"{same}")
    out = tool.passes("eval", "bert", "--data", "text.txt", *CPU).out
    tool.check("pseudo-perplexity" in out and "15 % masked at once" in out, out)


def test_quantized(tool, encoders):
    tool.passes("quantize", "bert", "-o", "q4", "--type", "int4", "--group-size", "16", *CPU)
    names = {row[0] for row in read_safetensors.read("q4/model.safetensors")[0]}
    wanted = {f"bert.encoder.layer.{i}.{module}" for i in range(2) for module in MODULES}
    packed = {name[:-len(".weight_packed")] for name in names if name.endswith(".weight_packed")}
    tool.check(packed == wanted, f"quantized are {sorted(packed ^ wanted)}")
    tool.passes("quantize", "bert", "-o", "gptq", "--type", "int4", "--group-size", "16", "--method", "gptq", "--calib",
                "text.txt", "--seq-len", "32", *CPU)
    losses = {model: evaluated(tool, model, "--data", "text.txt", "--against", "bert")["mean_kl"]
              for model in ("q4", "gptq")}
    tool.check(0 < losses["gptq"] < losses["q4"] < 0.5, f"KL {losses}")
    in_memory = evaluated(tool, "bert", "--data", "text.txt", "--against", "bert", "--type", "int4", "--group-size",
                          "16")
    tool.check(abs(in_memory["mean_kl"] - losses["q4"]) < 1e-6, f"{in_memory}, {losses}")
    for activations, calib in (("int8-token", ()), ("int8-static", ("--calib", "text.txt", "--seq-len", "32"))):
        tool.passes("quantize", "bert", "-o", "w8", "--force", "--type", "int8", "--activations", activations,
                    *calib, *CPU)
        found = evaluated(tool, "w8", "--data", "text.txt", "--against", "bert")["mean_kl"]
        tool.check(0 < found < 1e-2, f"{activations}: KL {found}")
    done = tool.passes("compare", "q4", "gptq", "--ab", "--data", "text.txt", "--window", "20", "--against", "bert",
                       "--json", *CPU)
    tool.check('"kl"' in done.out, done.out)
    done = tool.passes("compare", "bert", "q4", "--data", "text.txt", "--json", *CPU)
    tool.check(all(module in done.out for module in wanted), "compare lacks layers")
    tool.passes("calibrate", "bert", "--data", "text.txt", "--seq-len", "32", "-o", "c.json", *CPU)
    with open("c.json", encoding="utf-8") as file:
        found = {name.removesuffix(".input") for name in json.load(file)["tensors"]}
    tool.check(wanted == found, f"calibrated: {sorted(wanted ^ found)}")
    # Names without "bert.", and RoBERTa's.
    write_rows("row.npy", [[3, 4, 5, 6]])
    for name in ("bert_bare", "roberta_plain"):
        model = os.path.join(encoders, name)
        tool.passes("quantize", model, "-o", "q", "--force", "--type", "int8", "--group-size", "-1", *CPU)
        for folder, path in ((model, "dense.npy"), ("q", "h.npy")):
            tool.passes("eval", folder, "--data", "row.npy", "--outputs", "hidden=" + path, "--force", *CPU)
        distance = farthest(read_npy("dense.npy")[1], read_npy("h.npy")[1])
        tool.check(0 < distance < 0.2, f"{name}: hidden states of int8 are {distance} away")


def test_refused(tool, encoders):
    text = ("--data", "text.txt", *CPU)
    calib = ("--calib", "text.txt", "--seq-len", "32", *CPU)
    tool.refused("bert models are encoders, and an encoder does not generate", "generate", "bert", "--prompt", "a",
                 *CPU)
    tool.refused("--kv: bert models are encoders", "eval", "bert", "--kv", "q8_0", *text, codes=(2,))
    tool.refused("--kv: bert models are encoders", "eval", "bert", "--kv-rotate", *text, codes=(2,))
    tool.refused("--stride: bert models are encoders", "eval", "bert", "--stride", "8", *text, codes=(2,))
    tool.refused("--protocol llamacpp: bert models are encoders", "eval", "bert", "--protocol", "llamacpp", *text,
                 codes=(2,))
    write_jsonl("questions.jsonl", [])
    tool.refused("--choices: bert models are encoders", "eval", "bert", "--choices", "questions.jsonl", *CPU)
    tool.refused("MODEL: bert models are encoders", "suggest", "bert", *CPU)
    tool.refused("MODEL: bert models are encoders", "validate", "bert", "--against", "bert", *text)
    tool.refused("--sensitivity: bert models are encoders", "compare", "bert", "bert", "--sensitivity", *text)
    tool.refused("--transform awq: bert models are encoders", "quantize", "bert", "-o", "no", "--type", "int4",
                 "--transform", "awq", *calib)
    tool.refused("--budget and --size: bert models are encoders", "quantize", "bert", "-o", "no", "--budget", "6",
                 *calib)
    tool.refused('model_type is "bert"; --format gguf writes', "quantize", "bert", "-o", "no", "--format", "gguf",
                 "--type", "q8_0", *CPU)
    llama = os.path.join(encoders, "..", "data", "llama_plain")
    write_ids("ids.npy", 64, 61)
    tool.refused("--outputs: llama models are no encoders", "eval", llama, "--data", "ids.npy", "--outputs",
                 "pooled=no.npy", *CPU, codes=(2,))
    tool.refused("an encoder cannot be compared with a decoder", "eval", "bert", "--against", llama, *text)
    tool.refused("an encoder cannot be compared with a decoder", "compare", "bert", llama, "--ab", "--data", "ids.npy",
                 "--window", "16", *CPU)
    tool.refused("no head that predicts tokens", "eval", "bare", "--window", "16", *text)
    # A vocabulary without [MASK].
    shutil.copytree("bert", "maskless")
    with open("maskless/vocab.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(VOCABULARY[:4] + VOCABULARY[5:]))
    tool.refused("the tokenizer has no mask token", "eval", "maskless", *text)


def main():
    encoders = os.path.abspath(sys.argv[2])
    tool = Tool(sys.argv[1], sys.argv[3])
    for name, folder, count in (("bert_plain", "bert", 61), ("bert_bare", "bare", 31)):
        shutil.copytree(os.path.join(encoders, name), folder)
        with open(folder + "/vocab.txt", "w", encoding="utf-8") as file:
            file.write("\n".join(VOCABULARY[:count]) + "\n")
    with open("text.txt", "w", encoding="utf-8") as file:
        file.write(" ".join(LETTERS[i * i % 26] + LETTERS[i % 23] * (i % 5) for i in range(1, 200)))
    test_outputs(tool, encoders)
    test_images(tool, encoders)
    test_loss(tool)
    test_quantized(tool, encoders)
    test_refused(tool, encoders)
    tool.end()


main()
