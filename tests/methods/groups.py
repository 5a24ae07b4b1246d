"""Groups of linear layers with one input, and what in front of them can take the inverse of their columns' scales."""
import numpy as np


class Group:
    def __init__(self, label, before, modules):
        self.label, self.before, self.modules = label, before, modules
        self.source = modules[0]


QKV = Group("norm->qkv", "input_layernorm", ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"])
OUT = Group("v->o", "self_attn.v_proj", ["self_attn.o_proj"])
GATE_UP = Group("norm->gate,up", "post_attention_layernorm", ["mlp.gate_proj", "mlp.up_proj"])
DOWN = Group("up->down", "mlp.up_proj", ["mlp.down_proj"])
GROUPS = [QKV, OUT, GATE_UP, DOWN]


def shared(model, group, values, reduce=np.mean):
    """One value for each channel that the op in front has: v feeds several query heads under grouped queries."""
    if group is not OUT:
        return values
    return reduce(values.reshape(model.kv_heads, -1, model.head), 1).reshape(-1)


def spread(model, group, values):
    """Back to one value for each column of the group's layers."""
    if group is not OUT:
        return values
    return np.repeat(values.reshape(model.kv_heads, 1, -1), model.heads // model.kv_heads, 1).reshape(-1)


def scale(model, block, group, s):
    """The tensors of a block that change when columns of the group's layers are multiplied by `s`, one value for each
    channel in front, and that channel is divided by it. The block computes the same."""
    before = block[group.before + ".weight"]
    changed = {group.before + ".weight": before / (s if before.ndim == 1 else s[:, None])}
    if group.before + ".bias" in block:
        changed[group.before + ".bias"] = block[group.before + ".bias"] / s
    columns = spread(model, group, s)
    for name in group.modules:
        changed[name + ".weight"] = block[name + ".weight"] * columns
    return changed


def output_loss(hessian, error):
    """Squared error of the outputs per token, summed over outputs: tr(E H E^T)."""
    return float(((error @ hessian) * error).sum())
