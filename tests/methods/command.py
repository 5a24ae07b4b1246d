"""The command line and the tables that the methods share."""
import argparse
import os

import network
import observe
import rounding

SAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/tiny-kjv-llama")


def parser(doc, schemes, layers=""):
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("model", nargs="?", default=SAMPLE)
    result.add_argument("--calib", default=os.path.join(SAMPLE, "calib_ids.npy"))
    result.add_argument("--test", default=os.path.join(SAMPLE, "test_ids.npy"))
    result.add_argument("--samples", type=int, default=32, help="windows of 256 calibration tokens")
    result.add_argument("--windows", type=int, default=16, help="windows of 256 test tokens")
    result.add_argument("--schemes", default=schemes, help=f"of {' '.join(rounding.SCHEMES)}")
    result.add_argument("--layers", default=layers, help="blocks that the table of losses shows, 0,3; none for all")
    return result


class Work:
    """The model, the reference's predictions, and statistics of the calibration data."""

    def __init__(self, options, observed=True):
        self.model = network.Model(options.model)
        self.calib = network.read_ids(options.calib, options.samples)
        self.schemes = [rounding.SCHEMES[name] for name in options.schemes.split(",")]
        self.shown = [int(n) for n in options.layers.split(",") if n] or list(range(self.model.layers))
        self.test = network.read_ids(options.test, options.windows)
        self.found = observe.observe(self.model, self.calib) if observed else None
        self.reference = None

    def judge(self, label, model, scheme, before=None, found=None):
        """One row of the table of mean KLs. `model` has its dense weights."""
        if found is None and scheme.activations == "static":
            found = self.found if model is self.model else observe.observe(model, self.calib, 0, False, before)
        return self.row(label, scheme, observe.quantized(model, scheme), observe.rounding_hook(scheme, found, before))

    def row(self, label, scheme, model, inputs=None):
        """The same for a model whose weights are rounded already."""
        if self.reference is None:
            self.reference = network.Reference(self.model, self.test)
            print(f"{'scheme':12} {'method':34} {'mean KL':>10} {'s.e.':>8} {'nll':>8}")
        kl, error, nll = self.reference.kl(model, inputs)
        print(f"{scheme.name if scheme else 'float':12} {label:34} {kl:10.3e} {error:8.1e} {nll:8.5f}", flush=True)
        return kl
