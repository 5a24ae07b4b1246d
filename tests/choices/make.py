"""Makes the questions of tests/choices, and the scores that transformers computes for them by the rule of
lm-evaluation-harness 0.4 (lm_eval/api/model.py, TemplateLM._encode_pair and HFLM._loglikelihood_tokens; read, not
copied): runs in a tree with transformers, such as that of tests/loaders/tree.sh.

    make.py MODEL TEXT FOLDER      writes FOLDER/questions.jsonl and FOLDER/expected.json
"""
import json
import os
import sys

os.environ.update(TQDM_DISABLE="1", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def questions_of(text):
    """The beginning of a verse; its end and the ends of three other verses are the choices."""
    verses = [line.strip() for line in text.splitlines() if len(line.split()) > 14][::9][:36]
    halves = [(" ".join(v.split()[:len(v.split()) // 2]), " ".join(v.split()[len(v.split()) // 2:])) for v in verses]
    questions = []
    for i, (context, right) in enumerate(halves):
        choices = [halves[(i + step) % len(halves)][1] for step in (5, 11, 17)]
        choices.insert(i % 4, right)
        questions.append({"context": context, "choices": choices, "answer": i % 4})
    questions[3]["context"] += "  "  # blanks move to the continuation
    questions[4]["context"] += " \n"
    questions[5]["context"] = ""  # begins with the BOS token
    questions[6]["choices"][0] = "über den Wassern, und Gott sprach: es werde Licht – und es ward Licht"
    questions[7]["choices"] = ["the", "the LORD spake unto Moses, saying,"]
    questions[7]["answer"] = 1
    return questions


def encode_pair(tokenizer, context, continuation):
    stripped = context.rstrip()
    continuation = context[len(stripped):] + continuation
    context = stripped
    if not context:
        return [tokenizer.bos_token_id or tokenizer.eos_token_id], tokenizer(continuation,
                                                                            add_special_tokens=False).input_ids
    whole = tokenizer(context + continuation, add_special_tokens=False).input_ids
    start = tokenizer(context, add_special_tokens=False).input_ids
    return start, whole[len(start):]


def log_likelihood(model, context, continuation):
    ids = context + continuation
    logits = model(torch.tensor([ids[:-1]])).logits[0].double().log_softmax(-1)
    return sum(logits[len(context) - 1 + i, token].item() for i, token in enumerate(continuation))


def main():
    folder, text, out = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with open(text, encoding="utf-8") as file:
        questions = questions_of(file.read())
    expected = {"log_probabilities": [], "acc": [], "acc_norm": []}
    with torch.no_grad():
        for q in questions:
            sums = [log_likelihood(model, *encode_pair(tokenizer, q["context"], " " + c)) for c in q["choices"]]
            norms = [s / len(c) for s, c in zip(sums, q["choices"])]
            expected["log_probabilities"].append(sums)
            expected["acc"].append(sums.index(max(sums)) == q["answer"])
            expected["acc_norm"].append(norms.index(max(norms)) == q["answer"])
    with open(os.path.join(out, "questions.jsonl"), "w", encoding="utf-8") as file:
        for q in questions:
            file.write(json.dumps(q, ensure_ascii=False) + "\n")
    with open(os.path.join(out, "expected.json"), "w", encoding="utf-8") as file:
        json.dump(expected, file, indent=1)
        file.write("\n")
    print(sum(expected["acc"]), sum(expected["acc_norm"]), "of", len(questions))


main()
