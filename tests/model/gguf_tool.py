#!/usr/bin/env python3
"""GGUF files that nibble writes, read by a reader that shares no code with it: names, order of rows, types, bytes,
metadata, tokens; and what is refused.

  gguf_tool.py NIBBLE SAMPLE TOKENIZERS SCRATCH
"""
import json
import math
import os
import shutil
import struct
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tool"), os.path.join(HERE, "..", "golden")]
import checkpoints as ck
import gguf_families as gf
import gguf_models as gm
import read_gguf
from tool import Tool, write_ids

LINEAR = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "o_proj.weight", "gate_proj.weight", "up_proj.weight",
          "down_proj.weight")
FILE_TYPES = {"F32": 0, "F16": 1, "BF16": 32, "q4_0": 2, "q4_1": 3, "q5_0": 8, "q5_1": 9, "q8_0": 7, "mxfp4": 38}


def write(tool, folder, *arguments, out=None):
    out = out or folder + ".gguf"
    run = tool.passes("quantize", folder, "-o", out, "--device", "cpu", "--force", *arguments)
    try:
        return read_gguf.read(out), run
    except (read_gguf.Bad, OSError) as bad:
        tool.check(False, f"{folder} {arguments}: {bad}")
        sys.exit(1)


def check_tensors(tool, where, family, file, values, shapes, kind, dtype):
    names = {gm.gguf_name(name) for name in shapes}
    if family == "llama":
        names.add("rope_freqs.weight")
    tool.check(set(file.tensors) == names, f"{where}: {sorted(set(file.tensors) ^ names)}")
    for name, shape in shapes.items():
        got_type, dims, data = file.tensors[gm.gguf_name(name)]
        tool.check(dims == list(reversed(shape)), f"{where} {name}: {dims}")
        rows = gm.ordered(family, name, gm.rows_of(values[name], shape))
        flat = [v for row in rows for v in row]
        # A mix quantizes the embedding and the head too: the head to Q6_K, which has no rows of 64.
        is_head = name == "lm_head.weight" or ("embed_tokens" in name and "lm_head.weight" not in shapes)
        if len(shape) == 1:
            wanted = "F32"
        elif kind in ("F32", "F16", "BF16"):
            wanted = kind
        elif not name.endswith(LINEAR) and kind == "mxfp4":
            wanted = dtype
        elif is_head:
            wanted = "Q8_0"
        else:
            wanted = "F16" if shape[1] % 32 else kind.upper()
        if not tool.check(got_type == wanted, f"{where} {name}: {got_type}, not {wanted}"):
            continue
        if wanted == "F32":
            good = read_gguf.decode("F32", data) == flat
        elif wanted in ("F16", "BF16"):
            good = read_gguf.decode(wanted, data) == gm.rounded(wanted, flat)
        elif wanted == "MXFP4":
            good = check_mxfp4(data, flat)
        else:
            good = data == gm.quantized(wanted.lower(), flat)
        tool.check(good, f"{where} {name}: other bytes")


def check_mxfp4(data, values):
    """Scales are those of the OCP rule, and every value is the nearest that the block has."""
    decoded = read_gguf.decode("MXFP4", data)
    for block in range(len(data) // 17):
        x, y = values[32 * block:32 * block + 32], decoded[32 * block:32 * block + 32]
        most = max(abs(v) for v in x)
        exponent = math.frexp(most)[1] - 1 - 2
        if data[17 * block] != exponent + 127:
            return False
        step = 2.0 ** exponent
        levels = sorted({s * step * v for v in (0, 0.5, 1, 1.5, 2, 3, 4, 6) for s in (-1, 1)})
        if any(abs(a - b) > min(abs(a - level) for level in levels) for a, b in zip(x, y)):
            return False
    return True


def test_types(tool):
    for kind in ("F32", "F16", "BF16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "mxfp4"):
        values, shapes = gm.make("llama", "llama")
        file, run = write(tool, "llama", "--type", kind)
        check_tensors(tool, kind, "llama", file, values, shapes, kind, "F32")
        meta = file.metadata
        tool.check(meta["general.file_type"] == FILE_TYPES[kind] and meta["general.quantization_version"] == 2,
                   f"{kind}: file_type {meta['general.file_type']}")
        fits_not = f"K {gm.INNER} is not a multiple of 32: F16 instead of {kind}"
        tool.check((fits_not in run.out) == (kind in ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "mxfp4")),
                   f"{kind}: the table says {run.out[:300]}")


def test_families(tool):
    for family, arch in (("llama", "llama"), ("mistral", "llama"), ("qwen2", "qwen2"), ("qwen3", "qwen3")):
        for dtype in ("F16", "BF16"):
            values, shapes = gm.make(family, family, dtype=dtype)
            file, _ = write(tool, family, "--type", "q4_0")
            check_tensors(tool, family + dtype, family, file, values, shapes, "q4_0", dtype)
        wanted = {"general.architecture": arch, f"{arch}.block_count": gm.LAYERS, f"{arch}.context_length": 512,
                  f"{arch}.embedding_length": gm.HIDDEN, f"{arch}.feed_forward_length": gm.INNER,
                  f"{arch}.attention.head_count": gm.HEADS, f"{arch}.attention.head_count_kv": gm.KEY_HEADS,
                  f"{arch}.attention.key_length": gm.HEAD, f"{arch}.attention.value_length": gm.HEAD,
                  f"{arch}.rope.dimension_count": gm.HEAD, f"{arch}.rope.freq_base": 10000.0,
                  f"{arch}.vocab_size": 48, "tokenizer.ggml.model": "none"}
        for key, value in wanted.items():
            tool.check(file.metadata.get(key) == value, f"{family}: {key} is {file.metadata.get(key)}")
        epsilon = file.metadata[f"{arch}.attention.layer_norm_rms_epsilon"]
        tool.check(abs(epsilon - 1e-5) < 1e-11, f"{family}: epsilon {epsilon}")


def test_others(tool):
    """Families with fused tensors, other norms, or stacks of experts, and the way back."""
    for family in gf.FAMILIES:
        values, shapes = gf.make("o", family)
        for kind in ("F32", "q4_0"):
            file, _ = write(tool, "o", "--type", kind)
            wanted = gf.stored(family, values, shapes)
            tool.check(set(file.tensors) == set(wanted), f"{family}: {sorted(set(file.tensors) ^ set(wanted))}")
            for name, (dims, numbers, _) in wanted.items():
                got_type, got_dims, data = file.tensors[name]
                tool.check(got_dims == dims, f"{family} {name}: {got_dims}, not {dims}")
                is_head = name == "output.weight" or (name == "token_embd.weight" and "output.weight" not in wanted)
                if kind == "F32" or len(dims) == 1 or "ffn_gate_inp" in name or name.startswith("rope"):
                    good = got_type == "F32" and read_gguf.decode("F32", data) == numbers
                elif is_head:
                    good = got_type == "Q8_0" and data == gm.quantized("q8_0", numbers)
                elif dims[0] % 32:
                    good = got_type == "F16" and read_gguf.decode("F16", data) == gm.rounded("F16", numbers)
                else:
                    good = got_type == "Q4_0" and data == gm.quantized("q4_0", numbers)
                tool.check(good, f"{family} {kind} {name}: other bytes")
            for key, value in gf.metadata_of(family).items():
                tool.check(file.metadata.get(key) == value, f"{family}: {key} is {file.metadata.get(key)}")
            tool.passes("quantize", "o.gguf", "-o", "back", "--device", "cpu", "--force", "--format", "safetensors",
                        "--type", "F32")
            back = ck.read_tensors("back")
            tool.check({n: s for n, (_, s, _) in back.items()} == {n: list(s) for n, s in shapes.items()},
                       f"{family} {kind}: other names or shapes")
            if kind == "F32":
                # 1 + w is rounded, so w may come back a little different.
                slack = 6e-8 if gf.is_gemma(family) else 0
                good = all(abs(a - b) <= slack * ("norm" in name) for name in shapes
                           for a, b in zip(read_gguf.decode("F32", back[name][2]), values[name]))
                tool.check(good, f"{family}: other values")
            if family != "mixtral" and kind == "F32":
                # The file runs as the model does.
                write_ids("ids.npy", 128, 48)
                done = tool.passes("eval", "o.gguf", "--against", "o", "--data", "ids.npy", "--window", "64", "--json",
                                   "--device", "cpu")
                kl = json.loads(done.out or '{"mean_kl": 1e9}')["mean_kl"]
                tool.check(abs(kl) < 1e-8, f"{family}: KL {kl} of the file")
            config, original = ck.read_config("back"), ck.read_config("o")
            ignored = ("torch_dtype", "rope_scaling", "pad_token_id")
            for key, value in original.items():
                tool.check(key in ignored or config.get(key) == value, f"{family}: {key} is {config.get(key)}")
            rope = config.get("rope_scaling") or {}
            tool.check(family != "phi3" or {k: rope.get(k) for k in gf.LONGROPE} == gf.LONGROPE, f"{rope}")
            again, _ = write(tool, "o.gguf", "--type", kind, out="again.gguf")
            same = [k for k in {**file.metadata, **again.metadata}
                    if file.metadata.get(k) != again.metadata.get(k) and not k.startswith("nibble.")]
            tool.check(not same, f"{family}: {same} differ")
            tool.check(gf.is_gemma(family) or file.tensors == again.tensors, f"{family}: other tensors")
    for family, config, part in (
            ("gemma2", {"query_pre_attn_scalar": 17}, "query_pre_attn_scalar is not 16"),
            ("gemma2", {"tie_word_embeddings": False}, "the head is not tied"),
            ("gemma2", {"hidden_activation": "gelu"}, "hidden_act is not gelu_pytorch_tanh"),
            ("gemma2", {"attn_logit_softcapping": None}, "no soft caps"),
            ("gemma2", {"layer_types": ["full_attention", "sliding_attention"]}, "windows by turns"),
            ("gemma3_text", {"final_logit_softcapping": 30.0}, "logits have a soft cap"),
            ("gemma3_text", {"sliding_window_pattern": 3}, "windows but in every sixth layer"),
            ("gemma3_text", {"rope_local_base_freq": 20000.0}, "with rope_local_base_freq 10000"),
            ("gemma3_text", {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "rope_scaling is not linear"),
            ("olmo2", {"tie_word_embeddings": True}, "the head is tied"),
            ("olmo2", {"head_dim": 32}, "head_dim is not hidden_size / num_attention_heads"),
            ("phi3", {"num_key_value_heads": 1}, "has 128 rows, and config.json says 96"),
            ("phi3", {"head_dim": 24, "rope_scaling": None}, "head_dim is not hidden_size / num_attention_heads"),
            ("mixtral", {"num_local_experts": 3}, "config.json says that there are 3 experts"),
            ("mixtral", {"num_local_experts": 5}, "expert 4 of its layer is missing"),
            ("mixtral", {"num_experts_per_tok": 9}, "must be from 1 to num_local_experts")):
        gf.make("n", family, **config)
        tool.refused(part, "quantize", "n", "-o", "n.gguf", "--device", "cpu", "--type", "F16")
    gf.make("n", "mixtral")
    tool.refused("give them one type (--rule)", "quantize", "n", "-o", "n.gguf", "--device", "cpu", "--type", "q4_0",
                 "--rule", r"experts\.2\.w1=q8_0")
    # The file of fewer experts than its tensors have.
    write(tool, "n", "--type", "F32")
    with open("n.gguf", "rb") as file:
        data = file.read()
    key = b"llama.expert_count" + struct.pack("<I", 4)
    with open("n.gguf", "wb") as file:
        file.write(data.replace(key + struct.pack("<I", 4), key + struct.pack("<I", 3)))
    tool.refused("is not the matrices of 3 experts", "inspect", "n.gguf", "--device", "cpu")


def test_rope(tool):
    # The divisors of Llama 3, by the rule of its paper: wavelengths above 128 / 1 are divided by 8, those below 128 / 4
    # are kept, those between are mixed.
    gm.make("llama", "llama")
    file, _ = write(tool, "llama", "--type", "F32")
    wanted = []
    for i in range(gm.HEAD // 2):
        wave = 2 * math.pi * 10000 ** (2 * i / gm.HEAD)
        mix = (128 / wave - 1) / (4 - 1)
        wanted.append(8 if wave > 128 else 1 if wave < 32 else 1 / ((1 - mix) / 8 + mix))
    got = file.values("rope_freqs.weight")
    tool.check(all(abs(a / b - 1) < 1e-6 for a, b in zip(got, wanted)) and len(got) == len(wanted), f"{got} {wanted}")
    scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
    for rope, keys in (({"rope_type": "linear", "factor": 2.0}, {"type": "linear", "factor": 2.0}),
                       (scaling, {"type": "yarn", "factor": 4.0, "original_context_length": 128})):
        gm.make("scaled", "mistral", rope_scaling=rope)
        file, _ = write(tool, "scaled", "--type", "F32")
        got = {k: file.metadata.get("llama.rope.scaling." + k) for k in keys}
        tool.check(got == keys, f"{got}")
        tool.check("rope_freqs.weight" not in file.tensors, "rope_freqs")


def test_selection(tool):
    values, shapes = gm.make("qwen3", "qwen3", dtype="F16")
    file, run = write(tool, "qwen3", "--type", "q8_0", "--include", "embed_tokens|lm_head", "--exclude", "layers.1.")
    kinds = {name: kind for name, (kind, _, _) in file.tensors.items()}
    tool.check(kinds["token_embd.weight"] == "Q8_0" and kinds["output.weight"] == "Q8_0", f"{kinds}")
    tool.check(kinds["blk.0.ffn_up.weight"] == "Q8_0" and kinds["blk.1.ffn_up.weight"] == "F16", f"{kinds}")
    flat = values["model.embed_tokens.weight"]
    tool.check(file.tensors["token_embd.weight"][2] == gm.quantized("q8_0", flat), "the embedding has other bytes")
    # A tied head is left out, even if the file has it, unless it is quantized by itself.
    values, shapes = gm.make("tied", "qwen2")
    ck.write_model("tied", {**shapes, "lm_head.weight": shapes["model.embed_tokens.weight"],
                            "model.layers.0.self_attn.rotary_emb.inv_freq": (8,)},
                   gm.config_of("qwen2", 48), "F32", values)
    file, run = write(tool, "tied", "--type", "q4_0")
    tool.check("output.weight" not in file.tensors, "the tied head is there")
    tool.check("\"lm_head.weight\" and 1 more: left out" in run.out, run.out[-500:])
    _, run = write(tool, "tied", "--rule", "up_proj=q8_0", "--type", "q5_1")
    tool.check("q8_0" in run.out and "q5_1" in run.out, run.out)


def test_tokens(tool, sample, tokenizers):
    file, _ = write(tool, sample, "--type", "q8_0", out="sample.gguf")
    with open(os.path.join(sample, "tokenizer.json"), encoding="utf-8") as text:
        model = json.load(text)["model"]
    meta = file.metadata
    tool.check(meta["tokenizer.ggml.model"] == "gpt2" and meta["tokenizer.ggml.pre"] == "gpt-2", "model or pre")
    tool.check(meta["tokenizer.ggml.tokens"] == sorted(model["vocab"], key=model["vocab"].get), "tokens")
    tool.check(meta["tokenizer.ggml.merges"] == model["merges"], "merges")
    tool.check(meta["tokenizer.ggml.token_type"] == [3] + [1] * 1023, "types")
    tool.check((meta["tokenizer.ggml.bos_token_id"], meta["tokenizer.ggml.eos_token_id"],
                meta["tokenizer.ggml.add_bos_token"], meta["tokenizer.ggml.add_eos_token"]) == (0, 0, False, False),
               "special tokens")
    # The first rows of one matrix, by ggml's rule.
    tensors = ck.read_tensors(sample)
    dtype, shape, data = tensors["model.layers.3.mlp.up_proj.weight"]
    rows = read_gguf.decode(dtype, data[:4 * shape[1] * 2])
    tool.check(file.tensors["blk.3.ffn_up.weight"][2].startswith(gm.quantized("q8_0", rows)), "rows of up_proj")
    wanted = {"gpt2": "gpt-2", "llama3": "llama-bpe", "qwen2": "qwen2", "starcoder": "smollm", "tekken": "tekken"}
    for name in sorted(os.listdir(tokenizers)):
        folder = os.path.join(tokenizers, name)
        if not os.path.isdir(folder):
            continue
        gm.make(name, "mistral", vocabulary=2500, tokenizer=folder)
        if name in wanted:
            file, _ = write(tool, name, "--type", "F16")
            tool.check(file.metadata["tokenizer.ggml.pre"] == wanted[name], name)
            tool.check(len(file.metadata["tokenizer.ggml.tokens"]) == 2500, name)
            tool.check(file.metadata["tokenizer.ggml.token_type"][-1] == 5, f"{name}: a pad")
        elif name in ("llama2", "mistral", "spm_bpe"):
            file, _ = write(tool, name, "--type", "F16")
            tool.check(file.metadata["tokenizer.ggml.model"] == "llama", name)
            scores = file.metadata["tokenizer.ggml.scores"]
            tool.check(len(scores) == 2500 and len(set(scores)) > 100, f"{name}: scores")
        else:
            tool.refused("tokenizer", "quantize", name, "-o", name + ".gguf", "--device", "cpu", "--type", "F16")
            tool.check(not os.path.exists(name + ".gguf"), f"{name}: is written")


def test_template(tool, sample):
    def with_config(**keys):
        shutil.rmtree("chat", ignore_errors=True)
        gm.make("chat", "llama", vocabulary=1024, tokenizer=sample)
        with open("chat/tokenizer_config.json", encoding="utf-8") as text:
            config = json.load(text)
        with open("chat/tokenizer_config.json", "w", encoding="utf-8") as text:
            json.dump({**config, **keys}, text)
        return write(tool, "chat", "--type", "F16")[0].metadata

    tool.check("tokenizer.chat_template" not in with_config(), "a template out of nothing")
    meta = with_config(chat_template="{{ x }}", add_bos_token=True)
    tool.check(meta["tokenizer.chat_template"] == "{{ x }}", "template")
    tool.check(meta["tokenizer.ggml.add_bos_token"] is True, "add_bos_token")
    meta = with_config(chat_template=[{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}])
    tool.check((meta["tokenizer.chat_template"], meta["tokenizer.chat_template.tool_use"]) == ("a", "b"), "templates")


def test_stops(tool, sample):
    """A text that may end with several tokens: the first is eos, the next one ends a turn."""
    shutil.rmtree("stops", ignore_errors=True)
    gm.make("stops", "llama", vocabulary=1024, tokenizer=sample, eos_token_id=[7, 9], bos_token_id=3)
    os.remove("stops/tokenizer_config.json")
    meta = write(tool, "stops", "--type", "F16")[0].metadata
    ids = [meta.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos", "eot")]
    tool.check(ids == [3, 7, 9], f"{ids}")
    tool.passes("quantize", "stops.gguf", "-o", "stopped", "--device", "cpu", "--force", "--format", "safetensors")
    config = ck.read_config("stopped")
    tool.check((config["bos_token_id"], config["eos_token_id"]) == (3, [7, 9]), f"{config}")


def test_refusals(tool):
    gm.make("m", "mistral")

    def refused(part, *arguments, folder="m", out="x.gguf"):
        tool.refused(part, "quantize", folder, "-o", out, "--device", "cpu", *arguments)
        tool.check(not os.path.exists(out) and not os.path.exists(out + ".partial"), f"{part}: something is written")

    refused("gguf holds q4_0", "--type", "int4")
    refused("--format bnb writes a folder", "--format", "bnb")
    refused("--max-shard-size is for folders", "--max-shard-size", "1G")
    refused("no setting for activations", "--type", "q8_0", "--activations", "int8-token")
    for config, part in (({"model_type": "glm"}, "--format gguf writes llama, mistral, qwen2, qwen3, mixtral"),
                         ({"hidden_act": "gelu"}, "hidden_act is not silu"),
                         ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "rope_scaling is dynamic"),
                         ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0, "attention_factor": 3.0}}, "yarn with"),
                         ({"vocab_size": 47}, "has 48 rows, and config.json says 47"),
                         ({"num_key_value_heads": 1}, "has 32 rows, and config.json says 16")):
        values, shapes = gm.make("n", "mistral")
        ck.write_model("n", shapes, {**gm.config_of("mistral", 48), **config}, "F32", values)
        refused(part, folder="n")
    ck.write_model("n", {**shapes, "model.layers.0.mlp.extra.weight": (4, 4)}, gm.config_of("mistral", 48), "F32",
                   values)
    refused("has no such tensor", folder="n")
    refused("needs the model's folder with config.json", folder="n/model.safetensors")
    # An existing file is kept, and replaced with --force.
    write(tool, "m", out="y.gguf")
    with open("y.gguf", "rb") as file:
        before = file.read()
    tool.refused("exists", "quantize", "m", "-o", "y.gguf", "--device", "cpu")
    file, _ = write(tool, "m", "--format", "gguf", out="plain")
    with open("plain", "rb") as file:
        tool.check(file.read() == before, "--format gguf and the ending write other bytes")
    tool.passes("quantize", "m", "-o", "z.gguf", "--device", "cpu", "--resume")
    with open("z.gguf", "rb") as file:
        tool.check(file.read() == before, "a resumed run writes other bytes")


# ------------------------------------------------------------------------------------------------ reading


def dense_values(folder):
    """{name: values} of a folder of dense safetensors."""
    return {name: read_gguf.decode(dtype, data) for name, (dtype, _, data) in ck.read_tensors(folder).items()}


def test_reading(tool, sample):
    """A file that nibble reads has the names, shapes and values of the model that it was made from."""
    for family in gm.FAMILIES:
        values, shapes = gm.make("r", family, vocabulary=1024, tokenizer=sample)
        for kind in ("F32", "F16", "BF16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "mxfp4"):
            file, _ = write(tool, "r", "--type", kind)
            tool.passes("quantize", "r.gguf", "-o", "back", "--device", "cpu", "--force", "--format", "safetensors",
                        "--type", "F32")
            back = ck.read_tensors("back")
            tool.check({n: s for n, (_, s, _) in back.items()} == {n: list(s) for n, s in shapes.items()},
                       f"{family} {kind}: other names or shapes")
            for name, (_, _, data) in back.items():
                stored = file.rows(gm.gguf_name(name))
                rows = gm.rows_of(read_gguf.decode("F32", data), shapes[name])
                if len(shapes[name]) == 1:
                    stored = [[v] for v in stored[0]]
                tool.check(gm.ordered(family, name, rows) == stored, f"{family} {kind} {name}: other values")
        config, original = ck.read_config("back"), ck.read_config("r")
        wanted = {k: v for k, v in original.items() if k not in ("model_type", "torch_dtype", "rope_scaling")}
        tool.check({k: config.get(k) for k in wanted if wanted[k] is not None} ==
                   {k: v for k, v in wanted.items() if v is not None}, f"{family}: {config} {original}")
        tool.check(config["model_type"] == ("llama" if family == "mistral" else family), f"{family}: {config}")
        scaling = config.get("rope_scaling")
        tool.check(scaling == original.get("rope_scaling"), f"{family}: {scaling}")
        # The same file again: the metadata of a file that was read is that of the file.
        before, _ = write(tool, "r", "--type", "q8_0")
        again, _ = write(tool, "r.gguf", "--type", "q8_0", out="again.gguf")
        same = [k for k in {**before.metadata, **again.metadata}
                if before.metadata.get(k) != again.metadata.get(k) and not k.startswith("nibble.")]
        tool.check(not same, f"{family}: {same} differ")
        tool.check(set(before.tensors) == set(again.tensors), f"{family}: other tensors")
        for name in ("blk.0.attn_q.weight", "blk.1.attn_k.weight", "token_embd.weight"):
            tool.check(before.tensors[name] == again.tensors[name], f"{family}: {name} differs")


def test_verbs(tool, sample):
    write(tool, sample, "--type", "q8_0", "--include", "embed_tokens|lm_head", out="s.gguf")
    write(tool, sample, "--type", "F16", out="f.gguf")
    report = json.loads(tool.passes("inspect", "s.gguf", "--device", "cpu", "--json").out)
    tool.check(report["quantized"] == {"q8_0": 44} and "unread" not in report, f"{report['quantized']}")
    up = next(t for t in report["tensors"] if t["name"] == "model.layers.0.mlp.up_proj.weight")
    tool.check(up["dtype"] == "Q8_0" and up["shape"] == [704, 256], f"{up}")
    tool.check(report["metadata"]["general.architecture"] == "llama", f"{report['metadata']}")
    report = json.loads(tool.passes("compare", sample, "f.gguf", "--device", "cpu", "--json").out)
    tool.check(len(report["tensors"]) == 57 and all(t["max_abs"] == 0 for t in report["tensors"]), "F16 differs")
    text = os.path.join(sample, "calib.txt")

    def perplexity(model):
        words = ("--data", text, "--window", "64", "--windows", "4", "--device", "cpu", "--json")
        return json.loads(tool.passes("eval", model, *words).out)["perplexity"]

    exact = perplexity(sample)
    tool.check(perplexity("f.gguf") == exact, "the F16 file has another perplexity")
    tool.check(abs(perplexity("s.gguf") / exact - 1) < 0.01, "the q8_0 file has another perplexity")
    words = ("generate", "--prompt", "In the beginning", "--tokens", "8", "--temperature", "0", "--device", "cpu")
    tool.check(tool.passes(*words, "f.gguf").out == tool.passes(*words, sample).out, "generates another text")
    # A folder with one GGUF file, and the parts of a split.
    os.makedirs("one", exist_ok=True)
    shutil.copy("f.gguf", "one/x.gguf")
    tool.passes("inspect", "one", "--device", "cpu", "--names")
    shutil.copy("f.gguf", "one/y.gguf")
    tool.refused("contains 2 GGUF files: name one of them", "inspect", "one", "--device", "cpu")


def test_texts(tool, tokenizers):
    """Tokenizers that were read from a file give the ids of the original ones, so that the loss is the same."""
    with open(os.path.join(tokenizers, "texts.json"), encoding="utf-8") as file:
        texts = [t for t in json.load(file) if t.strip() and "\0" not in t and not t.startswith(" ")]
    with open("texts.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    for name in ("gpt2", "llama3", "qwen2", "starcoder", "tekken", "llama2"):
        gm.make("t-" + name, "llama", vocabulary=2500, tokenizer=os.path.join(tokenizers, name))
        write(tool, "t-" + name, "--type", "F32")
        found = []
        for model in ("t-" + name, f"t-{name}.gguf"):
            words = ("--data", "texts.jsonl", "--window", "128", "--device", "cpu", "--json")
            report = json.loads(tool.passes("eval", model, *words).out)
            found.append((report["tokens"], report["perplexity"]))
        tool.check(found[0] == found[1] and found[0][0] > 2000, f"{name}: {found}")


def test_golden(tool, golden):
    """Files with frozen bytes. Their codes are j in the low and 15 - j in the high half of byte j."""
    low, high = range(16), range(15, -1, -1)
    e2m1 = [0, 1, 2, 3, 4, 6, 8, 12]
    mx = [s * v for s in (1, -1) for v in e2m1]  # times the scale 2^(128 - 128)
    ramp = [j / 8 - 2 for j in range(32)]
    wanted = {"q4_0": [(q - 8) * 0.5 for q in (*low, *high)],
              "q4_1": [q * 0.25 - 1 for q in (*low, *high)],
              "q5_0": [(q - 16) * -0.5 for q in (*low, *(16 + q for q in high))],
              "q5_1": [q * 2 + 0.5 for q in (*(16 + q for q in low), *high)],
              "q8_0": [(8 * j - 128) * 0.125 for j in range(32)],
              "mxfp4": [mx[q] for q in (*low, *high)], "f32": ramp, "f16": ramp, "bf16": ramp}
    for kind, first in wanted.items():
        path = os.path.join(golden, kind + ".gguf")
        tool.check(read_gguf.read(path).rows("token_embd.weight") == [first, [0] * 32], f"{kind}: the test's reader")
        tool.passes("quantize", path, "-o", "golden", "--device", "cpu", "--force", "--format", "safetensors", "--type",
                    "F32")
        got = dense_values("golden")["model.embed_tokens.weight"]
        tool.check(got == first + [0] * 32, f"{kind}: {got}")


def test_golden_super(tool, golden):
    """Byte i of a block is 37 i + 11 (in IQ4_NL, of block k, 37 (i + k) + 11), but d is 0.5 and dmin is -0.25. The
    second row is zeros."""
    for kind, size, halves in (("q2_k", 84, (80, 82)), ("q3_k", 110, (108,)), ("q4_k", 144, (0, 2)),
                               ("q5_k", 176, (0, 2)), ("q6_k", 210, (208,)), ("iq4_nl", 18, (0,)),
                               ("iq4_xs", 136, (0,))):
        path = os.path.join(golden, kind + ".gguf")
        row = b""
        for k in range(8 if kind == "iq4_nl" else 1):
            block = bytearray((37 * (i + k) + 11) & 255 for i in range(size))
            for at, number in zip(halves, (0.5, -0.25)):
                block[at:at + 2] = struct.pack("<e", number)
            row += block
        stored = read_gguf.read(path).tensors["token_embd.weight"]
        tool.check(stored == (kind.upper(), [256, 2], row + bytes(len(row))), f"{kind}: the file")
        wanted = read_gguf.decode(kind.upper(), stored[2])
        tool.check(len(set(wanted)) > 15 and not any(wanted[256:]), f"{kind}: the test's reader")
        tool.passes("quantize", path, "-o", "golden", "--device", "cpu", "--force", "--format", "safetensors", "--type",
                    "F32")
        tool.check(dense_values("golden")["model.embed_tokens.weight"] == wanted, f"{kind}: other values")


def test_splits(tool):
    def part(number, count, name, rows, **more):
        metadata = {"split.no": ("H", number), "split.count": ("H", count), "split.tensors.count": ("i", 2), **more}
        if number == 0:
            metadata = {**gm.tiny_metadata(), **metadata}
        blob = struct.pack("<64f", *(rows + i for i in range(64)))
        return gm.gguf_bytes(metadata, [(name, (32, 2), 0, blob)])

    def put(name, data):
        with open(name, "wb") as file:
            file.write(data)

    put("p-00001-of-00002.gguf", part(0, 2, "token_embd.weight", 0))
    tool.refused("p-00002-of-00002.gguf: does not exist", "inspect", "p-00001-of-00002.gguf", "--device", "cpu")
    put("p-00002-of-00002.gguf", part(1, 2, "output.weight", 100))
    run = tool.passes("inspect", "p-00001-of-00002.gguf", "--device", "cpu", "--json")
    found = {t["name"]: (t["min"], t["max"], t["file"]) for t in json.loads(run.out)["tensors"]}
    tool.check(found == {"model.embed_tokens.weight": (0, 63, "p-00001-of-00002.gguf"),
                         "lm_head.weight": (100, 163, "p-00002-of-00002.gguf")}, f"{found}")
    tool.refused("is not the first part", "inspect", "p-00002-of-00002.gguf", "--device", "cpu")
    put("q.gguf", part(0, 2, "token_embd.weight", 0))
    tool.refused("give the parts their names", "inspect", "q.gguf", "--device", "cpu")
    put("p-00002-of-00002.gguf", part(0, 2, "output.weight", 100))
    tool.refused("is not part 2 of 2", "inspect", "p-00001-of-00002.gguf", "--device", "cpu")
    put("p-00002-of-00002.gguf", gm.gguf_bytes({"split.no": ("H", 1), "split.count": ("H", 2)}, []))
    tool.refused("has 2 tensors in all parts, which hold 1", "inspect", "p-00001-of-00002.gguf", "--device", "cpu")


def test_hostile(tool):
    blob = struct.pack("<64f", *range(64))
    good = [("token_embd.weight", (32, 2), 0, blob)]

    def refused(part, data):
        with open("h.gguf", "wb") as file:
            file.write(data)
        tool.refused(part, "inspect", "h.gguf", "--device", "cpu")
        tool.refused("h.gguf", "quantize", "h.gguf", "-o", "h_out", "--device", "cpu")
        tool.check(not os.path.exists("h_out"), f"{part}: something is written")

    whole = gm.gguf_bytes(gm.tiny_metadata(), good)
    with open("h.gguf", "wb") as file:
        file.write(whole)
    tool.passes("inspect", "h.gguf", "--device", "cpu")
    head = whole[:4]
    refused("version 1", head + struct.pack("<I", 1) + whole[8:])
    refused("unknown version 9", head + struct.pack("<I", 9) + whole[8:])
    refused("another byte order", head + struct.pack(">I", 3) + whole[8:])
    refused("tensors, more than it can hold", head + struct.pack("<IQ", 3, 2 ** 60) + whole[16:])
    refused("values, more than it can hold", head + struct.pack("<IQQ", 3, 1, 2 ** 60) + whole[24:])
    for size, part in ((8, "ends within its header"), (20, "ends within its header"), (60, "more than it can hold"),
                       (300, "ends"), (len(whole) - 100, "ends behind the file")):
        refused(part, whole[:size])
    one = head + struct.pack("<IQQ", 3, 0, 1)
    refused("has 1152921504606846976 bytes", one + struct.pack("<Q", 2 ** 60) + b"a" * 64)
    refused("has 1152921504606846976 bytes", one + gm.text("k") + struct.pack("<IQ", 8, 2 ** 60) + bytes(64))
    refused("array of arrays", one + gm.text("k") + struct.pack("<IIQ", 9, 9, 1) + bytes(64))
    refused("elements, more than the file holds", one + gm.text("k") + struct.pack("<IIQ", 9, 4, 2 ** 61) + bytes(64))
    refused("elements, more than the file holds", one + gm.text("k") + struct.pack("<IIQ", 9, 8, 2 ** 40) + bytes(64))
    refused("unknown type 13", one + gm.text("k") + struct.pack("<I", 13) + bytes(64))
    refused("neither 0 nor 1", one + gm.text("k") + struct.pack("<IB", 7, 2) + bytes(64))
    refused("empty or not text", one + gm.text(b"\xff") + struct.pack("<I", 4) + bytes(64))

    def tensors(part, *list_, **more):
        refused(part, gm.gguf_bytes(gm.tiny_metadata(**more), list(list_)))

    name = "token_embd.weight"
    tensors("occurs twice", good[0], good[0])
    tensors("the name of a tensor has 64 bytes", ("t" * 64, (32, 2), 0, blob))
    tensors("has 5 dimensions", (name, (32, 2, 1, 1, 1), 0, blob))
    tensors("has a dimension of 0", (name, (32, 0), 0, b""))
    tensors("more elements than fit 64 bits", (name, (2 ** 40, 2 ** 40), 0, blob))
    tensors("unknown type 4", (name, (32, 2), 4, blob))
    tensors("blocks of Q4_0 have 32", (name, (31, 2), 2, blob))
    tensors("ends behind the file", (name, (32, 2 ** 30), 0, blob))
    tensors("is none of a network llama", ("blk.0.mystery.weight", (32, 2), 0, blob))
    tensors("is 3, no power of two", good[0], **{"general.alignment": ("I", 3)})
    tensors("is not a number", good[0], **{"general.alignment": ("str", "32")})
    tensors("its rows are not those of 2 heads", good[0], ("blk.0.attn_q.weight", (32, 3), 0, (blob + blob)[:384]))
    at = whole.index(name.encode()) + len(name) + 4 + 16 + 4
    refused("begins at 64 of the data", whole[:at] + struct.pack("<Q", 64) + whole[at + 8:])
    refused("\"llama.y\": occurs twice", gm.gguf_bytes({**gm.tiny_metadata(), "llama.x": ("I", 1), "llama.y": ("I", 1)},
                                                       good).replace(b"llama.x", b"llama.y"))
    missing = gm.tiny_metadata()
    del missing["llama.context_length"]
    refused("has no \"llama.context_length\"", gm.gguf_bytes(missing, good))
    refused("has no \"general.architecture\"", gm.gguf_bytes({}, good))
    # A scale that is infinite.
    bad = struct.pack("<H", 0x7C00) + bytes(16)
    with open("h.gguf", "wb") as file:
        file.write(gm.gguf_bytes(gm.tiny_metadata(), [(name, (32, 2), 2, bad * 2)]))
    tool.refused("NaN or infinite", "quantize", "h.gguf", "-o", "h_out", "--device", "cpu", "--format", "safetensors")
    tool.refused("NaN or infinite", "inspect", "h.gguf", "--device", "cpu")
    tool.passes("inspect", "h.gguf", "--device", "cpu", "--names")
    infinite = struct.pack("<H", 0x7C00)
    for kind, block in ((3, struct.pack("<HH", 0, 0xFE00) + bytes(16)), (39, b"\xff" + bytes(16)),
                        (20, infinite + bytes(16)), (10, bytes(80) + infinite + bytes(2)), (10, bytes(82) + infinite),
                        (11, bytes(108) + infinite), (12, infinite + bytes(142)),
                        (13, bytes(2) + infinite + bytes(172)), (14, bytes(208) + infinite),
                        (23, infinite + bytes(134))):
        with open("h.gguf", "wb") as file:
            cols = 32 if len(block) < 40 else 256
            file.write(gm.gguf_bytes(gm.tiny_metadata(), [(name, (cols, 2), kind, block * 2)]))
        tool.refused("NaN or infinite", "inspect", "h.gguf", "--device", "cpu")
        tool.refused("NaN or infinite", "quantize", "h.gguf", "-o", "h_out", "--device", "cpu", "--format",
                     "safetensors")
    # Another type: listed, not read.
    with open("h.gguf", "wb") as file:
        file.write(gm.gguf_bytes(gm.tiny_metadata(), [(name, (256, 2), 17, bytes(148))]))
    run = tool.passes("inspect", "h.gguf", "--device", "cpu", "--json")
    report = json.loads(run.out)
    tool.check(report["tensors"][0]["dtype"] == "IQ2_XS" and report["tensors"][0]["shape"] == [2, 256], f"{report}")
    tool.check("ggml's type IQ2_XS, which nibble does not read" in report["unread"], f"{report}")
    tool.refused("ggml's type IQ2_XS", "quantize", "h.gguf", "-o", "h_out", "--device", "cpu")
    # Another architecture: listed, not run.
    with open("h.gguf", "wb") as file:
        file.write(gm.gguf_bytes(gm.tiny_metadata(**{"general.architecture": ("str", "rwkv7")}), good))
    run = tool.passes("inspect", "h.gguf", "--device", "cpu")
    tool.check("token_embd.weight" in run.out and "architecture \"rwkv7\"" in run.out, run.out)
    tool.refused("rwkv7", "generate", "h.gguf", "--prompt", "a", "--device", "cpu")


def main():
    program, sample, tokenizers, scratch = sys.argv[1:]
    sample, tokenizers = os.path.abspath(sample), os.path.abspath(tokenizers)
    tool = Tool(program, scratch)
    test_types(tool)
    test_families(tool)
    test_others(tool)
    test_rope(tool)
    test_selection(tool)
    test_tokens(tool, sample, tokenizers)
    test_template(tool, sample)
    test_stops(tool, sample)
    test_refusals(tool)
    test_reading(tool, sample)
    test_verbs(tool, sample)
    test_texts(tool, tokenizers)
    test_golden(tool, os.path.join(HERE, "..", "golden", "gguf"))
    test_golden_super(tool, os.path.join(HERE, "..", "golden", "gguf"))
    test_splits(tool)
    test_hostile(tool)
    tool.end()


if __name__ == "__main__":
    main()
