"""Checks that go on after a failure, and a common end, for tests that run the tool in their own ways."""
import filecmp
import os
import shutil
import sys

_checks, _failures = 0, 0


def check(holds, text):
    global _checks, _failures
    _checks += 1
    if not holds:
        _failures += 1
        print(f"FAILED: {text}", flush=True)
    return holds


def check_refused(done, code, *words, what=""):
    """A finished process ended with this code and one line on stderr, which has all words in it."""
    lines = done.stderr.strip().splitlines()
    holds = done.returncode == code and len(lines) == 1 and all(word in lines[0] for word in words)
    return check(holds, f"{what}: expected {code} and {words}: exit {done.returncode}: {done.stderr.strip()[-2000:]}")


def near(a, b, relative):
    return abs(a - b) <= relative * abs(b)


def same_files(a, b):
    """Whether two folders hold the same names and bytes."""
    names = sorted(os.listdir(a))
    return names == sorted(os.listdir(b)) and not filecmp.cmpfiles(a, b, names, shallow=False)[1]


def end(scratch=None):
    """Ends the program; removes the folder `scratch` if no check failed."""
    print(f"{_checks} checks, {_failures} failed")
    if _failures:
        sys.exit(1)
    if scratch:
        shutil.rmtree(scratch)
    sys.exit(0)
