#!/usr/bin/env python3
"""`nibble bench` loses no row that it has measured, and keeps to its budget.

  bench_tool.py NIBBLE SCRATCH
"""
import json
import os
import signal
import subprocess
import sys
import time

from tool import Tool, read, write

ROWS = ("bench", "--device", "cpu", "--op", "quantize", "--type", "int4,int8,nf4", "--shape", "64x1x256")


def main():
    tool = Tool(sys.argv[1], sys.argv[2])
    # A wrong file is refused before anything is measured.
    for name, content in (("list", "[]"), ("none", "{}"), ("schema", '{"schema":2,"rows":[]}'),
                          ("rows", '{"schema":1,"rows":[1]}'), ("text", "not JSON"), ("empty", "")):
        write(name, content)
        done = tool.refused("--compare " + name, *ROWS, "--compare", name, codes=(2,))
        tool.check("bench 1/" not in done.err, f"--compare {name}: measured first")
    # Killed in the middle, its file has the rows so far.
    with subprocess.Popen([tool.program, *ROWS, "--json=part.json"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 60
        while not os.path.exists("part.json") and time.monotonic() < deadline and run.poll() is None:
            time.sleep(0.05)
        run.send_signal(signal.SIGKILL)
    part = json.loads(read("part.json"))
    tool.check(part["rows"] and all(row["verified"] for row in part["rows"]), "the rows of a killed run")
    tool.check("not reached its end" in part.get("interrupted", "") and part["skipped"], "a killed run's file says so")
    # The remaining rows can be measured, by the names in the file.
    tool.passes(*ROWS, "--rest", "part.json", "--budget", "1s", "--json=rest.json")
    rest = json.loads(read("rest.json"))
    names = len(rest["rows"]) + len(rest["skipped"])
    tool.check("interrupted" not in rest and names == len(part["skipped"]), "the rest of a killed run")
    names = ["empty", "list", "none", "part.json", "rest.json", "rows", "schema", "text"]
    tool.check(sorted(os.listdir(".")) == names, "temporary files are left")
    # A row that cannot end in time is not begun.
    start = time.monotonic()
    done = tool.run("bench", "--device", "cpu", "--shape", "2147483647x1x1", "--budget", "3s", timeout=60)
    seconds = time.monotonic() - start
    tool.check(done.code == 0 and "not measured" in done.out and seconds < 30,
               f"--budget 3s of 2^31 rows took {seconds:.0f} s: {done.code} {done.err[-300:]!r}")
    tool.end()


main()
