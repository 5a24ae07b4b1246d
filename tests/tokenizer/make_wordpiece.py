"""Makes the WordPiece tokenizers of tests/tokenizer/wordpiece and what transformers does with texts.

    make_wordpiece.py CORPUS TEXTS FOLDER   CORPUS: text to train on; TEXTS: texts.json of make.py
    make_wordpiece.py --check FOLDER        compares the vectors of existing tokenizers

FOLDER/texts.json and FOLDER/NAME/vectors.json are as make.py's.
"""
import json
import os
import random
import sys

os.environ.update(TQDM_DISABLE="1", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

transformers.logging.set_verbosity_error()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MORE = [
    "the" * 33, "the" * 34, "the" * 33 + " and", "In the [MASK] God created[MASK].", "[CLS] a [SEP] [PAD] [UNK] [mask]",
    "\u4e2d\u6587the\u5b57 \u3400\u9fff\uf900 \u30c6\u30b9\u30c8 \U0002b820 \U0002a700",
    "soft\u00adhyphen zero\u200bwidth",
    "tab\tline\nfeed\rreturn\u0085next\u2028line", "private\ue000use \u0378 unassigned \x00null \ufffd",
    "\u00c9COLE \u0130stanbul \u03a3\u03a3 \u1e9e", "\uac00\ub098 \uac01",
    "a$b+c<d=e>f^g`h|i~j", "a\u20acb\u00a7c\u00b4d\u2026e",
    "don't do not I'm they've he's you're can 't",
    "hello , world ! how ? fine . ' quoted ' n't", "##ing ## #", "and" * 200,
]


def build(lines, size, normalizer, cleanup=True, post=None, most=100):
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=most))
    tok.normalizer = normalizer
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.train_from_iterator(lines, trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=SPECIAL, limit_alphabet=160, show_progress=False))
    # Training makes a model with the usual limit.
    data = json.loads(tok.to_str())
    data["model"]["max_input_chars_per_word"] = most
    tok = Tokenizer.from_str(json.dumps(data))
    tok.decoder = decoders.WordPiece(prefix="##", cleanup=cleanup)
    ids = [("[CLS]", tok.token_to_id("[CLS]")), ("[SEP]", tok.token_to_id("[SEP]"))]
    tok.post_processor = post(ids) if post else processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=ids)
    return tok


def write(path, data):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data, file, separators=(",", ":"))
        file.write("\n")


def write_files(corpus, texts, folder):
    with open(corpus, encoding="utf-8") as file:
        lines = file.read()[:60000].split("\n")
    lines += [text for text in texts if "[" not in text] * 3

    def place(name):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        return f"{folder}/{name}/"

    uncased = build(lines, 500, normalizers.BertNormalizer(lowercase=True))
    uncased.save(place("uncased") + "tokenizer.json", pretty=False)
    cased = build(lines, 500, normalizers.BertNormalizer(lowercase=False), cleanup=False, most=20,
                  post=lambda ids: processors.BertProcessing(ids[1], ids[0]))
    cased.save(place("cased") + "tokenizer.json", pretty=False)
    for name, tok, config in (
            ("vocab_alone", uncased, None),
            ("vocab_cased", cased, {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "strip_accents": True,
                                    "tokenize_chinese_chars": False, "mask_token": "[MASK]"})):
        with open(place(name) + "vocab.txt", "w", encoding="utf-8") as file:
            for token, _ in sorted(tok.get_vocab().items(), key=lambda item: item[1]):
                file.write(token + "\n")
        if config:
            write(place(name) + "tokenizer_config.json", config)


def vectors(place, texts):
    if os.path.exists(place + "/tokenizer.json"):
        tok = transformers.PreTrainedTokenizerFast(tokenizer_file=place + "/tokenizer.json")
    else:
        tok = transformers.BertTokenizer.from_pretrained(place)

    def encode(text):
        return tok.encode(text, add_special_tokens=False)

    def decode(ids, skip):
        return tok.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)

    rng = random.Random(11)
    encoded = [encode(text) for text in texts]
    decoded = [decode(ids, False) for ids in encoded]
    ids = [[rng.randrange(len(tok)) for _ in range(rng.randrange(1, 24))] for _ in range(30)]
    return {"encoded": encoded, "special": [tok.encode(text) for text in texts[:12]],
            "decoded": [None if d == t else d for d, t in zip(decoded, texts)],
            "ids": ids, "texts": [decode(i, False) for i in ids], "texts_skipped": [decode(i, True) for i in ids]}


def names(folder):
    return [name for name in sorted(os.listdir(folder)) if os.path.isdir(f"{folder}/{name}")]


def make(corpus, texts, folder):
    with open(texts, encoding="utf-8") as file:
        texts = json.load(file) + MORE
    write(folder + "/texts.json", texts)
    write_files(corpus, texts, folder)
    for name in names(folder):
        write(f"{folder}/{name}/vectors.json", vectors(f"{folder}/{name}", texts))


def check(folder):
    failed = 0
    with open(folder + "/texts.json", encoding="utf-8") as file:
        texts = json.load(file)
    for name in names(folder):
        with open(f"{folder}/{name}/vectors.json", encoding="utf-8") as file:
            same = json.load(file) == vectors(f"{folder}/{name}", texts)
        failed += not same
        print(f"{name}: {'as committed' if same else 'OTHER VECTORS'}")
    sys.exit(failed > 0)


if sys.argv[1] == "--check":
    check(sys.argv[2])
else:
    make(*sys.argv[1:])
