#!/usr/bin/env python3
"""Numbers, sizes and files that mean nothing, or something else than they seem to, are refused in one line.

  nonsense_tool.py NIBBLE SCRATCH
"""
import sys

from tool import Tool, model, write

CPU = ("--device", "cpu")


def main():
    tool = Tool(sys.argv[1], sys.argv[2])
    model("in")
    for number in ("-1", "0x10", "010", " 7", "7 ", "+7", "1e2", "7.0", "", "18446744073709551616", "seven"):
        tool.refused("--seed", "quantize", "in", "-o", "out", f"--seed={number}", *CPU, codes=(2,))
        tool.refused("--tokens", "generate", "in", "--prompt", "x", f"--tokens={number}", *CPU, codes=(2,))
        tool.refused("--window", "eval", "in", "--data", "x", f"--window={number}", *CPU, codes=(2,))
        tool.refused("--every", "selftest", f"--every={number}", *CPU, codes=(2,))
    for number in ("0x10", "0100", " 64", "64 ", "1e2", "--1", "9223372036854775808"):
        tool.refused("--group-size", "quantize", "in", "-o", "out", f"--group-size={number}", *CPU, codes=(2,))
    for number in ("nan", "inf", "0x1p-3", " 0.1", "0.1 ", "1e400", "0,1", ""):
        tool.refused("--damp", "quantize", "in", "-o", "out", f"--damp={number}", *CPU, codes=(2,))
        tool.refused("--top-p", "generate", "in", "--prompt", "x", f"--top-p={number}", *CPU, codes=(2,))
    for size in ("5 G", " 5G", "5G ", "0x10M", "-5G", "+5G", "1e9", "infG", "nan", "G", "5T", "5g", ".", "1.2.3G",
                 "99999999999G"):
        tool.refused("expected a size", "quantize", "in", "-o", "out", f"--max-shard-size={size}", *CPU, codes=(2,))
        tool.refused("expected a size", "quantize", "in", "-o", "out", f"--memory={size}", *CPU, codes=(2,))
    for option in ("--max-shard-size=", "--memory=", "--json=", "--type=", "--rule="):
        tool.refused(option + " expected a value", "quantize", "in", "-o", "out", option, "--force", *CPU, codes=(2,))
    for time in ("60 s", " 60s", "0x10s", "-1s", "1e3s", "inf", ""):
        if time:
            tool.refused("expected a time", "bench", f"--budget={time}", *CPU, codes=(2,))
    for shape in ("0x10x16", "16 x16", " 16x16", "-1x16", "16x16x16x16", "16x", "1e3x16"):
        tool.refused("expected MxNxK", "bench", f"--shape={shape}", *CPU, codes=(2,))
    tool.passes("quantize", "in", "-o", "out", "--seed=7", "--group-size=-1", "--memory=64.5M", "--max-shard-size=1G",
                *CPU)

    good = "matvec int4 from 1 tokens: 32 4 1 2"
    write("good", f"# comment\n\n{good}\n")
    tool.passes("devices", "--tuning", "good", *CPU)
    for line in ("matvec int4 from -1 tokens: 32 4 1 2", "matvec int4 from 1 tokens: 32 4 1 -2", good + "\0",
                 good + "\0 9", good + " 5", "\0",
                 "matvec int4\0 from 1 tokens: 32 4 1 2", "matvec int4 from 0x1 tokens: 32 4 1 2",
                 "matvec int4 from 1 tokens: 32 4 1 4294967296", "matvec int4 from +1 tokens: 32 4 1 2",
                 "matvec int4 from 1 tokens: 32 4 1 2,", "matvec\x0bint4 from 1 tokens: 32 4 1 2", "m" * 100_000):
        write("bad", f"{good}\n{line}\n")
        tool.refused("bad:2: ", "devices", "--tuning", "bad", *CPU)
    tool.end()


main()
