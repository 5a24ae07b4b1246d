#!/usr/bin/env python3
"""Tables of what compilers of real GPUs make of nibble's kernels, and whether that is as good as it was.

    check.py --captured FOLDER --kernels shaders/kernels.list --results RESULTS.json [--write] [--page PAGE.md]
             [--version TEXT]

FOLDER has a folder per chip, amd-navi31, which nibble_vendor_plans filled. Prints a line per pipeline and what is
wrong: a hot kernel that spills, an instruction that a module is there for and does not have, a fused multiply-add in a
bit-exact module, a plan that could not be made, a figure more than 5 % above the one in RESULTS.json. Exits with 1 if
anything is. --write replaces the chips' rows in RESULTS.json, and the page. Counts are static: what a branch skips
counts.
"""
import argparse
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import isa

SLACK = 1.05
HOT_FORMATS = ("int4", "int8", "nf4", "fp8", "q4_0", "dense")
SPILLS = ("Spilled VGPRs", "Spilled SGPRs", "Spills to memory", "Spills", "TMU Spills", "STP Count")
REGISTERS = ("VGPRs", "Number of GPRs", "Registers used", "Max live registers", "GPRs")
WAVES = ("Subgroups per SIMD", "Max warps/SM", "Max Waves Per Core", "Max dispatch width", "Threads", "Thread Count")
INSTRUCTIONS = ("Instructions", "Instruction count", "Instruction Count")


def bounded_kernels(path):
    """Names of kernels with an error bound, as modules begin."""
    names = set()
    for line in open(path, encoding="utf-8"):
        words = line.split("#")[0].split()
        if words and words[0] == "bounded":
            names.add(words[1].replace(":", "_").lower())
    return names


def is_hot(plan):
    """Plans of products at 1, 64 and 512 tokens, of the formats that are used most."""
    parts = plan.split(".")
    if parts[0] not in ("matvec", "matmul") or parts[-1] == "plain":
        return False
    return parts[1] in HOT_FORMATS and parts[2] in ("t1", "t64", "t512")


def first_of(statistics, names):
    return next((int(float(statistics[n])) for n in names if n in statistics), None)


def figure_of(work, plan, module, spec):
    """Instructions of the hottest loop per unit of its work, and the unit."""
    if work is None:
        return None, None
    if plan.split(".")[0] == "matvec" and plan.split(".")[2] == "t1" and module.startswith("matvec"):
        rows = spec[11]  # ROWS of matvec.h
        step = rows * 16
        weights = max(1, round(work["fma"] / step)) * step
        return work["instructions"] / weights, "weight"
    for unit in ("matrix", "dot", "fma"):
        if work[unit]:
            return work["instructions"] / work[unit], unit
    return None, None


class Chip:
    def __init__(self, folder, bounded):
        self.name = os.path.basename(folder).replace("-", ":", 1)
        self.family = self.name.split(":")[0]
        self.device, self.dot4 = "", False
        self.rows, self.failed = {}, []
        with open(os.path.join(folder, "pipelines.tsv"), encoding="utf-8", errors="replace") as table:
            for line in table:
                self.take(line.rstrip("\n"), folder, bounded)

    def take(self, line, folder, bounded):
        if line.startswith("#device"):
            self.device = line[8:].replace("\t", ", ")
            self.dot4 = "dot4 1" in line
        elif line.startswith("#failed"):
            self.failed.append(line[8:])
        elif not line.startswith("#"):
            self.add(line.split("\t"), folder, bounded)

    def add(self, fields, folder, bounded):
        plan, module, spec, subgroups, _milliseconds, statistics, file = fields
        spec = [int(v) for v in spec.split(",")]
        statistics = dict(s.split("=", 1) for s in statistics.split(";") if "=" in s)
        with open(os.path.join(folder, file), encoding="utf-8", errors="replace") as text:
            code = isa.read(self.family, text.read())
        row = {
            "subgroup": first_of(statistics, ("subgroup",)), "required": subgroups,
            "registers": first_of(statistics, REGISTERS), "waves": first_of(statistics, WAVES),
            "spills": sum(int(float(statistics.get(n, 0))) for n in SPILLS),
            "instructions": first_of(statistics, INSTRUCTIONS),
        }
        exact = not any(module == n or module.startswith(n + "_") for n in bounded)
        if code is not None:
            whole = isa.whole(code, self.family)
            row["matrix"], row["dot"] = whole["matrix"], whole["dot"]
            row["fused"] = whole["fused"] if exact else 0
            figure, unit = figure_of(isa.hottest(code, self.family), plan, module, spec)
            if figure is not None:
                row["figure"], row["unit"] = round(figure, 2), unit
        self.rows[plan + " " + module] = row


def problems_of(chip, known):
    """What is wrong with a chip's rows; known: its rows in the results, or {}."""
    for failed in chip.failed:
        yield f"{failed}: no plan"
    for key, row in sorted(chip.rows.items()):
        plan, module = key.split(" ")
        if is_hot(plan) and row["spills"]:
            yield f"{key}: a hot kernel has {row['spills']} spills"
        if "_dot4" in module and chip.dot4 and row.get("dot") == 0:
            yield f"{key}: no dot instruction"
        if ("matmul_half" in module or "_matrices" in module) and row.get("matrix") == 0:
            yield f"{key}: no matrix instruction"
        if row.get("fused"):
            yield f"{key}: {row['fused']} fused multiply-adds in a bit-exact module"
        before = known.get(key)
        if before is None:
            continue
        if row["spills"] > before["spills"]:
            yield f"{key}: {row['spills']} spills, {before['spills']} before"
        if row.get("unit") == before.get("unit") and row.get("figure", 0) > SLACK * before.get("figure", 0):
            yield f"{key}: {row['figure']} instructions per {row['unit']}, {before['figure']} before"


def text_of(key, row):
    plan, module = key.split(" ")
    figure = f"{row['figure']:.2f}/{row['unit']}" if "figure" in row else "-"
    special = " ".join(f"{row[k]} {k}" for k in ("matrix", "dot", "fused") if row.get(k))
    return (f"{plan:<28} {module:<34} {row['subgroup'] or '-':>3} {row['registers'] or '-':>4} "
            f"{row['waves'] or '-':>3} {row['spills']:>4} {row['instructions'] or '-':>6}  {figure:<13} {special}")


def cell_of(row):
    spills = f", {row['spills']} spills" if row["spills"] else ""
    return f"{row['figure']:.2f}/{row['unit']} ({row['registers']}{spills})"


def page_of(results):
    """The page in Markdown: of every plan of a product, its figure, registers and spills on every chip."""
    chips = results["chips"]
    lines = [
        "# Kernels under the compilers of GPUs", "",
        "Made by `tools/vendor_check.sh --write`: nibble's own plans of 4096 x 4096 products, compiled by Mesa's",
        f"compilers ({results['version']}) for chips that are not there. Nothing ran and nothing was timed; other",
        "drivers may compile otherwise. A cell is the number of instructions of the hottest loop per weight (one",
        "token), per matrix instruction, per dot product of four bytes or per multiply-add; then registers, and",
        "spills if there are any.", "",
        "| plan | " + " | ".join(chips) + " |", "|---|" + "---|" * len(chips),
    ]
    plans = []
    for chip in chips.values():
        for key, row in chip["rows"].items():
            plan = key.split(" ")[0]
            if "figure" in row and plan not in plans:
                plans.append(plan)
    for plan in sorted(plans):
        cells = []
        for chip in chips.values():
            rows = [r for key, r in chip["rows"].items() if key.split(" ")[0] == plan and "figure" in r]
            cells.append("; ".join(cell_of(r) for r in rows) or "-")
        lines.append(f"| {plan} | " + " | ".join(cells) + " |")
    lines += ["", "| chip | as the driver names it |", "|---|---|"]
    lines += [f"| {name} | {chip['device']} |" for name, chip in chips.items()]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    for name in ("--captured", "--kernels", "--results"):
        parser.add_argument(name, required=True)
    parser.add_argument("--page")
    parser.add_argument("--version", default="unknown")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()

    results = {"version": options.version, "chips": {}}
    if os.path.exists(options.results):
        with open(options.results, encoding="utf-8") as file:
            results = json.load(file)
    bounded = bounded_kernels(options.kernels)
    wrong = 0
    for entry in sorted(os.listdir(options.captured)):
        chip = Chip(os.path.join(options.captured, entry), bounded)
        print(f"# {chip.name}: {chip.device}")
        for key, row in chip.rows.items():
            print(text_of(key, row))
        known = results["chips"].get(chip.name, {"rows": {}})["rows"]
        for problem in problems_of(chip, known):
            print(f"WRONG {chip.name} {problem}")
            wrong += 1
        if options.write:
            rows = dict(known)
            rows.update(chip.rows)
            results["chips"][chip.name] = {"device": chip.device, "rows": dict(sorted(rows.items()))}
    if options.write:
        results["version"] = options.version
        results["chips"] = dict(sorted(results["chips"].items()))
        with open(options.results, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
            file.write("\n")
        if options.page:
            with open(options.page, "w", encoding="utf-8") as file:
                file.write(page_of(results))
    print(f"{wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
