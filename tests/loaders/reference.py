"""The dequantized model: transformers' architecture with plain weights, which ../golden/decode_model.py decodes from
the files by the descriptions of the formats alone. The weights do not pass through any loader's code."""
import array
import os
import sys

import torch
import transformers

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import decode_model

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def as_tensor(weight):
    values = torch.frombuffer(array.array("f", weight.values()), dtype=torch.float32).reshape(weight.shape)
    # bitsandbytes stores the type of the dequantized weights with each weight.
    return values if weight.load_dtype is None else values.to(DTYPES[weight.load_dtype])


def rounded_int8(rows):
    """Symmetric, a scale per token, as the loaders quantize 8-bit activations at run time."""
    scale = rows.abs().amax(dim=-1, keepdim=True) / 127.5
    return torch.round(torch.clamp(rows / scale, -128, 127)) * scale


def rounded_fp8(rows):
    scale = rows.abs().amax(dim=-1, keepdim=True) / 448
    return torch.clamp(rows / scale, -448, 448).to(torch.float8_e4m3fn).to(rows.dtype) * scale


def static_int8(scale, zero):
    """One scale and zero point for the input of a module. The zero point is added before rounding, as in the loaders:
    the rounding of the sum decides some ties, and a difference of one code grows from layer to layer."""
    return lambda rows: (torch.round(torch.clamp(rows / scale + zero, -128, 127)) - zero) * scale


def static_fp8(scale, _):
    return lambda rows: torch.clamp(rows / scale, -448, 448).to(torch.float8_e4m3fn).to(rows.dtype) * scale


class Dequantized:
    """`model`: the model in the folder. `inputs`: the config's quantization of activations, or None."""

    def __init__(self, folder, dtype):
        decoded = decode_model.Model(folder)
        config = transformers.AutoConfig.from_pretrained(folder)
        quantization = getattr(config, "quantization_config", None) or {}
        inputs = [group.get("input_activations") for group in quantization.get("config_groups", {}).values()]
        decode_model.need(all(entry == inputs[0] for entry in inputs), "activations quantized in more than one way")
        self.inputs = inputs[0] if inputs else None
        if quantization:
            del config.quantization_config
        self.model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
        weights = {name: as_tensor(weight) for name, weight in decoded.weights.items()}
        self.model.load_state_dict(weights, strict=True)
        self.quantized = [name for name, weight in decoded.weights.items() if weight.codes is not None]
        self.static = {name: (decoded.weights[name].input_scale, decoded.weights[name].input_zero)
                       for name in self.quantized if self.inputs is not None and not self.inputs["dynamic"]}

    def round_inputs(self):
        """From now on the inputs of quantized modules are rounded as in the config."""
        dynamic = {"int": rounded_int8, "float": rounded_fp8}[self.inputs["type"]]
        static = {"int": static_int8, "float": static_fp8}[self.inputs["type"]]
        for name in self.quantized:
            rounded = static(*self.static[name]) if name in self.static else dynamic
            module = self.model.get_submodule(name.removesuffix(".weight"))
            module.register_forward_pre_hook(lambda _, inputs, rounded=rounded: (rounded(inputs[0]), *inputs[1:]))
