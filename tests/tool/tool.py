"""Helpers of the tests of the command line: small inputs, runs of the tool, and checks of how it ended."""
import json
import os
import shutil
import struct
import subprocess
import sys

WEIGHT = "model.layers.0.self_attn.q_proj.weight"


class Tool:
    """nibble and a scratch folder, which becomes the working folder."""

    def __init__(self, program, scratch):
        self.program = os.path.abspath(program)
        shutil.rmtree(scratch, ignore_errors=True)
        os.makedirs(scratch)
        os.chdir(scratch)
        self.failures = 0
        self.checks = 0

    def check(self, holds, what):
        self.checks += 1
        if not holds:
            self.failures += 1
            print("FAILED:", what, flush=True)
        return holds

    def run(self, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **options):
        """Runs nibble; `code`, `out` and `err` are of the result. 124: it did not end."""
        try:
            done = subprocess.run([self.program, *words], stdout=stdout, stderr=stderr, timeout=timeout, **options)
        except subprocess.TimeoutExpired:
            done = subprocess.CompletedProcess(words, 124, b"", b"it did not end")
        done.code = done.returncode
        done.out = (done.stdout or b"").decode("utf-8", "replace")
        done.err = (done.stderr or b"").decode("utf-8", "replace")
        return done

    def refused(self, part, *words, codes=(1, 2), **options):
        """The run fails with one line that has `part` in it."""
        done = self.run(*words, **options)
        line = done.err.rstrip("\n")
        ok = done.code in codes and part in line and "\n" not in line and line.startswith("nibble")
        self.check(ok, f"{words}: expected {part!r}, got {done.code}: {done.err[:400]!r}")
        return done

    def passes(self, *words, **options):
        done = self.run(*words, **options)
        self.check(done.code == 0, f"{words}: ended with {done.code}: {done.err[:400]!r}")
        return done

    def end(self):
        print(f"{self.checks} checks, {self.failures} failed")
        sys.exit(1 if self.failures else 0)


def write_ids(path, count, vocabulary):
    """A file of NumPy with `count` token ids that repeat seldom."""
    ids = struct.pack(f"<{count}i", *((i * i * 7 + i * 3) % vocabulary for i in range(count)))
    head = f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({count},), }}".encode()
    head = head.ljust((len(head) + 11 + 63) // 64 * 64 - 11) + b"\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + ids)


def write(path, content):
    if os.path.dirname(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(content if isinstance(content, bytes) else content.encode())
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


def model(folder, rows=16, columns=128):
    """A model of one weight."""
    data = struct.pack("<f", 0.5) * (rows * columns // 2) + struct.pack("<f", -0.25) * (rows * columns // 2)
    header = json.dumps({WEIGHT: {"dtype": "F32", "shape": [rows, columns], "data_offsets": [0, len(data)]}}).encode()
    write(os.path.join(folder, "model.safetensors"), struct.pack("<Q", len(header)) + header + data)
    write(os.path.join(folder, "config.json"), '{"model_type": "llama"}')
    return folder


def recording(path, tokens=8, channels=4):
    """Recorded activations."""
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({tokens}, {channels}), }}".encode()
    head = head.ljust((len(head) + 11 + 63) // 64 * 64 - 11) + b"\n"
    data = b"".join(struct.pack("<f", (i * 37 % 19 - 9) / 4) for i in range(tokens * channels))
    return write(path, b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + data)
