#!/usr/bin/env python3
"""The logits of transformers in fp32, of a model's folder and the ids of a JSON file; compare.py runs it in its tree.

  reference.py FOLDER IDS.json OUT     OUT: fp32, all positions
"""
import json
import os
import sys

os.environ.update(TQDM_DISABLE="1", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
import torch
import transformers

transformers.logging.set_verbosity_error()


def main():
    folder, ids, out = sys.argv[1:]
    with open(ids, encoding="utf-8") as file:
        tokens = torch.tensor([json.load(file)])
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model.eval()
    with torch.no_grad():
        logits = model(input_ids=tokens).logits[0].float().contiguous()
    with open(out, "wb") as file:
        file.write(logits.numpy().tobytes())


if __name__ == "__main__":
    main()
