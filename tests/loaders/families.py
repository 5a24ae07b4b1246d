#!/usr/bin/env python3
"""Small models of many families, with random weights: transformers makes them, nibble quantizes them with its default
options, and transformers loads the result.

  families.py make DIR                   writes DIR/NAME for each family, and prints what to quantize
  families.py check DIR NAME@OUT...      OUT: a quantized DIR/NAME. Loads it, and compares what it computes with the
                                         model whose weights are decoded here from the same file
  families.py plant OUT TO               a copy of OUT whose list of dense modules is empty
  families.py check DIR !NAME@OUT...     OUT: such a copy, which must fail

A key that is missing or unexpected is a failure, and so is a difference of more than LIMIT. Prints one line for each;
returns 1 if one failed.
"""
import contextlib
import importlib.util
import io
import json
import os
import shutil
import sys
import tempfile

os.environ.update(TQDM_DISABLE="1", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
if importlib.util.find_spec("bitsandbytes") is None:
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "standin"))
import torch
import transformers
from safetensors.torch import load_file, save_file

LIMIT = 1e-3  # of the largest magnitude of the output
SIZES = {"vocab_size": 256, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
TEXT = {**SIZES, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
VISION = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
          "image_size": 32, "patch_size": 8}
BERT = {k: v for k, v in TEXT.items() if k != "num_key_value_heads"}
BART = {"vocab_size": 256, "d_model": 128, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 256, "decoder_ffn_dim": 256, "pad_token_id": 0,
        "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
MOE = {"num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 128,
       "shared_expert_intermediate_size": 128, "decoder_sparse_step": 1}

# Name: (class of the model, model_type, arguments of its config, kind of input).
FAMILIES = {
    "llama": ("AutoModelForCausalLM", "llama", TEXT, "text"),
    "llama_tied": ("AutoModelForCausalLM", "llama", {**TEXT, "tie_word_embeddings": True}, "text"),
    "gemma2": ("AutoModelForCausalLM", "gemma2", {**TEXT, "head_dim": 32}, "text"),
    "phi3": ("AutoModelForCausalLM", "phi3", TEXT, "text"),
    "neox": ("AutoModelForCausalLM", "gpt_neox", BERT, "text"),
    "falcon": ("AutoModelForCausalLM", "falcon", {**BERT, "multi_query": True}, "text"),
    "bloom": ("AutoModelForCausalLM", "bloom", {"vocab_size": 256, "hidden_size": 128, "n_layer": 2, "n_head": 4},
              "text"),
    "opt": ("AutoModelForCausalLM", "opt", {**BERT, "ffn_dim": 256, "word_embed_proj_dim": 128}, "text"),
    "gpt2": ("AutoModelForCausalLM", "gpt2", {"vocab_size": 256, "n_embd": 128, "n_layer": 2, "n_head": 4,
                                              "n_positions": 64}, "text"),
    "mixtral": ("AutoModelForCausalLM", "mixtral", {**TEXT, **MOE}, "text"),
    "qwen2_moe": ("AutoModelForCausalLM", "qwen2_moe", {**TEXT, **MOE}, "text"),
    "bert": ("AutoModelForMaskedLM", "bert", BERT, "text"),
    "bert_classes": ("AutoModelForSequenceClassification", "bert", BERT, "text"),
    "roberta": ("AutoModelForMaskedLM", "roberta", BERT, "text"),
    "electra": ("AutoModelForMaskedLM", "electra", {**BERT, "embedding_size": 64}, "text"),
    "vit": ("AutoModelForImageClassification", "vit", VISION, "image"),
    "siglip": ("AutoModel", "siglip", {"text_config": BERT, "vision_config": VISION}, "both"),
    "clip": ("AutoModel", "clip", {"text_config": BERT, "vision_config": VISION, "projection_dim": 64}, "both"),
    "t5": ("AutoModelForSeq2SeqLM", "t5", {"vocab_size": 256, "d_model": 128, "d_kv": 32, "d_ff": 256, "num_layers": 1,
                                           "num_heads": 4, "decoder_start_token_id": 0}, "pair"),
    "bart": ("AutoModelForSeq2SeqLM", "bart", {**BART, "max_position_embeddings": 64}, "pair"),
    "whisper": ("AutoModelForSpeechSeq2Seq", "whisper",
                {**BART, "num_mel_bins": 8, "max_source_positions": 16, "max_target_positions": 16}, "speech"),
    "llava": ("AutoModelForImageTextToText", "llava",
              {"text_config": {"model_type": "llama", **TEXT}, "image_token_index": 255,
               "vision_config": {"model_type": "siglip_vision_model", **VISION}}, "text"),
    "llava_tied": ("AutoModelForImageTextToText", "llava",
                   {"text_config": {"model_type": "llama", **TEXT, "tie_word_embeddings": True},
                    "tie_word_embeddings": True, "image_token_index": 255,
                    "vision_config": {"model_type": "clip_vision_model", **VISION}}, "text"),
    "phi": ("AutoModelForCausalLM", "phi", BERT, "text"),
    "gptj": ("AutoModelForCausalLM", "gptj", {"vocab_size": 256, "n_embd": 128, "n_layer": 2, "n_head": 4,
                                              "rotary_dim": 16, "n_positions": 64}, "text"),
    "gpt_neo": ("AutoModelForCausalLM", "gpt_neo", {"vocab_size": 256, "hidden_size": 128, "num_layers": 2,
                                                    "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
                "text"),
    "bigcode": ("AutoModelForCausalLM", "gpt_bigcode", {"vocab_size": 256, "n_embd": 128, "n_layer": 2, "n_head": 4},
                "text"),
    "codegen": ("AutoModelForCausalLM", "codegen", {"vocab_size": 256, "n_embd": 128, "n_layer": 2, "n_head": 4,
                                                    "rotary_dim": 16}, "text"),
    "mpt": ("AutoModelForCausalLM", "mpt", {"vocab_size": 256, "d_model": 128, "n_layers": 2, "n_heads": 4}, "text"),
    "starcoder2": ("AutoModelForCausalLM", "starcoder2", TEXT, "text"),
    "stablelm": ("AutoModelForCausalLM", "stablelm", TEXT, "text"),
    "cohere": ("AutoModelForCausalLM", "cohere", TEXT, "text"),
    "olmo2": ("AutoModelForCausalLM", "olmo2", TEXT, "text"),
    "qwen3": ("AutoModelForCausalLM", "qwen3", {**TEXT, "head_dim": 32}, "text"),
    "glm4": ("AutoModelForCausalLM", "glm4", {**TEXT, "head_dim": 32}, "text"),
    "mamba": ("AutoModelForCausalLM", "mamba", {"vocab_size": 256, "hidden_size": 128, "num_hidden_layers": 2},
              "text"),
    "mamba2": ("AutoModelForCausalLM", "mamba2", {"vocab_size": 256, "hidden_size": 128, "num_hidden_layers": 2,
                                                  "num_heads": 8, "head_dim": 32, "n_groups": 1}, "text"),
    "jamba": ("AutoModelForCausalLM", "jamba", {**TEXT, "num_experts": 2, "use_mamba_kernels": False,
                                                "attn_layer_period": 2, "attn_layer_offset": 1}, "text"),
    "distilbert": ("AutoModelForMaskedLM", "distilbert", {"vocab_size": 256, "dim": 128, "n_layers": 2, "n_heads": 4,
                                                          "hidden_dim": 256}, "text"),
    "distilbert_classes": ("AutoModelForSequenceClassification", "distilbert",
                           {"vocab_size": 256, "dim": 128, "n_layers": 2, "n_heads": 4, "hidden_dim": 256}, "text"),
    "albert": ("AutoModelForMaskedLM", "albert", {**BERT, "embedding_size": 64}, "text"),
    "mpnet": ("AutoModelForMaskedLM", "mpnet", BERT, "text"),
    "deberta_v2": ("AutoModelForMaskedLM", "deberta-v2", BERT, "text"),
    "modernbert": ("AutoModelForMaskedLM", "modernbert", BERT, "text"),
    "bert_bare": ("BertModel", "bert", BERT, "text"),
    "llama_classes": ("AutoModelForSequenceClassification", "llama", TEXT, "text"),
    "llama_bare": ("LlamaModel", "llama", TEXT, "text"),
    "deit": ("DeiTForImageClassification", "deit", VISION, "image"),
    "dinov2": ("AutoModelForImageClassification", "dinov2", VISION, "image"),
    "beit": ("AutoModelForImageClassification", "beit", VISION, "image"),
    "swin": ("AutoModelForImageClassification", "swin", {"image_size": 32, "patch_size": 4, "embed_dim": 64,
                                                         "depths": [1, 1], "num_heads": [2, 4], "window_size": 4},
             "image"),
    "umt5": ("AutoModelForSeq2SeqLM", "umt5", {"vocab_size": 256, "d_model": 128, "d_kv": 32, "d_ff": 256,
                                               "num_layers": 1, "num_heads": 4, "decoder_start_token_id": 0}, "pair"),
    "marian": ("AutoModelForSeq2SeqLM", "marian", {**BART, "max_position_embeddings": 64}, "pair"),
    "paligemma": ("AutoModelForImageTextToText", "paligemma",
                  {"text_config": {"model_type": "gemma", **TEXT, "head_dim": 32}, "image_token_index": 255,
                   "vision_config": {"model_type": "siglip_vision_model", **VISION}, "projection_dim": 128}, "text"),
    "qwen2_vl": ("Qwen2VLForConditionalGeneration", "qwen2_vl",
                 {"text_config": {**TEXT, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0,
                                                              "mrope_section": [4, 6, 6]}},
                  "vision_config": {"depth": 2, "embed_dim": 128, "hidden_size": 128, "num_heads": 4, "mlp_ratio": 2}},
                 "text"),
    "idefics3": ("AutoModelForImageTextToText", "idefics3",
                 {"text_config": {"model_type": "llama", **TEXT}, "vision_config": VISION}, "text"),
    "internvl": ("AutoModelForImageTextToText", "internvl",
                 {"text_config": {"model_type": "qwen2", **TEXT}, "image_token_id": 255,
                  "vision_config": {**VISION, "image_size": [32, 32], "patch_size": [8, 8]}}, "text"),
    "gemma3": ("AutoModelForImageTextToText", "gemma3",
               {"text_config": {**TEXT, "head_dim": 32}, "mm_tokens_per_image": 4, "vision_config": VISION}, "text"),
}

FORMATS = ("compressed-tensors", "bnb")
# transformers 5 holds all experts of a layer in one parameter, which it cannot read quantized; vLLM can.
OPTIONS = {"mixtral": "--exclude experts", "qwen2_moe": r"--exclude mlp\.experts", "jamba": r"--exclude experts"}
# Other choices of what is quantized.
CHOICES = [("llava", "--exclude down_proj"), ("llava", "--include projector"),
           ("internvl", "--include vision_tower.*k_proj|fc1|projector"),
           ("llava_tied", "--include lm_head"), ("llama_tied", "--include lm_head"), ("gemma3", "--include lm_head"),
           ("qwen2_vl", "--exclude o_proj"), ("bert", "--exclude query|output"), ("vit", "--exclude query|output"),
           ("swin", "--exclude key"), ("neox", "--include embed_out"), ("opt", "--exclude fc1")]
# transformers 5 and compressed-tensors do not read these, whoever wrote them.
UNREADABLE = {
    ("gpt2", FORMATS[0]): "Conv1D is no linear layer to compressed-tensors",
    ("falcon", FORMATS[0]): "a linear layer of another class is not made compressed",
    ("falcon", FORMATS[1]): "a linear layer of another class is not replaced",
    **{(name, FORMATS[0]): "the initialization of what the file lacks asks for the weights of compressed layers"
       for name in ("siglip", "clip", "t5", "bigcode", "albert", "modernbert", "mamba", "mamba2", "dinov2",
                    "umt5")},
}


def built(kind, config):
    return getattr(transformers, kind).from_config(config) if kind.startswith("Auto") else getattr(
        transformers, kind)(config)


def make(folder):
    """Prints lines of NAME FORMAT OPTIONS."""
    for name, (kind, model_type, arguments, _) in FAMILIES.items():
        torch.manual_seed(0)
        config = transformers.AutoConfig.for_model(model_type, **arguments)
        with contextlib.redirect_stdout(io.StringIO()):
            model = built(kind, config)
            model.float().save_pretrained(os.path.join(folder, name))
    for name, options in [(name, OPTIONS.get(name, "")) for name in FAMILIES] + CHOICES:
        for form in FORMATS:
            if (name, form) not in UNREADABLE:
                print(name, form, options)


def inputs(kind):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(3, 250, (1, 12), generator=generator)
    pixels = torch.randn(1, 3, 32, 32, generator=generator)
    return {"text": {"input_ids": tokens}, "image": {"pixel_values": pixels},
            "both": {"input_ids": tokens, "pixel_values": pixels},
            "pair": {"input_ids": tokens, "decoder_input_ids": tokens[:, :5]},
            "speech": {"input_features": torch.randn(1, 8, 32, generator=generator),
                       "decoder_input_ids": tokens[:, :5]}}[kind]


def load(kind, folder):
    model, info = getattr(transformers, kind).from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    for what, keys in info.items():
        if keys:
            raise ValueError(f"{what}: {sorted(map(str, keys))[0]} (of {len(keys)} such)")
    return model.eval()


def output(model, kind):
    with torch.no_grad():
        result = model(**inputs(kind))
    return next(result[key] for key in ("logits", "logits_per_image", "last_hidden_state") if key in result).float()


def packed_int4(tensors, module):
    """Codes of 4 bits with a scale for each group, of compressed-tensors."""
    rows, columns = tensors[module + ".weight_shape"].tolist()
    words = tensors[module + ".weight_packed"].to(torch.int64)
    codes = torch.stack([(words >> (4 * i)) & 15 for i in range(8)], -1).reshape(rows, -1)[:, :columns] - 8
    scale = tensors[module + ".weight_scale"].float()
    return codes * scale.repeat_interleave(columns // scale.shape[1], 1)


def nested_nf4(tensors, name):
    """Codes of 4 bits with doubly quantized scales, of bitsandbytes."""
    state = json.loads(bytes(tensors[name + ".quant_state.bitsandbytes__nf4"].tolist()))
    codes = tensors[name].flatten()
    values = tensors[name + ".quant_map"][torch.stack([codes >> 4, codes & 15], -1).flatten().long()]
    absmax = tensors[name + ".nested_quant_map"][tensors[name + ".absmax"].long()]
    outer = tensors[name + ".nested_absmax"].repeat_interleave(state["nested_blocksize"])[: len(absmax)]
    scale = (absmax * outer + state["nested_offset"]).repeat_interleave(state["blocksize"])
    count = state["shape"][0] * state["shape"][1]
    return (values[:count] * scale[:count]).reshape(state["shape"])


def decoded(original, folder, to):
    """Writes a dense copy of the quantized model."""
    tensors = load_file(os.path.join(folder, "model.safetensors"))
    shapes = {name: value.shape for name, value in load_file(os.path.join(original, "model.safetensors")).items()}
    dense = {}
    for name, value in tensors.items():
        if name.endswith(".weight_packed"):
            dense[name[: -len("_packed")]] = packed_int4(tensors, name[: -len(".weight_packed")])
        elif name + ".quant_map" in tensors:
            dense[name] = nested_nf4(tensors, name)
        elif name in shapes:
            dense[name] = value
    # One that is Conv1D means that all are. A head that was tied is new.
    transposed = any(value.shape != shapes.get(name, value.shape) for name, value in dense.items())
    for name in dense if transposed else ():
        if name not in tensors or dense[name].shape != tensors[name].shape:
            dense[name] = dense[name].T
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.safetensors"))
    save_file({name: value.contiguous() for name, value in dense.items()}, os.path.join(to, "model.safetensors"),
              {"format": "pt"})
    with open(os.path.join(to, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    quantization = config.pop("quantization_config")
    with open(os.path.join(to, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    return quantization["quant_method"], sum(name.endswith((".weight_packed", ".quant_map")) for name in tensors)


def check(folder, arguments):
    failed = 0
    for argument in arguments:
        name, _, out = argument.lstrip("!").partition("@")
        planted = argument.startswith("!")
        kind, _, _, needs = FAMILIES[name]
        label = name
        try:
            with tempfile.TemporaryDirectory() as work, contextlib.redirect_stderr(io.StringIO()):
                dense = os.path.join(work, "dense")
                method, count = decoded(os.path.join(folder, name), out, dense)
                label = f"{os.path.basename(out)}, {method}"
                expected = output(load(kind, dense), needs)
                found = output(load(kind, out), needs)
            delta = ((found - expected).abs().max() / expected.abs().max()).item()
            good = delta < LIMIT
            text = f"{count:4} weights, difference {delta:.1e}"
        except Exception as error:  # any exception means that the model did not load
            good, text = False, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        verdict = ("PASS" if good else "FAIL") if not planted else ("MISSED" if good else "found")
        failed += verdict in ("FAIL", "MISSED")
        print(f"{verdict:8}{label:40} {text}", flush=True)
    print(f"{len(arguments) - failed} passed, {failed} failed")
    return 1 if failed else 0


def plant(out, to):
    shutil.copytree(out, to)
    with open(os.path.join(to, "config.json"), "r+", encoding="utf-8") as file:
        config = json.load(file)
        for key in {"ignore", "llm_int8_skip_modules"} & set(config["quantization_config"]):
            config["quantization_config"][key] = []
        file.seek(0)
        json.dump(config, file)
        file.truncate()


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "plant":
        sys.exit(plant(*sys.argv[2:]))
    if len(sys.argv) == 3 and sys.argv[1] == "make":
        sys.exit(make(sys.argv[2]))
    if len(sys.argv) > 3 and sys.argv[1] == "check":
        sys.exit(check(sys.argv[2], sys.argv[3:]))
    print(__doc__, file=sys.stderr)
    sys.exit(2)
