"""Stand-in for bitsandbytes, which is not in Debian: the part that transformers needs to read 4-bit weights on a CPU.
transformers' own loader reads config.json and passes the tensors; this module decodes them by the description of the
format, so the test proves less than one with bitsandbytes itself."""
import json
import types

import torch

__version__ = "0.46.1"  # the oldest that transformers accepts
supported_torch_devices = {"cpu"}
STANDS_IN = True

TABLES = {
    "nf4": [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ],
    "fp4": [sign * v / 12 for sign in (1.0, -1.0) for v in (0, 0.0625, 8, 12, 4, 6, 2, 3)],
}
STATES = {"quant_state.bitsandbytes__" + name for name in TABLES}
TENSORS = {"absmax", "quant_map"}
NESTED_TENSORS = {"nested_absmax", "nested_quant_map"}
KEYS = {"quant_type", "blocksize", "dtype", "shape"}
NESTED_KEYS = {"nested_blocksize", "nested_dtype", "nested_offset"}


class QuantState:
    """Made from the tensors that belong to a weight, by the suffixes of their names."""

    def __init__(self, tensors):
        tensors = {name.removeprefix("weight."): tensor for name, tensor in tensors.items()}
        found = STATES & set(tensors)
        assert len(found) == 1, f"states {found}"
        state = json.loads(bytes(tensors.pop(found.pop()).tolist()))
        nested = NESTED_TENSORS & set(tensors) != set()
        assert set(tensors) == TENSORS | (NESTED_TENSORS if nested else set()), f"tensors {sorted(tensors)}"
        assert set(state) == KEYS | (NESTED_KEYS if nested else set()), f"keys {sorted(state)}"
        assert state["quant_type"] in TABLES, f"quant_type {state['quant_type']}"
        self.quant_type, self.blocksize = state["quant_type"], state["blocksize"]
        self.shape = torch.Size(state["shape"])
        self.dtype, self.nested = getattr(torch, state["dtype"]), nested
        self.absmax = tensors["absmax"]
        if nested:
            values = tensors["nested_quant_map"][self.absmax.int()]
            scales = tensors["nested_absmax"].repeat_interleave(state["nested_blocksize"])[: values.numel()]
            self.absmax = values * scales + state["nested_offset"]
        assert self.absmax.dtype == torch.float32, f"scales are {self.absmax.dtype}"


def dequantize_4bit(data, state):
    data = data.reshape(-1)
    codes = torch.stack((data >> 4, data & 15), dim=1).reshape(-1)[: state.shape.numel()]
    values = torch.tensor(TABLES[state.quant_type])[codes.int()]
    scales = state.absmax.repeat_interleave(state.blocksize)[: values.numel()]
    return (values * scales).to(state.dtype).reshape(state.shape)


class Params4bit(torch.nn.Parameter):
    @classmethod
    def from_prequantized(cls, data, quantized_stats, requires_grad=False, device="cpu", module=None):
        assert data.dtype == torch.uint8, f"codes are {data.dtype}"
        self = torch.Tensor._make_subclass(cls, data.to(device), requires_grad)
        self.quant_state = QuantState(quantized_stats)
        assert self.quant_state.shape == (module.out_features, module.in_features), f"shape {self.quant_state.shape}"
        return self


class Linear4bit(torch.nn.Linear):
    def __init__(self, inputs, outputs, bias, compute_dtype, compress_statistics, quant_type, quant_storage):
        super().__init__(inputs, outputs, bias)
        self.weight = Params4bit(torch.empty((inputs * outputs + 1) // 2, 1), requires_grad=False)
        self.compute_dtype = compute_dtype

    def forward(self, rows):
        weight = dequantize_4bit(self.weight.data, self.weight.quant_state).to(self.compute_dtype)
        return torch.nn.functional.linear(rows.to(self.compute_dtype), weight, self.bias).to(rows.dtype)


class Linear8bitLt(torch.nn.Linear):
    """Unused, but transformers imports the name."""


nn = types.SimpleNamespace(Params4bit=Params4bit, Linear4bit=Linear4bit, Linear8bitLt=Linear8bitLt)
functional = types.SimpleNamespace(dequantize_4bit=dequantize_4bit)
