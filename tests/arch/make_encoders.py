"""Makes the encoders of tests/arch/encoders and what transformers computes with them.

    make_encoders.py FOLDER [NAME...]    makes them anew, or those of these names
    make_encoders.py --check FOLDER      compares the values of existing models

FOLDER/NAME/: config.json, model.safetensors with random weights, and golden.safetensors: for texts 0 and 1 the ids.N
[tokens], the hidden.N [tokens, hidden_size] behind the last block, and what the class of "architectures" has of
logits.N [tokens, vocabulary] and pooled.N [hidden_size]. Of images, some and one: pixels.N [count, channels, height,
width], hidden.N [count, tokens, hidden_size], logits.N [count, labels or projection] and pooled.N [count, hidden_size].
transformers computes in fp32 (eager attention) from the weights as they are stored.
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
from transformers import AutoConfig

LIMIT = 1e-5  # of the largest |value|, between versions of transformers and torch
F16, BF16, F32 = torch.float16, torch.bfloat16, torch.float32

transformers.logging.set_verbosity_error()


def encoder(family, head, hidden, inner, layers, heads, vocabulary, **more):
    return {"architectures": [head], "model_type": family, "hidden_size": hidden, "intermediate_size": inner,
            "num_hidden_layers": layers, "num_attention_heads": heads, "vocab_size": vocabulary, **more}


def clip_vision(hidden, inner, layers, heads, **more):
    return {"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
            "num_attention_heads": heads, **more}


# Name: element type, lengths of the texts or numbers of images, config.json.
MODELS = {
    # A pooler, the head of masked tokens, and that of next sentences.
    "bert_plain": (F16, (40, 9), encoder(
        "bert", "BertForPreTraining", 32, 48, 2, 4, 61, max_position_embeddings=40, type_vocab_size=2,
        layer_norm_eps=1e-12, hidden_act="gelu", pad_token_id=0, position_embedding_type="absolute")),
    # No pooler; a head of its own.
    "bert_untied": (BF16, (31, 6), encoder(
        "bert", "BertForMaskedLM", 48, 32, 3, 2, 67, max_position_embeddings=64, type_vocab_size=3,
        layer_norm_eps=0.02, hidden_act="relu", tie_word_embeddings=False)),
    # No head; names without "bert.". Defaults of the class: 512 positions, 2 types, gelu.
    "bert_bare": (F32, (24, 7), encoder("bert", "BertModel", 16, 24, 2, 2, 31)),
    # See RENAMED: as the file of bert-base-uncased.
    "bert_old": (F16, (20, 7), encoder(
        "bert", "BertForPreTraining", 32, 32, 1, 4, 41, max_position_embeddings=24, hidden_act="gelu_new",
        layer_norm_eps=0.005)),
    "roberta_plain": (F16, (40, 9), encoder(
        "roberta", "RobertaForMaskedLM", 32, 48, 2, 4, 61, max_position_embeddings=42, type_vocab_size=1,
        layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0, eos_token_id=2)),
    # The head's activation is gelu, whatever the blocks have. The first text holds the padding token, too.
    "roberta_untied": (F32, (24, 8), encoder(
        "roberta", "RobertaForMaskedLM", 24, 32, 2, 3, 37, max_position_embeddings=40, type_vocab_size=2,
        layer_norm_eps=0.03, hidden_act="relu", pad_token_id=5, tie_word_embeddings=False)),
    "roberta_bare": (BF16, (30, 5), encoder(
        "roberta", "RobertaModel", 32, 24, 2, 2, 53, max_position_embeddings=36, type_vocab_size=1,
        hidden_act="gelu_pytorch_tanh")),
    "vit_plain": (F16, (3, 1), {
        "architectures": ["ViTForImageClassification"], "model_type": "vit", **clip_vision(32, 48, 2, 4),
        "image_size": 16, "patch_size": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "id2label": {str(i): f"LABEL_{i}" for i in range(5)}}),
    # Images and patches that are no squares, with rows and columns that no patch covers; no biases of q, k and v.
    "vit_sides": (BF16, (2, 1), {
        "architectures": ["ViTForImageClassification"], "model_type": "vit", **clip_vision(48, 32, 3, 2),
        "image_size": [11, 16], "patch_size": [3, 4], "num_channels": 2, "qkv_bias": False, "hidden_act": "relu",
        "layer_norm_eps": 0.03}),
    # Names without "vit.", a pooler, no classifier.
    "vit_bare": (F32, (2, 1), {
        "architectures": ["ViTModel"], "model_type": "vit", **clip_vision(16, 24, 2, 2), "image_size": 12,
        "patch_size": 6}),
    "clip_projection": (F16, (3, 1), {
        "architectures": ["CLIPVisionModelWithProjection"], "model_type": "clip_vision_model",
        **clip_vision(32, 48, 2, 4), "image_size": 16, "patch_size": 4, "projection_dim": 24}),
    # Names without "vision_model.", another activation.
    "clip_vision": (BF16, (2, 1), {
        "architectures": ["CLIPVisionModel"], "model_type": "clip_vision_model", **clip_vision(16, 32, 3, 2),
        "image_size": 14, "patch_size": 4, "num_channels": 1, "hidden_act": "gelu", "layer_norm_eps": 0.02}),
    # The text part is not run.
    "clip_both": (F32, (2, 1), {
        "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 12,
        "vision_config": {"model_type": "clip_vision_model", **clip_vision(24, 32, 2, 3), "image_size": 8,
                          "patch_size": 4},
        "text_config": {"model_type": "clip_text_model", **clip_vision(16, 16, 1, 2), "vocab_size": 20,
                        "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 2}}),
}

# Ends of names of tensors, and those that the file has instead.
RENAMED = {"bert_old": {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}}


def weights(model, dtype, seed):
    """Random weights under which a value depends on the positions as much as on the tokens."""
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, parameter in sorted(model.named_parameters()):
        x = torch.randn(parameter.shape, generator=random)
        if name.endswith("bias"):
            x = 0.4 * x
        elif parameter.ndim == 1 and "class_embedding" not in name:
            x = 1 + 0.3 * x
        elif "patch" in name:
            x = x / parameter[0].numel() ** 0.5
        elif "embedding" not in name and parameter.ndim == 2:
            strong = any(part in name for part in ("query", "key", "q_proj", "k_proj"))
            x = x * (1.3 if strong else 1) / parameter.shape[-1] ** 0.5
        tensors[name] = x.to(dtype)
    return tensors


def class_of(config):
    return getattr(transformers, config["architectures"][0])


def renamed(tensors, rules):
    result = {}
    for name, tensor in tensors.items():
        for end, other in rules.items():
            name = name.removesuffix(end) + other if name.endswith(end) else name
        result[name] = tensor
    return result


def vit_name(name):
    """The name in files of a parameter, which transformers 5 renames."""
    for own, in_files in (("layers.", "encoder.layer."), (".attention.q_proj", ".attention.attention.query"),
                          (".attention.k_proj", ".attention.attention.key"),
                          (".attention.v_proj", ".attention.attention.value"),
                          (".attention.o_proj", ".attention.output.dense"), (".mlp.fc1", ".intermediate.dense"),
                          (".mlp.fc2", ".output.dense")):
        name = name.replace(own, in_files)
    return name


def values_of(folder, ids):
    with open(folder + "/config.json", encoding="utf-8") as file:
        config = json.load(file)
    model, info = class_of(config).from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    for what, names in info.items():
        if names:
            sys.exit(f"{folder}: {what}: {names}")
    if config["model_type"] in ("vit", "clip", "clip_vision_model"):
        return image_values(model.eval(), ids)
    encoder = model if not hasattr(model, config["model_type"]) else getattr(model, config["model_type"])
    with torch.no_grad():
        ids = ids[None].long()
        body = encoder.eval()(ids)
        values = {"hidden": body.last_hidden_state[0]}
        if body.pooler_output is not None:
            values["pooled"] = body.pooler_output[0]
        if encoder is not model:
            result = model.eval()(ids)
            values["logits"] = (result.prediction_logits if "prediction_logits" in result else result.logits)[0]
    return {name: value.contiguous() for name, value in values.items()}


def image_values(model, pixels):
    body = getattr(model, "vit", None) or getattr(model, "vision_model", model)
    with torch.no_grad():
        result = body(pixel_values=pixels)
        values = {"hidden": result.last_hidden_state}
        if result.pooler_output is not None:
            values["pooled"] = result.pooler_output
        if hasattr(model, "visual_projection"):
            values["logits"] = model.visual_projection(result.pooler_output)
        elif hasattr(model, "classifier"):
            values["logits"] = model(pixel_values=pixels).logits
    return {name: value.contiguous() for name, value in values.items()}


def input_of(config, length, random):
    """The name of the input of a text or of images, and its values."""
    if "vocab_size" in config:
        return "ids", torch.randint(config["vocab_size"], (length,), generator=random, dtype=torch.int32)
    vision = config.get("vision_config", config)
    size = vision["image_size"] if isinstance(vision["image_size"], list) else [vision["image_size"]] * 2
    return "pixels", torch.randn((length, vision.get("num_channels", 3), *size), generator=random)


def make(folder, names):
    for name, (dtype, lengths, config) in MODELS.items():
        if names and name not in names:
            continue
        place = f"{folder}/{name}"
        os.makedirs(place, exist_ok=True)
        with open(place + "/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2)
            file.write("\n")
        seed = zlib.crc32(name.encode())
        with torch.device("meta"):
            model = class_of(config)(AutoConfig.from_pretrained(place))
        tensors = weights(model, dtype, seed)
        if config["model_type"] == "vit":
            tensors = {vit_name(name): tensor for name, tensor in tensors.items()}
        save_file(renamed(tensors, RENAMED.get(name, {})), place + "/model.safetensors", {"format": "pt"})
        random, golden = torch.Generator().manual_seed(seed + 1), {}
        for text, length in enumerate(lengths):
            what, given = input_of(config, length, random)
            golden[f"{what}.{text}"] = given
            golden |= {f"{what}.{text}": value for what, value in values_of(place, given).items()}
        save_file(golden, place + "/golden.safetensors")
        print(name, {what: float(value.abs().max()) for what, value in golden.items() if "ids" not in what})


def check(folder):
    failed = 0
    for name in sorted(os.listdir(folder)):
        place = f"{folder}/{name}"
        if not os.path.isdir(place):
            continue
        largest = 0.0
        with safe_open(place + "/golden.safetensors", "pt") as golden:
            for text in range(2):
                given = next(f"{what}.{text}" for what in ("ids", "pixels") if f"{what}.{text}" in golden.keys())
                for what, found in values_of(place, golden.get_tensor(given)).items():
                    value = golden.get_tensor(f"{what}.{text}")
                    largest = max(largest, float((found - value).abs().max() / value.abs().max()))
        failed += not largest <= LIMIT
        print(f"{name}: {largest:.1e}{'' if largest <= LIMIT else ' OTHER VALUES'}")
    sys.exit(failed > 0)


print(f"transformers {transformers.__version__}, torch {torch.__version__}")
if sys.argv[1] == "--check":
    check(sys.argv[2])
else:
    make(sys.argv[1], sys.argv[2:])
