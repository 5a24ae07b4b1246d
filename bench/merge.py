#!/usr/bin/env python3
"""Merges result files of one device and suite into one file of the same schema.

    merge.py [--stale TYPE,...@TIME] -o OUT.json RUN.json...

A row that several runs measured comes from the last of them. Every row names its run, and `runs` has the machine
block of each. --stale drops rows of these weight types that were measured before TIME (ISO 8601, UTC), because their
kernels changed then. Rows that no run measured, and dropped rows, are listed in `skipped`: `nibble bench --rest
OUT.json` measures them. A merged file may be merged again.
"""
import argparse
import json
import sys

# The fields that identify a row, as in bench/compare.cpp: without kernels and numbers.
KEY = ("device", "op", "type", "m", "n", "k", "source", "result", "granularity", "group_size", "scale_type", "scales",
       "modes")
# These fields must be equal in all runs.
MACHINE = ("device", "driver", "cpu", "cpu_threads", "profile")


def row_key(row):
    return json.dumps([row[field] for field in KEY])


# The same as RowReport::name() in bench/bench.cpp.
def row_name(row):
    text = row["op"] + " "
    if row["source"] and row["source"] != row["type"]:
        text += row["source"] + " -> "
    text += row["type"]
    if row["result"]:
        text += " -> " + row["result"]
    text += " " + row["granularity"]
    if row["group_size"]:
        text += f" {row['group_size']}"
    for mode in row["modes"]:
        text += " " + mode
    if row["scales"] == "given":
        text += " given"
    return f"{text}, {row['m']}x{row['n']}x{row['k']}"


# [(machine, rows)] of a file: one pair, or one for each run of a merged file.
def runs_of(result):
    if "runs" not in result:
        return [(result["machine"], result["rows"])]
    return [(machine, [row for row in result["rows"] if row["run"] == index])
            for index, machine in enumerate(result["runs"])]


def is_stale(row, machine, stale):
    return any(row["type"] in types and machine["date"] < time for types, time in stale)


def merge(results, stale):
    for field, values in [("schema", [r["schema"] for r in results]), ("suite", [r["suite"] for r in results])] + \
                         [(f, [r["machine"][f] for r in results]) for f in MACHINE]:
        if any(value != values[0] for value in values):
            raise ValueError(f"the files differ in {field}: {sorted(set(map(str, values)))}")
    if any(result["failures"] for result in results):
        raise ValueError("a run with failures cannot be merged")
    results = sorted(results, key=lambda r: r["machine"]["date"])
    runs = sorted((run for result in results for run in runs_of(result)), key=lambda run: run[0]["date"])
    newest, places = {}, {}
    # The order of a suite: the rows that a run measured, then those that it skipped.
    for result in results:
        for name in [row_name(row) for row in result["rows"]] + result["skipped"]:
            places.setdefault(name, len(places))
    for machine, rows in runs:
        for row in rows:
            if not is_stale(row, machine, stale):
                newest[row_key(row)] = (machine, row)
    used = [machine for machine, _ in runs if any(m is machine for m, _ in newest.values())]
    merged = [{**row, "run": next(i for i, m in enumerate(used) if m is machine)} for machine, row in newest.values()]
    merged.sort(key=lambda row: places[row_name(row)])
    measured = {row_name(row) for row in merged}
    return {"schema": results[0]["schema"], "suite": results[0]["suite"], "machine": used[-1], "runs": used,
            "rows": merged, "skipped": [name for name in places if name not in measured], "failures": []}


def parse_stale(text):
    types, time = text.split("@")
    return types.split(","), time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stale", action="append", default=[], type=parse_stale, metavar="TYPE,...@TIME")
    parser.add_argument("-o", required=True, metavar="OUT.json")
    parser.add_argument("run", nargs="+", metavar="RUN.json")
    arguments = parser.parse_args()
    results = []
    for path in arguments.run:
        with open(path, encoding="utf-8") as file:
            results.append(json.load(file))
    try:
        merged = merge(results, arguments.stale)
    except ValueError as error:
        sys.exit(f"merge.py: {error}")
    with open(arguments.o, "w", encoding="utf-8") as file:
        json.dump(merged, file, indent=2, ensure_ascii=False)
        file.write("\n")
    rows = sum(len(result["rows"]) for result in results)
    print(f"{arguments.o}: {len(merged['rows'])} of {rows} rows, from {len(merged['runs'])} runs, "
          f"{len(merged['skipped'])} not measured")


if __name__ == "__main__":
    main()
