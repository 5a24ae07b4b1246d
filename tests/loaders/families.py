#!/usr/bin/env python3
"""Small models of many families, with random weights: transformers makes them, nibble quantizes them with its default
options, and transformers loads the result.

  families.py make DIR                   writes DIR/NAME for each family, and prints the names, each with more options
  families.py check DIR NAME@OUT...      OUT: a quantized DIR/NAME. Loads it, and compares what it computes with the
                                         model whose weights are decoded here from the same file

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
    "gemma3": ("AutoModelForImageTextToText", "gemma3",
               {"text_config": {**TEXT, "head_dim": 32}, "mm_tokens_per_image": 4, "vision_config": VISION}, "text"),
}

# transformers 5 holds all experts of a layer in one parameter, which it cannot read quantized; vLLM can.
MORE = {"mixtral": "--exclude experts", "qwen2_moe": r"--exclude mlp\.experts"}


def make(folder):
    for name, (kind, model_type, arguments, _) in FAMILIES.items():
        torch.manual_seed(0)
        config = transformers.AutoConfig.for_model(model_type, **arguments)
        model = getattr(transformers, kind).from_config(config)
        with contextlib.redirect_stdout(io.StringIO()):
            model.float().save_pretrained(os.path.join(folder, name))
        print(name, MORE.get(name, ""))


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
    for name, value in dense.items():
        if value.shape != shapes[name] and value.T.shape == shapes[name]:  # Conv1D
            dense[name] = value.T
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
        name, _, out = argument.partition("@")
        kind, _, _, needs = FAMILIES[name]
        label = name
        try:
            with tempfile.TemporaryDirectory() as work, contextlib.redirect_stderr(io.StringIO()):
                dense = os.path.join(work, "dense")
                method, count = decoded(os.path.join(folder, name), out, dense)
                label = f"{name}, {method}"
                expected = output(load(kind, dense), needs)
                found = output(load(kind, out), needs)
            delta = ((found - expected).abs().max() / expected.abs().max()).item()
            good = delta < LIMIT
            text = f"{count:4} weights, difference {delta:.1e}"
        except Exception as error:  # any exception means that the model did not load
            good, text = False, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        failed += not good
        print(f"{'PASS' if good else 'FAIL':6}{label:40} {text}", flush=True)
    print(f"{len(arguments) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "make":
        sys.exit(make(sys.argv[2]))
    if len(sys.argv) > 3 and sys.argv[1] == "check":
        sys.exit(check(sys.argv[2], sys.argv[3:]))
    print(__doc__, file=sys.stderr)
    sys.exit(2)
