#!/usr/bin/env python3
"""Compares nibble's transforms and searches with the plain implementations here.

    compare.py NIBBLE [--model MODEL] [--only CASE,CASE] [--samples N] [--windows N] [--work FOLDER] [--list]

Both read the same calibration tokens. Of each group of layers, the loss without transform must agree within 1 %; so must
nibble's loss at its ratio or alpha with the one here at the same point, and it may exceed the best one here by 1 % at
most. The mean KL of the quantized model must agree within 5 %, and transforms must keep the float model.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import numpy as np

import awq
import clip
import command
import equalize
import groups
import network
import observe
import rotate
import rounding
import smooth

LOSS, KL, SAME = 0.01, 0.05, 1e-6
SEEDS = 4


class Peer:
    """nibble, with its files in a folder."""

    def __init__(self, options, folder):
        self.nibble, self.model, self.windows = os.path.abspath(options.nibble), options.model, options.windows
        self.folder, self.test, self.calib = folder, options.test, os.path.join(folder, "calib.npy")
        np.save(self.calib, network.read_ids(options.calib, options.samples).reshape(-1).astype("<i4"))
        self.data = ["--calib", self.calib, "--samples", "0", "--seq-len", str(network.WINDOW)]

    def run(self, *words):
        done = subprocess.run([self.nibble, *words, "--device", "cpu", "--json"], check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        if done.returncode:
            raise RuntimeError(f"nibble {' '.join(words)}: {done.stderr.decode().strip().splitlines()[-1]}")
        return json.loads(done.stdout)

    def quantize(self, name, *words):
        return self.run("quantize", self.model, "-o", os.path.join(self.folder, name), "--force", *words)

    def kl(self, name):
        return self.run("eval", os.path.join(self.folder, name), "--data", self.test, "--window", str(network.WINDOW),
                        "--windows", str(self.windows), "--against", self.model)["mean_kl"]


class Here:
    """The model, its predictions and statistics, found by the implementations here."""

    def __init__(self, options):
        self.model = network.Model(options.model)
        self.calib = network.read_ids(options.calib, options.samples)
        self.reference = network.Reference(self.model, network.read_ids(options.test, options.windows))
        self.found = observe.observe(self.model, self.calib)

    def kl(self, model, scheme=None):
        """Of a model with dense weights; of rounded weights without a scheme."""
        if scheme is None:
            return self.reference.kl(model)[0]
        found = observe.observe(model, self.calib, 0, False) if scheme.activations == "static" else None
        return self.reference.kl(observe.quantized(model, scheme), observe.rounding_hook(scheme, found))[0]


class Checks:
    def __init__(self):
        self.failed = 0

    def check(self, what, good):
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {what}", flush=True)

    def near(self, what, theirs, ours, most):
        self.check(f"{what}: nibble {theirs:.4e}, here {ours:.4e}, {theirs / ours - 1:+.2%}",
                   abs(theirs / ours - 1) <= most)

    def losses(self, case, report, searched, points, key):
        """`searched`: {(layer, label): result of a search here}; `points`: its grid."""
        told = {}
        for transform in report["transforms"]:
            for entry in transform["groups"]:
                modules = {name.removesuffix(".weight").split(".")[-1] for name in entry["modules"]}
                label = next(g.label for g in groups.GROUPS if g.modules[0].split(".")[-1] in modules)
                told[int(str(entry["layer"]).split(".")[-1]), label] = entry
        missing = sorted(set(searched) - set(told))
        self.check(f"{case}: {len(told)} groups searched" + (f", not {missing}" if missing else ""), not missing)
        worst = {"plain loss": (0, ""), "loss at the same point": (0, ""), "loss over the best": (0, "")}
        for place, result in searched.items():
            if place not in told:
                continue
            entry, name = told[place], f"block {place[0]} {place[1]}"
            value, kept = entry.get(key), entry["loss"] == entry["plain_loss"]
            same = result["plain_loss"] if value is None or kept else result["losses"][int(np.argmin(np.abs(
                points - value)))]
            best = min(result["loss"], result["plain_loss"])
            for what, ratio in (("plain loss", abs(entry["plain_loss"] / result["plain_loss"] - 1)),
                                ("loss at the same point", abs(entry["loss"] / same - 1)),
                                ("loss over the best", entry["loss"] / best - 1)):
                worst[what] = max(worst[what], (ratio, name))
        for what, (ratio, name) in worst.items():
            self.check(f"{case}: {what} within {ratio:.2%} {name and '(' + name + ')'}", ratio <= LOSS)


def type_options(scheme):
    words = ["--type", f"int{scheme.bits}"]
    if scheme.bits == 3:
        words += ["--format", "dense"]      # no loader reads int3 otherwise
    if scheme.size > 0:
        words += ["--group-size", str(scheme.size)]
    if not scheme.sym:
        words.append("--asym")
    if scheme.activations != "none":
        words += ["--activations", f"int8-{scheme.activations}"]
    return words


def plain_case(scheme):
    def case(peer, here, checks, name):
        peer.quantize(name, *type_options(scheme))
        checks.near(f"{name}: mean KL", peer.kl(name), here.kl(here.model, scheme), KL)
    return case


def awq_case(scheme):
    def case(peer, here, checks, name):
        report = peer.quantize(name, *type_options(scheme), "--transform", "awq", *peer.data)
        kinds = {}
        for form in ("duo", "plain"):
            searched = {}
            model, _ = awq.transform(here.model, here.found, scheme, form=form,
                                     seen=lambda layer, group, r, into=searched: into.update({(layer, group.label): r}))
            kinds[form] = searched, model
        # nibble's form is the one whose losses at nibble's ratios are nearer.
        form = min(kinds, key=lambda f: distance(report, kinds[f][0]))
        print(f"     {name}: nibble's scales have the {form} form")
        checks.losses(name, report, kinds[form][0], awq.RATIOS, "ratio")
        checks.near(f"{name}: mean KL", peer.kl(name), here.kl(kinds[form][1], scheme), KL)
    return case


def distance(report, searched):
    """How far the searched losses are from those that nibble tells, whatever the order of the groups."""
    told = sorted(entry["loss"] for t in report["transforms"] for entry in t["groups"])
    ours = sorted(min(r["loss"], r["plain_loss"]) for r in searched.values())
    return sum(abs(a / b - 1) for a, b in zip(told, ours))


def exact(peer, checks, name, *words):
    """The transformed float model predicts what the model does."""
    peer.quantize(name + "-float", "--type", "F32", "--format", "safetensors", *words)
    kl = peer.kl(name + "-float")
    checks.check(f"{name}: mean KL of the float model {kl:.1e}", abs(kl) <= SAME)


def smooth_case(scheme, alpha):
    def case(peer, here, checks, name):
        words = ["--transform", f"smooth:{'auto' if alpha is None else alpha}", *peer.data]
        report = peer.quantize(name, *type_options(scheme), *words)
        alphas, searched = smooth.ALPHAS if alpha is None else np.array([alpha]), {}
        done = [g for g in smooth.PAIRS.values() if any(
            g.modules[0].split(".")[-1] in module for t in report["transforms"] for e in t["groups"]
            for module in e["modules"])]
        print(f"     {name}: nibble smooths {', '.join(g.label for g in done)}")
        model, _ = smooth.transform(here.model, here.found, alphas, done,
                                    lambda layer, group, r: searched.update({(layer, group.label): r}))
        checks.losses(name, report, searched, alphas, "alpha")
        checks.near(f"{name}: mean KL", peer.kl(name), here.kl(model, scheme), KL)
        exact(peer, checks, name, *words)
    return case


def rotate_case(scheme):
    def case(peer, here, checks, name):
        peer.quantize(name, *type_options(scheme), "--transform", "rotate")
        kls = [here.kl(rotate.transform(here.model, seed), scheme) for seed in range(SEEDS)]
        # Signs are random: what they make of the KL is allowed on top.
        spread = np.std(kls, ddof=1) / np.mean(kls)
        print(f"     {name}: the KLs of {SEEDS} seeds have a deviation of {spread:.1%}")
        checks.near(f"{name}: mean KL", peer.kl(name), float(np.mean(kls)), KL + 2 * spread)
        exact(peer, checks, name, "--transform", "rotate")
    return case


def equalize_case(scheme):
    def case(peer, here, checks, name):
        peer.quantize(name, *type_options(scheme), "--transform", "equalize")
        checks.near(f"{name}: mean KL", peer.kl(name), here.kl(equalize.transform(here.model), scheme), KL)
        exact(peer, checks, name, "--transform", "equalize")
    return case


def clip_case(scheme, search):
    def case(peer, here, checks, name):
        words = ["--scale-search", search]
        peer.quantize(name, *type_options(scheme), *words, *(peer.data if search == "output" else []))
        if search == "output":
            rule = clip.by_output(scheme, here.found, clip.GPTQ_GRID, ())
        else:
            def rule(_, __, w):
                return clip.search(w, scheme)[0]
        checks.near(f"{name}: mean KL", peer.kl(name), here.kl(clip.rounded_model(here.model, rule)), KL)
    return case


INT4, INT3, W8A8 = (rounding.SCHEMES[name] for name in ("int4-g128", "int3-g128", "w8a8-token"))
CASES = {
    "plain-int4": plain_case(INT4),
    "plain-w8a8": plain_case(W8A8),
    "awq-int4": awq_case(INT4),
    "awq-int3": awq_case(INT3),
    "smooth-0.5": smooth_case(W8A8, 0.5),
    "smooth-auto": smooth_case(W8A8, None),
    "rotate-int4": rotate_case(INT4),
    "equalize-int4": equalize_case(INT4),
    "mse-int3": clip_case(INT3, "mse"),
    "output-int4": clip_case(INT4, "output"),
    "output-int3": clip_case(INT3, "output"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nibble")
    parser.add_argument("--model", default=command.SAMPLE)
    parser.add_argument("--calib", default=os.path.join(command.SAMPLE, "calib_ids.npy"))
    parser.add_argument("--test", default=os.path.join(command.SAMPLE, "test_ids.npy"))
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--work")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CASES))
        return
    unknown = set(options.only.split(",")) - set(CASES)
    if unknown:
        raise SystemExit(f"no case {', '.join(sorted(unknown))}; --list prints them")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or temporary
        os.makedirs(folder, exist_ok=True)
        peer, here, checks = Peer(options, folder), Here(options), Checks()
        for name in options.only.split(","):
            try:
                CASES[name](peer, here, checks, name)
            except RuntimeError as error:
                checks.check(f"{name}: {error}", False)
    print(f"{checks.failed} checks failed")
    sys.exit(bool(checks.failed))


if __name__ == "__main__":
    main()
