"""Tiny random models of families whose GGUF has other tensors than Llama's: fused, more norms, stacks of experts."""
import array
import math
import os
import shutil
import sys

sys.dont_write_bytecode = True
import checkpoints as ck
import gguf_models as gm

EXPERTS = 4
SHORT, LONG = [1.0, 1.25, 1.5, 2.0], [1.0, 2.0, 4.0, 7.0]
LONGROPE = {"rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG}
FAMILIES = {
    "phi3": {"partial_rotary_factor": 0.5, "rope_scaling": LONGROPE, "original_max_position_embeddings": 256,
             "sliding_window": None, "pad_token_id": None},
    # Caps and window are small enough to matter.
    "gemma2": {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
               "tie_word_embeddings": True, "query_pre_attn_scalar": gm.HEAD, "attn_logit_softcapping": 2.0,
               "final_logit_softcapping": 3.0, "sliding_window": 8, "head_dim": gm.HEAD},
    # Six layers have a window, the last is full.
    "gemma3_text": {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
                    "tie_word_embeddings": True, "query_pre_attn_scalar": gm.HEAD, "sliding_window": 8,
                    "sliding_window_pattern": 6, "head_dim": gm.HEAD, "rope_theta": 50000.0,
                    "rope_local_base_freq": 10000, "rope_scaling": {"rope_type": "linear", "factor": 2.0},
                    "num_hidden_layers": 6},
    "olmo2": {"pad_token_id": None},
    "mixtral": {"num_local_experts": EXPERTS, "num_experts_per_tok": 2, "sliding_window": None}}
NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
NAMES = {"phi3": {**NORMS, "self_attn.qkv_proj": "attn_qkv", "self_attn.o_proj": "attn_output",
                  "mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down"},
         "gemma2": {**gm.MODULES, "post_attention_layernorm": "post_attention_norm",
                    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm"},
         "gemma3_text": {**gm.MODULES, "post_attention_layernorm": "post_attention_norm",
                         "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm"},
         "olmo2": {**gm.MODULES, "post_attention_layernorm": "post_attention_norm",
                   "post_feedforward_layernorm": "post_ffw_norm"},
         "mixtral": {**gm.MODULES, "block_sparse_moe.gate": "ffn_gate_inp"}}
EXPERT_NAMES = {"w1": "ffn_gate_exps", "w3": "ffn_up_exps", "w2": "ffn_down_exps"}


def config_of(family, vocabulary, **more):
    config = {"model_type": family, "vocab_size": vocabulary, "hidden_size": gm.HIDDEN, "intermediate_size": gm.INNER,
              "num_hidden_layers": gm.LAYERS, "num_attention_heads": gm.HEADS, "num_key_value_heads": gm.KEY_HEADS,
              "hidden_act": "silu", "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
              "tie_word_embeddings": False, "torch_dtype": "float32"}
    return {**config, **FAMILIES[family], **more}


def is_gemma(family):
    return family.startswith("gemma")


def shapes_of(family, vocabulary):
    shapes = {"model.embed_tokens.weight": (vocabulary, gm.HIDDEN), "model.norm.weight": (gm.HIDDEN,)}
    if not is_gemma(family):
        shapes["lm_head.weight"] = (vocabulary, gm.HIDDEN)
    queries, keys = gm.HEADS * gm.HEAD, gm.KEY_HEADS * gm.HEAD
    up, down = (gm.INNER, gm.HIDDEN), (gm.HIDDEN, gm.INNER)
    for layer in range(FAMILIES[family].get("num_hidden_layers", gm.LAYERS)):
        block = {"self_attn.o_proj": (gm.HIDDEN, queries), "input_layernorm": (gm.HIDDEN,),
                 "post_attention_layernorm": (gm.HIDDEN,)}
        if family == "phi3":
            block.update({"self_attn.qkv_proj": (queries + 2 * keys, gm.HIDDEN),
                          "mlp.gate_up_proj": (2 * gm.INNER, gm.HIDDEN), "mlp.down_proj": down})
        else:
            block.update({"self_attn.q_proj": (queries, gm.HIDDEN), "self_attn.k_proj": (keys, gm.HIDDEN),
                          "self_attn.v_proj": (keys, gm.HIDDEN)})
        if is_gemma(family) or family == "olmo2":
            block.update({"mlp.gate_proj": up, "mlp.up_proj": up, "mlp.down_proj": down,
                          "pre_feedforward_layernorm": (gm.HIDDEN,), "post_feedforward_layernorm": (gm.HIDDEN,)})
        if family == "gemma3_text":
            block.update({"self_attn.q_norm": (gm.HEAD,), "self_attn.k_norm": (gm.HEAD,)})
        if family == "olmo2":
            block.update({"self_attn.q_norm": (queries,), "self_attn.k_norm": (keys,)})
            del block["input_layernorm"], block["pre_feedforward_layernorm"]
        if family == "mixtral":
            block["block_sparse_moe.gate"] = (EXPERTS, gm.HIDDEN)
            for expert in range(EXPERTS):
                for part, shape in (("w1", up), ("w3", up), ("w2", down)):
                    block[f"block_sparse_moe.experts.{expert}.{part}"] = shape
        shapes.update({f"model.layers.{layer}.{name}.weight": shape for name, shape in block.items()})
    return shapes


def make(folder, family, vocabulary=48, dtype="F32", tokenizer=None, **config):
    """Returns the values by name, and the shapes. tokenizer: a folder whose files are copied."""
    shapes = shapes_of(family, vocabulary)
    values = {}
    for name, shape in shapes.items():
        numbers = [v * (0.3 if len(shape) == 2 else 0.5) for v in ck.numbers(shape, family + name)]
        # The norms of Gemma multiply by 1 more than they say.
        if "norm" in name and not is_gemma(family):
            numbers = [1 + v for v in numbers]
        values[name] = array.array("f", numbers).tolist()
        if dtype != "F32":
            values[name] = gm.rounded(dtype, values[name])
    ck.write_model(folder, shapes, config_of(family, vocabulary, **config), dtype, values)
    for name in os.listdir(tokenizer) if tokenizer else []:
        if name.startswith("tokenizer") and "cases" not in name:
            shutil.copy(os.path.join(tokenizer, name), folder)
    return values, shapes


def stored(family, values, shapes):
    """{name in the file: (dims, values in their order there, name here)}; of experts, the name of the first."""
    ends = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    found = {}
    for name, shape in shapes.items():
        numbers = values[name]
        module = name[:-len(".weight")]
        if "norm" in name and is_gemma(family):
            numbers = [array.array("f", [v + 1])[0] for v in numbers]
        if module in ends:
            found[ends[module] + ".weight"] = (list(reversed(shape)), numbers, name)
            continue
        _, _, layer, module = module.split(".", 3)
        if family == "mixtral":
            rows = gm.ordered("llama", name, gm.rows_of(numbers, shape))
            numbers = [v for row in rows for v in row]
        if ".experts." in module:
            _, _, _, part = module.split(".")
            key = f"blk.{layer}.{EXPERT_NAMES[part]}.weight"
            before, first = found[key][1:] if key in found else ([], name)
            found[key] = ([*reversed(shape), EXPERTS], before + numbers, first)
        else:
            found[f"blk.{layer}.{NAMES[family][module]}.weight"] = (list(reversed(shape)), numbers, name)
    if family == "phi3":
        found["rope_factors_short.weight"] = ([4], SHORT, "")
        found["rope_factors_long.weight"] = ([4], LONG, "")
    return found


def metadata_of(family):
    """What the file says of the network alone."""
    if family == "phi3":
        factor = math.sqrt(1 + math.log(512 / 256) / math.log(256))
        return {"phi3.rope.dimension_count": 8, "phi3.rope.scaling.original_context_length": 256,
                "phi3.rope.scaling.attn_factor": array.array("f", [factor])[0], "phi3.attention.sliding_window": 0}
    if family == "gemma2":
        return {"gemma2.attn_logit_softcapping": 2.0, "gemma2.final_logit_softcapping": 3.0,
                "gemma2.attention.sliding_window": 8, "gemma2.attention.key_length": gm.HEAD}
    if family == "gemma3_text":
        return {"general.architecture": "gemma3", "gemma3.attention.sliding_window": 8,
                "gemma3.rope.freq_base": 50000.0, "gemma3.rope.scaling.type": "linear",
                "gemma3.rope.scaling.factor": 2.0,
                "gemma3.attn_logit_softcapping": None, "gemma3.attention.key_length": gm.HEAD}
    if family == "olmo2":
        return {"general.architecture": "olmo2", "olmo2.attention.sliding_window": None,
                "olmo2.rope.dimension_count": gm.HEAD}
    return {"general.architecture": "llama", "llama.expert_count": EXPERTS, "llama.expert_used_count": 2}
