#!/usr/bin/env python3
"""Every file of JSON that nibble reads may be deep, long or ambiguous: it is read in linear time, or refused.

  json_tool.py NIBBLE SCRATCH
"""
import os
import sys
import time

from tool import Tool, model, read, recording, write

CPU = ("--device", "cpu")
SECONDS = 12
DEEP = '{"a":' + "[" * 100_000 + "]" * 100_000 + ',"b":1}'
BARE = "[" * 100_000
TWICE = '{"schema":1,"a":1,"schema":1}'
KEYS = "{" + ",".join(f'"k{i}":0' for i in range(100_000)) + "}"


def readers():
    """Command lines that read FILE, and whether an object of unknown keys is of use to them."""
    yield "calibration", ("inspect", "FILE", *CPU), False
    yield "calibration of merge", ("calibrate", "--merge", "FILE", "-o", "new.json"), False
    yield "ranges", ("quantize", "in", "-o", "out", "--activations", "int8-static", "--calib", "FILE", "--type", "int8",
                     *CPU), False
    yield "compare", ("bench", "--compare", "FILE", *CPU), False
    yield "rest", ("bench", "--rest", "FILE", *CPU), False
    yield "table", ("bench", "--table", "FILE"), False
    yield "cells", ("selftest", "--merge", "FILE"), False
    yield "shape", ("bench", "--model", "FILE", *CPU), False
    yield "lines", ("quantize", "in", "-o", "out", "--method", "gptq", "--calib", "FILE.jsonl", *CPU), False


def main():
    tool = Tool(sys.argv[1], sys.argv[2])
    model("in")
    texts = {"deep": DEEP, "bare": BARE, "twice": TWICE, "keys": KEYS, "empty": "", "cut": DEEP[:50]}
    for text, content in texts.items():
        write(text + ".json", content)
        write(text + ".jsonl", content + "\n")
    for name, words, _ in readers():
        for text in texts:
            start = time.monotonic()
            done = tool.refused("", *[word.replace("FILE.jsonl", text + ".jsonl").replace("FILE", text + ".json")
                                      for word in words], timeout=60)
            seconds = time.monotonic() - start
            tool.check(seconds < SECONDS, f"{name} of {text}: took {seconds:.1f} s")
            if text in ("deep", "bare") and name != "lines":
                tool.check("nested too deep" in done.err, f"{name} of {text}: {done.err!r}")
            if text == "twice" and name != "lines":
                tool.check("appears twice" in done.err, f"{name} of {text}: {done.err!r}")
    # config.json of a model.
    for text, content in texts.items():
        write("in/config.json", content)
        done = tool.run("quantize", "in", "-o", "out_" + text, *CPU)
        good = text == "keys"
        tool.check(done.code == (0 if good else 1), f"config.json {text}: {done.code} {done.err[:300]!r}")
    model("in")
    # A calibration of many tensors is read and written in linear time.
    recording("one.npy", 8, 4)
    tool.passes("calibrate", "--data", "one.npy", "-o", "one.json", *CPU)
    line = [line for line in read("one.json").decode().split("\n") if line.startswith('"one":')][0][len('"one":'):]
    count = 5_000
    write("many.json", '{"schema":1,"tensors":{' + ",".join(f'"t{i}":{line}' for i in range(count)) + "}}")
    start = time.monotonic()
    tool.passes("inspect", "many.json", "--json=report.json", *CPU, stdout=open(os.devnull, "wb"))
    seconds = time.monotonic() - start
    tool.check(seconds < SECONDS, f"a calibration of {count} tensors took {seconds:.1f} s")
    tool.end()


main()
