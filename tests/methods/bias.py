#!/usr/bin/env python3
"""Bias correction (arXiv 1906.04721): rounding shifts the mean of an output by (Wq - W) E[x]; a bias takes it back.

    bias.py [MODEL] [--schemes S,S] [--windows N] [--samples N]

Closed form: E[x] of the float model. In order: layer by layer, with E[x] of the model whose earlier layers are rounded
and corrected already, so that the means of the outputs are those of the float model.
"""
import command
import groups
import network
import observe


def closed(model, found, scheme):
    """The rounded model with biases."""
    rounded = observe.quantized(model, scheme)
    changed = {}
    for layer in range(model.layers):
        for name in network.LINEARS:
            full = f"model.layers.{layer}.{name}"
            error = rounded.tensors[full + ".weight"] - model.tensors[full + ".weight"]
            changed[full + ".bias"] = model.tensors.get(full + ".bias", 0) - error @ found[layer, observe.source(
                name)].mean
    return rounded.copy(changed)


def mean_input(model, block, source, batches, scheme):
    """The mean of the rounded inputs of layers with that source."""
    inputs = observe.Inputs()

    def hook(name, x):
        x = scheme.inputs(x)
        if name == source:
            inputs.add(x, False)
        return x

    for x in batches:
        network.run_block(model, block, x, hook)
    return inputs.mean


def in_order(model, found, scheme, ids):
    """The rounded model with biases, each found with the ones before it in place."""
    rounded = observe.quantized(model, scheme)
    batches = [network.embed(model, part) for part in network.batches(ids)]
    for layer in range(model.layers):
        for group in groups.GROUPS:
            block = network.typed(rounded.block(layer), batches[0].dtype)
            mean = mean_input(model, block, group.source, batches, scheme)
            changed = {}
            for name in group.modules:
                full = f"model.layers.{layer}.{name}"
                target = model.tensors[full + ".weight"] @ found[layer, group.source].mean
                changed[name + ".bias"] = (model.tensors.get(full + ".bias", 0) + target -
                                           rounded.tensors[full + ".weight"] @ mean)
            rounded = rounded.put(layer, changed)
        block = network.typed(rounded.block(layer), batches[0].dtype)
        batches = [network.run_block(model, block, x, lambda _, x: scheme.inputs(x)) for x in batches]
    return rounded


def main():
    options = command.parser(__doc__, "int4-g128,int3-g128,int2-g64", "0").parse_args()
    work = command.Work(options)
    print(f"{'block':5} {'layer':18} {'scheme':10} {'loss before':>12} {'after':>10}")
    for scheme in work.schemes:
        for layer in work.shown:
            for name in network.LINEARS:
                inputs = work.found[layer, observe.source(name)]
                w = work.model.tensors[f"model.layers.{layer}.{name}.weight"]
                error = scheme.weights(w) - w
                loss, shift = groups.output_loss(inputs.hessian, error), error @ inputs.mean
                # The squared error about the mean.
                print(f"{layer:5} {name:18} {scheme.name:10} {loss:12.4e} {loss - shift @ shift:10.4e}")
    for scheme in work.schemes:
        work.judge("plain", work.model, scheme)
        work.row("biases, closed form", scheme, closed(work.model, work.found, scheme))
        work.row("biases, in order", scheme, in_order(work.model, work.found, scheme, work.calib[:16]))


if __name__ == "__main__":
    main()
