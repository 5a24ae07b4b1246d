"""Tiny models with random weights for the tests of GGUF, and what a GGUF file of them must hold."""
import array
import math
import os
import shutil
import struct
import sys

sys.dont_write_bytecode = True
import checkpoints as ck

HEADS, KEY_HEADS, HEAD, HIDDEN, INNER, LAYERS = 4, 2, 16, 64, 80, 2
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 128}
# Family: keys of config.json beside the usual ones, whether q, k, v (and o) have a bias, whether heads have norms.
FAMILIES = {"llama": ({"attention_bias": True, "rope_scaling": LLAMA3}, "qkvo", False),
            "mistral": ({"sliding_window": None}, "", False),
            "qwen2": ({"tie_word_embeddings": True}, "qkv", False),
            "qwen3": ({}, "", True)}
MODULES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
           "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
           "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
           "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}


def config_of(family, vocabulary, **more):
    config = {"model_type": family, "vocab_size": vocabulary, "hidden_size": HIDDEN, "intermediate_size": INNER,
              "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KEY_HEADS,
              "head_dim": HEAD, "hidden_act": "silu", "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
              "rope_theta": 10000.0, "tie_word_embeddings": False, "torch_dtype": "float32"}
    return {**config, **FAMILIES[family][0], **more}


def shapes_of(family, vocabulary, tied=False):
    _, biased, normed = FAMILIES[family]
    shapes = {"model.embed_tokens.weight": (vocabulary, HIDDEN), "model.norm.weight": (HIDDEN,)}
    if not tied:
        shapes["lm_head.weight"] = (vocabulary, HIDDEN)
    rows = {"q": HEADS * HEAD, "k": KEY_HEADS * HEAD, "v": KEY_HEADS * HEAD, "o": HIDDEN}
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        for part in "qkvo":
            shapes[f"{name}self_attn.{part}_proj.weight"] = (rows[part], HEADS * HEAD if part == "o" else HIDDEN)
            if part in biased:
                shapes[f"{name}self_attn.{part}_proj.bias"] = (rows[part],)
        shapes[name + "mlp.gate_proj.weight"] = shapes[name + "mlp.up_proj.weight"] = (INNER, HIDDEN)
        shapes[name + "mlp.down_proj.weight"] = (HIDDEN, INNER)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{name}{norm}.weight"] = (HIDDEN,)
        if normed:
            shapes[name + "self_attn.q_norm.weight"] = shapes[name + "self_attn.k_norm.weight"] = (HEAD,)
    return shapes


def make(folder, family, vocabulary=48, dtype="F32", tokenizer=None, **config):
    """Returns the values by name. tokenizer: a folder whose files are copied."""
    settings = config_of(family, vocabulary, **config)
    shapes = shapes_of(family, vocabulary, settings["tie_word_embeddings"])
    values = {}
    for name, shape in shapes.items():
        values[name] = [v * (0.3 if len(shape) == 2 else 0.5) for v in ck.numbers(shape, family + name)]
        if "norm" in name:
            values[name] = [1 + v for v in values[name]]
        values[name] = array.array("f", values[name]).tolist()
        if dtype != "F32":
            values[name] = rounded(dtype, values[name])
    ck.write_model(folder, shapes, settings, dtype, values)
    for name in os.listdir(tokenizer) if tokenizer else []:
        if name.startswith("tokenizer") and "cases" not in name:
            shutil.copy(os.path.join(tokenizer, name), folder)
    return values, shapes


def rounded(dtype, values):
    if dtype == "F16":
        return list(struct.unpack(f"<{len(values)}e", struct.pack(f"<{len(values)}e", *values)))
    bits = array.array("I", array.array("f", values).tobytes())
    bits = [((b + 0x7FFF + (b >> 16 & 1)) >> 16) << 16 for b in bits]
    return array.array("f", array.array("I", bits).tobytes()).tolist()


def gguf_name(name):
    ends = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
            "lm_head.weight": "output.weight"}
    if name in ends:
        return ends[name]
    _, _, layer, module = name.split(".", 3)
    module, ending = module.rsplit(".", 1)
    return f"blk.{layer}.{MODULES[module]}.{ending}"


def rows_of(values, shape):
    width = shape[-1] if len(shape) > 1 else 1
    return [values[at:at + width] for at in range(0, len(values), width)]


def ordered(family, name, rows):
    """The rows as the file has them: those of q and k of some families in pairs, a head's halves interleaved."""
    if family not in ("llama", "mistral") or not any(f".{m}_proj." in name for m in "qk"):
        return rows
    result = []
    for head in range(0, len(rows), HEAD):
        for i in range(HEAD // 2):
            result += [rows[head + i], rows[head + HEAD // 2 + i]]
    return result


# ------------------------------------------------------------------------------------------- ggml's rounding, in fp32


def f32(value):
    return array.array("f", [value])[0]


def half(value):
    return struct.pack("<e", value)


def code_bytes(codes, bits):
    """High bits (5-bit codes only), then the low halves of codes j and j + 16 in byte j."""
    high = struct.pack("<I", sum((q >> 4) << j for j, q in enumerate(codes))) if bits == 5 else b""
    return high + bytes((codes[j] & 15) | (codes[j + 16] & 15) << 4 for j in range(16))


def quantized_block(kind, x):
    """The reference rounding of ggml: quantize_row_*_ref."""
    if kind == "q8_0":
        d = f32(max(abs(v) for v in x) / 127)
        inverse = f32(1 / d) if d else 0.0
        codes = [math.floor(abs(f32(v * inverse)) + 0.5) * (1 if v >= 0 else -1) for v in x]
        return half(d) + struct.pack("<32b", *codes)
    if kind in ("q4_0", "q5_0"):
        top = 8 if kind == "q4_0" else 16
        most = max(x, key=abs)
        d = f32(most / -top)
        inverse = f32(1 / d) if d else 0.0
        codes = [min(2 * top - 1, int(f32(f32(v * inverse) + top + 0.5))) for v in x]
        return half(d) + code_bytes(codes, 4 if top == 8 else 5)
    top = 15 if kind == "q4_1" else 31
    low = min(x)
    d = f32(f32(max(x) - low) / top)
    inverse = f32(1 / d) if d else 0.0
    codes = [min(top, int(f32(f32(f32(v - low) * inverse) + 0.5))) for v in x]
    return half(d) + half(low) + code_bytes(codes, 4 if top == 15 else 5)


def quantized(kind, values):
    return b"".join(quantized_block(kind, values[at:at + 32]) for at in range(0, len(values), 32))


# ------------------------------------------------------------------------------------------- GGUF files by hand


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, content):
    """The type and the bytes of a metadata value: kind is a number of struct, "str", or a list of one of them."""
    codes = {"B": 0, "b": 1, "H": 2, "h": 3, "I": 4, "i": 5, "f": 6, "?": 7, "str": 8, "Q": 10, "q": 11, "d": 12}
    if isinstance(kind, list):
        inner = b"".join(value(kind[0], item)[4:] for item in content)
        return struct.pack("<IIQ", 9, codes[kind[0]], len(content)) + inner
    return struct.pack("<I", codes[kind]) + (text(content) if kind == "str" else struct.pack("<" + kind, content))


def gguf_bytes(metadata, tensors, version=3, alignment=32):
    """metadata: {key: (kind, content)}; tensors: [(name, dims, type id, bytes)]."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    head += b"".join(text(key) + value(*item) for key, item in metadata.items())
    data = b""
    for name, dims, kind, blob in tensors:
        head += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(data))
        data += blob + bytes(-len(blob) % alignment)
    return head + bytes(-len(head) % alignment) + data


def tiny_metadata(**more):
    arch = {"block_count": 0, "context_length": 8, "embedding_length": 32, "feed_forward_length": 32,
            "attention.head_count": 2}
    metadata = {"general.architecture": ("str", "llama"), **{"llama." + k: ("I", v) for k, v in arch.items()},
                "llama.attention.layer_norm_rms_epsilon": ("f", 1e-5)}
    return {**metadata, **more}
