#!/usr/bin/env python3
"""Compares nibble's transforms and searches with the plain implementations here.

    compare.py NIBBLE [--model MODEL] [--only CASE,CASE] [--samples N] [--windows N] [--block B]
               [--work FOLDER] [--list]

Both read the same calibration tokens. The loss of each group of layers without transform must agree within 1 %; so
must nibble's loss at its ratio with the one here at the same point, and in block B it may exceed the best one here by
1 % at most. The mean KL of the quantized model must agree within 5 %, and transforms must keep the float model.
is judged on tokens of nibble's choice, so its alphas are judged by the losses here: at most 5 % above the best.
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
import tensors

LOSS, KL, SAME, AUTO = 0.01, 0.05, 1e-6, 0.05
SEEDS = 3
# int8 products are slow on the CPU.
FEW = 6
MODULE_TOKENS = 2048
OUTPUT_GRID = 1 - np.arange(28) / 40


class Peer:
    """nibble, with its files in a folder."""

    def __init__(self, options, folder):
        self.nibble, self.model, self.windows = os.path.abspath(options.nibble), options.model, options.windows
        self.folder, self.test = folder, options.test
        self.ids = network.read_ids(options.calib, options.samples)

    def data(self, windows=None):
        """Options that have nibble read calibration windows."""
        path = os.path.join(self.folder, "calib.npy")
        np.save(path, self.ids[:windows].reshape(-1).astype("<i4"))
        return ["--calib", path, "--samples", "0", "--seq-len", str(network.WINDOW)]

    def run(self, *words):
        done = subprocess.run([self.nibble, *words, "--device", "cpu", "--json"], check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        if done.returncode:
            raise RuntimeError(f"nibble {' '.join(words)}: {done.stderr.decode().strip().splitlines()[-1]}")
        return json.loads(done.stdout)

    def path(self, name):
        return os.path.join(self.folder, name)

    def quantize(self, name, *words):
        return self.run("quantize", self.model, "-o", self.path(name), "--force", *words)

    def kl(self, name, windows=None):
        return self.run("eval", self.path(name), "--data", self.test, "--window", str(network.WINDOW), "--windows",
                        str(windows or self.windows), "--against", self.model)["mean_kl"]


class Here:
    """The model, its predictions and statistics, found by the implementations here."""

    def __init__(self, options):
        self.model = network.Model(options.model)
        self.calib = network.read_ids(options.calib, options.samples)
        self.test = network.read_ids(options.test, options.windows)
        self.references, self.block = {}, options.block
        self.found = observe.observe(self.model, self.calib, MODULE_TOKENS)

    def kl(self, model, scheme=None, windows=None):
        """Of a model with dense weights; of rounded weights without a scheme."""
        windows = windows or len(self.test)
        if windows not in self.references:
            self.references[windows] = network.Reference(self.model, self.test[:windows])
        reference = self.references[windows]
        if scheme is None:
            return reference.kl(model)[0]
        found = observe.observe(model, self.calib, 0, False) if scheme.activations == "static" else None
        return reference.kl(observe.quantized(model, scheme), observe.rounding_hook(scheme, found))[0]


class Checks:
    def __init__(self):
        self.failed = 0

    def check(self, what, good):
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {what}", flush=True)

    def near(self, what, theirs, ours, most):
        self.check(f"{what}: nibble {theirs:.4e}, here {ours:.4e}, {theirs / ours - 1:+.2%}",
                   abs(theirs / ours - 1) <= most)

    def within(self, what, worst, most):
        """`worst`: {place: relative difference}; the largest must not exceed `most`."""
        place = max(worst, key=worst.get)
        self.check(f"{what}: {len(worst)} compared, at most {worst[place]:.2%} (block {place[0]} {place[1]})",
                   worst[place] <= most)


def told(report):
    """{(layer, label of the group): entry} of a report's transforms."""
    found = {}
    for transform in report["transforms"]:
        for entry in transform["groups"]:
            first = ".".join(entry["modules"][0].removesuffix(".weight").split(".")[-2:])
            label = next((g.label for g in groups.GROUPS if g.modules[0] == first), first)
            found[entry["layer"], label] = entry
    return found


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


def few(scheme):
    return None if scheme.activations == "none" else FEW


def plain_case(scheme):
    def case(peer, here, checks, name):
        peer.quantize(name, *type_options(scheme))
        checks.near(f"{name}: mean KL", peer.kl(name, few(scheme)), here.kl(here.model, scheme, few(scheme)), KL)
    return case


def awq_case(scheme, objective):
    """nibble tries both forms of scales; the search over all is repeated for one block."""
    def case(peer, here, checks, name):
        windows = MODULE_TOKENS // network.WINDOW if objective == "module" else None
        report = peer.quantize(name, *type_options(scheme), "--transform", "awq", "--awq-objective",
                               {"trace": "layer", "module": "module"}[objective], *peer.data(windows))
        found = here.found if windows is None else observe.observe(here.model, here.calib[:windows], MODULE_TOKENS)
        model, entries = here.model, told(report)
        plain, same, best = {}, {}, {}
        for layer in range(model.layers):
            for group in groups.GROUPS:
                place, block, entry = (layer, group.label), model.block(layer), entries[layer, group.label]
                of = model, block, group, found[layer, group.source], scheme
                form = "duo" if entry["setting"] == "none" else entry["setting"]
                loss = awq.Loss(*of, form, objective, "statistics")
                nothing = at = loss()
                if entry["setting"] != "none":
                    s = loss.scales(entry["value"])
                    at = loss(s)
                    model = model.put(layer, groups.scale(model, block, group, s))
                plain[place] = abs(entry["plain_loss"] / nothing - 1)
                same[place] = abs(entry["loss"] / at - 1)
                if layer == here.block:
                    losses = [awq.search(*of, form, objective, "statistics")["loss"] for form in ("duo", "plain")]
                    best[place] = at / min(*losses, nothing) - 1
        checks.within(f"{name}: losses of plain rounding", plain, LOSS)
        checks.within(f"{name}: losses at nibble's ratios", same, LOSS)
        checks.within(f"{name}: those over the best losses here", best, LOSS)
        checks.near(f"{name}: mean KL", peer.kl(name), here.kl(model, scheme), KL)
    return case


def exact(peer, checks, name, *words):
    """The transformed float model predicts what the model does."""
    peer.quantize(name + "-float", "--type", "F32", "--format", "safetensors", *words)
    kl = peer.kl(name + "-float")
    checks.check(f"{name}: mean KL of the float model {kl:.1e}", abs(kl) <= SAME)
    return tensors.read(os.path.join(peer.path(name + "-float"), "model.safetensors"))


def smooth_case(alpha):
    scheme = rounding.SCHEMES["w8a8-token"]

    def case(peer, here, checks, name):
        words = ["--transform", f"smooth:{alpha or 'auto'}", *peer.data()]
        entries = told(peer.quantize(name, *type_options(scheme), *words))
        model, over = here.model, {}
        for layer in range(model.layers):
            for group in groups.GROUPS:
                block, inputs, value = model.block(layer), here.found[layer, group.source], entries[layer, group.label][
                    "value"]
                if alpha is None and layer == here.block:
                    ours = smooth.search(model, block, group, inputs)
                    at = ours["plain_loss"] if value is None else ours["losses"][round(10 * value)]
                    over[layer, group.label] = at / min(ours["loss"], ours["plain_loss"]) - 1
                if value is not None:
                    s = smooth.scales(model, block, group, inputs.most, value)
                    model = model.put(layer, groups.scale(model, block, group, s))
        if alpha is None:
            checks.within(f"{name}: losses at nibble's alphas over the best", over, AUTO)
        checks.near(f"{name}: mean KL", peer.kl(name, FEW), here.kl(model, scheme, FEW), KL)
        if alpha is not None:
            same_weights(checks, name, exact(peer, checks, name, *words), model)
    return case


def same_weights(checks, name, theirs, model):
    """Both transformed models have the same weights, up to fp16 rounding of scales or norms."""
    worst = {}
    for full, ours in model.tensors.items():
        if full.startswith("model.layers."):
            layer, rest = full.removeprefix("model.layers.").split(".", 1)
            worst[layer, rest] = np.sqrt(((theirs[full] - ours) ** 2).sum() / (ours ** 2).sum())
    checks.within(f"{name}: transformed weights", worst, 2e-3)


def rotate_case(scheme):
    def case(peer, here, checks, name):
        peer.quantize(name, *type_options(scheme), "--transform", "rotate")
        kls = [here.kl(rotate.transform(here.model, seed), scheme) for seed in range(SEEDS)]
        # Signs are random: what they make of the KL is allowed on top.
        spread = np.std(kls, ddof=1) / np.mean(kls)
        print(f"     {name}: the KLs of {SEEDS} seeds have a deviation of {spread:.1%}")
        checks.near(f"{name}: mean KL", peer.kl(name), float(np.mean(kls)), KL + 2 * spread)
        weights = exact(peer, checks, name, "--transform", "rotate")
        gains = {(n.split(".")[2], n.split(".")[3]): np.abs(w - 1).max() for n, w in weights.items()
                 if n.endswith("layernorm.weight")}
        checks.within(f"{name}: norms are folded", gains, 0)
    return case


def equalize_case(scheme):
    def case(peer, here, checks, name):
        peer.quantize(name, *type_options(scheme), "--transform", "equalize")
        model = equalize.transform(here.model)
        checks.near(f"{name}: mean KL", peer.kl(name), here.kl(model, scheme), KL)
        same_weights(checks, name, exact(peer, checks, name, "--transform", "equalize"), model)
    return case


def bias_case(scheme):
    """The sample has no biases: nibble tells what correction would gain, and changes nothing."""
    def case(peer, here, checks, name):
        report = peer.quantize(name, *type_options(scheme), "--transform", "bias", *peer.data())
        before, after = {}, {}
        for (layer, label), entry in told(report).items():
            module = entry["modules"][0].split(".", 3)[3].removesuffix(".weight")
            inputs = here.found[layer, observe.source(module)]
            w = here.model.tensors[f"model.layers.{layer}.{module}.weight"]
            error = scheme.weights(w) - w
            loss, shift = groups.output_loss(inputs.hessian, error), error @ inputs.mean
            before[layer, label] = abs(entry["plain_loss"] / loss - 1)
            after[layer, label] = abs(entry["loss"] / (loss - shift @ shift) - 1)
        checks.within(f"{name}: losses", before, LOSS)
        checks.within(f"{name}: losses about the means", after, LOSS)
        checks.near(f"{name}: mean KL", peer.kl(name), here.kl(here.model, scheme), KL)
    return case


def percentile_case(scheme, percent):
    def case(peer, here, checks, name):
        peer.quantize(name, *type_options(scheme), "--transform", f"clip:{percent}")
        model = clip.rounded_model(here.model, lambda _, __, w: clip.percentile(w, scheme, percent))
        checks.near(f"{name}: mean KL", peer.kl(name), here.kl(model), KL)
    return case


def mse_case(scheme):
    def case(peer, here, checks, name):
        peer.quantize(name, *type_options(scheme), "--scale-search", "mse")
        model = clip.rounded_model(here.model, lambda _, __, w: clip.search(w, scheme)[0])
        checks.near(f"{name}: mean KL", peer.kl(name), here.kl(model), KL)
    return case


def output_case(scheme):
    """nibble tries 28 ranges down to 0.325, of all layers, with inputs behind the rounded layers before."""
    def case(peer, here, checks, name):
        report = peer.quantize(name, *type_options(scheme), "--scale-search", "output", *peer.data())
        losses = {t["name"].removesuffix(".weight"): t["gptq"] for t in report["tensors"] if "gptq" in t}
        before, after = {}, {}

        def seen(layer, linear, hessian, w, q):
            theirs = losses[f"model.layers.{layer}.{linear}"]
            # nibble's losses have the damped Hessian.
            damped = hessian + np.eye(len(hessian)) * theirs["damp"] * np.diag(hessian).mean()
            before[layer, linear] = abs(theirs["nearest_loss"] / groups.output_loss(damped, scheme.weights(w) - w) - 1)
            after[layer, linear] = abs(theirs["loss"] / groups.output_loss(damped, q - w) - 1)

        model = clip.in_order(here.model, scheme, here.calib, OUTPUT_GRID, seen)
        checks.within(f"{name}: losses of plain rounding", before, LOSS)
        checks.within(f"{name}: losses", after, LOSS)
        checks.near(f"{name}: mean KL", peer.kl(name), here.kl(model), KL)
    return case


INT4, INT3, W8A8 = (rounding.SCHEMES[name] for name in ("int4-g128", "int3-g128", "w8a8-token"))
CASES = {
    "plain-int4": plain_case(INT4),
    "plain-w8a8": plain_case(W8A8),
    "awq-int4": awq_case(INT4, "trace"),
    "awq-int3": awq_case(INT3, "trace"),
    "awq-module": awq_case(INT4, "module"),
    "smooth-0.5": smooth_case(0.5),
    "smooth-auto": smooth_case(None),
    "rotate-int4": rotate_case(INT4),
    "equalize-int4": equalize_case(INT4),
    "bias-int4": bias_case(INT4),
    "clip-int3": percentile_case(INT3, 99.5),
    "mse-int3": mse_case(INT3),
    "output-int4": output_case(INT4),
    "output-int3": output_case(INT3),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nibble")
    parser.add_argument("--model", default=command.SAMPLE)
    parser.add_argument("--calib", default=os.path.join(command.SAMPLE, "calib_ids.npy"))
    parser.add_argument("--test", default=os.path.join(command.SAMPLE, "test_ids.npy"))
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--windows", type=int, default=12)
    parser.add_argument("--block", type=int, default=3, help="whose searches are repeated")
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
