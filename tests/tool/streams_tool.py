#!/usr/bin/env python3
"""Descriptors that are closed or full: messages go nowhere else, and lost output is an error.

  streams_tool.py NIBBLE SCRATCH
"""
import json
import os
import subprocess
import sys

from tool import Tool, model, read, recording

CPU = ("--device", "cpu")


def closed(tool, *words, descriptors=(0, 1, 2)):
    """Runs the tool with closed descriptors, as some services start programs."""
    shell = "".join(f" {d}>&-" if d else " <&-" for d in descriptors)
    return subprocess.run(["sh", "-c", f'exec "$0" "$@"{shell}', tool.program, *words], timeout=120).returncode


def main():
    tool = Tool(sys.argv[1], sys.argv[2])
    model("in", 64, 512)
    recording("one.npy", 64, 16)
    tool.passes("quantize", "in", "-o", "open", *CPU)
    for descriptors in ((0, 1, 2), (2,), (1,), (0,), (1, 2), (0, 2)):
        out = "closed" + "".join(map(str, descriptors))
        code = closed(tool, "quantize", "in", "-o", out, "-v", f"--json={out}.json", *CPU, descriptors=descriptors)
        tool.check(code == 0, f"quantize with {descriptors} closed ended with {code}")
        for name in sorted(os.listdir("open")):
            same = os.path.exists(f"{out}/{name}") and read(f"{out}/{name}") == read(f"open/{name}")
            tool.check(same, f"{out}/{name} differs from that of a run with open descriptors")
        tool.check(json.loads(read(out + ".json"))["tensors"], f"{out}.json")
        code = closed(tool, "calibrate", "--data", "one.npy", "-o", out + ".calib", *CPU, descriptors=descriptors)
        tool.check(code == 0 and json.loads(read(out + ".calib"))["schema"] == 2, f"{out}.calib")
    # The child of --verify.
    code = closed(tool, "devices", "--verify", "--json=verify.json", *CPU)
    tool.check(code == 0, f"devices --verify with closed descriptors ended with {code}")
    tool.check(json.loads(read("verify.json"))["devices"][0]["verify"]["passed"], "the self-tests passed")
    # An object that was asked for has no place.
    code = closed(tool, "inspect", "in", "--names", "--json", *CPU, descriptors=(1,))
    tool.check(code == 2, f"--json with stdout closed ended with {code}")

    # stdout that takes no more.
    for words in (("inspect", "in", *CPU), ("inspect", "in", "--json", *CPU), ("devices", *CPU), ("--help",),
                  ("--version",), ("quantize", "--help"), ("bench", "--list"),
                  ("quantize", "in", "-o", "full", "--force", *CPU),
                  ("calibrate", "--data", "one.npy", "--compare", *CPU), ("compare", "in", "in", *CPU)):
        reader, writer = os.pipe()
        os.close(reader)
        full = os.open("/dev/full", os.O_WRONLY)
        for problem, descriptor in (("No space left on device", full), ("Broken pipe", writer)):
            done = tool.run(*words, stdout=descriptor)
            # With --json, tables are on stderr too.
            lines = done.err.splitlines()[-1 if "--json" in words else 0:]
            tool.check(done.code == 1 and len(lines) == 1 and "stdout: cannot be written: " + problem in lines[0],
                       f"{words}: expected {problem!r}, got {done.code}: {done.err!r}")
            os.close(descriptor)
    # A file that was asked for is written all the same.
    with open("/dev/full", "wb") as full:
        tool.refused("stdout", "inspect", "in", "--json=kept.json", *CPU, stdout=full, codes=(1,))
    tool.check(json.loads(read("kept.json"))["tensors"], "the report is kept")
    tool.refused("No space left", "inspect", "in", "--json=/dev/full", *CPU, codes=(1,))
    tool.end()


main()
