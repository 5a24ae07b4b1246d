"""Makes the models of tests/arch/data and the logits that transformers computes for them.

    make.py FOLDER              makes them anew
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
}

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
        if name.endswith("norm.weight"):
            x = 1 + 0.3 * x
        elif name.endswith(".bias"):
            x = 0.4 * x
        elif "embed_tokens" in name:
            x = x * (0.4 if config.tie_word_embeddings else 1)
        else:
            x = x * (1.3 if "q_proj" in name or "k_proj" in name else 1) / parameter.shape[1] ** 0.5
        tensors[name] = x.to(dtype)
    return tensors


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


def make(folder):
    for name, (dtype, lengths, config) in MODELS.items():
        place, share = f"{folder}/{name}", PARTIAL.get(name, 1)
        os.makedirs(place, exist_ok=True)
        with open(place + "/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2)
            file.write("\n")
        seed = zlib.crc32(name.encode())
        save_file(weights(AutoConfig.from_pretrained(place), dtype, seed), place + "/model.safetensors",
                  {"format": "pt"})
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
    make(sys.argv[1])
