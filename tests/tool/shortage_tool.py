#!/usr/bin/env python3
"""What a process lacks, memory, threads, open files, the size of files, rights, a device, is named in one line.

  shortage_tool.py NIBBLE SCRATCH
"""
import json
import os
import resource
import shutil
import stat
import struct
import subprocess
import sys

from tool import Tool, model, read, write

CPU = ("--device", "cpu")
NOBODY = 65534


def limited(*limits):
    def apply():
        for which, soft, hard in limits:
            resource.setrlimit(which, (soft, hard))

    return apply


def shards(folder, count):
    """A model of many files."""
    names = {}
    for i in range(count):
        name = f"model-{i:05d}-of-{count:05d}.safetensors"
        header = json.dumps({f"t{i}": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}}).encode()
        write(os.path.join(folder, name), struct.pack("<Q", len(header)) + header + b"\0" * 8)
        names[f"t{i}"] = name
    write(os.path.join(folder, "model.safetensors.index.json"), json.dumps({"weight_map": names}))


def another_user(tool):
    """OUT of another user is replaced, and what cannot be deleted is said."""
    if os.getuid() != 0:
        print("SKIPPED: another user's files need root")
        return
    os.mkdir("shared")
    os.chmod("shared", 0o777)
    model("shared/out")
    own = ["shared/in"]
    model(own[0])
    for path in (".", "shared/in"):
        os.chmod(path, 0o755)

    def as_nobody():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    if subprocess.run([tool.program, "--version"], preexec_fn=as_nobody, capture_output=True).returncode != 0:
        print("SKIPPED: another user cannot run the program")
        return
    tool.refused("is complete, but what it replaced is left", "quantize", "shared/in", "-o", "shared/out", "--force",
                 *CPU, preexec_fn=as_nobody, codes=(1,))
    report = tool.passes("inspect", "shared/out", "--names", "--json", *CPU)
    tool.check("weight_packed" in report.out, "OUT is whole")
    tool.check(os.listdir("shared/out") and ".nibble-journal" not in os.listdir("shared/out"), "OUT has no journal")
    # A file that cannot be replaced is found before the work.
    os.chmod("shared", 0o1777)
    write("shared/report.json", "old")
    tool.refused("belongs to another user", "inspect", "shared/in", "--names", "--json=shared/report.json", "--force",
                 *CPU, preexec_fn=as_nobody)
    tool.check(read("shared/report.json") == b"old", "another user's file")


def main():
    tool = Tool(sys.argv[1], sys.argv[2])
    model("in", 256, 2048)
    # The soft limit of open files is raised; the hard one is named.
    shards("many", 300)
    tool.passes("inspect", "many", "--names", *CPU, preexec_fn=limited((resource.RLIMIT_NOFILE, 64, 1024)))
    tool.refused("ulimit -n", "inspect", "many", "--names", *CPU, preexec_fn=limited((resource.RLIMIT_NOFILE, 64, 64)),
                 codes=(1,))
    # The largest file: not a signal.
    tool.refused("ulimit -f", "quantize", "in", "-o", "out", "--type", "F16", *CPU,
                 preexec_fn=limited((resource.RLIMIT_FSIZE, 100_000, 100_000)), codes=(1,))
    tool.refused("ulimit -f", "inspect", "in", "--json=report.json", *CPU,
                 preexec_fn=limited((resource.RLIMIT_FSIZE, 10, 10)), codes=(1,))
    tool.check(not os.path.exists("out") and not os.path.exists("report.json"), "nothing appeared")
    # Memory.
    write("big.json", '{"a":[' + "0," * 20_000_000 + "0]}")
    size = 400 << 20
    tool.refused("not enough memory", "inspect", "big.json", *CPU, preexec_fn=limited((resource.RLIMIT_AS, size, size)),
                 codes=(1,))
    os.remove("big.json")
    # No Vulkan.
    environment = dict(os.environ, VK_DRIVER_FILES="/nonexistent", VK_ICD_FILENAMES="/nonexistent")
    for device in ("0", "1", "llvmpipe"):
        done = tool.refused(f'no device "{device}": there is no Vulkan device here', "inspect", "in", "--device",
                            device, env=environment, codes=(2,))
        tool.check("$VK_DRIVER_FILES names (/nonexistent)" in done.err and "--device cpu" in done.err, done.err)
    for words in ((), ("--device", "cpu")):
        tool.passes("inspect", "in", *words, env=environment)
    another_user(tool)
    tool.end()


main()
