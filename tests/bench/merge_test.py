#!/usr/bin/env python3
"""merge_test.py SOURCE: bench/merge.py on made-up runs, and on the committed files."""
import copy
import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

SOURCE = sys.argv.pop() if len(sys.argv) > 1 else "."
sys.path.insert(0, os.path.join(SOURCE, "bench"))
sys.dont_write_bytecode = True
import merge  # noqa: E402


def made_up_row(kind, us, m=8):
    return {"op": "matmul", "type": kind, "m": m, "n": 1, "k": 16, "device": "D", "path": "p", "median_us": us,
            "source": "f32", "result": "f32", "granularity": "group", "group_size": 64, "scale_type": "f16",
            "scales": None, "modes": []}


def made_up_run(date, rows, skipped=()):
    machine = {"device": "D", "driver": "R", "cpu": "C", "cpu_threads": 2, "profile": None, "date": date, "git": date}
    return {"schema": 1, "suite": "gemv", "machine": machine, "rows": rows, "skipped": list(skipped), "failures": []}


NF4 = "matmul f32 -> nf4 -> f32 group 64, 8x1x16"


class Merge(unittest.TestCase):
    def setUp(self):
        self.first = made_up_run("2026-01-01", [made_up_row("int4", 5), made_up_row("f32", 9)], [NF4])
        self.second = made_up_run("2026-01-02", [made_up_row("nf4", 7), made_up_row("f32", 8)])

    def us(self, merged):
        return [(row["type"], row["median_us"], row["run"]) for row in merged["rows"]]

    def test_the_last_run_has_a_row_in_the_order_of_the_suite(self):
        for order in ([self.first, self.second], [self.second, self.first]):
            merged = merge.merge(copy.deepcopy(order), [])
            self.assertEqual(self.us(merged), [("int4", 5, 0), ("f32", 8, 1), ("nf4", 7, 1)])
            self.assertEqual(merged["skipped"], [])
            self.assertEqual([m["date"] for m in merged["runs"]], ["2026-01-01", "2026-01-02"])
            self.assertEqual(merged["machine"], self.second["machine"])

    def test_rows_that_differ_in_any_choice_are_different(self):
        self.second["rows"][1]["scale_type"] = "f32"
        self.second["rows"][0]["m"] = 9
        self.assertEqual(len(merge.merge([self.first, self.second], [])["rows"]), 4)

    def test_rows_of_older_kernels_are_dropped_and_listed(self):
        merged = merge.merge([self.first, self.second], [(["nf4", "int4"], "2026-01-02T12")])
        self.assertEqual(self.us(merged), [("f32", 8, 0)])
        self.assertEqual(merged["skipped"], ["matmul f32 -> int4 -> f32 group 64, 8x1x16", NF4])
        self.assertEqual(merged["runs"], [self.second["machine"]])
        merged = merge.merge([self.first, self.second], [(["nf4", "int4"], "2026-01-02")])
        self.assertEqual(self.us(merged), [("f32", 8, 0), ("nf4", 7, 0)])

    def test_a_merged_file_can_be_merged_again(self):
        once = merge.merge([self.first, self.second], [])
        self.assertEqual(merge.merge([copy.deepcopy(once)], []), once)
        third = made_up_run("2026-01-03", [made_up_row("int4", 4)])
        merged = merge.merge([once, third], [])
        self.assertEqual(self.us(merged), [("int4", 4, 1), ("f32", 8, 0), ("nf4", 7, 0)])
        self.assertEqual([m["date"] for m in merged["runs"]], ["2026-01-02", "2026-01-03"])

    def test_runs_of_other_machines_suites_or_with_failures_are_refused(self):
        for field, value in [("device", "E"), ("driver", "S"), ("cpu", "B")]:
            other = copy.deepcopy(self.second)
            other["machine"][field] = value
            self.assertRaisesRegex(ValueError, f"differ in {field}", merge.merge, [self.first, other], [])
        for field, value, problem in [("suite", "gemm", "differ in suite"), ("failures", ["x"], "failures")]:
            other = {**self.second, field: value}
            self.assertRaisesRegex(ValueError, problem, merge.merge, [self.first, other], [])

    def test_names_are_those_of_the_tool(self):
        row = made_up_row("int4", 1)
        row.update(op="quantize", result=None, scales="given", modes=["asymmetric", "flat"])
        self.assertEqual(merge.row_name(row), "quantize f32 -> int4 group 64 asymmetric flat given, 8x1x16")
        row.update(op="minmax", type="f32", scales=None, modes=[], granularity="row", group_size=None)
        self.assertEqual(merge.row_name(row), "minmax f32 row, 8x1x16")

    def test_committed_files_are_as_the_tool_wrote_them(self):
        merged = []
        for path in sorted(glob.glob(os.path.join(SOURCE, "bench/results/*.json"))):
            with open(path, encoding="utf-8") as file:
                merged += [path] if "runs" in json.load(file) else []
        self.assertTrue(merged)
        with tempfile.TemporaryDirectory() as folder:
            for path in merged:
                again = os.path.join(folder, "again.json")
                subprocess.run([sys.executable, os.path.join(SOURCE, "bench/merge.py"), "-o", again, path], check=True,
                               stdout=subprocess.DEVNULL)
                with open(again, "rb") as new, open(path, "rb") as old:
                    self.assertEqual(new.read(), old.read(), path)


if __name__ == "__main__":
    unittest.main()
