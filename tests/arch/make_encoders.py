"""Makes the encoders of tests/arch/encoders and what transformers computes with them.

    make_encoders.py FOLDER [NAME...]    makes them anew, or those of these names
    make_encoders.py --check FOLDER      compares the values of existing models

FOLDER/NAME/: config.json, model.safetensors with random weights, and golden.safetensors: for texts 0 and 1 the ids.N
[tokens], the hidden.N [tokens, hidden_size] behind the last block, and what the class of "architectures" has of
logits.N [tokens, vocabulary] and pooled.N [hidden_size]. transformers computes in fp32 (eager attention) from the
weights as they are stored.
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


# Name: element type, lengths of the texts, config.json.
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
    # Texts hold the padding token, too.
    "roberta_plain": (F16, (40, 9), encoder(
        "roberta", "RobertaForMaskedLM", 32, 48, 2, 4, 61, max_position_embeddings=42, type_vocab_size=1,
        layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0, eos_token_id=2)),
    # The head's activation is gelu, whatever the blocks have.
    "roberta_untied": (F32, (24, 8), encoder(
        "roberta", "RobertaForMaskedLM", 24, 32, 2, 3, 37, max_position_embeddings=40, type_vocab_size=2,
        layer_norm_eps=0.03, hidden_act="relu", pad_token_id=5, tie_word_embeddings=False)),
    "roberta_bare": (BF16, (30, 5), encoder(
        "roberta", "RobertaModel", 32, 24, 2, 2, 53, max_position_embeddings=36, type_vocab_size=1,
        hidden_act="gelu_pytorch_tanh")),
}

# What ends of names of tensors become in the file.
RENAMED = {"bert_old": {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}}


def weights(model, dtype, seed):
    """Random weights under which a value depends on the positions as much as on the tokens."""
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, parameter in sorted(model.named_parameters()):
        x = torch.randn(parameter.shape, generator=random)
        if name.endswith("bias"):
            x = 0.4 * x
        elif parameter.ndim == 1:
            x = 1 + 0.3 * x
        elif "embeddings" not in name:
            x = x * (1.3 if "query" in name or "key" in name else 1) / parameter.shape[-1] ** 0.5
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


def values_of(folder, ids):
    with open(folder + "/config.json", encoding="utf-8") as file:
        config = json.load(file)
    model, info = class_of(config).from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    for what, names in info.items():
        if names:
            sys.exit(f"{folder}: {what}: {names}")
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
        save_file(renamed(tensors, RENAMED.get(name, {})), place + "/model.safetensors", {"format": "pt"})
        random, golden = torch.Generator().manual_seed(seed + 1), {}
        for text, length in enumerate(lengths):
            ids = torch.randint(config["vocab_size"], (length,), generator=random, dtype=torch.int32)
            golden[f"ids.{text}"] = ids
            golden |= {f"{what}.{text}": value for what, value in values_of(place, ids).items()}
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
                for what, found in values_of(place, golden.get_tensor(f"ids.{text}")).items():
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
