#!/usr/bin/env python3
"""Runs llama.cpp on GGUF files of nibble; run.sh calls it.

  compare.py NIBBLE TREE LOADERS WORK      LOADERS: the tree that has transformers
"""
import array
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
import gguf_families as gf
import gguf_models as gm
import read_gguf

SAMPLE = os.path.join(HERE, "..", "data", "tiny-kjv-llama")
TOKENIZERS = os.path.join(HERE, "..", "tokenizer", "data")
# The largest rise of perplexity over F16, as a share.
BOUNDS = {"F32": 0.001, "F16": 0, "BF16": 0.003, "Q8_0": 0.003, "Q6_K": 0.005, "Q5_K_M": 0.01, "Q5_K_S": 0.01,
          "Q5_1": 0.02, "Q5_0": 0.02, "Q4_K_M": 0.03, "Q4_K_S": 0.03, "IQ4_NL": 0.03, "IQ4_XS": 0.03, "Q4_1": 0.04,
          "Q4_0": 0.04, "mxfp4": 0.08, "Q3_K_L": 0.1, "Q3_K_M": 0.1, "Q3_K_S": 0.2, "Q2_K": 0.4}
# Texts that llama.cpp reads in another way than transformers, as nibble says when it writes the file. It does not
# compose characters. With add_space_prefix it puts a space in front of every text and every piece behind a special
# token; Metaspace with prepend_scheme "first" only in front of a text, and only if that does not begin with a space.
TOLD = {"qwen2": lambda text: unicodedata.normalize("NFC", text) != text,
        "mistral": lambda text: text[0] in " \u2581" or re.search("(<s>|</s>|<unk>).", text) is not None}
ENTER = """tree=$1 work=$2 tests=$3
shift 3
mount -t proc proc "$tree/proc" && mount -t tmpfs tmp "$tree/tmp" && mount --bind "$work" "$tree/mnt" &&
  mount --bind -o ro "$tests" "$tree/srv" || exit 1
exec chroot "$tree" env -i HOME=/tmp LANG=C.UTF-8 PATH=/usr/bin:/bin "$@"
"""


class Peer:
    def __init__(self, nibble, tree, loaders, work):
        self.nibble, self.tree, self.loaders, self.work = nibble, tree, loaders, work
        self.failures = 0

    def check(self, holds, text):
        self.failures += not holds
        print("PASS" if holds else "FAIL", text, flush=True)

    def quantize(self, model, name, *options):
        out = os.path.join(self.work, name)
        subprocess.run([self.nibble, "quantize", model, "-o", out, "--device", "cpu", "--force", *options], check=True,
                       stdout=subprocess.DEVNULL)

    def inside(self, *words, stdin=None, tree=None):
        """Runs a program of the tree, with WORK in /mnt and this folder in /srv. Returns what it printed."""
        done = subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--propagation",
                               "private", "sh", "-c", ENTER, "sh", tree or self.tree, self.work, HERE, *words],
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

    def logits(self, name, text, *options):
        """The ids of the text, and llama.cpp's logits at every position."""
        self.inside("llama-results", "-m", "/mnt/" + name, "-f", "/mnt/" + text, "-t", "2", "-ctk", "f32",
                    "-ctv", "f32", "-fa", "off", "-o", "/mnt/results.gguf", *options)
        found = read_gguf.read(os.path.join(self.work, "results.gguf")).tensors
        ids = array.array("i", found["tokens"][2]).tolist()
        return ids, array.array("f", found["logits"][2])

    def reference(self, folder, ids):
        """The logits of transformers."""
        with open(os.path.join(self.work, "ids.json"), "w", encoding="utf-8") as file:
            json.dump(ids, file)
        self.inside("python3", "-B", "/srv/reference.py", "/mnt/" + folder, "/mnt/ids.json", "/mnt/logits",
                    tree=self.loaders)
        with open(os.path.join(self.work, "logits"), "rb") as file:
            return array.array("f", file.read())

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
    peer.quantize(SAMPLE, "parts", "--format", "gguf", "--type", "Q8_0", "--split-max-size", "1500K")
    (first,) = [name for name in os.listdir(os.path.join(peer.work, "parts")) if "-00001-of-" in name]
    parts = peer.perplexity("parts/" + first, "plain.txt")
    peer.check(parts == found["Q8_0"], f"Q8_0 in parts: {parts:.4f}")
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
        sample = [text for text in texts if "\0" not in text and 5 < len(text) < 300][:48]
        told = [text for text in sample if TOLD.get(name, lambda text: False)(text)]
        sample = [text for text in sample if text not in told][:40]
        # SentencePiece itself never reads special tokens in a text, as its file alone says.
        options = ["--no-bos"] + (["--no-parse-special"] if name == "spm_bpe" else [])
        encoded = dict(zip(texts, vectors["encoded"]))
        other = [text for text in sample if peer.tokens(name + ".gguf", text, *options) != encoded[text]]
        # A difference that is told must be there, or llama.cpp has changed and the note is no longer true.
        same_told = [text for text in told if peer.tokens(name + ".gguf", text, *options) == encoded[text]]
        if told:
            peer.check(not same_told, f"{name}: {len(told)} texts have other ids, as told {same_told or ''}")
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


def others(peer):
    """Families with other tensors: llama.cpp's logits are those of transformers."""
    with open(os.path.join(SAMPLE, "test.txt"), encoding="utf-8") as file:
        plain = file.read().replace("<|endoftext|>", "")
    # Family, other keys of its config.json, characters of the text, options of llama.cpp.
    cases = [("mixtral", {}, 300, ()), ("gemma2", {}, 300, ()), ("gemma3_text", {}, 300, ()), ("olmo2", {}, 300, ()),
             ("phi3", {"rope_scaling": None}, 300, ()),
             ("phi3", {}, 300, ("-c", "256")),  # short factors
             ("phi3", {}, 900, ("-c", "512"))]  # long factors
    for family, config, size, options in cases:
        with open(os.path.join(peer.work, "one.txt"), "w", encoding="utf-8") as file:
            file.write(plain[:size])
        gf.make(os.path.join(peer.work, family), family, vocabulary=1024, tokenizer=SAMPLE, **config)
        peer.quantize(os.path.join(peer.work, family), family + ".gguf", "--type", "F32")
        ids, theirs = peer.logits(family + ".gguf", "one.txt", *options)
        wanted = peer.reference(family, ids)
        far = max(abs(a - b) for a, b in zip(theirs, wanted)) / max(abs(v) for v in wanted)
        what = f"{family}{' ' + ' '.join(options) if options else ''}: {len(ids)} tokens"
        # llama.cpp takes GELU from a table of F16.
        bound = 1e-3 if gf.is_gemma(family) else 1e-5
        peer.check(len(theirs) == len(wanted) and far < bound, f"{what}, logits of transformers within {far:.1e}")
        # Quantized, a token may go to another expert, so only the mean tells.
        for kind, bound in (("F16", 0.002), ("q8_0", 0.05), ("q4_0", 0.3)):
            peer.quantize(os.path.join(peer.work, family), "typed.gguf", "--type", kind)
            _, typed = peer.logits("typed.gguf", "one.txt", *options)
            far = sum(abs(a - b) for a, b in zip(typed, wanted)) / sum(abs(v) for v in wanted)
            peer.check(0 < far < bound, f"{what} of {kind}: mean difference {far:.1e}")


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


def npy_of(ids):
    head = f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({len(ids)},), }}".encode()
    head += b" " * (-(11 + len(head)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + array.array("i", ids).tobytes()


def importance(peer):
    """nibble's importance is that of llama-imatrix for the same tokens, and llama-quantize takes it."""
    with open(os.path.join(peer.work, "plain.txt"), encoding="utf-8") as file:
        text = file.read()[:20000]
    with open(os.path.join(peer.work, "importance.txt"), "w", encoding="utf-8") as file:
        file.write(text)
    ids = peer.tokens("F32.gguf", text)
    with open(os.path.join(peer.work, "ids.npy"), "wb") as file:
        file.write(npy_of(ids[:len(ids) // 256 * 256]))  # llama-imatrix leaves out the rest
    subprocess.run([peer.nibble, "calibrate", SAMPLE, "--data", os.path.join(peer.work, "ids.npy"), "--importance",
                    "--seq-len", "256", "-o", os.path.join(peer.work, "ours.imatrix.gguf"), "--device", "cpu",
                    "--force"], check=True, stdout=subprocess.DEVNULL)
    for kind in ("gguf", "dat"):
        peer.inside("llama-imatrix", "-m", "/mnt/F32.gguf", "-f", "/mnt/importance.txt", "-c", "256", "-o",
                    "/mnt/theirs.imatrix." + kind, "--output-format", kind)
    ours, theirs = (read_gguf.read(os.path.join(peer.work, who + ".imatrix.gguf")) for who in ("ours", "theirs"))
    names = {name for name in theirs.tensors if name.endswith((".in_sum2", ".counts"))}
    far = max(max(abs(a - b) for a, b in zip(ours.values(name), theirs.values(name))) / max(theirs.values(name))
              for name in names & set(ours.tensors))
    peer.check(names == set(ours.tensors) and far < 1e-3, f"importance of {len(names) // 2} weights: within {far:.1e}")
    _, err = peer.inside("llama-quantize", "--imatrix", "/mnt/ours.imatrix.gguf", "/mnt/F32.gguf", "/mnt/out.gguf",
                         "Q2_K_S")
    peer.check("did not find weights" not in err, "llama-quantize --imatrix takes it")


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
    peer = Peer(*sys.argv[1:])
    print(peer.inside("llama-perplexity", "--version")[1].strip().splitlines()[0])
    sample_types(peer)
    sample_ids(peer)
    gguf_py(peer)
    importance(peer)
    families(peer)
    others(peer)
    tokenizers(peer)
    sys.exit(1 if peer.failures else 0)


if __name__ == "__main__":
    main()
