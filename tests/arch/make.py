"""Makes the models of tests/arch/data and the logits that transformers computes for them.

    make.py FOLDER [NAME...]    makes them anew, or those of these names
    make.py --check FOLDER      compares the logits of existing models

FOLDER/NAME/: config.json, model.safetensors with random weights, and golden.safetensors: for texts 0 and 1 the ids.N
[tokens] and the logits.N [tokens, vocabulary] at every position. transformers computes in fp32 (eager attention) from
the weights as they are stored. Each text gets a newly loaded model: transformers keeps the frequencies of a longer
text for a shorter one behind it ("dynamic").
"""
import json
import os
import sys
import zlib

os.environ.update(TQDM_DISABLE="1", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.llama import modeling_llama
from transformers.models.phi3 import modeling_phi3

LIMIT = 1e-5  # of the largest |logit|, between versions of transformers and torch
F16, BF16, F32 = torch.float16, torch.bfloat16, torch.float32


transformers.logging.set_verbosity_error()


def sizes(hidden, inner, layers, heads, key_heads, vocabulary, **more):
    return {"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": key_heads, "vocab_size": vocabulary, **more}


def llama(*args, **more):
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **sizes(*args, **more)}


def mistral(*args, **more):
    return {"architectures": ["MistralForCausalLM"], "model_type": "mistral", **sizes(*args, **more)}


def qwen2(*args, **more):
    return {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", **sizes(*args, **more)}


def qwen3(*args, **more):
    return {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", **sizes(*args, **more)}


def phi3(*args, **more):
    return {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "pad_token_id": 0, **sizes(*args, **more)}


def gemma2(*args, **more):
    return {"architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", **sizes(*args, **more)}


def gemma3(*args, **more):
    return {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", **sizes(*args, **more)}


def mixtral(*args, **more):
    return {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", **sizes(*args, **more)}


def qwen2_moe(*args, **more):
    return {"architectures": ["Qwen2MoeForCausalLM"], "model_type": "qwen2_moe", **sizes(*args, **more)}


def qwen3_moe(*args, **more):
    return {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", **sizes(*args, **more)}


def olmo2(*args, **more):
    return {"architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2", **sizes(*args, **more)}


def gpt2(hidden, layers, heads, vocabulary, **more):
    return {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": hidden, "n_layer": layers,
            "n_head": heads, "vocab_size": vocabulary, **more}


def neox(hidden, inner, layers, heads, vocabulary, **more):
    return {"architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "hidden_size": hidden,
            "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
            "vocab_size": vocabulary, **more}


SHORT4, LONG4 = [1, 1.2, 1.5, 2], [1.5, 2.5, 6, 12]
SHORT8, LONG8 = [1, 1.1, 1.2, 1.5, 1.7, 2, 2.5, 3], [1.3, 1.9, 2.5, 3.5, 5, 8, 13, 21]

# Name: element type, lengths of the texts, config.json. Texts are longer than the positions at which a scaling begins.
MODELS = {
    # As in files of transformers 4: the keys of the rotary embedding lie at the root.
    "llama_plain": (F16, (40, 9), llama(
        32, 32, 2, 4, 4, 61, max_position_embeddings=64, rms_norm_eps=1e-5, rope_theta=10000.0, rope_scaling=None,
        hidden_act="silu", tie_word_embeddings=False, attention_bias=False, mlp_bias=False, torch_dtype="float16")),
    # Only keys that differ from the class's defaults.
    "llama_bias": (BF16, (40, 9), llama(
        32, 32, 2, 4, 2, 67, head_dim=16, attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
        hidden_act="gelu", rms_norm_eps=0.02, rope_theta=500)),
    "llama_one_key_head": (F32, (33, 7), llama(
        40, 24, 2, 5, 1, 37, hidden_act="relu", rms_norm_eps=0.1, rope_theta=1e6, rope_scaling={"type": "default"})),
    # Wavelengths below, between and above those of the two factors.
    "llama_llama3": (F16, (60, 20), llama(
        32, 32, 2, 2, 1, 61, max_position_embeddings=64, rope_theta=100.0, tie_word_embeddings=True, rope_scaling={
            "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
            "rope_type": "llama3"})),
    "llama_linear": (F16, (40, 9), llama(
        32, 32, 2, 4, 2, 61, max_position_embeddings=64, hidden_act="gelu_new", rope_theta=1000.0,
        rope_scaling={"type": "linear", "factor": 2.5})),
    "llama_dynamic": (F16, (40, 12), llama(
        32, 32, 2, 2, 2, 61, max_position_embeddings=16, rope_theta=1000.0,
        rope_scaling={"type": "dynamic", "factor": 3.0})),
    "llama_yarn": (F16, (60, 12), llama(
        32, 32, 2, 2, 1, 61, head_dim=32, max_position_embeddings=64, rope_parameters={
            "rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0, "original_max_position_embeddings": 16,
            "beta_fast": 2, "beta_slow": 0.1})),
    # The factor follows from the two numbers of positions.
    "llama_yarn_mscale": (F16, (60, 12), llama(
        32, 32, 2, 2, 1, 61, head_dim=32, max_position_embeddings=80, rope_parameters={
            "rope_type": "yarn", "rope_theta": 1000.0, "factor": None, "original_max_position_embeddings": 16,
            "beta_fast": 4, "beta_slow": 0.5, "mscale": 2.0, "mscale_all_dim": 0.7, "truncate": False})),
    # original_max_position_embeddings of the root comes before that of the rotary embedding.
    "llama_yarn_attention_factor": (F16, (60, 12), llama(
        32, 32, 2, 2, 1, 61, head_dim=32, max_position_embeddings=64, original_max_position_embeddings=16,
        rope_theta=1000.0, rope_scaling={
            "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 48, "beta_fast": 2,
            "beta_slow": 0.1, "attention_factor": 1.3, "mscale": 2.0, "mscale_all_dim": 0.7})),
    "llama_longrope": (F16, (40, 16), llama(
        32, 32, 2, 2, 1, 61, max_position_embeddings=64, original_max_position_embeddings=16, rope_theta=1000.0,
        rope_scaling={"type": "longrope", "short_factor": SHORT8, "long_factor": LONG8})),
    # See PARTIAL.
    "llama_partial": (F16, (40, 9), llama(
        32, 32, 2, 2, 1, 61, max_position_embeddings=64, rope_parameters={
            "rope_type": "linear", "rope_theta": 300.0, "factor": 1.5})),
    "mistral_window": (F16, (40, 9), mistral(
        32, 32, 2, 4, 2, 61, max_position_embeddings=64, sliding_window=5, rms_norm_eps=1e-5, rope_theta=10000.0,
        torch_dtype="float16")),
    # Heads together are wider than the hidden states.
    "mistral_no_window": (BF16, (40, 9), mistral(
        40, 32, 2, 4, 2, 71, head_dim=16, max_position_embeddings=1024, sliding_window=None, rms_norm_eps=1e-5,
        rope_theta=1000000.0, torch_dtype="bfloat16")),
    "mistral_longrope": (F32, (33, 7), mistral(
        32, 24, 2, 2, 2, 53, max_position_embeddings=24, original_max_position_embeddings=8, hidden_act="relu",
        tie_word_embeddings=True, rope_parameters={
            "rope_type": "longrope", "rope_theta": 1000.0, "short_factor": SHORT8, "long_factor": LONG8,
            "factor": 5.0})),
    "mistral_yarn": (F16, (40, 9), mistral(
        32, 32, 2, 2, 2, 61, max_position_embeddings=64, sliding_window=16, hidden_act="gelu_fast", rope_parameters={
            "rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0, "original_max_position_embeddings": 16,
            "beta_fast": 1, "beta_slow": 0.1, "mscale": 0.5})),
    # A window that is not in use.
    "qwen2_plain": (F16, (40, 9), qwen2(
        32, 32, 2, 4, 2, 61, max_position_embeddings=64, rms_norm_eps=1e-6, rope_theta=1000000.0, sliding_window=8,
        use_sliding_window=False, max_window_layers=1, tie_word_embeddings=True, attention_dropout=0.0)),
    "qwen2_window": (F16, (40, 9), qwen2(
        32, 32, 3, 4, 1, 61, max_position_embeddings=64, rms_norm_eps=0.003, sliding_window=6,
        use_sliding_window=True, max_window_layers=1)),
    # The list comes before max_window_layers.
    "qwen2_layer_types": (F16, (40, 9), qwen2(
        32, 32, 3, 4, 4, 61, max_position_embeddings=64, sliding_window=4, use_sliding_window=True,
        max_window_layers=2, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters={"rope_type": "default", "rope_theta": 100.0})),
    "qwen2_yarn": (BF16, (60, 12), qwen2(
        32, 32, 2, 2, 1, 61, max_position_embeddings=64, rope_theta=1000.0, hidden_act="gelu_pytorch_tanh",
        rope_scaling={"factor": 4.0, "original_max_position_embeddings": 16, "type": "yarn"})),
    "qwen3_plain": (F16, (40, 9), qwen3(
        32, 32, 2, 4, 2, 61, head_dim=16, max_position_embeddings=64, rms_norm_eps=1e-6, rope_theta=1000000,
        rope_scaling=None, sliding_window=None, use_sliding_window=False, max_window_layers=2,
        tie_word_embeddings=True, attention_bias=False)),
    "qwen3_bias": (BF16, (40, 9), qwen3(
        32, 32, 2, 2, 2, 67, head_dim=24, max_position_embeddings=64, rms_norm_eps=0.05, hidden_act="gelu",
        attention_bias=True)),
    # head_dim of the class: 128. As many key heads as heads, not the class's default of 32.
    "qwen3_head_size": (F16, (24, 7), qwen3(32, 24, 1, 1, None, 31, hidden_act="swish")),
    "qwen3_window": (F16, (60, 20), qwen3(
        32, 32, 3, 2, 1, 61, head_dim=16, max_position_embeddings=64, sliding_window=12, use_sliding_window=True,
        max_window_layers=2, rope_parameters={
            "rope_type": "llama3", "rope_theta": 100.0, "factor": 5.0, "low_freq_factor": 1.5,
            "high_freq_factor": 6.0, "original_max_position_embeddings": 48})),
    "qwen3_layer_types": (F32, (40, 12), qwen3(
        24, 24, 2, 3, 1, 53, head_dim=16, max_position_embeddings=16, sliding_window=9, use_sliding_window=True,
        layer_types=["sliding_attention", "full_attention"],
        rope_parameters={"rope_type": "dynamic", "rope_theta": 1000.0, "factor": 2.0})),
    "mixtral_plain": (F16, (40, 9), mixtral(
        32, 32, 2, 4, 2, 61, max_position_embeddings=64, rms_norm_eps=1e-5, rope_theta=10000.0, sliding_window=None,
        num_local_experts=4, num_experts_per_tok=2)),
    "mixtral_window": (BF16, (40, 9), mixtral(
        32, 24, 2, 2, 1, 67, max_position_embeddings=64, rms_norm_eps=0.02, sliding_window=6, hidden_act="gelu",
        num_local_experts=5, num_experts_per_tok=1, tie_word_embeddings=True)),
    # The class's eight experts, two for a token.
    "mixtral_defaults": (F32, (24, 7), mixtral(16, 16, 1, 2, 1, 31, rope_theta=1000.0)),
    "qwen2_moe_plain": (F16, (40, 9), qwen2_moe(
        32, 48, 2, 4, 2, 61, max_position_embeddings=64, rope_theta=10000.0, num_experts=6, num_experts_per_tok=3,
        moe_intermediate_size=16, shared_expert_intermediate_size=32, norm_topk_prob=False)),
    # Dense layers between.
    "qwen2_moe_dense": (BF16, (40, 9), qwen2_moe(
        32, 24, 4, 2, 1, 67, max_position_embeddings=64, rms_norm_eps=0.02, num_experts=4, num_experts_per_tok=2,
        moe_intermediate_size=24, shared_expert_intermediate_size=20, norm_topk_prob=True, decoder_sparse_step=2,
        mlp_only_layers=[3], hidden_act="relu")),
    "qwen3_moe_plain": (F16, (40, 9), qwen3_moe(
        32, 32, 2, 4, 2, 61, head_dim=16, max_position_embeddings=64, rope_theta=10000.0, num_experts=8,
        num_experts_per_tok=3, moe_intermediate_size=16, norm_topk_prob=True)),
    # A weight that is not normalized; no scale of the router.
    "qwen3_moe_window": (F32, (33, 7), qwen3_moe(
        24, 24, 3, 3, 1, 53, head_dim=16, max_position_embeddings=64, rms_norm_eps=0.01, num_experts=5,
        num_experts_per_tok=5, moe_intermediate_size=12, use_sliding_window=True, sliding_window=5,
        attention_bias=True, mlp_only_layers=[1])),
    "phi3_plain": (F16, (40, 9), phi3(
        32, 32, 2, 4, 2, 61, max_position_embeddings=64, original_max_position_embeddings=64, rms_norm_eps=1e-5,
        rope_theta=10000.0, rope_scaling=None, sliding_window=None, tie_word_embeddings=False)),
    "phi3_window": (BF16, (40, 9), phi3(
        32, 24, 2, 2, None, 67, max_position_embeddings=64, rms_norm_eps=0.02, rope_theta=300.0, sliding_window=6,
        partial_rotary_factor=0.5, hidden_act="gelu")),
    # The oldest name of the scaling; a window that ends between the short and the long text.
    "phi3_su": (F16, (40, 16), phi3(
        32, 32, 2, 2, 1, 61, max_position_embeddings=64, original_max_position_embeddings=16, rope_theta=1000.0,
        sliding_window=30, rope_scaling={
            "type": "su", "short_factor": SHORT8, "long_factor": LONG8, "original_max_position_embeddings": 16})),
    "phi3_partial_longrope": (F16, (40, 12), phi3(
        32, 32, 2, 2, 2, 61, max_position_embeddings=80, original_max_position_embeddings=12,
        tie_word_embeddings=True, rope_parameters={
            "rope_type": "longrope", "rope_theta": 1000.0, "partial_rotary_factor": 0.5, "short_factor": SHORT4,
            "long_factor": LONG4})),
    "gemma2_plain": (F16, (40, 9), gemma2(
        32, 32, 2, 4, 2, 61, head_dim=16, max_position_embeddings=64, rms_norm_eps=1e-6, rope_theta=10000.0,
        sliding_window=5, query_pre_attn_scalar=24, attn_logit_softcapping=2.0, final_logit_softcapping=5.0)),
    # hidden_act counts for nothing.
    "gemma2_no_caps": (BF16, (40, 9), gemma2(
        32, 24, 3, 2, 2, 67, head_dim=24, max_position_embeddings=64, rms_norm_eps=0.05, sliding_window=6,
        hidden_act="silu", hidden_activation="gelu", attention_bias=True, attn_logit_softcapping=None,
        final_logit_softcapping=None, tie_word_embeddings=False,
        layer_types=["full_attention", "sliding_attention", "sliding_attention"])),
    # The class's heads of 256 and caps of 50 and 30.
    "gemma2_defaults": (F16, (24, 7), gemma2(16, 16, 1, 2, 1, 31)),
    "gemma3_plain": (F16, (40, 9), gemma3(
        32, 32, 3, 4, 2, 61, head_dim=16, max_position_embeddings=64, rms_norm_eps=1e-6, rope_theta=500.0,
        rope_local_base_freq=50.0, rope_scaling={"rope_type": "linear", "factor": 2.5}, sliding_window=5,
        sliding_window_pattern=3, query_pre_attn_scalar=24)),
    "gemma3_layer_types": (BF16, (40, 9), gemma3(
        32, 24, 2, 2, 1, 67, head_dim=24, max_position_embeddings=64, rms_norm_eps=0.05, sliding_window=6,
        attention_bias=True, attn_logit_softcapping=None, final_logit_softcapping=4.0, tie_word_embeddings=False,
        layer_types=["full_attention", "sliding_attention"], rope_parameters={
            "full_attention": {"rope_type": "llama3", "rope_theta": 100.0, "factor": 5.0, "low_freq_factor": 1.5,
                               "high_freq_factor": 6.0, "original_max_position_embeddings": 48},
            "sliding_attention": {"rope_type": "default", "rope_theta": 30.0}})),
    # The class's pattern, theta and window.
    "gemma3_defaults": (F16, (24, 7), gemma3(16, 16, 6, 1, 1, 31, head_dim=16)),
    # See RENAMED: as the files of models that read images.
    "gemma3_images": (F16, (24, 7), {
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "vocab_size": 41,
        "mm_tokens_per_image": 4, "image_token_index": 40, "boi_token_index": 39, "eoi_token_index": 38,
        "text_config": {"model_type": "gemma3_text", **sizes(
            32, 32, 2, 2, 1, 41, head_dim=16, sliding_window=7, sliding_window_pattern=2, max_position_embeddings=64)},
        "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 16,
                          "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 16, "patch_size": 8}}),
    "olmo2_plain": (F16, (40, 9), olmo2(
        32, 32, 2, 4, 2, 61, max_position_embeddings=64, rms_norm_eps=1e-6, rope_theta=500000, pad_token_id=0,
        tie_word_embeddings=False)),
    "olmo2_bias": (BF16, (40, 9), olmo2(
        32, 24, 2, 2, None, 67, max_position_embeddings=64, rms_norm_eps=0.02, rope_theta=500, attention_bias=True,
        hidden_act="gelu", tie_word_embeddings=True)),
    "olmo2_yarn": (F32, (40, 9), olmo2(
        24, 24, 2, 3, 1, 53, max_position_embeddings=64, rope_parameters={
            "rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0, "original_max_position_embeddings": 16})),
    # See RENAMED: as the files of the hub.
    "gpt2_plain": (F16, (40, 9), gpt2(32, 2, 4, 61, n_positions=64, n_ctx=64, layer_norm_epsilon=1e-5)),
    "gpt2_inner": (BF16, (40, 9), gpt2(
        32, 3, 2, 67, n_positions=48, n_inner=40, activation_function="relu", layer_norm_epsilon=0.05,
        scale_attn_by_inverse_layer_idx=True, tie_word_embeddings=False)),
    "gpt2_unscaled": (F32, (24, 7), gpt2(
        16, 2, 2, 31, n_positions=24, activation_function="gelu", scale_attn_weights=False)),
    "gpt_neox_plain": (F16, (40, 9), neox(
        32, 32, 2, 2, 61, max_position_embeddings=64, rotary_pct=0.25, rotary_emb_base=100, layer_norm_eps=1e-5,
        use_parallel_residual=True, hidden_act="gelu", tie_word_embeddings=False)),
    "gpt_neox_sequential": (BF16, (40, 9), neox(
        48, 40, 2, 3, 67, max_position_embeddings=64, rotary_pct=0.5, layer_norm_eps=0.05,
        use_parallel_residual=False, attention_bias=False, hidden_act="gelu_new")),
    "gpt_neox_linear": (F32, (33, 7), neox(
        32, 24, 2, 4, 53, max_position_embeddings=64, tie_word_embeddings=True, rope_parameters={
            "rope_type": "linear", "rope_theta": 300.0, "factor": 1.5, "partial_rotary_factor": 1.0})),
}

# Files whose tensors have other names than the parameters: what a name begins with, and what replaces it.
RENAMED = {"gpt2_plain": {"transformer.": ""},
           "gemma3_images": {"model.language_model.": "language_model.model.", "model.": "", "lm_head": None}}

# The share of each head that is rotated. The classes of these families rotate whole heads, or fail; with the function
# of phi3, which rotates as many elements as there are frequencies, they show the result of a partial rotation.
PARTIAL = {"llama_partial": 0.5}


def weights(config, dtype, seed):
    """Random weights under which a score depends on the positions as much as on the tokens."""
    random = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    tensors = {}
    for name, parameter in sorted(model.named_parameters()):
        x = torch.randn(parameter.shape, generator=random)
        if name.endswith(".weight") and x.ndim == 1:
            x = 0.3 * x if config.model_type.startswith("gemma") else 1 + 0.3 * x
        elif name.endswith(".bias") or "wpe" in name:
            x = 0.4 * x
        elif "embed_tokens" in name or "wte" in name or "embed_in" in name:
            x = x * (0.4 if config.tie_word_embeddings else 1)
        else:
            # GPT-2 stores [in, out].
            inputs = parameter.shape[0] if config.model_type == "gpt2" and ".h." in name else parameter.shape[-1]
            x = x * (1.3 if any(key in name for key in ("q_proj", "k_proj", "qkv", "query", "c_attn")) else 1)
            x = x / inputs ** 0.5
        tensors[name] = x.to(dtype)
    return tensors


def split_experts(tensors, mixtral):
    """The tensors of files: a matrix of each expert, where transformers has those of all in one."""
    names = ("w1", "w3", "w2") if mixtral else ("gate_proj", "up_proj", "down_proj")
    result = {}
    for name, tensor in tensors.items():
        if mixtral:
            name = name.replace(".mlp.", ".block_sparse_moe.")
        if not name.endswith((".experts.gate_up_proj", ".experts.down_proj")):
            result[name] = tensor
            continue
        place = name[:name.rindex(".")]
        for expert, matrix in enumerate(tensor):
            if name.endswith(".down_proj"):
                result[f"{place}.{expert}.{names[2]}.weight"] = matrix.contiguous()
                continue
            for part, half in zip(names, matrix.chunk(2)):
                result[f"{place}.{expert}.{part}.weight"] = half.contiguous()
    return result


def renamed(tensors, rules):
    result = {}
    for name, tensor in tensors.items():
        begin = next((begin for begin in rules if name.startswith(begin)), "")
        if rules.get(begin, "") is not None:
            result[rules.get(begin, "") + name[len(begin):]] = tensor
    return result


def logits_of(folder, share, ids):
    config = AutoConfig.from_pretrained(folder)
    usual = modeling_llama.apply_rotary_pos_emb
    if share != 1:
        config.rope_parameters["partial_rotary_factor"] = share
        modeling_llama.apply_rotary_pos_emb = modeling_phi3.apply_rotary_pos_emb
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, config=config, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    for what, names in info.items():
        if names:
            sys.exit(f"{folder}: {what}: {names}")
    with torch.no_grad():
        logits = model.eval()(ids[None].long(), use_cache=False).logits[0]
    modeling_llama.apply_rotary_pos_emb = usual
    return logits.contiguous()


def make(folder, names):
    for name, (dtype, lengths, config) in MODELS.items():
        if names and name not in names:
            continue
        place, share = f"{folder}/{name}", PARTIAL.get(name, 1)
        os.makedirs(place, exist_ok=True)
        with open(place + "/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2)
            file.write("\n")
        seed = zlib.crc32(name.encode())
        tensors = weights(AutoConfig.from_pretrained(place), dtype, seed)
        if any(".experts." in name for name in tensors):
            tensors = split_experts(tensors, config["model_type"] == "mixtral")
        save_file(renamed(tensors, RENAMED.get(name, {})), place + "/model.safetensors", {"format": "pt"})
        random, golden = torch.Generator().manual_seed(seed + 1), {}
        for text, length in enumerate(lengths):
            ids = torch.randint(config["vocab_size"], (length,), generator=random, dtype=torch.int32)
            golden[f"ids.{text}"], golden[f"logits.{text}"] = ids, logits_of(place, share, ids)
        save_file(golden, place + "/golden.safetensors", {"partial_rotary_factor": str(share)})
        print(name, [float(golden[f"logits.{i}"].abs().max()) for i in range(len(lengths))])


def check(folder):
    failed = 0
    for name in sorted(os.listdir(folder)):
        place = f"{folder}/{name}"
        if not os.path.isdir(place):
            continue
        largest = 0.0
        with safe_open(place + "/golden.safetensors", "pt") as golden:
            share = float(golden.metadata()["partial_rotary_factor"])
            for text in range(2):
                logits = golden.get_tensor(f"logits.{text}")
                found = logits_of(place, share, golden.get_tensor(f"ids.{text}"))
                largest = max(largest, float((found - logits).abs().max() / logits.abs().max()))
        failed += not largest <= LIMIT
        print(f"{name}: {largest:.1e}{'' if largest <= LIMIT else ' OTHER LOGITS'}")
    sys.exit(failed > 0)


print(f"transformers {transformers.__version__}, torch {torch.__version__}")
if sys.argv[1] == "--check":
    check(sys.argv[2])
else:
    make(sys.argv[1], sys.argv[2:])
