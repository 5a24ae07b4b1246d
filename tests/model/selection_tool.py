#!/usr/bin/env python3
"""What nibble quantizes of models of many families, and whether loaders find what it left dense.

  selection_tool.py NIBBLE SCRATCH
"""
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tool"))
import checkpoints as ck
from tool import Tool

CT = ["--type", "int4", "--group-size", "32"]
BNB = ["--format", "bnb"]


def quantize(tool, folder, *arguments, out=None, ok=True):
    """Returns OUT and the run."""
    out = out or folder + ".out"
    run = (tool.passes if ok else tool.run)("quantize", folder, "-o", out, "--device", "cpu", "--force", *arguments)
    return out, run


def same_set(tool, found, expected, what):
    tool.check(found == expected,
               f"{what}: without {sorted(expected - found)[:5]}, with {sorted(found - expected)[:5]}")


def check_lists(tool, out, rename, absent=()):
    """Every module that the loader builds is quantized or in its list, under the loader's name."""
    tensors, config = ck.read_tensors(out), ck.read_config(out)
    method = config["quantization_config"]["quant_method"]
    listed = ck.is_ignored if method == "compressed-tensors" else ck.is_skipped
    for module in sorted(ck.dense_linears(tensors)) + list(absent):
        tool.check(listed(config, rename(module)), f"{out}: {rename(module)} is dense and not in the list")
    for module in sorted(ck.quantized_modules(tensors)):
        tool.check(not listed(config, rename(module)), f"{out}: {rename(module)} is quantized and in the list")


def same(name):
    return name


# ---------------------------------------------------------------------------------------------------------- families

def bert(prefix):
    shapes = {prefix + "embeddings.word_embeddings.weight": (48, 32),
              prefix + "embeddings.position_embeddings.weight": (16, 32),
              prefix + "embeddings.token_type_embeddings.weight": (2, 32)}
    layer = prefix + "encoder.layer.0."
    for name, rows, columns in [("attention.self.query", 32, 32), ("attention.self.key", 32, 32),
                                ("attention.self.value", 32, 32), ("attention.output.dense", 32, 32),
                                ("intermediate.dense", 64, 32), ("output.dense", 32, 64)]:
        shapes.update(ck.linear(layer + name, rows, columns))
    shapes.update(ck.linear(prefix + "pooler.dense", 32, 32))
    return shapes


def chain(block, names):
    """Linear layers in a block."""
    shapes = {}
    for name in names.split():
        shapes.update(ck.linear(block + name, 64, 32, False))
    return shapes


# Name: (config, modules that are quantized, modules that stay dense).
FAMILIES = {
    "phi3": ({"model_type": "phi3"}, chain("model.layers.0.", "self_attn.qkv_proj self_attn.o_proj mlp.gate_up_proj "
                                           "mlp.down_proj"), ck.linear("lm_head", 48, 32, False)),
    "neox": ({"model_type": "gpt_neox"},
             chain("gpt_neox.layers.0.", "attention.query_key_value attention.dense mlp.dense_h_to_4h "
                   "mlp.dense_4h_to_h"),
             {**ck.linear("embed_out", 48, 32, False), "gpt_neox.embed_in.weight": (48, 32)}),
    "falcon": ({"model_type": "falcon"},
               chain("transformer.h.0.", "self_attention.query_key_value self_attention.dense mlp.dense_h_to_4h "
                     "mlp.dense_4h_to_h"), {"transformer.word_embeddings.weight": (48, 32)}),
    "qwen_moe": ({"model_type": "qwen2_moe"},
                 chain("model.layers.0.", "self_attn.q_proj mlp.experts.0.gate_proj mlp.experts.0.up_proj "
                       "mlp.experts.1.down_proj mlp.shared_expert.gate_proj mlp.gate_proj"),
                 chain("model.layers.0.", "mlp.gate mlp.shared_expert_gate")),
    "deepseek": ({"model_type": "deepseek_v3"},
                 chain("model.layers.1.", "self_attn.q_a_proj self_attn.q_b_proj self_attn.kv_a_proj_with_mqa "
                       "self_attn.kv_b_proj self_attn.o_proj mlp.experts.0.gate_proj mlp.shared_experts.up_proj"),
                 chain("model.layers.1.", "mlp.gate eh_proj")),
    "mixtral": ({"model_type": "mixtral"},
                chain("model.layers.0.", "self_attn.q_proj block_sparse_moe.experts.0.w1 "
                      "block_sparse_moe.experts.0.w2 block_sparse_moe.experts.1.w3"),
                chain("model.layers.0.", "block_sparse_moe.gate")),
    "opt": ({"model_type": "opt"},
            chain("model.decoder.layers.0.", "self_attn.q_proj self_attn.out_proj fc1 fc2"),
            {**chain("model.decoder.", "project_in project_out"), "model.decoder.embed_positions.weight": (16, 32)}),
    "t5": ({"model_type": "t5"},
           chain("encoder.block.0.layer.", "0.SelfAttention.q 0.SelfAttention.o 1.DenseReluDense.wi_0 "
                 "1.DenseReluDense.wo"),
           {"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 4),
            "shared.weight": (48, 32)}),
    "vit": ({"model_type": "vit"},
            chain("vit.encoder.layer.0.", "attention.attention.query attention.output.dense intermediate.dense "
                  "output.dense"), ck.linear("classifier", 10, 32)),
    "siglip": ({"model_type": "siglip_vision_model"},
               chain("vision_model.encoder.layers.0.", "self_attn.q_proj self_attn.out_proj mlp.fc1 mlp.fc2"),
               {"vision_model.embeddings.position_embedding.weight": (16, 32)}),
    "clip": ({"model_type": "clip", "text_config": {}, "vision_config": {}},
             chain("text_model.encoder.layers.0.", "self_attn.q_proj mlp.fc1 mlp.fc2"),
             {**chain("vision_model.encoder.layers.0.", "self_attn.q_proj mlp.fc1"),
              **ck.linear("visual_projection", 32, 32, False), **ck.linear("text_projection", 32, 32, False)}),
    "distilbert": ({"model_type": "distilbert"},
                   chain("distilbert.transformer.layer.0.", "attention.q_lin attention.out_lin ffn.lin1 ffn.lin2"),
                   chain("", "vocab_transform pre_classifier classifier")),
    "internlm2": ({"model_type": "internlm2"},
                  chain("model.layers.0.", "attention.wqkv attention.wo feed_forward.w1 feed_forward.w3"),
                  {**ck.linear("output", 48, 32, False), "model.tok_embeddings.weight": (48, 32)}),
    "bloom": ({"model_type": "bloom"}, chain("h.0.", "self_attention.query_key_value mlp.dense_h_to_4h"),
              {"word_embeddings.weight": (48, 32)}),
    "unknown": ({"model_type": "frobnicator"}, chain("net.blocks.3.", "attn.qkv attn.proj mlp.fc1 mlp.fc2"),
                chain("net.", "blocks.3.mlp.router blocks.3.frob head.score")),
    "mamba": ({"model_type": "mamba"}, chain("backbone.layers.0.mixer.", "in_proj out_proj"),
              chain("backbone.layers.0.mixer.", "x_proj dt_proj")),
    "qwen_vl": ({"model_type": "qwen2_vl", "vision_config": {}},
                chain("model.layers.0.", "self_attn.q_proj mlp.up_proj"),
                {**chain("visual.blocks.0.", "attn.qkv attn.proj mlp.fc1"), **chain("visual.", "merger.mlp.0")}),
    "molmo": ({"model_type": "molmo"}, chain("model.transformer.blocks.0.", "att_proj attn_out ff_proj ff_out"),
              {**chain("model.vision_backbone.image_vit.transformer.resblocks.0.", "attention.wq feed_forward.w1"),
               **chain("model.vision_backbone.image_projector.", "w1 w2")}),
    "rwkv": ({"model_type": "rwkv"}, chain("rwkv.blocks.0.", "attention.key attention.receptance attention.output "
                                           "feed_forward.value"),
             ck.linear("head", 48, 32, False)),
    "adapted": ({"model_type": "phi4mm", "vision_config": {}},
                chain("model.layers.0.", "self_attn.qkv_proj.base_layer mlp.down_proj.base_layer"),
                chain("model.embed_tokens_extend.", "image_embed.img_processor.encoder.layers.0.mlp.fc1")),
    "granite_speech": ({"model_type": "granite_speech", "text_config": {"model_type": "granite"},
                        "encoder_config": {}},
                       chain("language_model.model.layers.0.", "self_attn.q_proj mlp.down_proj"),
                       {**chain("encoder.layers.0.", "attn.to_q attn.to_out ff1.up_proj ff1.down_proj"),
                        **chain("projector.qformer.encoder.layer.0.", "attention.attention.query output.dense")}),
    "audio": ({"model_type": "qwen2_audio", "text_config": {}, "audio_config": {}},
              chain("language_model.model.layers.0.", "self_attn.q_proj mlp.down_proj"),
              {**chain("audio_tower.layers.0.", "self_attn.q_proj fc1"), **chain("multi_modal_projector.", "linear")}),
}


def test_families(tool):
    for name, (config, quantized, dense) in FAMILIES.items():
        ck.write_model(name, {**quantized, **dense, "some.norm.weight": (32,)}, config)
        for arguments in (CT, BNB):
            expected = {n[: -len(".weight")] for n in quantized if n.endswith(".weight")}
            if name == "t5":  # transformers needs it dense
                expected.remove("encoder.block.0.layer.1.DenseReluDense.wo")
            if name == "falcon" and arguments is BNB:  # transformers does not replace its layers
                tool.refused("needs dense", "quantize", name, "-o", "no", "--device", "cpu", *arguments)
                continue
            out, run = quantize(tool, name, *arguments)
            same_set(tool, ck.quantized_modules(ck.read_tensors(out)), expected, f"{name} {arguments}")
            check_lists(tool, out, same)
            tool.check("of the weights stay dense" in run.out, f"{name}: {run.out[-300:]}")
    # BERT with and without the prefix, loaded with and without it.
    for name, prefix in (("bert", "bert."), ("bert_bare", "")):
        ck.write_model(name, bert(prefix), {"model_type": "bert"})
        for arguments in (CT, BNB):
            out, _ = quantize(tool, name, *arguments)
            same_set(tool, ck.quantized_modules(ck.read_tensors(out)),
                     {prefix + "encoder.layer.0." + m for m in (
                         "attention.self.query", "attention.self.key", "attention.self.value",
                         "attention.output.dense", "intermediate.dense", "output.dense")}, f"{name} {arguments}")
            for other in ("bert.", ""):
                check_lists(tool, out, lambda module, o=other, p=prefix: o + module.removeprefix(p))


# ------------------------------------------------------------------------------------------------ names of loaders

def llava():
    shapes = ck.llama(prefix="language_model.model.", head=False)
    tower = "vision_tower.vision_model.encoder.layers.0."
    for m in ("q_proj", "out_proj"):
        shapes.update(ck.linear(f"{tower}self_attn.{m}", 32, 32))
    shapes.update(ck.linear(tower + "mlp.fc1", 64, 32))
    shapes["vision_tower.vision_model.embeddings.position_embedding.weight"] = (16, 32)
    shapes["vision_tower.vision_model.embeddings.patch_embedding.weight"] = (32, 3, 4, 4)
    shapes.update(ck.linear("multi_modal_projector.linear_1", 32, 32))
    return shapes


LLAVA = {"model_type": "llava", "torch_dtype": "float32",
         "text_config": {"model_type": "llama", "tie_word_embeddings": True, "torch_dtype": "float32"},
         "vision_config": {"model_type": "siglip_vision_model", "torch_dtype": "float32"}}


def llava_name(module):
    """transformers from 4.52 on."""
    if module.startswith("language_model.model."):
        return "model.language_model." + module[len("language_model.model."):]
    return module.removeprefix("language_model.") if "lm_head" in module else "model." + module


def llava_5(module):
    """transformers 5."""
    return llava_name(module).replace("vision_tower.vision_model.", "vision_tower.")


def test_vision(tool):
    ck.write_model("llava", llava(), LLAVA)
    language = {"language_model.model.layers.0." + m for m in (
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
        "mlp.up_proj", "mlp.down_proj")}
    for arguments in (CT, BNB):
        out, _ = quantize(tool, "llava", *arguments)
        same_set(tool, ck.quantized_modules(ck.read_tensors(out)), language, f"llava {arguments}")
        for rename in (same, llava_name, llava_5):
            check_lists(tool, out, rename, ["lm_head"] if rename is same else ["language_model.lm_head"])
    # A dense layer among quantized ones, and another scheme for some.
    for arguments in (CT, BNB):
        out, _ = quantize(tool, "llava", *arguments, "--exclude", r"down_proj")
        check_lists(tool, out, llava_name)
    out, _ = quantize(tool, "llava", *CT, "--rule", "down_proj=int8")
    groups = ck.read_config(out)["quantization_config"]["config_groups"].values()
    tool.check(sum(any(ck.re.match(t[3:], "model.language_model.layers.0.mlp.down_proj") for t in g["targets"]
                       if t.startswith("re:")) for g in groups) == 1, f"targets: {groups}")
    # Parts of the tower, by --include: biases, convolutions and embeddings are passed over.
    out, run = quantize(tool, "llava", *CT, "--include", "vision_tower|projector")
    tower = {"vision_tower.vision_model.encoder.layers.0." + m for m in ("self_attn.q_proj", "self_attn.out_proj",
                                                                         "mlp.fc1")}
    same_set(tool, ck.quantized_modules(ck.read_tensors(out)), language | tower | {"multi_modal_projector.linear_1"},
             "llava with its tower")
    tool.check("is not a matrix: stays F32" in run.out and "expect dense embeddings" in run.out, run.out)
    check_lists(tool, out, llava_name)
    for arguments in (CT, BNB):
        out, _ = quantize(tool, "llava", *arguments, "--include", "vision_tower.*q_proj")
        for rename in (same, llava_name, llava_5):
            check_lists(tool, out, rename)


def test_heads(tool):
    """Whisper's proj_out and others are tied and absent."""
    for name, config, head in (("whisper", {"model_type": "whisper"}, "proj_out"),
                               ("neox_tied", {"model_type": "gpt_neox"}, "embed_out"),
                               ("llama_tied", {"model_type": "llama"}, "lm_head"),
                               ("other_tied", {"model_type": "frobnicator"}, "embed_out"),
                               ("other_tied", {"model_type": "frobnicator"}, "score")):
        shapes = ck.llama(head=False)
        shapes.update(ck.linear("model.decoder.layers.0.self_attn.out_proj", 32, 32))
        ck.write_model(name, shapes, {**config, "tie_word_embeddings": True})
        for arguments in (CT, BNB):
            out, _ = quantize(tool, name, *arguments)
            check_lists(tool, out, same, [head])


def test_named_linears(tool):
    """Linear layers with the names of embeddings and norms in their path."""
    shapes = ck.llama()
    for name in ("model.embed_vision.embedding_projection", "vision_model.patch_embedding.linear",
                 "electra.embeddings_project", "transformer_blocks.0.norm1.linear"):
        shapes.update(ck.linear(name, 32, 32, False))
    ck.write_model("named", shapes, {"model_type": "llama"})
    for arguments in (CT, BNB):
        out, _ = quantize(tool, "named", *arguments)
        config, tensors = ck.read_config(out), ck.read_tensors(out)
        same_set(tool, ck.dense_linears(tensors), {
            "lm_head", "model.embed_vision.embedding_projection", "vision_model.patch_embedding.linear",
            "electra.embeddings_project", "transformer_blocks.0.norm1.linear"}, "named")
        listed = ck.is_ignored if arguments is CT else ck.is_skipped
        for module in ck.dense_linears(tensors):
            tool.check(listed(config, module), f"named: {module} is not listed")


def test_prefixes(tool):
    """No entry of bitsandbytes' list begins or ends another module's name, but where it must."""
    shapes = ck.llama()
    shapes.update(ck.linear("model.layers.0.mlp.gate", 4, 32, False))
    shapes.update(ck.linear("proj", 32, 32, False))
    ck.write_model("prefixes", shapes, {"model_type": "qwen2_moe"})
    out, _ = quantize(tool, "prefixes", *BNB)
    check_lists(tool, out, same)
    config = ck.read_config(out)
    tool.check(not ck.is_skipped(config, "model.layers.0.mlp.gate_proj"), "gate_proj is skipped")
    tool.check(ck.is_skipped_by_prefix(config, "lm_head"), "lm_head is not skipped")


# ------------------------------------------------------------------------------------------------------- matrices

def floats(entry):
    dtype, _, data = entry
    return struct.unpack(f"<{len(data) // 4}f", data) if dtype == "F32" else None


def check_scales(tool, tensors, module, matrix):
    """int8 with a scale per row: the scale is that row's largest magnitude / 127.5."""
    scales = floats(tensors[module + ".weight_scale"])
    expected = [max(map(abs, row)) / 127.5 for row in matrix]
    tool.check(len(scales) == len(expected) and all(abs(s - e) <= 1e-6 for s, e in zip(scales, expected)),
               f"{module}: scales {scales[:3]}, expected {expected[:3]}")


def check_codes(tool, tensors, module, matrix):
    """int8 codes plus 128 in a row's words."""
    _, shape, data = tensors[module + ".weight_packed"]
    scales = floats(tensors[module + ".weight_scale"])
    width = shape[1] * 4
    worst = max(abs((data[r * width + c] - 128) * scales[r] - value) / scales[r]
                for r, row in enumerate(matrix) for c, value in enumerate(row))
    tool.check(worst <= 0.51, f"{module}: a value is {worst} steps off")


def test_experts(tool):
    """Stacked experts, stored [in, out] and [out, in]."""
    hidden, inner, experts = 32, 48, 3
    for name, up, down in (("in_first", (experts, hidden, 2 * inner), (experts, inner, hidden)),
                           ("out_first", (experts, 2 * inner, hidden), (experts, hidden, inner))):
        shapes = ck.llama(mlp=False)
        block = "model.layers.0.mlp."
        shapes.update({block + "experts.gate_up_proj": up, block + "experts.down_proj": down,
                       block + "gate.weight": (experts, hidden)})
        values = ck.write_model(name, shapes, {"model_type": "qwen3_moe", "hidden_size": hidden})

        def element(tensor, shape, e, out, inn):
            row, column = (inn, out) if name == "in_first" else (out, inn)
            return values[block + tensor][(e * shape[1] + row) * shape[2] + column]

        out, run = quantize(tool, name, "--type", "int8")
        tensors = ck.read_tensors(out)
        for e in range(experts):
            for part, first in (("gate_proj", 0), ("up_proj", inner)):
                matrix = [[element("experts.gate_up_proj", up, e, first + r, c) for c in range(hidden)]
                          for r in range(inner)]
                module = f"{block}experts.{e}.{part}"
                check_scales(tool, tensors, module, matrix)
                check_codes(tool, tensors, module, matrix)
            matrix = [[element("experts.down_proj", down, e, r, c) for c in range(inner)] for r in range(hidden)]
            check_scales(tool, tensors, f"{block}experts.{e}.down_proj", matrix)
            check_codes(tool, tensors, f"{block}experts.{e}.down_proj", matrix)
        tool.check(block + "experts.gate_up_proj" not in tensors, f"{name}: the stack is there, too")
        check_lists(tool, out, same)
        # Dense ones are named by a pattern that covers every expert.
        out, _ = quantize(tool, name, "--type", "int8", "--exclude", "experts")
        tool.check(ck.is_ignored(ck.read_config(out), block + "experts.2.up_proj"), f"{name}: experts are not ignored")
        out, run = quantize(tool, name, "--type", "int8", "--format", "dense")
        tool.check("stack of experts" in run.out and "experts.gate_up_proj" in run.out, run.out)
        # Cut into slabs, the bytes are the same.
        quantize(tool, name, "--type", "int8", out="whole")
        quantize(tool, name, "--type", "int8", "--memory", "16M", out="cut")
        tool.check(ck.read_tensors("whole") == ck.read_tensors("cut"), f"{name}: --memory changes the bytes")
    shapes = ck.llama(mlp=False)
    shapes["model.layers.0.mlp.experts.gate_up_proj"] = (2, 32, 32)
    ck.write_model("square", shapes, {"model_type": "llama", "hidden_size": 32})
    _, run = quantize(tool, "square", "--type", "int8")
    tool.check("does not tell inputs from outputs" in run.out, run.out)
    tool.refused("does not tell inputs from outputs", "quantize", "square", "-o", "no", "--include", "experts",
                 "--device", "cpu")


def test_conv1d(tool):
    shapes = {"wte.weight": (48, 32), "wpe.weight": (16, 32)}
    for name, inputs, outputs in (("attn.c_attn", 32, 96), ("attn.c_proj", 32, 32), ("mlp.c_fc", 32, 128),
                                  ("mlp.c_proj", 128, 32)):
        shapes[f"h.0.{name}.weight"] = (inputs, outputs)
        shapes[f"h.0.{name}.bias"] = (outputs,)
    for config in ({"model_type": "gpt2", "tie_word_embeddings": True}, {"model_type": "frobnicator"}):
        values = ck.write_model("gpt2", shapes, config)
        for extra in ([], ["--include", "c_(attn|proj|fc)"]):
            tool.refused("stored as [in, out]", "quantize", "gpt2", "-o", "no", "--device", "cpu", *CT, *extra)
        out, _ = quantize(tool, "gpt2", *BNB, "--type", "int8")
        tensors = ck.read_tensors(out)
        for name, (inputs, outputs) in ((n[:-7], s) for n, s in shapes.items() if ".c_" in n and n.endswith("weight")):
            stored = values[name + ".weight"]
            expected = [max(abs(stored[i * outputs + o]) for i in range(inputs)) for o in range(outputs)]
            tool.check(tensors[name + ".weight"][1] == [outputs, inputs], f"{name}: {tensors[name + '.weight'][1]}")
            tool.check(list(floats(tensors[name + ".SCB"])) == expected, f"{name}: the absmax of its rows")
        out, _ = quantize(tool, "gpt2", *BNB)
        tensors = ck.read_tensors(out)
        state = json.loads(tensors["h.0.attn.c_attn.weight.quant_state.bitsandbytes__nf4"][2])
        tool.check(state["shape"] == [96, 32], f"quant_state: {state}")
        for rename in (same, lambda module: "transformer." + module):
            check_lists(tool, out, rename, ["lm_head"] if rename is same else [])
    # BigCode's layers of these names are stored [out, in].
    ck.write_model("bigcode", {**ck.linear("transformer.h.0.attn.c_attn", 96, 32),
                               **ck.linear("transformer.h.0.attn.c_proj", 32, 32)}, {"model_type": "gpt_bigcode"})
    out, _ = quantize(tool, "bigcode", *CT)
    tool.check(ck.read_tensors(out)["transformer.h.0.attn.c_attn.weight_packed"][1] == [96, 4], "bigcode")


def test_tied(tool):
    for name, config in (("tied", {"model_type": "llama", "tie_word_embeddings": True}),
                         ("tied_in_part", {"model_type": "llava", "text_config": {"model_type": "llama",
                                                                                  "tie_word_embeddings": True}})):
        for head in (False, True):
            values = ck.write_model(name, ck.llama(head=head), config)
            out, _ = quantize(tool, name, *CT, "--include", "lm_head")
            tensors, written = ck.read_tensors(out), ck.read_config(out)
            tool.check("lm_head.weight_packed" in tensors and "model.embed_tokens.weight" in tensors,
                       f"{name}: {sorted(tensors)[:4]}")
            parts = [written] + [written[key] for key in written if key.endswith("text_config")]
            tool.check(all(part["tie_word_embeddings"] is False for part in parts), f"{name}: {written}")
            tool.check(not ck.is_ignored(written, "lm_head"), f"{name}: the head is ignored")
            if not head:  # a copy of the embedding
                out, _ = quantize(tool, name, "--type", "int8", "--include", "lm_head")
                flat = values["model.embed_tokens.weight"]
                check_codes(tool, ck.read_tensors(out), "lm_head", [flat[r * 32:(r + 1) * 32] for r in range(48)])
            quantize(tool, name, *CT)
            written = ck.read_config(name + ".out")
            tool.check(written.get("tie_word_embeddings", True) is True, f"{name}: untied for nothing")
    ck.write_model("t5_tied", {**chain("encoder.block.0.layer.", "0.SelfAttention.q"), "shared.weight": (48, 32),
                               "lm_head.weight": (48, 32)}, {"model_type": "t5", "tie_word_embeddings": True})
    tool.refused("scales the output of a tied head", "quantize", "t5_tied", "-o", "no", "--include", "lm_head",
                 "--device", "cpu", *CT)


# ------------------------------------------------------------------------------------------------------- patterns

def test_patterns(tool):
    ck.write_model("llava", llava(), LLAVA)
    run = ["quantize", "llava", "-o", "no", "--device", "cpu", *CT]
    for option in ("--include", "--exclude"):
        for pattern in ("visoin", "re:.*visoin.*", "^vision_towr"):
            tool.refused('"vision_tower.vision_model', *run, option, pattern)
    tool.refused('"language_model.model.layers.0.mlp.down_proj.weight"', *run, "--rule", "down_prj=int8")
    tool.refused("--exclude", *run, "--exclude", "vision", "--exclude", "nothing_like_it")
    tool.refused("selects no matrix of a linear layer", *run, "--include", "embed_tokens")
    tool.refused("is not a matrix", *run, "--include", "q_proj.bias")
    quantize(tool, "llava", *CT, "--exclude", "visoin", "--allow-unmatched")
    for pattern in ("vision", "re:.*vision.*", "re:vision_tower.*"):
        quantize(tool, "llava", *CT, "--exclude", pattern)
    out, run = quantize(tool, "llava", *CT, "--include", "re:.*linear_1$")
    tool.check("multi_modal_projector.linear_1" in ck.quantized_modules(ck.read_tensors(out)), "re:.*linear_1$")
    out, run = quantize(tool, "llava", *CT, "--include", "linear_1")
    tool.check("multi_modal_projector.linear_1.bias" in run.out and "is not a matrix" in run.out, run.out)


def test_share(tool):
    """The closing line, in text and JSON, and that its pattern works."""
    ck.write_model("llama", ck.llama(layers=2), {"model_type": "llama"})
    _, run = quantize(tool, "llama", *CT)
    shapes = ck.llama(layers=2)
    sizes = {name: ck.math.prod(shape) for name, shape in shapes.items()}
    dense = sum(size for name, size in sizes.items() if "_proj" not in name)
    share = f"{100 * dense / sum(sizes.values()):.1f} % of the weights stay dense"
    head = f"lm_head {100 * sizes['lm_head.weight'] / sum(sizes.values()):.1f} % (--include '^lm_head$')"
    last = run.out.strip().splitlines()[-1]
    tool.check(last.startswith(share) and head in last and "an embedding" in last, last)
    _, run = quantize(tool, "llama", *CT, "--json")
    report = json.loads(run.out)["dense"]
    tool.check(report["weights"] == dense and report["all"] == sum(sizes.values()), f"{report}")
    ck.write_model("dense_moe", {**ck.llama(), **ck.linear("model.layers.0.mlp.odd.frob", 640, 32, False)},
                   {"model_type": "llama"})
    _, run = quantize(tool, "dense_moe", *CT, "--json")
    largest = json.loads(run.out)["dense"]["largest"][0]
    tool.check(largest["name"] == "model.layers.N.mlp.odd.frob", f"{largest}")
    _, run = quantize(tool, "dense_moe", *CT)
    tool.check(f"model.layers.N.mlp.odd.frob 60.5 % (--include '{largest['include']}')" in run.out, run.out[-500:])
    out, _ = quantize(tool, "dense_moe", *CT, "--include", largest["include"])
    tool.check("model.layers.0.mlp.odd.frob" in ck.quantized_modules(ck.read_tensors(out)), "its pattern")


def main():
    tool = Tool(*sys.argv[1:])
    for test in (test_families, test_vision, test_heads, test_named_linears, test_prefixes, test_experts, test_conv1d,
                 test_tied, test_patterns, test_share):
        test(tool)
    tool.end()


if __name__ == "__main__":
    main()
