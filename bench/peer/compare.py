#!/usr/bin/env python3
"""Compares nibble with ggml's Vulkan backend: the same ops on the same device and driver, alternating in one run.

    compare.py --nibble CMD --ggml CMD [--ggml-env NAME=VALUE,... ]... [--rounds 3] [--m 4096 --k 4096] -o OUT.json
    compare.py --table OUT.json                                     prints a result as Markdown

The compared ops: every op for which nibble names an op of the peer (`nibble bench --list --json`), with every type that
both support under the same name, or for which the peer has a similar type.

CMD are command lines (quoted, with a launcher or chroot if needed) of `nibble` and of ggml_bench. Every --ggml-env is
one setting of the peer. The best setting of each row counts; rounds after the first measure only that one. Both run
alternately, row by row and round by round; the median of all rounds counts. ggml converts activations once for a graph
of equal nodes, so its products do not include that pass; nibble's do.
"""
import argparse
import json
import math
import shlex
import statistics
import subprocess
import sys

# Types that the peer lacks, and its most similar type: for all ops, or for products only.
NEAREST = {"nf4": "iq4_nl"}
NEAREST_OF_PRODUCTS = {**NEAREST, "int4": "q4_0"}
PRODUCT = "mul_mat"
VERSIONS = set()


# The types that the peer can quantize, by its names.
def ggml_types(command):
    done = subprocess.run(shlex.split(command) + ["--list"], capture_output=True, text=True)
    return {json.loads(line).get("type") for line in done.stdout.splitlines() if line.startswith("{")}


# nibble's rows of a suite that have an equivalent op of the peer: (op, peer's op, type), unique and in nibble's order.
def nibble_rows(command, suite, shape, chosen):
    line = shlex.split(command) + ["bench", "--suite", suite, "--shape", shape, "--list", "--json"]
    done = subprocess.run(line, capture_output=True, text=True)
    if not done.stdout.startswith("{"):
        sys.exit(f"compare.py: {' '.join(line)}: {done.stderr.strip().splitlines()[-1:]}")
    rows = [(r["op"], r["peer"], r["type"]) for r in json.loads(done.stdout)["rows"] if r["peer"]]
    return [r for r in dict.fromkeys(rows) if not chosen or r[2] in chosen]


# Pairs of types: nibble's and the peer's.
def pairs(types, nearest, theirs):
    return [(ours, nearest.get(ours, ours)) for ours in dict.fromkeys(types) if nearest.get(ours, ours) in theirs]


def run_ggml(command, setting, op, kind, arguments):
    line = shlex.split(command)
    line = line[:-1] + ["env", *filter(None, setting.split(",")), line[-1]]
    line += ["--ops", op, "--types", kind, *arguments]
    done = subprocess.run(line, capture_output=True, text=True)
    for text in done.stdout.splitlines():
        if text.startswith("{"):
            row = json.loads(text)
            if not row["device"].startswith("Vulkan"):
                sys.exit(f"compare.py: ggml runs on {row['device']}, not on Vulkan: "
                         "a software device needs GGML_VK_VISIBLE_DEVICES=0")
            VERSIONS.add(row["ggml"])
            return row["us_median"]
    return None


def run_nibble(command, suite, shape, kind):
    line = shlex.split(command) + ["bench", "--suite", suite, "--shape", shape, "--type", kind, "--json"]
    done = subprocess.run(line, capture_output=True, text=True)
    if not done.stdout.startswith("{"):
        sys.exit(f"compare.py: {' '.join(line)}: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout)


def usual(row):
    return row["source"] in (None, "f32") and row["result"] in (None, "f32") and row["scales"] in (None, "found") \
        and row["verified"] and row["granularity"] != "row"


def nibble_us(result, op):
    rows = [r for r in result["rows"] if r["op"] == op and (usual(r) or (op == "matmul" and r["source"] == "f32"))]
    return (rows[0]["median_us"], rows[0]["path"], rows[0]["ceiling_fraction"]) if rows else (None, None, None)


# The name of a row: op, nibble's type / the peer's, and shape (with the tokens of a product).
def product_name(ours, theirs, tokens, a):
    return f"product {ours} / {theirs}, {a.m}x{tokens}x{a.k}"


def move_name(op, ours, theirs, a):
    return f"{op} {ours} / {theirs}, {a.m}x{a.k}"


# Three significant digits.
def milliseconds(us):
    ms = us / 1e3
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}"


def print_table(path):
    with open(path) as file:
        result = json.load(file)
    shown, columns, lines = {r["row"]: r for r in result["rows"]}, [], {}
    for name, row in shown.items():
        what, shape = name.split(", ")
        what, types = what.split(" ", 1)
        column = f"{shape.split('x')[1]} tokens".replace("1 tokens", "1 token") if what == "product" else what
        columns += [column] if column not in columns else []
        cell = f"{row['ratio']:.2f} ({milliseconds(row['nibble_us'])} / {milliseconds(row['ggml_us'])})"
        lines.setdefault(types, {})[column] = cell
    machine = result["machine"]
    print(f"**{machine['device']}**, {machine['driver']}, on {machine['cpu_threads']} threads of {machine['cpu']}, "
          f"{machine['date'][:10]}, ggml {result['ggml']}. Least {result['least']:.2f}, geometric mean "
          f"{result['geometric_mean']:.2f} of {len(shown)} rows.\n")
    print("| nibble / llama.cpp | " + " | ".join(columns) + " |")
    print("|---|" + "---:|" * len(columns))
    for types, cells in lines.items():
        print(f"| {types} | " + " | ".join(cells.get(c, "") for c in columns) + " |")


# Prints the table of all results so far, and writes the file.
def write_result(rows, machine, path):
    table, ratios = [], []
    for name, row in rows.items():
        if not any(row["ggml_us"].values()):
            print(f"{name:44} ggml does not have it", file=sys.stderr)
            continue
        best = min((statistics.median(us), s) for s, us in row["ggml_us"].items() if us)
        mine = statistics.median(row["nibble_us"])
        table.append({"row": name, "path": row["path"], "nibble_us": mine, "ggml_us": best[0], "ggml_setting": best[1],
                      "ratio": best[0] / mine,
                      "fraction": statistics.median(row["fraction"]) if None not in row["fraction"] else None,
                      "nibble_all_us": row["nibble_us"], "ggml_all_us": row["ggml_us"]})
        ratios.append(best[0] / mine)
        print(f"{name:44} nibble {mine:12.0f} us   ggml {best[0]:12.0f} us   {best[0] / mine:6.2f} x   [{best[1]}]")
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f"least {min(ratios):.2f} x, geometric mean {mean:.2f} x of {len(ratios)} rows")
    keep = ("device", "driver", "cpu", "cpu_threads", "os", "load_average", "nibble", "git", "date")
    with open(path, "w") as file:
        json.dump({"schema": 1, "machine": {k: machine.get(k) for k in keep}, "ggml": ", ".join(sorted(VERSIONS)),
                   "rounds": max(len(row["nibble_us"]) for row in rows.values()),
                   "rows": table,
                   "least": min(ratios), "geometric_mean": mean}, file, indent=1)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--table":
        return print_table(sys.argv[2])
    parser = argparse.ArgumentParser()
    parser.add_argument("--nibble", required=True)
    parser.add_argument("--ggml", required=True)
    parser.add_argument("--ggml-env", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--m", type=int, default=4096)
    parser.add_argument("--k", type=int, default=4096)
    parser.add_argument("--tokens", default="1,64,512")
    parser.add_argument("--min-reps", default="10", help="of ggml: nodes of a graph with one token (others: 1)")
    parser.add_argument("--skip-moves", action="store_true")
    parser.add_argument("--type", default="", help="only these types of nibble's, a comma list")
    parser.add_argument("-o", required=True)
    a = parser.parse_args()
    settings = a.ggml_env or [""]
    sizes = ["--m", str(a.m), "--k", str(a.k), "--samples", "3", "--min-ms", "100"]
    rows, machine = {}, None
    theirs, chosen = ggml_types(a.ggml), set(filter(None, a.type.split(",")))
    moved = [r for r in nibble_rows(a.nibble, "quick", f"{a.m}x1x{a.k}", chosen) if r[1] != PRODUCT]
    moves = pairs([kind for _, _, kind in moved], NEAREST, theirs)

    def ask_ggml(name, op, kind, arguments):
        known = {s: us for s, us in rows[name]["ggml_us"].items() if us} if name in rows else {}
        asked = [min(known, key=lambda s: statistics.median(known[s]))] if known else settings
        return {s: run_ggml(a.ggml, s, op, kind, arguments) for s in asked}

    def add_row(name, ours, path, fraction, theirs):
        row = rows.setdefault(name, {"nibble_us": [], "ggml_us": {s: [] for s in settings}, "path": path,
                                     "fraction": []})
        row["nibble_us"].append(ours)
        row["fraction"].append(fraction)
        for setting, us in theirs.items():
            if us is not None:
                row["ggml_us"][setting].append(us)

    for number in range(a.rounds):
        for tokens in a.tokens.split(","):
            suite, shape = "gemv" if tokens == "1" else "gemm", f"{a.m}x{tokens}x{a.k}"
            multiplied = [r for r in nibble_rows(a.nibble, suite, shape, chosen) if r[1] == PRODUCT]
            for ours, other in pairs([kind for _, _, kind in multiplied], NEAREST_OF_PRODUCTS, theirs):
                name = product_name(ours, other, tokens, a)
                peer = ask_ggml(name, PRODUCT, other,
                                sizes + ["--n", tokens, "--min-reps", a.min_reps if tokens == "1" else "1"])
                result = run_nibble(a.nibble, suite, shape, ours)
                machine = machine or result["machine"]
                add_row(name, *nibble_us(result, "matmul"), peer)
                print(f"round {number + 1}: {tokens} tokens, {ours}", file=sys.stderr)
        for ours, other in [] if a.skip_moves else moves:
            result = run_nibble(a.nibble, "quick", f"{a.m}x1x{a.k}", ours)
            for op, peer_op in [(op, peer_op) for op, peer_op, kind in moved if kind == ours]:
                name = move_name(op, ours, other, a)
                add_row(name, *nibble_us(result, op), ask_ggml(name, peer_op, other, sizes + ["--min-reps", "3"]))
            print(f"round {number + 1}: moves of {ours}", file=sys.stderr)
        write_result(rows, machine, a.o)


if __name__ == "__main__":
    main()
