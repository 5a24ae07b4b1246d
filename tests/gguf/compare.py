#!/usr/bin/env python3
"""Runs llama.cpp on GGUF files of nibble; run.sh calls it.

  compare.py NIBBLE TREE WORK
"""
import json
import os
import re
import struct
import subprocess
import sys
import unicodedata

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "model"), os.path.join(HERE, "..", "golden")]
import gguf_models as gm
import read_gguf

SAMPLE = os.path.join(HERE, "..", "data", "tiny-kjv-llama")
TOKENIZERS = os.path.join(HERE, "..", "tokenizer", "data")
# The largest rise of perplexity over F16, as a share.
BOUNDS = {"F32": 0.001, "F16": 0, "BF16": 0.003, "q8_0": 0.003, "q5_1": 0.02, "q5_0": 0.02, "q4_1": 0.04,
          "q4_0": 0.04, "mxfp4": 0.08}
ENTER = """tree=$1 work=$2
shift 2
mount -t proc proc "$tree/proc" && mount -t tmpfs tmp "$tree/tmp" && mount --bind "$work" "$tree/mnt" || exit 1
exec chroot "$tree" env -i HOME=/tmp LANG=C.UTF-8 PATH=/usr/bin:/bin "$@"
"""


class Peer:
    def __init__(self, nibble, tree, work):
        self.nibble, self.tree, self.work = nibble, tree, work
        self.failures = 0

    def check(self, holds, text):
        self.failures += not holds
        print("PASS" if holds else "FAIL", text, flush=True)

    def quantize(self, model, name, *options):
        out = os.path.join(self.work, name)
        subprocess.run([self.nibble, "quantize", model, "-o", out, "--device", "cpu", "--force", *options], check=True,
                       stdout=subprocess.DEVNULL)

    def inside(self, *words, stdin=None):
        """Runs a program of the tree, with WORK in /mnt. Returns what it printed."""
        done = subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--propagation",
                               "private", "sh", "-c", ENTER, "sh", self.tree, self.work, *words],
                              input=stdin or b"", stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            print(done.stderr.decode("utf-8", "replace")[-2000:], file=sys.stderr)
            raise SystemExit(f"{words}: ended with {done.returncode}")
        return done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

    def perplexity(self, name, text, *options):
        """Of windows of 256 tokens. The program may end before it has printed the last of them: then again."""
        words = ("llama-perplexity", "-m", "/mnt/" + name, "-f", "/mnt/" + text, "-c", "256", "-b", "256", "-t", "2")
        for _ in range(20):
            out, err = self.inside(*words, *options)
            found = re.findall(r"\[\d+\]([0-9.]+),", out + err)
            windows = re.search(r"over (\d+) chunks", out + err)
            if windows and len(found) == int(windows[1]):
                break
        if not found:
            raise SystemExit(f"{name}: no perplexity: {(out + err)[-3000:]}")
        return float(found[-1])

    def tokens(self, name, text, *options):
        out, _ = self.inside("llama-tokenize", "-m", "/mnt/" + name, "--ids", "--stdin", "--log-disable", *options,
                             stdin=text.encode())
        return json.loads(out.strip().splitlines()[-1])


def sample_types(peer):
    with open(os.path.join(SAMPLE, "test.txt"), encoding="utf-8") as file:
        text = file.read().replace("<|endoftext|>", "")
    with open(os.path.join(peer.work, "plain.txt"), "w", encoding="utf-8") as file:
        file.write(text[:60000])
    found = {}
    for kind in ("F16", *[k for k in BOUNDS if k != "F16"]):
        peer.quantize(SAMPLE, kind + ".gguf", "--type", kind)
        found[kind] = peer.perplexity(kind + ".gguf", "plain.txt")
        change = found[kind] / found["F16"] - 1
        peer.check(change <= BOUNDS[kind], f"{kind}: perplexity {found[kind]:.4f}, {100 * change:+.2f} %")
    peer.quantize(SAMPLE, "all.gguf", "--type", "q8_0", "--include", "embed_tokens|lm_head")
    change = peer.perplexity("all.gguf", "plain.txt") / found["F16"] - 1
    peer.check(change <= 0.003, f"q8_0 with embedding and head: {100 * change:+.2f} %")
    ours = nibble_perplexity(peer, SAMPLE, "plain.txt")
    peer.check(abs(ours / found["F16"] - 1) < 1e-4, f"F16: nibble has {ours:.4f}")


def nibble_perplexity(peer, model, text):
    words = [peer.nibble, "eval", model, "--data", os.path.join(peer.work, text), "--protocol", "llamacpp", "--window",
             "256", "--device", "cpu", "--json"]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return json.loads(done.stdout)["perplexity"]


def sample_ids(peer):
    """The ids of the test text, special tokens included."""
    with open(os.path.join(SAMPLE, "test.txt"), encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(SAMPLE, "test_ids.npy"), "rb") as file:
        data = file.read()
    (size,) = struct.unpack_from("<H", data, 8)
    wide = b"<i4" in data[:10 + size] or b"<u4" in data[:10 + size]
    data = data[10 + size:]
    ids = list(struct.unpack(f"<{len(data) // 4}I" if wide else f"<{len(data) // 2}H", data))
    got = peer.tokens("F16.gguf", text)
    peer.check(got == ids, f"{len(ids)} ids of the sample's test text")


def tokenizers(peer):
    with open(os.path.join(TOKENIZERS, "texts.json"), encoding="utf-8") as file:
        texts = json.load(file)
    for name in ("gpt2", "llama3", "qwen2", "starcoder", "tekken", "llama2", "mistral", "spm_bpe"):
        folder = os.path.join(peer.work, "tokens-" + name)
        gm.make(folder, "llama", vocabulary=2500, tokenizer=os.path.join(TOKENIZERS, name))
        peer.quantize(folder, name + ".gguf", "--type", "F16")
        with open(os.path.join(TOKENIZERS, name, "vectors.json"), encoding="utf-8") as file:
            vectors = json.load(file)
        # Differences that nibble tells of: composed characters, and a space in front of a text that begins with one.
        other = []
        told = {"qwen2": lambda text: unicodedata.normalize("NFC", text) != text,
                "mistral": lambda text: text.startswith(" ")}.get(name, lambda text: False)
        sample = [i for i, text in enumerate(texts) if "\0" not in text and 5 < len(text) < 300 and not told(text)][:40]
        for i in sample:
            if peer.tokens(name + ".gguf", texts[i], "--no-bos") != vectors["encoded"][i]:
                other.append(texts[i])
        same = f"{len(sample) - len(other)} of {len(sample)} texts have the same ids"
        peer.check(not other, f"{name}: {same} {other[:3] or ''}")


def families(peer):
    text = os.path.join(peer.work, "short.txt")
    with open(os.path.join(SAMPLE, "test.txt"), encoding="utf-8") as file:
        plain = file.read().replace("<|endoftext|>", "")[:6000]
    with open(text, "w", encoding="utf-8") as file:
        file.write(plain)
    for family in gm.FAMILIES:
        folder = os.path.join(peer.work, family)
        gm.make(folder, family, vocabulary=1024, tokenizer=SAMPLE)
        peer.quantize(folder, family + ".gguf", "--type", "F32")
        exact = ("-ctk", "f32", "-ctv", "f32", "-fa", "off")
        theirs = peer.perplexity(family + ".gguf", "short.txt", *exact)
        ours = nibble_perplexity(peer, folder, "short.txt")
        peer.check(abs(theirs / ours - 1) < 1e-6, f"{family}: llama.cpp {theirs:.4f}, nibble {ours:.4f}")
        # A file with a fault must differ, or the comparison sees nothing.
        faulty = swap_rows(os.path.join(peer.work, family + ".gguf"), os.path.join(peer.work, "faulty.gguf"))
        wrong = peer.perplexity("faulty.gguf", "short.txt", *exact)
        peer.check(abs(wrong / ours - 1) > 1e-3, f"{family}: {faulty} in another order of rows: {wrong:.4f}")


def swap_rows(path, out):
    """Interleaves the halves of the first layer's heads of queries once more."""
    with open(path, "rb") as file:
        data = file.read()
    _, dims, blob = read_gguf.Gguf(data).tensors["blk.0.attn_q.weight"]
    size = 4 * dims[0]
    rows = [blob[at:at + size] for at in range(0, len(blob), size)]
    swapped = []
    for head in range(0, len(rows), gm.HEAD):
        for i in range(gm.HEAD // 2):
            swapped += [rows[head + i], rows[head + gm.HEAD // 2 + i]]
    at = data.index(blob)
    with open(out, "wb") as file:
        file.write(data[:at] + b"".join(swapped) + data[at + len(blob):])
    return "attn_q"


def gguf_py(peer):
    """The values that llama.cpp's own Python package decodes are those of our reader."""
    script = """import sys, gguf, numpy
for t in gguf.GGUFReader(sys.argv[1]).tensors:
    if t.name.startswith("blk.2."):
        v = gguf.quants.dequantize(t.data, t.tensor_type).astype(numpy.float64).ravel()
        print(t.name, len(v), v[:64].tolist(), sep="|")
"""
    for kind in BOUNDS:
        out, _ = peer.inside("python3", "-c", script, f"/mnt/{kind}.gguf")
        file = read_gguf.read(os.path.join(peer.work, kind + ".gguf"))
        good, lines = True, out.strip().splitlines()
        for line in lines:
            name, count, values = line.split("|")
            ours = file.values(name)
            good = good and int(count) == len(ours) and json.loads(values) == ours[:64]
        peer.check(good and len(lines) == 9, f"{kind}: gguf-py decodes {len(lines)} tensors to the same values")


def main():
    nibble, tree, work = sys.argv[1:]
    peer = Peer(nibble, tree, work)
    print(peer.inside("llama-perplexity", "--version")[1].strip().splitlines()[0])
    sample_types(peer)
    sample_ids(peer)
    gguf_py(peer)
    families(peer)
    tokenizers(peer)
    sys.exit(1 if peer.failures else 0)


if __name__ == "__main__":
    main()
