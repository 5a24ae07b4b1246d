#!/usr/bin/env python3
"""Multiple-choice questions: nibble eval --choices and nibble compare --ab --choices on the sample model.

    choices_tool.py NIBBLE SCRATCH MODEL QUESTIONS_FOLDER

expected.json was computed by transformers (tests/choices/make.py).
"""
import json
import math
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tool"))
from checks import check, check_refused, end

NIBBLE, SCRATCH, MODEL, FOLDER = sys.argv[1:]
QUESTIONS, INT4 = os.path.join(FOLDER, "questions.jsonl"), os.path.join(SCRATCH, "int4")


def run(*arguments):
    return subprocess.run([NIBBLE, *arguments], capture_output=True, text=True, timeout=120)


def result(*arguments):
    done = run(*arguments, "--device", "cpu", "--json")
    if done.returncode != 0:
        sys.exit(f"{arguments}: exit {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def refused(code, *words, arguments):
    check_refused(run(*arguments), code, *words, what=" ".join(arguments))


def refused_file(text, *words):
    path = os.path.join(SCRATCH, "questions.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    refused(1, *words, arguments=("eval", MODEL, "--choices", path, "--device", "cpu"))


def test_scores():
    with open(os.path.join(FOLDER, "expected.json"), encoding="utf-8") as file:
        expected = json.load(file)
    r = result("eval", MODEL, "--choices", QUESTIONS)
    worst = max(abs(a - b) / max(1, abs(a)) for row, mine in zip(expected["log_probabilities"], r["by_question"])
                for a, b in zip(row, mine["log_probabilities"]))
    check(len(r["by_question"]) == len(expected["acc"]) == r["questions"] == 36, "all questions")
    check(worst < 1e-5, f"log-probabilities as of transformers: {worst:.2g}")
    for key in ("acc", "acc_norm"):
        check([row[key] for row in r["by_question"]] == expected[key], f"{key} of each question")
        share = sum(expected[key]) / 36
        check(abs(r[key] - share) < 1e-12 and abs(r[key + "_se"] - math.sqrt(share * (1 - share) / 35)) < 1e-12,
              f"{key} {share:.4f} +- {r[key + '_se']:.4f}")
    # Per byte differs from per character where a choice has other than ASCII characters.
    with open(QUESTIONS, encoding="utf-8") as file:
        questions = [json.loads(line) for line in file]
    bytewise = []
    for q, row in zip(questions, r["by_question"]):
        scores = [s / len(c.encode()) for s, c in zip(row["log_probabilities"], q["choices"])]
        bytewise.append(scores.index(max(scores)) == q["answer"])
    check([row["acc_bytes"] for row in r["by_question"]] == bytewise, "acc_bytes of each question")
    bos = result("eval", MODEL, "--choices", QUESTIONS, "--add-bos")
    moved = [a["log_probabilities"] != b["log_probabilities"] for a, b in zip(r["by_question"], bos["by_question"])]
    check(moved == [q["context"] != "" for q in questions], "--add-bos changes all but the empty context")
    return r


def test_paired(dense):
    done = run("quantize", MODEL, "-o", INT4, "--type", "int4", "--group-size", "64", "--device", "cpu")
    check(done.returncode == 0, f"quantize {done.stderr[-200:]}")
    quantized = result("eval", INT4, "--choices", QUESTIONS)
    memory = result("eval", MODEL, "--choices", QUESTIONS, "--type", "int4", "--group-size", "64")
    check(memory["by_question"] == quantized["by_question"], "quantized in memory as from a file")
    r = result("compare", MODEL, INT4, "--ab", "--choices", QUESTIONS)
    for key in ("acc", "acc_norm", "acc_bytes"):
        d = [b[key] - a[key] for a, b in zip(dense["by_question"], quantized["by_question"])]
        mean = sum(d) / len(d)
        error = math.sqrt(sum((x - mean) ** 2 for x in d) / (len(d) - 1) / len(d))
        check(abs(r[key]["difference"] - mean) < 1e-12 and abs(r[key]["se"] - error) < 1e-12,
              f"{key}: {mean:+.4f} +- {error:.4f}, {r[key]['better']}")
        check(abs(r[key]["a"] - dense[key]) + abs(r[key]["b"] - quantized[key]) < 1e-12, f"{key} of both")


def test_refusals():
    refused(2, "--data", arguments=("eval", MODEL))
    refused(2, "--choices", arguments=("eval", MODEL, "--add-bos", "--data", QUESTIONS))
    refused(2, "--choices", arguments=("eval", MODEL, "--choices", QUESTIONS, "--against", MODEL))
    refused(2, "--ab", arguments=("compare", MODEL, MODEL, "--choices", QUESTIONS))
    refused(2, "one of them", arguments=("compare", MODEL, MODEL, "--ab", "--choices", QUESTIONS, "--data", QUESTIONS))
    refused_file("", "has no lines")
    refused_file('{"context": "a", "choices": ["b"], "answer": 0}\n', "line 1", "two texts")
    refused_file('\n{"context": "a", "choices": ["b", "c"], "answer": 2}\n', "line 2", "0 to 1")
    refused_file('{"context": "a", "choices": ["b", "c"], "answer": -1}\n', "line 1", "0 to 1")
    refused_file('{"context": "a", "choices": ["b", ""], "answer": 0}\n', "not empty")
    refused_file('{"context": "a", "choices": ["b", 3], "answer": 0}\n', "texts")
    refused_file('{"context": "a", "choices": ["b", "c"]}\n', '"answer"')
    refused_file('{"context": "a", "choices": ["b", "c"], "answer": 0\n', "line 1")
    refused_file(json.dumps({"context": "a", "choices": ["b", "the LORD " * 2000], "answer": 0}), "positions")


shutil.rmtree(SCRATCH, ignore_errors=True)
os.makedirs(SCRATCH)
test_paired(test_scores())
test_refusals()
end()
