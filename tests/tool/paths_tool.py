#!/usr/bin/env python3
"""Nothing that nibble writes replaces an input, a part of OUT, a link, a pipe or a device, and a place that cannot be
written is found before the work.

  paths_tool.py NIBBLE SCRATCH
"""
import json
import os
import stat
import subprocess
import sys
import tempfile

from tool import Tool, model, read, recording, write

CPU = ("--device", "cpu")


def state(path):
    """All files below a path: what they hold, where they link to, and their inodes."""
    found = {}
    for folder, folders, files in os.walk(path):
        for name in files + folders:
            full = os.path.join(folder, name)
            info = os.lstat(full)
            content = ""
            if stat.S_ISLNK(info.st_mode):
                content = os.readlink(full)
            elif stat.S_ISREG(info.st_mode):
                content = read(full)
            found[full] = (stat.S_IFMT(info.st_mode), info.st_ino, content)
    return found


def unchanged(tool, part, *words, **options):
    """The run is refused and changes no file."""
    before = state(".")
    tool.refused(part, *words, **options)
    after = state(".")
    changed = [path for path in set(before) | set(after) if before.get(path) != after.get(path)]
    tool.check(not changed, f"{words}: changed {changed}")


def inputs(tool):
    model("in")
    recording("records/a.npy")
    recording("one.npy")
    tool.passes("calibrate", "--data", "one.npy", "-o", "calib.json", *CPU)
    write("run.json", '{"schema":1,"suite":"quick","rows":[],"skipped":["x"]}')
    os.link("calib.json", "hard.json")
    os.symlink("calib.json", "soft.json")
    os.symlink("in", "in_link")
    os.link("in/model.safetensors", "weights.json")
    write("tuning", "# none\nmatvec int4 from 1 tokens: 32 4 1 2\n")
    calib = ("inspect", "calib.json", *CPU, "--force")
    for place in ("calib.json", "./calib.json", "in/../calib.json", os.path.abspath("calib.json"), "hard.json",
                  "soft.json", "in_link/../calib.json"):
        unchanged(tool, "is an input", *calib, "--json=" + place)
        unchanged(tool, "is an input", *calib, "--html=" + place)
        unchanged(tool, "is an input", "calibrate", "--merge", "calib.json", "-o", place, "--force", *CPU)
    for place in ("in/model.safetensors", "in/config.json", "in_link/config.json", "weights.json"):
        unchanged(tool, "is an input", "inspect", "in", *CPU, "--force", "--json=" + place)
    # A new file that would become a part of an input folder.
    unchanged(tool, "part of the input", "inspect", "in", *CPU, "--json=in/tokenizer.json")
    unchanged(tool, "part of the input", "calibrate", "--data", "records", "-o", "records/b.npy", *CPU)
    tool.passes("inspect", "in", *CPU, "--json=in/report.json")
    tool.passes("calibrate", "--data", "records", "-o", "records/ranges.json", *CPU)
    for place in ("in/quantize_config.json", "in/adapter_config.json"):
        unchanged(tool, "part of the input", "inspect", "in", *CPU, "--json=" + place)
        write(place, "{}")
        unchanged(tool, "is an input", "inspect", "in", *CPU, "--force", "--json=" + place)
        os.remove(place)
    # Files that OUT gets copies of.
    write("in/README.md", "words")
    for verb in ("quantize", "convert"):
        unchanged(tool, "is an input", verb, "in", "-o", "copied", *CPU, "--force", "--json=in/README.md")
    # The other parts of a model that is split.
    write("split/m-00001-of-00002.gguf", "one")
    write("split/m-00002-of-00002.gguf", "two")
    for verb in ("inspect", "eval"):
        unchanged(tool, "is an input", verb, "split/m-00001-of-00002.gguf", *CPU, "--force",
                  *(("--data", "one.npy") if verb == "eval" else ()), "--json=split/m-00002-of-00002.gguf")
    # Descriptors beyond 1 and 2.
    with open("in/model.safetensors", "r+b") as file:
        fd = file.fileno()
        for place in (f"/proc/self/fd/{fd}", f"/dev/fd/{fd}"):
            unchanged(tool, "goes to an input", "inspect", "in", *CPU, "--json=" + place, pass_fds=(fd,))
    for words in (("calibrate", "--data", "one.npy", "-o", "one.npy"),
                  ("calibrate", "--data", "records", "-o", "records/a.npy"),
                  ("calibrate", "--data", "one.npy", "-o", "new.json", "--json=one.npy"),
                  ("compare", "in", "in", "--json=in/model.safetensors"),
                  ("selftest", "--merge", "run.json", "--json=run.json"),
                  ("bench", "--compare", "run.json", "--json=run.json"),
                  ("bench", "--rest", "run.json", "--json=run.json"),
                  ("bench", "--tuning", "tuning", "--tune", "tuning"),
                  ("devices", "--tuning", "tuning", "--json=tuning"),
                  ("quantize", "in", "-o", "new", "--tuning", "tuning", "--json=tuning")):
        unchanged(tool, "is an input", *words, "--force", *CPU)
    # One path twice.
    unchanged(tool, "too: name another", "inspect", "calib.json", "--json=a", "--html=./a", *CPU)
    unchanged(tool, "too: name another", "calibrate", "--data", "one.npy", "-o", "a", "--json=a", *CPU)


def outputs(tool):
    model("in")
    os.mkdir("out")
    os.symlink("out", "out_link")
    for place in ("out/report.json", "out/model.safetensors", "out_link/x", "./in/../out/x", "out.partial", "out.gptq",
                  "out.replaced"):
        unchanged(tool, "which -o out writes", "quantize", "in", "-o", "out", "--json=" + place, *CPU)
    unchanged(tool, "is a folder", "quantize", "in", "-o", "out", "--json=out", *CPU)
    # Inputs at the path of OUT, or of the files that it needs beside it.
    for ending in ("", ".partial", ".replaced", ".gptq"):
        folder = model("x" + ending)
        unchanged(tool, "name another", "quantize", folder, "-o", "x", "--force", *CPU)
        unchanged(tool, "name another", "quantize", folder + "/model.safetensors", "-o", "x", "--force", *CPU)
        os.symlink(folder, "link")
        unchanged(tool, "name another", "quantize", "link", "-o", "./in/../x", "--force", *CPU)
        os.remove("link")
        subprocess.run(["rm", "-r", folder])
    os.mkdir("y.partial")
    os.link("in/model.safetensors", "y.partial/model.safetensors")
    unchanged(tool, "by another name", "quantize", "in", "-o", "y", "--resume", *CPU)
    # OUT is a folder.
    write("file", "x")
    os.mkfifo("pipe")
    os.symlink("nowhere", "dangling")
    for out in ("file", "pipe", "dangling", "/dev/null", "/dev/stdout"):
        unchanged(tool, "", "quantize", "in", "-o", out, "--force", *CPU)
    unchanged(tool, "there is no folder", "quantize", "in", "-o", "no/such/out", *CPU)
    tool.passes("quantize", "in", "-o", "out", "--json=report.json", *CPU)
    tool.check(json.loads(read("report.json"))["tensors"], "the report of quantize")


def streams(tool):
    """Pipes, devices and descriptors are written through; links are followed."""
    model("in")
    recording("one.npy")
    names = ("inspect", "in", "--names", *CPU)
    with tempfile.TemporaryDirectory() as folder:
        if os.getuid() == 0:
            device = os.path.join(folder, "null")
            try:
                os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
                tool.passes(*names, "--json=" + device)
                tool.passes("calibrate", "--data", "one.npy", "-o", device, *CPU)
                tool.check(stat.S_ISCHR(os.lstat(device).st_mode), "a device was replaced")
            except PermissionError:  # where device nodes cannot be made or used
                pass
    tool.passes(*names, "--json=/dev/null")
    for stdout in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        done = tool.passes(*names, "--json=" + stdout)
        tool.check(json.loads(done.out)["tensors"], f"{stdout}: not the object alone")
        with open("kept", "wb") as file:
            tool.passes(*names, "--json=" + stdout, stdout=file)
        tool.check(json.loads(read("kept"))["tensors"], f"{stdout}: the file of the shell does not hold the object")
    done = tool.passes("calibrate", "--data", "one.npy", "-o", "/dev/stdout", *CPU)
    tool.check(json.loads(done.out)["schema"] == 2, "-o /dev/stdout: not the calibration alone")
    reader, writer = os.pipe()
    tool.passes(*names, f"--json=/dev/fd/{writer}", pass_fds=[writer])
    os.close(writer)
    tool.check(json.loads(os.read(reader, 1 << 20))["tensors"], "a pipe's descriptor")
    os.mkfifo("fifo")
    with subprocess.Popen(["cat", "fifo"], stdout=subprocess.PIPE) as cat:
        tool.passes(*names, "--json=fifo")
        tool.check(json.loads(cat.communicate()[0])["tensors"], "a named pipe")
    tool.check(stat.S_ISFIFO(os.lstat("fifo").st_mode), "a named pipe was replaced")
    # Links, to a file and to a new one, relative and in a chain.
    os.mkdir("far")
    write("far/file.json", "old")
    os.chmod("far/file.json", 0o640)
    os.symlink("far/file.json", "link")
    os.symlink("link", "chain")
    os.symlink("far/new.json", "dangling")
    os.symlink("loop", "loop")
    tool.refused("exists", *names, "--json=chain")
    tool.passes(*names, "--json=chain", "--force")
    tool.passes(*names, "--json=dangling")
    tool.refused("never end", *names, "--json=loop")
    tool.check(os.path.islink("link") and os.path.islink("chain") and os.path.islink("dangling"), "a link was replaced")
    tool.check(json.loads(read("far/file.json"))["tensors"] and json.loads(read("far/new.json"))["tensors"],
               "the files behind links")
    tool.check(os.stat("far/file.json").st_mode & 0o777 == 0o640, "the permissions of a replaced file")
    tool.check(sorted(os.listdir("far")) == ["file.json", "new.json"], "a temporary file is left")
    # A file that the shell has opened for stdout is taken.
    with open("log", "wb") as log:
        tool.refused("where stdout goes", *names, "--json=log", "--force", stdout=log)
    with open("in/model.safetensors", "ab") as log:
        tool.refused("goes to an input", *names, stdout=log)
    model("in")


def tried(tool):
    """What cannot be written is said before the work."""
    model("in")
    names = ("inspect", "in", "--names", *CPU)
    longest = "n" * 255
    tool.passes(*names, "--json=" + longest)
    tool.refused("File name too long", *names, "--json=" + longest + "n")
    tool.refused("there is no folder", *names, "--json=no/such/file")
    tool.refused("", *names, "--json=in/model.safetensors/file")
    tool.refused("is a folder", *names, "--json=in")
    done = tool.refused("there is no folder", "bench", "--json=no/such/file", *CPU, timeout=20)
    tool.check("bench 1/" not in done.err, "bench measured before it tried its place")
    tool.refused("there is no folder", "calibrate", "--data", "nothing.npy", "-o", "no/such/file", *CPU)
    if os.getuid() != 0:
        os.mkdir("locked", 0o500)
        tool.refused("Permission denied", *names, "--json=locked/file")


def main():
    tool = Tool(sys.argv[1], sys.argv[2])
    top = os.getcwd()
    for part in (inputs, outputs, streams, tried):
        os.mkdir(part.__name__)
        os.chdir(part.__name__)
        part(tool)
        os.chdir(top)
    tool.end()


main()
