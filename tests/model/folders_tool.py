#!/usr/bin/env python3
"""Folders of models: what is copied, what is refused, and config.json.

  folders_tool.py NIBBLE SCRATCH
"""
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tool"))
import checkpoints as ck
from tool import Tool

CT = ["--type", "int4", "--group-size", "32"]
COPIED = """generation_config.json tokenizer.json vocab.txt tokenizer.model sentencepiece.bpe.model chat_template.jinja
preprocessor_config.json modeling_x.py LICENSE README.md tekken.json params.json normalizer.json source.spm bpe.codes
dict.txt modules.json 1_Pooling/config.json 2_Dense/config.json additional_chat_templates/tool_use.jinja
custom_generate/generate.py qwen.tiktoken original/params.json .gitattributes recipe.yaml""".split()
LEFT = """quantize_config.json hf_quant_config.json training_args.bin optimizer.pt pytorch_model.bin onnx/model.onnx
model.safetensors.index.json.partial""".split()


def files_of(folder):
    return {os.path.relpath(os.path.join(base, name), folder) for base, _, names in os.walk(folder) for name in names}


def quantize(tool, folder, *arguments, out=None):
    out = out or folder + ".out"
    return out, tool.passes("quantize", folder, "-o", out, "--device", "cpu", "--force", *arguments)


def test_side_files(tool):
    ck.write_model("folder", ck.llama(), {"model_type": "llama"}, files=COPIED + LEFT)
    ck.write_tensors("folder/2_Dense/model.safetensors", {"linear.weight": (4, 4)})
    os.symlink("../blobs/absent", "folder/added_tokens.json")
    os.makedirs("folder/.cache/huggingface")
    os.chmod("folder/custom_generate/generate.py", 0o755)
    for _ in range(2):  # the second run replaces the first one's subfolders
        out, run = quantize(tool, "folder", *CT)
        expected = set(COPIED) | {"config.json", "model.safetensors", "2_Dense/model.safetensors"}
        tool.check(files_of(out) == expected, f"{sorted(files_of(out) ^ expected)}")
        for name in COPIED:
            with open(os.path.join(out, name), encoding="utf-8") as file:
                tool.check(file.read() == name, f"{name} is another")
        tool.check(os.stat(os.path.join(out, "custom_generate/generate.py")).st_mode & 0o111 == 0o111, "no program")
        tool.check(os.stat(os.path.join(out, "modeling_x.py")).st_mode & 0o111 == 0, "a program")
        for name in LEFT + ["added_tokens.json", ".cache"]:
            tool.check(f"folder/{name}: " in run.out, f"{name} is not named: {run.out[:600]}")
    notes = json.loads(quantize(tool, "folder", *CT, "--json")[1].out)["notes"]
    tool.check(len(notes) == len(LEFT) + 2, f"{notes}")
    # A resumed run.
    tool.passes("quantize", "folder", "-o", "resumed", "--device", "cpu", *CT, "--resume")
    tool.check(files_of("resumed") == expected, "resumed")
    # Nothing foreign is deleted.
    with open(os.path.join(out, "1_Pooling", "mine"), "w", encoding="utf-8") as file:
        file.write("x")
    tool.refused("files that nibble did not write", "quantize", "folder", "-o", out, "--device", "cpu", "--force", *CT)
    tool.check(os.path.exists(os.path.join(out, "1_Pooling", "mine")), "a foreign file is gone")
    # An output inside of the input is not a side file of the next run.
    for _ in range(2):
        out, _ = quantize(tool, "folder", *CT, out="folder/int4")
        tool.check(not os.path.exists("folder/int4/int4"), "the output holds an earlier output")


def test_config(tool):
    text = ('{"model_type": "llama", "time_step_limit": [0.0, Infinity], "low": -Infinity, "none": NaN, '
            '"big": 100000000000000000000, "torch_dtype": "float32", "eps": 1e-05, '
            '"text_config": {"dtype": "float32", "torch_dtype": "float32"}}')
    ck.write_model("numbers", ck.llama(), text)
    out, _ = quantize(tool, "numbers", *CT)
    with open(os.path.join(out, "config.json"), encoding="utf-8") as file:
        written = file.read()
    config, original = json.loads(written), json.loads(text)
    del config["quantization_config"]
    tool.check(repr(config) == repr(original), f"{config}")
    tool.check('"big": 100000000000000000000,' in written, written)
    out, _ = quantize(tool, "numbers", "--format", "safetensors", "--type", "F16")
    config = ck.read_config(out)
    tool.check(config["torch_dtype"] == "float16" and config["text_config"] == {"dtype": "float16",
                                                                                "torch_dtype": "float16"}, f"{config}")
    tool.check(config["big"] == 10 ** 20 and config["time_step_limit"][1] == float("inf"), f"{config}")
    tool.passes("inspect", "numbers", "--device", "cpu")
    os.remove("numbers/config.json")
    _, run = quantize(tool, "numbers", *CT)
    tool.check("there is no config.json" in run.out, run.out)


def test_adapters(tool):
    shapes = {f"base_model.model.model.layers.0.self_attn.{m}_proj.lora_{ab}.weight": (8, 64) for m in "qv"
              for ab in "AB"}
    os.makedirs("lora")
    ck.write_tensors("lora/adapter_model.safetensors", shapes)
    for arguments in (CT, ["--format", "safetensors", "--type", "F16"], ["--include", "."]):
        for path in ("lora/adapter_model.safetensors", "lora"):
            tool.refused("merge it first", "quantize", path, "-o", "no", "--device", "cpu", *arguments)
        with open("lora/adapter_config.json", "w", encoding="utf-8") as file:
            file.write('{"peft_type": "LORA"}')
    os.remove("lora/adapter_model.safetensors")
    with open("lora/adapter_model.bin", "wb") as file:
        file.write(b"PK\3\4")
    tool.refused("merge it first", "quantize", "lora", "-o", "no", "--device", "cpu")


def shards(folder, where=None, more=None, overlay=None):
    """A model in two shards. where: another index; more: tensors in the second shard; overlay: in a third file."""
    shapes = ck.llama()
    names = list(shapes)
    files = {"model-00001-of-00002.safetensors": {n: shapes[n] for n in names[:5]},
             "model-00002-of-00002.safetensors": {**{n: shapes[n] for n in names[5:]}, **(more or {})}}
    index = {name: file for file, tensors in files.items() for name in tensors if name in shapes}
    if overlay:
        files["overlay.safetensors"] = {overlay: shapes[overlay]}
        index[overlay] = "overlay.safetensors"
    values = {}
    for file, tensors in files.items():
        special = {overlay: [0.5] * ck.math.prod(shapes[overlay])} if file == "overlay.safetensors" else {}
        values.update(ck.write_tensors(os.path.join(folder, file), tensors, values=special))
    with open(os.path.join(folder, "model.safetensors.index.json"), "w", encoding="utf-8") as file:
        json.dump({"metadata": {}, "weight_map": {n: where(i, f) if where else f
                                                  for i, (n, f) in enumerate(index.items())}}, file)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        file.write('{"model_type": "llama"}')


def test_index(tool):
    cast = ["--format", "safetensors", "--type", "F16"]
    expected = set(ck.llama())
    shards("stray")
    ck.write_tensors("stray/model.safetensors", {"model.norm.weight": (32,)})
    with open("stray/pytorch_model.bin", "wb") as file:
        file.write(b"x")
    out, run = quantize(tool, "stray", *cast)
    tool.check(set(ck.read_tensors(out)) == expected, "stray: tensors")
    for name in ("model.safetensors", "pytorch_model.bin"):
        tool.check(f"stray/{name}: holds weights that are neither read nor copied" in run.out, run.out)
    shards("stale", where=lambda i, _: f"model-0000{1 + i % 4}-of-00004.safetensors")
    out, run = quantize(tool, "stale", *cast)
    tool.check(set(ck.read_tensors(out)) == expected and "names files that do not exist" in run.out, run.out)
    shards("incomplete", where=lambda i, file: file if i else "model-00003-of-00003.safetensors")
    os.remove("incomplete/model-00001-of-00002.safetensors")
    tool.refused("fetch it too", "quantize", "incomplete", "-o", "no", "--device", "cpu")
    first = "model.layers.0.self_attn.q_proj.weight"
    shards("overlay", overlay=first)
    out, run = quantize(tool, "overlay", *cast)
    tensors = ck.read_tensors(out)
    tool.check(set(tensors) == expected and f'instead of "{first}"' in run.out, run.out)
    tool.check(tensors[first][2] == ck.data_of("F16", [0.5] * 1024), "overlay: the old tensor")
    shards("extra", more={"model.layers.0.self_attn.rotary_emb.inv_freq": (8,)})
    out, run = quantize(tool, "extra", *cast)
    tool.check(set(ck.read_tensors(out)) == expected | {"model.layers.0.self_attn.rotary_emb.inv_freq"}, "extra")
    tool.check("does not name" in run.out and "kept all the same" in run.out, run.out)


def main():
    tool = Tool(*sys.argv[1:])
    for test in (test_side_files, test_config, test_adapters, test_index):
        test(tool)
    tool.end()


if __name__ == "__main__":
    main()
