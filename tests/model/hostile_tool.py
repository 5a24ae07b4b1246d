#!/usr/bin/env python3
"""Runs `nibble` on models that are broken, or made to break it: none may crash it, hang it or fill the memory.

  hostile_tool.py NIBBLE SCRATCH [--only TEXT] [--list]

Every run ends within 10 seconds, with exit status 0 or 1 as expected, and takes at most 64 MB plus twice its input's
size more memory than a run on a model of one small tensor. A failing run writes one printable line to stderr, nothing
to stdout, and leaves neither OUT nor OUT.partial. A successful run writes only printable lines, few for small models,
and its output strictly follows the safetensors format.

The memory is ru_maxrss of the child. It includes the memory of this process before exec, so this script writes files in
small pieces, and starts the baseline run in the same way.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import read_safetensors
from decode_model import dynamic_map

SECONDS = 10
SLACK_KB = 64 << 10
Q = "model.layers.0.self_attn.q_proj"
EVERY = ("inspect", "names", "f32", "compare")
QUANTIZED = ("f32", "int4", "compare")
CONTAINER = ("inspect",) + QUANTIZED
UNREAD = QUANTIZED + ("unread",)  # inspect lists the tensors, and says that nibble does not read them
LATE = ("f32", "int4")  # verbs that read scales after they create OUT.partial


# ---------------------------------------------------------------------------------------------------- files


def write(path, *parts, size=None):
    """Writes bytes or strings; a part may be an iterator of them. `size`: the file is extended to it with a hole."""
    with open(path, "wb") as out:
        for part in parts:
            for piece in [part] if isinstance(part, (str, bytes)) else part:
                out.write(piece.encode() if isinstance(piece, str) else piece)
        if size is not None:
            out.truncate(size)


def raw(header, data=b"", length=None):
    """A file with that header, a string or bytes, and data."""
    header = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def quoted(text):
    return json.dumps(text)


def one(dtype="U8", shape="[4]", offsets="[0,4]", name='"a"'):
    return f'{{{name}:{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}'


def tensors(*rows, metadata=None):
    """A valid file of (name, dtype, shape, bytes)."""
    header, data = ({} if metadata is None else {"__metadata__": metadata}), []
    at = 0
    for name, dtype, shape, part in rows:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(part)]}
        data.append(part)
        at += len(part)
    return raw(json.dumps(header, separators=(",", ":")), b"".join(data))


def floats(count, value=0.5):
    return struct.pack("<f", value) * count


def dense(name=Q + ".weight", rows=2, columns=32, value=0.5):
    return name, "F32", [rows, columns], floats(rows * columns, value)


def folder(path, **files):
    """A folder of files; `model` and `config` stand for model.safetensors and config.json."""
    os.makedirs(path)
    names = {"model": "model.safetensors", "config": "config.json", "index": "model.safetensors.index.json"}
    for name, content in files.items():
        write(os.path.join(path, names.get(name, name)), content)
    return path


# ---------------------------------------------------------------------------------------------------- cases


class Case:
    """`make(path)` writes the model to path, or returns another path. `fails`: those of `verbs` that must return 1; the
    others return 0; None: either. `late`: verbs that find the error after they create OUT.partial, which is kept for
    --resume and must not block a run without it."""

    def __init__(self, name, make, fails=EVERY, verbs=EVERY, late=()):
        self.name, self.make, self.verbs, self.late = name, make, verbs, late
        self.fails = None if fails is None else set(fails)

    def wanted(self, verb):
        if self.fails is None:
            return {0, 1}
        # inspect too refuses quantized weights with contradicting parts, but does not read scales.
        if verb in ("inspect", "names") and self.fails == set(QUANTIZED):
            return {0 if self.late else 1}
        return {1 if verb in self.fails else 0}


def file_case(name, content, *arguments, **options):
    def make(path):
        write(path + ".safetensors", content)
        return path + ".safetensors"

    return Case(name, make, *arguments, **options)


def pair(name, broken, valid, *arguments, **options):
    """A broken file, and a valid one that differs only in the broken rule."""
    return [file_case(name, broken, *arguments, **options), file_case(name + " (valid)", valid, (), ("inspect", "f32"))]


def folder_case(name, fails=EVERY, verbs=EVERY, late=(), after=None, **files):
    def make(path):
        folder(path, **files)
        if after is not None:
            after(path)
        return path

    return Case(name, make, fails, verbs, late)


def container():
    """Rules of safetensors, each broken once."""
    good, four = one(), b"abcd"
    two = lambda b0, e0, b1, e1: raw(
        one("U8", f"[{abs(e0 - b0)}]", f"[{b0},{e0}]")[:-1] + "," +
        one("U8", f"[{abs(e1 - b1)}]", f"[{b1},{e1}]", '"b"')[1:], four)
    right = raw(good, four)
    out = []

    def add(name, broken, valid=right):
        out.extend(pair(name, broken, valid))

    for size in range(8):
        out.append(file_case(f"{size} bytes", right[:size]))
    for length in (len(good) + 5, len(good) + 1000, 10**8, 10**8 + 1, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1,
                   (1 << 64) - 8):
        out.append(file_case(f"a header of {length} bytes", raw(good, four, length)))
    add("a header that ends early", raw(good, four, len(good) - 1))
    add("a header of no bytes", struct.pack("<Q", 0), raw("{}"))
    add("a space before the brace", raw(" " + good, four), raw(good + "    ", four))
    add("a list", raw("[]"), raw("{}"))
    add("NUL as padding", raw(good + "\0", four))
    add("a second object", raw(good + "{}", four))
    add("a comma at the end", raw(good[:-1] + ",}", four))
    add("a comment", raw("{/**/" + good[1:], four))
    add("single quotes", raw(good.replace('"', "'"), four))
    add("a byte order mark", raw("\ufeff" + good, four))
    add("latin-1", raw(one(name='"\xe4"').encode("latin-1"), four), raw(one(name='"\xe4"'), four))
    add("an overlong slash", raw(one().encode().replace(b"a", b"\xc0\xaf", 1), four), raw(one(name='"/"'), four))
    add("a surrogate", raw(one(name=r'"\ud800"'), four), raw(one(name=r'"\ud83d\ude00"'), four))
    add("a NUL in a name", raw(one(name=r'"a\u0000b"'), four), raw(one(name=r'"a\u0001b"'), four))
    add("a control character in the text", raw(one(name='"a\x1b[2Jb"'), four), raw(one(name=r'"a\u001b[2Jb"'), four))
    add("an unknown escape", raw(one(name=r'"\x41"'), four), raw(one(name=r'"\\x41"'), four))
    add("no end", raw(good[:-3], four))
    # Keys
    add("a name twice", raw(one(shape="[2]", offsets="[0,2]")[:-1] + "," + one(shape="[2]", offsets="[2,4]")[1:], four),
        two(0, 2, 2, 4))
    add("a name twice, once escaped",
        raw(one(shape="[2]", offsets="[0,2]")[:-1] + "," + one(shape="[2]", offsets="[2,4]", name=r'"\u0061"')[1:],
            four),
        raw(one(shape="[2]", offsets="[0,2]")[:-1] + "," + one(shape="[2]", offsets="[2,4]", name=r'"\u0062"')[1:],
            four))
    for key in ('"dtype":"U8"', '"shape":[4]', '"data_offsets":[0,4]'):
        add("no " + key, raw(good.replace(key, "", 1).replace("{,", "{").replace(",,", ",").replace(",}", "}"), four))
        add("twice " + key, raw(good.replace(key, key + "," + key), four))
    add("an unknown key", raw(good.replace('"dtype"', '"order":"F","dtype"'), four))
    for value in ("[]", "null", "3", '""', "true"):
        add("an entry that is " + value, raw('{"a":' + value + "}"), raw("{}"))
    # __metadata__
    meta = lambda text: raw('{"__metadata__":' + text + "," + good[1:], four)
    for value in ('"pt"', "null", "[]", '{"step":1}', '{"step":{}}', '{"k":"1","k":"2"}', '{"k":null}'):
        add("metadata " + value, meta(value), meta('{"format":"pt"}'))
    add("metadata twice", raw('{"__metadata__":{},"__metadata__":{},' + good[1:], four), meta("{}"))
    # dtype
    for dtype in ("F7", "u8", "", "float32", "U8 ", "X" * 100000):
        add("dtype " + dtype[:20], raw(one(dtype), four))
    add("dtype a number", raw(good.replace('"U8"', "8"), four))
    # shape
    for shape in ("[-4]", "[4.0]", "[4e0]", "[04]", '["4"]', "4", "null", "[4,]", "[4,[1]]", "[18446744073709551620]",
                  "[9223372036854775808]", "[2,3]", "[]", "[1e400]", "[" + "1," * 2000 + "4]"):
        add("shape " + shape[:30], raw(one(shape=shape), four), raw(one(shape="[2,2]"), four))
    add("elements that overflow to none", raw(one(shape="[4294967296,4294967296]", offsets="[0,0]")),
        raw(one(shape="[4294967296,0]", offsets="[0,0]")))
    add("bits that overflow to none", raw(one("U64", "[1152921504606846976]", "[0,0]")),
        raw(one("U64", "[0]", "[0,0]")))
    add("half a byte", raw(one("F4", "[7]"), four), raw(one("F4", "[8]"), four))
    add("six bits", raw(one("F6_E2M3", "[5]"), four), raw(one("F6_E2M3", "[4]", "[0,3]"), four[:3]))
    add("a dtype of other bytes", raw(one("F32", "[2]"), four), raw(one("F16", "[2]"), four))
    add("a scalar of no bytes", raw(one("F32", "[]", "[0,0]")), raw(one("F32", "[]"), four))
    # data_offsets
    for offsets in ("[4]", "[0,4,4]", "[]", "4", "null", '["0","4"]', "[-1,3]", "[0,4.0]", "[0,1e30]", "[4,0]", "[1,5]",
                    "[9223372036854775808,9223372036854775812]", "[18446744073709551612,0]", "[0,18446744073709551620]",
                    "[9223372036854775803,9223372036854775807]", "[0,9223372036854775807]", "[[0],4]"):
        add("data_offsets " + offsets, raw(one(offsets=offsets), four))
    add("a hole", two(0, 1, 2, 4), two(0, 2, 2, 4))
    add("an overlap", two(0, 3, 2, 4), two(2, 4, 0, 2))
    add("the same bytes twice", two(0, 4, 0, 4), two(0, 0, 0, 4))
    add("an end before the begin", two(0, 4, 4, 2), two(0, 4, 4, 4))
    add("bytes of no tensor", raw(good, four + b"e"))
    add("missing bytes", raw(good, four[:3]))
    add("data and no tensor", raw("{}", b"a"), raw("{}"))
    # Depth
    for depth in (100, 10_000, 1_000_000):
        add(f"{depth} brackets", raw('{"a":{"shape":' + "[" * depth, four))
        add(f"{depth} braces", raw('{"a":' * depth, four))
        add(f"metadata of {depth} brackets", meta('{"a":' + "[" * depth + "]" * depth + "}"))
    return out


def damaged():
    """A file truncated at every seventh length, and with every seventh byte changed."""
    whole = tensors(dense(), ("model.norm.weight", "F16", [32], b"\0\x3c" * 32),
                    (Q + ".bias", "BF16", [2], b"\0\0\x80\x3f"), metadata={"format": "pt"})
    out = [file_case(f"cut after {size} bytes", whole[:size], EVERY, (EVERY[size % 2], EVERY[2 + size // 7 % 2]))
           for size in range(0, len(whole), 7)]
    header = struct.unpack("<Q", whole[:8])[0]
    for at in range(0, 8 + header, 7):
        changed = bytearray(whole)
        changed[at] ^= (1 << at % 7) | (at % 3 << 5)
        out.append(file_case(f"byte {at} changed", bytes(changed), None, (EVERY[at // 7 % 4],)))
    return out


NAMES = [
    "\x1b[2J\x1b[31mred\x07", "line\nline\r\ttab", "\u202egnp.\u2066", "a\u2028b\u2029c", "", " ", "../../etc/passwd",
    "/etc/passwd", "%s%n%100000d", "\x7f\x80\x9b31m", "\ufeff\ufffe\U000e0001", "a" * 5000, "'\";$(reboot)`", "\\x1b",
    "\U0001f600" * 100,
]


def names():
    """Hostile names: they cause no error, break no line and send no command to the terminal."""
    out = []
    for i, name in enumerate(NAMES):
        long = f"layers.0.{name}.q_proj.weight"
        out.append(file_case(f"name {i}", tensors(dense(name), dense(long), metadata={name: name}), (),
                             EVERY + ("int4",)))
        header = json.dumps({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 5]}})
        out.append(file_case(f"name {i} of a broken tensor", raw(header, b"abcde")))
        out.append(file_case(f"dtype like name {i}", raw(one().replace('"U8"', quoted(name)), b"abcd")))
        out.append(file_case(f"key like name {i}", raw(one().replace('"dtype"', quoted(name + "_")), b"abcd")))
        out.append(folder_case(f"shard like name {i}", index=json.dumps({"weight_map": {"a": name + "_"}})))
        out.append(folder_case(f"index with name {i}", index=json.dumps({"weight_map": {name: "x.safetensors"}}),
                               **{"x.safetensors": tensors(dense())}))
        out.append(file_case(f"NaN in name {i}", tensors(dense(long, value=float("nan"))), ("int4",), ("int4",),
                             late=("int4",)))
    for size in (3_000, 100_000, 1_000_000):
        verbs, fails = EVERY + ("int4", "exclude"), ("exclude",) if size > 4096 else ()
        out.append(file_case(f"a name of {size} bytes", tensors(dense("layers.0." + "a" * size + ".q_proj.weight")),
                             fails,
                             verbs))
        out.append(file_case(f"a name of layers, {size} bytes",
                             tensors(dense("layers.0." * (size // 9) + "k"), dense()),
                             fails, verbs))
    out.append(file_case("many rows beside one long name", tensors(
        dense("a" * 100_000), *[(f"t{i}", "F16", [1], b"\0\0") for i in range(300)]), ()))
    out.append(file_case("an output's name is there already", tensors(
        dense(), (Q + ".weight_packed", "F32", [1], floats(1))), None, EVERY + ("int4",)))
    out.append(file_case("a scale of no codes", tensors(dense(), (Q + ".weight_scale", "F32", [1], floats(1))),
                         UNREAD, EVERY + ("int4",)))
    return out


def sized():
    """Many small entries: memory depends on the file's size alone."""
    out = []

    def many(count, entry, metadata=""):
        def make(path):
            def pieces():
                for i in range(count):
                    yield ("," if i else "") + entry(i)

            size = sum(len(piece) for piece in pieces()) + 2 + len(metadata)
            write(path + ".safetensors", struct.pack("<Q", size), "{" + metadata, pieces(), "}")
            return path + ".safetensors"

        return make

    out.append(Case("20000 empty tensors",
                    many(20000, lambda i: f'"{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
                    ()))
    out.append(Case("20000 names twice", many(20000, lambda i: '"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}')))
    out.append(Case("5000 tensors of 64 dimensions", many(
        5000, lambda i: f'"{i}":{{"dtype":"U8","shape":[{"0," * 63}0],"data_offsets":[0,0]}}'), ()))
    out.append(Case("metadata of 100000 entries", many(
        1, lambda i: '"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}',
        '"__metadata__":{' + ",".join(f'"{i}":""' for i in range(100000)) + "},"), ()))
    out.append(Case("a header that is 90 MB of spaces",
                    lambda path: hole(path, raw("{", length=90_000_000), 90_000_008)))

    def hole(path, start, size):
        write(path + ".safetensors", start, size=size)
        return path + ".safetensors"

    out.append(Case("a header of 100 MB of NUL", lambda path: hole(path, struct.pack("<Q", 10**8), 10**8 + 8)))
    out.append(Case("a header of 100 MB in a file of 100 bytes",
                    lambda path: hole(path, struct.pack("<Q", 10**8), 100)))
    out.append(Case("a header of 2^40 bytes in a file of 2^41",
                    lambda path: hole(path, struct.pack("<Q", 1 << 40), 1 << 41)))
    return out


def index(weight_map, **more):
    return json.dumps({"metadata": {"total_size": 0}, "weight_map": weight_map, **more})


def places():
    """Other kinds of files in place of the files of a model."""
    good, name = tensors(dense()), Q + ".weight"
    shard = "model-00001-of-00001.safetensors"
    out = []

    def bad(case, text=None, files=None, **options):
        out.append(folder_case("index: " + case, index=index({name: shard}) if text is None else text,
                               **{shard: good, **(files or {})}, **options))

    bad("right", fails=())
    for file in ("../" + shard, "./" + shard, "/etc/passwd", "..", ".", "", "a/b", "..\\" + shard, "/" + shard, "x\0y"):
        bad("file " + repr(file), index({name: file}))
    bad("a missing shard", index({name: shard, "x": "model-00002-of-00002.safetensors"}))
    bad("shards of another number", index({name: "model-00002-of-00002.safetensors"}), fails=())
    bad("a tensor that is not there", index({name: shard, "x": shard}))
    bad("a tensor that is not named", index({}))
    bad("a tensor in two shards, one of which the index names", index({name: shard, "b": "b.safetensors"}),
        {"b.safetensors": tensors(dense(), dense("b"))}, fails=())
    bad("an unknown tensor in two shards", index({name: shard, "b": "b.safetensors"}),
        {shard: tensors(dense(), dense("c")), "b.safetensors": tensors(dense("c"), dense("b"))})
    bad("a shard of a broken kind", index({name: shard, "b": "b.safetensors"}), {"b.safetensors": good[:50]})
    bad("a shard that is pickle", index({name: "pytorch_model.bin"}), {"pytorch_model.bin": b"\x80\x02}."})
    bad("a shard that is the index", index({name: "model.safetensors.index.json"}))
    for case, text in {
        "empty": "", "a list": "[]", "a number": "3", "no map": "{}", "a map that is a list": '{"weight_map":[]}',
        "a file that is a number": '{"weight_map":{"a":1}}', "a file that is null": '{"weight_map":{"a":null}}',
        "two maps": '{"weight_map":{},"weight_map":{}}', "cut": index({name: shard})[:-2],
        "not UTF-8": b'{"weight_map":{"\xff":"a"}}',
        "a name twice": index({name: shard})[:-2] + f',"{name}":"{shard}"}}}}',
        "deep": '{"metadata":' + "[" * 100000 + "]" * 100000 + "}", "deep and open": "[" * 1000000,
        "more behind it": index({name: shard}) + "x",
    }.items():
        bad(case, text)

    def special(case, kind, target="model.safetensors", fails=EVERY, **files):
        def after(path):
            place = os.path.join(path, target)
            if kind == "fifo":
                os.mkfifo(place)
            elif kind == "folder":
                os.mkdir(place)
            elif kind == "socket":
                with socket.socket(socket.AF_UNIX) as server:
                    here = os.getcwd()
                    os.chdir(path)  # the length of a socket's path is limited
                    server.bind(target)
                    os.chdir(here)
            else:
                os.symlink(kind, place)

        out.append(folder_case(f"{target}: {case}", fails, after=after, **files))

    for case, kind in {"a FIFO": "fifo", "a folder": "folder", "a socket": "socket", "a link to itself":
                       "model.safetensors", "a link to nothing": "nothing", "a link to its folder": ".",
                       "a device": "/dev/zero", "nothing behind a device": "/dev/null"}.items():
        special(case, kind)
        if case != "a link to itself":
            special(case, kind, "config.json", None if case == "a link to nothing" else EVERY, model=good)
        special(case, kind, "model.safetensors.index.json")
        special(case, kind, "tokenizer.json", (), model=good)
        special(case, kind, "x.safetensors")
    special("a loop of two links", "config.json.2", "config.json.1", EVERY)
    out.append(folder_case("no files"))
    for case, files in {
        "an empty file": {"model": b""}, "pickle": {"pytorch_model.bin": b"\x80\x02}q\0."},
        "pickle in a zip": {"pytorch_model.bin": b"PK\x03\x04" + b"\0" * 100},
        "zip as safetensors": {"model": b"PK\x03\x04" * 9},
        "GGUF": {"model": b"GGUF\x03\0\0\0" * 9}, "pickle as safetensors": {"model": b"\x80\x02}q\0." * 9},
        "JSON as safetensors": {"model": b'{"a": 1}' * 9}, "two files without an index": {"a.safetensors": good,
                                                                                             "b.safetensors": good},
        "pickle's index": {"pytorch_model.bin.index.json": "{}"},
    }.items():
        out.append(folder_case(case, **files))
    for case, target in {"no such path": "/nonexistent/x", "a name with a line end": "a\nb\x1b[31m", "no name": "",
                         "a long name": "a" * 300, "a very long path": "a/" * 3000, "/dev/null": "/dev/null",
                         "/dev/zero": "/dev/zero", "a name that is not UTF-8": b"\xff\xfe"}.items():
        out.append(Case("path: " + case, lambda path, target=target: target))
    return out


def configs():
    """config.json: quantize rewrites it, inspect reads a few keys."""
    good = tensors(dense())
    out = [folder_case("config: right", (), model=good, config='{"model_type": "llama"}')]
    for case, text in {
        "empty": "", "a list": "[]", "a number": "3", "a text": '"a"', "cut": '{"a": ', "not UTF-8": b'{"a":"\xff"}',
        "deep": '{"a":' + "[" * 100000 + "]" * 100000 + "}", "deep and open": "[" * 1000000,
        "deep objects": '{"a":' * 100000 + "1" + "}" * 100000,
        "half of NaN": '{"a":Na}', "a control character": '{"a":"\x1b[31m"}', "more behind it": "{}x",
        "line ends": "\n\r\n",
    }.items():
        out.append(folder_case("config: " + case, ("f32",), model=good, config=text))
    for case, text, fails in (
        ("numbers", '{"a":[' + "0," * 1_000_000 + "0]}", ()), ("objects", '{"a":[' + "{}," * 500_000 + "0]}", ()),
        ("numbers of Python", '{"a":[NaN,Infinity,-Infinity,1e999,' + "1" * 100_000 + "]}", ()),
        ("keys", "{" + ",".join(f'"{i}":0' for i in range(200_000)) + "}", ()),
        ("keys, one of them twice", "{" + ",".join(f'"{i % 199_999}":0' for i in range(200_000)) + "}", ("f32",)),
        ("keys of one another", '{"a":' * 400_000, ("f32",)), ("brackets", "[" * 2_000_000, ("f32",)),
        ("strings", '{"a":[' + '"",' * 600_000 + "0]}", ()), ("one string", '{"a":"' + "a" * 2_000_000 + '"}', ()),
        ("escapes", '{"a":"' + "\\u0001" * 300_000 + '"}', ()), ("spaces", " " * 2_000_000 + "{}", ()),
        ("brackets, 8 MB of them", "[" * 8_000_000, EVERY), ("spaces, 8 MB of them", " " * 8_000_000 + "{}", EVERY),
    ):
        out.append(folder_case("config: long, " + case, fails, model=good, config=text))

    def large(path):
        with open(os.path.join(path, "config.json"), "wb") as file:
            file.truncate(65_000_000)

    out.append(folder_case("config: 65 MB", model=good, after=large))
    for case, value in {"a text": '"a"', "null": "null", "a list": "[]", "deep": "[" * 60 + "]" * 60,
                        "a hostile method": '{"quant_method":"\\u001b[2J\\n","format":"\\u202e","x":1}',
                        "a long method": '{"quant_method":"' + "a" * 100000 + '"}', "a method that is a number":
                        '{"quant_method":1e300}'}.items():
        fails = ("f32", "compare") if case in ("a long method", "a hostile method") else ()  # the others name none
        out.append(folder_case("quantization_config: " + case, fails, model=good,
                               config='{"quantization_config":' + value + "}"))
    for case, value in {"a number": "3", "deep": "[" * 50 + "]" * 50}.items():
        out.append(folder_case("torch_dtype: " + case, (), model=good, config='{"torch_dtype":' + value + "}"))
    return out


def i64(*values):
    return struct.pack(f"<{len(values)}q", *values)


def packed(codes=([2, 4], None), scale=("F16", [2, 1], None), shape=i64(2, 32), shape_is=("I64", [2]), more=(),
           drop=()):
    """int4 of 2 x 32, as compressed-tensors stores it."""
    count = codes[0][0] * codes[0][1] if len(codes[0]) == 2 else 0
    size = {"F16": 2, "F32": 4, "U8": 1, "I64": 8, "BF16": 2, "F8_E4M3": 1}.get(scale[0], 4)
    scales = size
    for side in scale[1]:
        scales *= side
    rows = [(Q + ".weight_packed", codes[1] or "I32", codes[0], b"\x12\x34\x56\x78" * count if codes[1] is None else
             b"\x12" * count), (Q + ".weight_scale", scale[0], scale[1], scale[2] or b"\0\x38" * (scales // 2) + b"\0" *
                                (scales % 2)), (Q + ".weight_shape", shape_is[0], shape_is[1], shape)]
    return tensors(*[row for row in rows if row[0].rsplit(".", 1)[1] not in drop], *more)


def quantized_containers():
    out = []

    def add(case, content, fails=QUANTIZED, late=()):
        out.append(file_case("compressed-tensors: " + case, content, fails, CONTAINER, late))

    add("right", packed(), ())
    add("no scale", packed(drop=("weight_scale",)))
    add("no shape", packed(drop=("weight_shape",)))
    add("only a scale", packed(drop=("weight_packed",)), UNREAD)
    for case, values in {"0 rows": (0, 32), "0 columns": (2, 0), "2^40 columns": (2, 1 << 40),
                         "2^40 rows": (1 << 40, 32),
                         "-1 rows": (-1, 32), "-1 columns": (2, -1), "-2^63 columns": (2, -(1 << 63)),
                         "31 columns": (2, 31),
                         "33 columns": (2, 33), "64 columns": (2, 64), "16 columns": (2, 16), "2^32+2 rows":
                         ((1 << 32) + 2, 32), "2^32+32 columns": (2, (1 << 32) + 32), "turned round": (32, 2)}.items():
        # 4 words are 8 bits of 16 columns, and 4 of 25 to 32.
        add("shape lies, " + case, packed(shape=i64(*values)),
            None if case in ("16 columns", "31 columns") else QUANTIZED)
    add("shape of one number", packed(shape=i64(2), shape_is=("I64", [1])))
    add("shape of three numbers", packed(shape=i64(2, 32, 1), shape_is=("I64", [3])))
    add("shape of F64", packed(shape_is=("F64", [2])))
    add("shape of I32", packed(shape=i64(2, 32)[:8], shape_is=("I32", [2])))
    add("shape as a matrix", packed(shape_is=("I64", [1, 2])))
    for shape in ([1], [2], [0], [2, 0], [0, 1], [4, 1], [2, 3], [2, 32], [2, 4], [1, 2], [], [2, 1, 1], [1, 1]):
        add(f"scale of shape {shape}", packed(scale=("F16", shape, None)), () if shape == [1] else QUANTIZED)
    for dtype in ("I64", "U8", "F8_E4M3", "I32"):
        add("scale of " + dtype, packed(scale=(dtype, [2, 1], None)))
    # Invalid scales would silently give zeros; inspect does not read them.
    add("NaN scale", packed(scale=("F16", [2, 1], b"\0\x7e\0\x3c")), QUANTIZED, LATE)
    add("infinite scale", packed(scale=("F16", [2, 1], b"\0\x7c\0\x3c")), QUANTIZED, LATE)
    add("negative scale", packed(scale=("F16", [2, 1], b"\0\xbc\0\x3c")), QUANTIZED, LATE)
    add("denormal scale", packed(scale=("F16", [2, 1], b"\1\0\0\x3c")), ())
    for codes in (([2], None), ([0, 4], None), ([2, 0], None), ([2, 5], None), ([2, 3], None), ([2, 4, 1], None),
                  ([], None)):
        content = packed(codes=codes) if len(codes[0]) == 2 else tensors(
            (Q + ".weight_packed", "I32", codes[0], b"\0" * 4 * (8 if len(codes[0]) == 3 else 2 if codes[0] else 1)),
            (Q + ".weight_scale", "F16", [2, 1], b"\0\x3c" * 2), (Q + ".weight_shape", "I64", [2], i64(2, 32)))
        add(f"codes of shape {codes[0]}", content)
    for dtype in ("U8", "I8", "F8_E4M3"):
        add("codes of " + dtype, packed(codes=([2, 16], dtype)))
    add("codes of F32", tensors((Q + ".weight_packed", "F32", [2, 4], floats(8)), (Q + ".weight_scale", "F16", [2, 1],
                                b"\0\x3c" * 2)))
    empty = [(Q + ".weight_packed", "U8", [0, 1 << 62], b""), (Q + ".weight_scale", "U8", [0, 1 << 58], b"")]
    add("MX codes of 0 rows and 2^62 bytes", tensors(*empty))
    add("MX codes of 2^62 rows and 0 bytes", tensors((Q + ".weight_packed", "U8", [1 << 62, 0], b""),
                                                     (Q + ".weight_scale", "U8", [1 << 62, 0], b"")))
    add("I8 codes of 0 rows", tensors((Q + ".weight", "I8", [0, 1 << 31], b""),
                                      (Q + ".weight_scale", "F32", [0, 1], b"")))
    add("FP8 codes of 0 columns", tensors((Q + ".weight", "F8_E4M3", [4, 0], b""), (Q + ".weight_scale", "F32", [4, 1],
                                                                                  floats(4))))
    add("MX scales of 255", tensors((Q + ".weight_packed", "U8", [2, 16], b"\x12" * 32),
                                    (Q + ".weight_scale", "U8", [2, 1],
                                    b"\xff\x7f")), QUANTIZED, LATE)
    add("zero points", packed(more=((Q + ".weight_zero_point", "I32", [1, 1], b"\0" * 4),)), ())
    for shape in ([2, 1], [0, 1], [1, 2]):
        row = Q + ".weight_zero_point", "I32", shape, b"\0" * 4 * shape[0] * shape[1]
        add(f"zero points of shape {shape}", packed(more=(row,)))
    add("zero points of U8", packed(more=((Q + ".weight_zero_point", "U8", [1, 1], b"\0"),)))
    add("columns in another order", packed(more=((Q + ".weight_g_idx", "I32", [32], b"\0" * 128),)),
        UNREAD)
    add("dense beside it", packed(more=(dense(),)))
    add("dense integers beside it", packed(more=((Q + ".weight", "I64", [1], i64(1)),)))
    add("int8 of both containers", tensors(
        (Q + ".weight", "I8", [2, 32], b"\1" * 64), (Q + ".weight_scale", "F32", [2, 1], floats(2)),
        (Q + ".SCB", "F32", [2], floats(2)), (Q + ".weight_format", "U8", [], b"\0")))
    add("block scales of FP8", tensors((Q + ".weight", "F8_E4M3", [2, 32], b"\x38" * 64),
                                       (Q + ".weight_scale_inv", "F32", [1, 1], floats(1))), ())
    add("a module without a name", tensors(*[(row[0][len(Q) :], *row[1:]) for row in (
        (Q + ".weight_packed", "I32", [2, 4], b"\0" * 32), (Q + ".weight_scale", "F16", [2, 1], b"\0\x3c" * 2),
        (Q + ".weight_shape", "I64", [2], i64(2, 32)))]), None)
    out += bitsandbytes()
    return out


STATE = {"quant_type": "nf4", "blocksize": 64, "dtype": "float16", "shape": [2, 32]}
NESTED = {**STATE, "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.5}
NAME = Q + ".weight"
NF4 = struct.pack("<16f", -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                  -0.18477343022833473, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
                  0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
                  0.7229568362236023, 1.0)


def four_bits(state=STATE, codes=([32, 1], 32), absmax=("F32", [1], floats(1)), quant_map=("F32", [16], NF4), end="nf4",
              state_dtype="U8", more=(), drop=(), nested=None, nested_map=struct.pack("<256f", *dynamic_map())):
    text = state if isinstance(state, bytes) else (state if isinstance(state, str) else json.dumps(state)).encode()
    rows = [(NAME, "U8", codes[0], b"\x77" * codes[1]), (NAME + ".absmax", *absmax), (NAME + ".quant_map", *quant_map),
            (NAME + ".quant_state.bitsandbytes__" + end, state_dtype, [len(text)], text)]
    if nested is not None:
        rows += [(NAME + ".nested_absmax", "F32", nested, floats(nested[0])),
                 (NAME + ".nested_quant_map", "F32", [256], nested_map)]
    return tensors(*[row for row in rows if row[0] not in drop], *more)


def bitsandbytes():
    out = []

    def add(case, content, fails=QUANTIZED, late=()):
        out.append(file_case("bitsandbytes: " + case, content, fails, CONTAINER, late))

    def text(**changes):
        return json.dumps({**STATE, **changes})

    byte = ("U8", [1], b"\x80")
    add("right", four_bits(), ())
    add("right and nested", four_bits(NESTED, absmax=byte, nested=[1]), ())
    for case, state in {
        "empty": "", "a list": "[]", "a number": "1", "cut": text()[:-5], "not UTF-8": b'{"a":"\xff"}', "deep":
        '{"a":' + "[" * 1000 + "]" * 1000 + "}", "deep and open": "[" * 4000, "longer than 4096": text(x="a" * 5000),
        "a control character": text().replace("nf4", "\x1b[31m"), "NUL": "\0" * 10, "more behind it": text() + "x",
        "no shape": json.dumps({"quant_type": "nf4", "blocksize": 64, "dtype": "float16"}),
        "shape null": text(shape=None),
        "shape of one": text(shape=[64]), "shape of three": text(shape=[2, 32, 1]),
        "shape of texts": text(shape=["2", "32"]),
        "shape 2^63": text(shape=[1 << 63, 32]), "shape 2^64": text(shape=[1 << 64, 32]),
        "shape 2^32": text(shape=[1 << 32, 32]),
        "shape 2^32-1 square": text(shape=[(1 << 32) - 1, (1 << 32) - 1]),
        "shape 2^31 x 2^33": text(shape=[1 << 31, 1 << 33]),
        "shape that overflows to ours": text(shape=[(1 << 32) - 1, 2]), "shape 0": text(shape=[0, 32]),
        "shape 0 columns": text(shape=[2, 0]), "shape negative": text(shape=[-2, 32]), "shape of fractions":
        text(shape=[2.0, 32.0]), "another shape": text(shape=[2, 64]), "a shape of one more": text(shape=[13, 5]),
        "blocksize 0": text(blocksize=0), "blocksize -64": text(blocksize=-64),
        "blocksize 2^63": text(blocksize=1 << 63),
        "blocksize 2^32+64": text(blocksize=(1 << 32) + 64), "blocksize 1": text(blocksize=1), "blocksize 63":
        text(blocksize=63), "blocksize 64.0": text(blocksize=64.0), "blocksize a text": text(blocksize="64"),
        "blocksize 32": text(blocksize=32), "blocksize 8192": text(blocksize=8192), "no blocksize":
        text().replace("blocksize", "block"), "quant_type int4": text(quant_type="int4"), "quant_type 4":
        text(quant_type=4), "quant_type long": text(quant_type="a" * 3000),
        "nested_offset a text": text(nested_offset="0.5"),
        "nested_offset null": text(nested_offset=None),
        "nested_offset NaN": text(nested_offset=0).replace(": 0}", ": NaN}"),
        "nested_offset 1e999": text(nested_offset=0).replace(": 0}", ": 1e999}"), "nested_offset alone":
        text(nested_offset=0.5), "nested without parts": json.dumps(NESTED),
    }.items():
        add("state " + case, four_bits(state))
    add("dtype unknown", four_bits(text(dtype="\x1b")), None)
    add("blocksize 48", four_bits(text(blocksize=48), absmax=("F32", [2], floats(2))), None)
    add("blocksize 17", four_bits(text(blocksize=17), absmax=("F32", [4], floats(4))))
    # bitsandbytes supports it, nibble does not.
    add("blocksize 4096", four_bits(text(blocksize=4096)))
    for offset in (1e38, 1e300, -1e300, 5e-324, 10**30, -1):
        add(f"nested_offset {offset}", four_bits({**NESTED, "nested_offset": offset}, absmax=byte, nested=[1]),
            QUANTIZED if abs(offset) > 3.5e38 else ())
    add("nested_blocksize 0", four_bits({**NESTED, "nested_blocksize": 0}, absmax=byte, nested=[1]))
    add("nested_blocksize 2^63", four_bits({**NESTED, "nested_blocksize": 1 << 63}, absmax=byte, nested=[1]))
    add("nested_absmax of 2", four_bits(NESTED, absmax=byte, nested=[2]))
    add("nested_absmax of 0", four_bits(NESTED, absmax=byte, nested=[0]))
    add("another nested map", four_bits(NESTED, absmax=byte, nested=[1], nested_map=floats(256)))
    add("a nested map of NaN", four_bits(NESTED, absmax=byte, nested=[1], nested_map=floats(256, float("nan"))))
    add("nested and absmax of F32", four_bits(NESTED, nested=[1]))
    for case, absmax in {"of 0": ("F32", [0], b""), "of 2": ("F32", [2], floats(2)), "a scalar": ("F32", [], floats(1)),
                         "of F16": ("F16", [1], b"\0\x3c"), "a matrix": ("F32", [1, 1], floats(1))}.items():
        add("absmax " + case, four_bits(absmax=absmax))
    add("absmax NaN", four_bits(absmax=("F32", [1], floats(1, float("nan")))), QUANTIZED, LATE)
    add("absmax infinite", four_bits(absmax=("F32", [1], floats(1, float("inf")))), QUANTIZED, LATE)
    add("quant_map of 15", four_bits(quant_map=("F32", [15], floats(15))))
    add("quant_map of NaN", four_bits(quant_map=("F32", [16], floats(16, float("nan")))), None)
    for part in ("", ".absmax", ".quant_map"):
        add("no weight" + part, four_bits(drop=(NAME + part,)))
    for shape, size in (([32], 32), ([1, 32], 32), ([31, 1], 31), ([33, 1], 33), ([0, 1], 0), ([64, 1], 64)):
        add(f"codes of shape {shape}", four_bits(codes=(shape, size)))
    add("state of I8", four_bits(state_dtype="I8"))
    add("state of another type than its name", four_bits(end="fp4"))
    add("state of no type", four_bits(end="int3"))
    add("two states", four_bits(more=((NAME + ".quant_state.bitsandbytes__fp4", "U8", [2], b"{}"),)))
    second = json.dumps(STATE).encode()
    add("the same state twice",
        four_bits(more=((NAME + ".quant_state.bitsandbytes__nf4_", "U8", [len(second)], second),)))
    add("a state of no weight", tensors(dense(), (".quant_state.bitsandbytes__nf4", "U8", [len(second)], second)))
    add("compressed-tensors too", four_bits(more=(
        (Q + ".weight_packed", "I32", [2, 4], b"\0" * 32), (Q + ".weight_scale", "F16", [2, 1], b"\0\x3c" * 2),
        (Q + ".weight_shape", "I64", [2], i64(2, 32)))))

    def eight(codes=("I8", [2, 32], b"\1" * 64), scb=("F32", [2], floats(2)), order=("U8", [], b"\0"), more=(),
              drop=()):
        rows = [(NAME, *codes), (Q + ".SCB", *scb), (Q + ".weight_format", *order)]
        return tensors(*[row for row in rows if row[0] not in drop], *more)

    add("int8: right", eight(), ())
    add("int8: no codes", eight(drop=(NAME,)))
    add("int8: no order", eight(drop=(Q + ".weight_format",)))
    add("int8: no SCB", eight(drop=(Q + ".SCB",)), UNREAD)
    for case, scb in {"of 1": ("F32", [1], floats(1)), "of 3": ("F32", [3], floats(3)), "of 0": ("F32", [0], b""),
                      "a scalar": ("F32", [], floats(1)), "a matrix": ("F32", [2, 1], floats(2)), "of F16":
                      ("F16", [2], b"\0\x3c" * 2), "of 2^40 x 0": ("F32", [1 << 40, 0], b"")}.items():
        add("int8: SCB " + case, eight(scb=scb))
    add("int8: SCB NaN", eight(scb=("F32", [2], floats(2, float("nan")))), QUANTIZED, LATE)
    add("int8: SCB negative", eight(scb=("F32", [2], floats(2, -1.0))), QUANTIZED, LATE)
    add("int8: SCB denormal", eight(scb=("F32", [2], b"\1\0\0\0" * 2)), ())
    for value in (1, 7, 255):
        add(f"int8: order {value}", eight(order=("U8", [], bytes([value]))))
    add("int8: order of two", eight(order=("U8", [2], b"\0\0")))
    add("int8: order of I64", eight(order=("I64", [], i64(7))))
    for case, codes in {"U8": ("U8", [2, 32], b"\1" * 64), "F32": ("F32", [2, 32], floats(64)), "a vector":
                        ("I8", [64], b"\1" * 64), "of 0 columns": ("I8", [2, 0], b""),
                        "of 0 rows": ("I8", [0, 32], b""),
                        "of 2^62 columns": ("I8", [0, 1 << 62], b""),
                        "of three dimensions": ("I8", [2, 32, 1], b"\1" * 64)}.items():
        add("int8: codes " + case, eight(codes=codes))
    add("int8: codes of -128", eight(codes=("I8", [2, 32], b"\x80" * 64)), ())
    return out


def weights():
    """Dense weights of unusual sizes and values."""
    out = []
    nan, inf = float("nan"), float("inf")
    verbs = ("inspect", "names", "f32", "compare", "int4", "int8", "nf4", "fp8", "mxfp4")
    for case, value in {"NaN": nan, "infinity": inf, "-infinity": -inf}.items():
        late = ("int4", "int8", "nf4", "fp8", "mxfp4")
        out.append(file_case("weights of " + case, tensors(dense(value=value)), late, verbs, late))
    for case, value in {"zeros": 0.0, "the largest": 3.4028234663852886e38, "the smallest": 1.4e-45}.items():
        out.append(file_case("weights of " + case, tensors(dense(value=value)), (), verbs))
    empty = ("int4", "int8", "nf4", "fp8", "mxfp4")
    for shape in ([0, 32], [2, 0], [0, 0], [0, 1 << 31], [0, (1 << 32) - 1], [0, 1 << 40], [1 << 62, 0], [0],
                  [0, 2, 32], []):
        data = floats(1) if shape == [] else b""
        out.append(file_case(f"weights of shape {shape}", tensors((NAME, "F32", shape, data)), empty, verbs))
        out.append(file_case(f"weights of shape {shape}, and others", tensors(
            (NAME, "F32", shape, data), dense("layers.1.k_proj.weight")), (), verbs))
    small = ("int4", "mxfp4")  # 1, 3 and 17 columns have no group
    for rows, columns in ((1, 1), (3, 1), (1, 3), (5, 17)):
        out.append(file_case(f"weights of {rows} x {columns}", tensors(dense(rows=rows, columns=columns)), small,
                             verbs))
    for dtype, size in (("I64", 8), ("BOOL", 1), ("F64", 8), ("C64", 8), ("F8_E8M0", 1), ("F8_E4M3FNUZ", 1),
                        ("U16", 2)):
        codes = dtype in ("F8_E8M0", "F8_E4M3FNUZ", "U16")
        out.append(file_case("weights of " + dtype, tensors((NAME, dtype, [2, 32], b"\0" * 64 * size)),
                             empty + UNREAD if codes else empty, verbs))
    out.append(file_case("FP8 vectors and volumes", tensors(
        ("a", "F8_E4M3", [4], b"\x38" * 4), ("b", "F8_E5M2", [1, 2, 2], b"\x38" * 4), ("c", "F8_E4M3", [], b"\x7f")),
        ()))
    out.append(file_case("FP8 matrices of nothing", tensors(("a", "F8_E4M3", [0, 1 << 62], b""), ("b", "F8_E5M2",
                                                           [1 << 40, 0], b"")), ()))
    return out


GROUPS = [("safetensors", container), ("damage", damaged), ("names", names), ("sizes", sized), ("places", places),
          ("config.json", configs), ("quantized weights", quantized_containers), ("weights", weights)]


# ---------------------------------------------------------------------------------------------------- running


class Runner:
    def __init__(self, nibble, scratch, thin):
        self.nibble, self.scratch, self.thin = nibble, scratch, thin
        self.out_folder = os.path.join(scratch, "out")
        self.out = os.path.join(self.out_folder, "OUT")
        self.good = os.path.join(scratch, "good.safetensors")
        self.texts = [os.path.join(scratch, name) for name in ("stdout", "stderr")]
        self.runs, self.failures, self.baseline, self.slowest, self.largest = 0, 0, {}, (0, ""), (0, "")
        os.makedirs(self.out_folder)
        # Some names of the cases, with other values, so that `compare` finds differences. Patterns refuse the longest.
        write(self.good, tensors(dense(), ("a", "U8", [4], b"abcd"),
                                 *[dense(f"layers.0.{name}.q_proj.weight", value=0.25)
                                                                     for name in NAMES if len(name) < 4000]))
        for verb in ("inspect", "names", "f32", "compare", "int4", "int8", "nf4", "fp8", "mxfp4", "exclude"):
            status, self.baseline[verb], _ = self.execute(self.command(verb, self.good))
            self.clear()
            if status != 0:
                raise SystemExit(f"nibble {verb} of a valid model: status {status}: {bytes_of(self.texts[1])[:500]}")

    def command(self, verb, path, swap=False):
        to = ["-o", self.out]
        more = {
            "inspect": ["inspect", path], "names": ["inspect", "--names", path],
            "compare": ["compare", path, self.good] if swap else ["compare", self.good, path],
            "f32": ["quantize", path, *to, "--format", "safetensors", "--type", "F32"],
            "int4": ["quantize", path, *to, "--type", "int4", "--group-size", "32"],
            "int8": ["quantize", path, *to, "--format", "bnb", "--type", "int8"],
            "nf4": ["quantize", path, *to, "--format", "bnb", "--type", "nf4"],
            "fp8": ["quantize", path, *to, "--type", "fp8"], "mxfp4": ["quantize", path, *to, "--type", "mxfp4"],
            "exclude": ["quantize", path, *to, "--type", "int8", "--exclude", "(x|y)*z", "--allow-unmatched"],
        }[verb]
        return [self.nibble, *more, "--device", "cpu"]

    def execute(self, command):
        """The exit status (negative: a signal, None: too slow), the peak memory in KB, the seconds."""
        start = time.monotonic()
        with open(self.texts[0], "wb") as out, open(self.texts[1], "wb") as err:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        slow = False
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if not slow and (time.monotonic() - start > SECONDS or os.path.getsize(self.texts[0]) > 1 << 28):
                slow = True
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.0005)
        process.returncode = os.waitstatus_to_exitcode(status)
        return None if slow else process.returncode, usage.ru_maxrss, time.monotonic() - start

    def clear(self):
        shutil.rmtree(self.out_folder)
        os.makedirs(self.out_folder)

    def problems(self, case, verb, path, status, memory):
        out, size = [], bytes_in(path)
        if status is None:
            out.append(f"did not end within {SECONDS} s, or wrote without end")
        elif status < 0:
            out.append(f"was ended by signal {-status} ({signal.Signals(-status).name})")
        else:
            wanted = case.wanted(verb)
            if status not in wanted:
                out.append(f"exit status {status}, expected {' or '.join(map(str, sorted(wanted)))}")
        more = memory - self.baseline[verb] - SLACK_KB - 2 * size // 1024
        if more > 0:
            out.append(f"took {memory} KB, {more} KB too many; a valid model takes {self.baseline[verb]} KB")
        stdout, stderr = map(bytes_of, self.texts)
        if status == 0 and len(stdout) > 1_000_000 + 10 * size:
            out.append(f"{os.path.getsize(self.texts[0])} bytes on stdout")
        for name, text in (("stdout", stdout), ("stderr", stderr)):
            try:
                for line in text.decode().split("\n"):
                    bad = next((c for c in line if not c.isprintable()), None)
                    if bad is not None:
                        out.append(f"{name}: U+{ord(bad):04X} in {line[:200]!r}")
                        break
            except UnicodeDecodeError as error:
                out.append(f"{name}: {error}")
        if status == 1:
            if stdout:
                out.append(f"stdout: {stdout[:100]!r}")
            if stderr.count(b"\n") != 1 or not stderr.endswith(b"\n") or not stderr.startswith(b"nibble "):
                out.append(f"stderr is not one line: {stderr[:300]!r}")
            if len(stderr) > 10_000:
                out.append(f"a line of {len(stderr)} bytes")
        elif status == 0 and stderr:
            out.append(f"stderr: {stderr[:300]!r}")
        out += self.left(verb, status, verb in case.late)
        if status is not None and out:
            out.append(f"said {stderr[:300]!r}")
        return out

    def left(self, verb, status, late):
        there = sorted(os.listdir(self.out_folder))
        if status == 0 and verb not in ("inspect", "names", "compare"):
            if there != ["OUT"]:
                return [f"left {there}"]
            out = []
            for name in os.listdir(self.out):
                if name.endswith(".safetensors"):
                    try:
                        read_safetensors.read(os.path.join(self.out, name))
                    except (read_safetensors.Bad, ValueError) as error:
                        out.append(f"{name}: {error}")
            return out
        good = [], ["OUT.partial"] if late and status == 1 else []
        return [] if there in good else [f"left {there}"]

    def case(self, number, case):
        """Whether all checks passed."""
        path = case.make(os.path.join(self.scratch, f"case{number}"))
        good = True
        for k, verb in enumerate(case.verbs):
            if self.thin and len(case.verbs) > 2 and (number + k) % 3 != 0:
                continue
            command = self.command(verb, path, swap=(number + k) % 2 == 1)
            status, memory, seconds = self.execute(command)
            problems = self.problems(case, verb, path, status, memory)
            if os.path.exists(self.out + ".partial") and not problems:
                status, _, _ = self.execute(self.command("f32", self.good))
                if status != 0 or os.listdir(self.out_folder) != ["OUT"]:
                    problems = [f"a run after it gave {status} and left {os.listdir(self.out_folder)}"]
            self.clear()
            self.runs += 1
            self.slowest = max(self.slowest, (seconds, f"{case.name}, {verb}"))
            self.largest = max(self.largest, (memory, f"{case.name}, {verb}"))
            for problem in problems:
                print(f"FAILED {case.name}, {verb}: {problem}", flush=True)
            if problems:
                self.failures, good = self.failures + 1, False
        if good and isinstance(path, str) and path.startswith(self.scratch):
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        return good


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read(4_000_000)


def bytes_in(path):
    """The size of the regular files of a model."""
    try:
        if not os.path.isdir(path):
            return os.stat(path).st_size
        return sum(os.stat(os.path.join(path, name)).st_size for name in os.listdir(path)
                   if os.path.isfile(os.path.join(path, name)))
    except OSError:
        return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nibble")
    parser.add_argument("scratch")
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--thin", action="store_true", help="a third of each model's verbs, in turn")
    options = parser.parse_args()
    shutil.rmtree(options.scratch, ignore_errors=True)
    os.makedirs(options.scratch)
    runner = Runner(os.path.abspath(options.nibble), os.path.abspath(options.scratch), options.thin)
    number = 0
    for title, group in GROUPS:
        start, before, failed, count = time.monotonic(), runner.runs, runner.failures, 0
        for case in group():
            if options.only not in f"{title}: {case.name}":
                continue
            number, count = number + 1, count + 1
            if options.list:
                print(f"{title}: {case.name}")
                continue
            runner.case(number, case)
        verdict = "ok" if runner.failures == failed else "FAILED"
        print(f"{verdict:7}{title:20}{count:4} models, {runner.runs - before:5} runs, "
              f"{time.monotonic() - start:5.1f} s", flush=True)
    print(f"{runner.runs} runs, {runner.failures} of them wrong; the slowest {runner.slowest[0]:.2f} s "
          f"({runner.slowest[1]}), the largest {runner.largest[0] / 1024:.0f} MB ({runner.largest[1]}), "
          f"of a valid model {max(runner.baseline.values()) / 1024:.0f} MB")
    if runner.failures == 0:
        shutil.rmtree(options.scratch)
    return 1 if runner.failures else 0


if __name__ == "__main__":
    sys.exit(main())
