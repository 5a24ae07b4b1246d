"""Makes the tokenizers of tests/tokenizer/data and what the tokenizers and sentencepiece packages do with texts.

    make.py CORPUS FOLDER       CORPUS: text to train on
    make.py --check FOLDER      compares the vectors of existing tokenizers

FOLDER/texts.json: a list of texts. FOLDER/NAME/: the files of a tokenizer, and vectors.json:
    encoded: for each text the ids without special tokens, or null if that text is refused
    special: the ids with special tokens of the first texts
    decoded: for each text the text of its ids, or null if it is the text itself
    ids, texts, texts_skipped: lists of ids, and their text with and without special tokens
"""
import base64
import json
import os
import random
import sys

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from sentencepiece import sentencepiece_model_pb2 as proto

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
TEKKEN = (rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*|\p{{N}}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = (rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         rf"|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{{N}}{{1,3}}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"]

TEXTS = [
    "", " ", "  ", "\n", "\t", "a", "Hello, world!", "In the beginning God created the heaven and the earth.",
    "And God said, Let there be light: and there was light.\n", "  two  spaces\n\nand lines ", "a\r\nb\r\n\r\nc",
    "It's we've they'll I'm you'd he's don't they're", "IT'S WE'VE THEY'LL I'M YOU'D DON'T THEY'RE It'S",
    "it\u017fs '\u017f 'S", "'s't're've'm'll'd", "''s ' s 'x", "1 12 123 1234 12345 1234567890",
    "3.14159 1,000,000 0x1F", "\u0663\u0664\u0665 \u2167 \u00b2\u00b3 \u2460", "x86_64 Vulkan\tGPU",
    "if (a == b) { return c[1]; } // done\n", "def f(x):\n    return x + 1\n\n\n        # deep\n", "a" * 40,
    " " * 50, " " * 50 + "a", "a" + " " * 17 + "b", "\n" * 9, "\n \n  \n   x", " \n", "\n ", "\t\t x\t\n\t",
    "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m", "cafe\u0301 nai\u0308ve A\u030angstro\u0308m",
    "e\u0301\u0301 \u0301x q\u0323\u0307 q\u0307\u0323",
    "\u212b \u2126 \ufb01n \ufb00 \u00bd \u2460 \uff21\uff22\uff23 \uff11\uff12",
    "\uac00\ub098\ub2e4 \u1100\u1161\u11a8",
    "\u4e2d\u6587\u5b57\u7b26\uff0c\u6d4b\u8bd5\u3002 \u65e5\u672c\u8a9e\u306e\u30c6\u30b9\u30c8 \ud55c\uad6d\uc5b4",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u05e2\u05d1\u05e8\u05d9\u05ea",
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22",
    "\U0001f600\U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f",
    "a\u00a0b\u2003c\u3000d\u2028e\u0085f\u180eg\u200bh\ufeffi", "\u2581x \u2581\u2581 _x", "\ufffd \x7f \x01\x1b",
    "<0x41> <0xZZ> <unk> <s>", "<|endoftext|>Genesis 1\n<|endoftext|>", "<s>a</s> b <s> c",
    "x<|special|>y <|special|> z", "<think>so</think>", "Word word WORD wording aWord Word, word", "  Left  Right  ",
    "\u0130stanbul \u1e9e \u00df \u03a3\u03c2", "!!!??? --- ... \u2014 \u201cquoted\u201d \u2018x\u2019",
    "https://example.com/a?b=c&d=%20#e", "\u00a1\u00bf\u00a7\u00b6 $+<=>^`|~", "CamelCaseWordsHTTPServer lowerUPPER",
    "A'B O'Neill rock'n'roll", "ab", "the the  the   the",
    "supercalifragilisticexpialidocious", "\u00ad\u034f\u200c\u200d", "a\u0300b\u0301c\u0302 \u0301",
    "\U0001d400\U0001d7ce \U00020000\U0002f800",
]
POOL = list(" \n\t\r'.,-_/<>|0123456789abcdefgstmlvdrTHEST") + [
    "the", " and", "'s", "'LL", "\u00e9", "e\u0301", "\u4e2d", "\u0410", "\U0001f600", "\u2581", "\u00a0", "\u3000",
    "\ufb01", "\u0301", "\r\n", "   ", "<s>", "<|endoftext|>", "\uff21", "\u212b", "\u0663", "\u200d",
]


def texts():
    rng = random.Random(7)
    return TEXTS + ["".join(rng.choice(POOL) for _ in range(rng.randrange(3, 40))) for _ in range(50)]


def bpe(lines, size, normalizer=None, pre=None, special=(), alphabet=(), **options):
    tok = Tokenizer(models.BPE())
    if normalizer:
        tok.normalizer = normalizer
    if pre:
        tok.pre_tokenizer = pre
    tok.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(special), initial_alphabet=list(alphabet), limit_alphabet=300,
        show_progress=False, **options))
    return tok


def model_of(tok, **changes):
    data = json.loads(tok.to_str())
    data["model"].update(changes)
    return Tokenizer.from_str(json.dumps(data))


def byte_level(lines, pre, normalizer=None, special=("<|endoftext|>",), size=420, **changes):
    tok = bpe(lines, size, normalizer, pre, special, pre_tokenizers.ByteLevel.alphabet())
    tok.decoder = decoders.ByteLevel()
    return model_of(tok, **changes)


def split(*patterns):
    return [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]


def raw_bytes():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def train_spm(corpus, prefix, **options):
    sentencepiece.SentencePieceTrainer.train(input=corpus, model_prefix=prefix, minloglevel=2, num_threads=1,
                                             max_sentence_length=100000, **options)
    model = proto.ModelProto()
    with open(prefix + ".model", "rb") as file:
        model.ParseFromString(file.read())
    # The training settings are not needed, and name local files.
    kept = (model.trainer_spec.model_type, model.trainer_spec.byte_fallback)
    model.trainer_spec.Clear()
    model.trainer_spec.model_type, model.trainer_spec.byte_fallback = kept
    model.ClearField("self_test_data")
    for suffix in (".model", ".vocab"):
        os.remove(prefix + suffix)
    return model


def bpe_of(model):
    """The merges and vocabulary of a BPE model of SentencePiece, as converters make them."""
    vocab = {piece.piece: i for i, piece in enumerate(model.pieces)}
    scores = {piece.piece: piece.score for piece in model.pieces}
    merges = []
    for piece in vocab:
        local = [(piece[:i], piece[i:]) for i in range(1, len(piece)) if piece[:i] in vocab and piece[i:] in vocab]
        local.sort(key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
        merges += [(left, right, scores[piece]) for left, right in local]
    merges.sort(key=lambda merge: -merge[2])
    return vocab, [(left, right) for left, right, _ in merges]


def spm_decoder(strip):
    parts = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence(parts + ([decoders.Strip(" ", 1, 0)] if strip else []))


def tokenizers(corpus, work):
    """Yields a name, the files and the Tokenizer or SentencePieceProcessor."""
    with open(corpus, encoding="utf-8") as file:
        lines = file.read()[:60000].split("\n")
    lines += [t for t in TEXTS if "<" not in t] * 3
    ByteLevel, Sequence = pre_tokenizers.ByteLevel, pre_tokenizers.Sequence

    yield "gpt2", byte_level(lines, ByteLevel(add_prefix_space=False))
    yield "roberta", byte_level(lines, ByteLevel(add_prefix_space=True), special=("<s>", "</s>"))

    tok = byte_level(lines, Sequence(split(LLAMA3) + [raw_bytes()]), special=(), ignore_merges=True)
    tok.add_special_tokens(["<s>", "<|endoftext|>"])
    tok.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tok.token_to_id("<s>"))])])
    yield "llama3", tok

    tok = byte_level(lines, Sequence(split(QWEN2) + [raw_bytes()]), normalizers.NFC(), special=())
    tok.add_special_tokens(["<|endoftext|>"])
    tok.add_tokens([AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False)])
    yield "qwen2", tok

    yield "starcoder", byte_level(lines, Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                   ByteLevel(add_prefix_space=False)]))
    yield "tekken", byte_level(lines, Sequence(split(TEKKEN) + [raw_bytes()]), ignore_merges=True)
    yield "o200k", byte_level(lines, Sequence(split(O200K) + [raw_bytes()]))
    yield "deepseek", byte_level(lines, Sequence(split(*DEEPSEEK) + [raw_bytes()]))

    normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(),
                                       normalizers.Strip()])
    tok = bpe(lines, 500, normalizer, Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()]), ["<unk>"],
              end_of_word_suffix="</w>")
    # Since 0.23 decoding shows a normalized token as it is after normalization: here that is the same.
    tok = model_of(tok, unk_token="<unk>", fuse_unk=True, end_of_word_suffix="</w>")
    tok.add_tokens([AddedToken("Word", single_word=True, normalized=False), AddedToken("left", lstrip=True),
                    AddedToken("right", rstrip=True),
                    AddedToken("<|special|>", special=True, lstrip=True, rstrip=True)])
    yield "accents", tok

    llama = train_spm(corpus, work + "/bpe", vocab_size=560, model_type="bpe", byte_fallback=True,
                      normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
                      user_defined_symbols=["<think>"])
    processor = sentencepiece.SentencePieceProcessor(model_proto=llama.SerializeToString())
    yield "spm_bpe", (llama, processor)
    vocab, merges = bpe_of(llama)
    marks = normalizers.Replace(" ", "\u2581")
    for name, normalizer, pre, strip in (
            ("llama2", normalizers.Sequence([normalizers.Prepend("\u2581"), marks]), None, True),
            ("mistral", None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), True),
            ("gemma3", marks, pre_tokenizers.Split(" ", "merged_with_previous"), False)):
        tok = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        if normalizer:
            tok.normalizer = normalizer
        if pre:
            tok.pre_tokenizer = pre
        tok.decoder = spm_decoder(strip)
        tok.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in ("<unk>", "<s>", "</s>")])
        tok.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", vocab["<s>"])])
        yield name, tok

    rules = work + "/rules.tsv"
    with open(rules, "w", encoding="utf-8") as file:
        for source, target in (
                ("\ufb01", "fi"), ("\ufb00", "ff"), ("\u00a0", " "), ("\u3000", " "), ("e\u0301", "\u00e9"),
                ("\uff21", "A"), ("\uff22", "B"), ("\u212b", "\u00c5"), ("\u00bd", "1/2"), ("\u200b", ""), ("\n", " "),
                ("\t", " "), ("\r", " "), ("\u1100\u1161", "\uac00"), ("A\u030a", "\u00c5")):
            file.write(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n")
    for name, fallback in (("spm_unigram", False), ("spm_unigram_bytes", True)):
        unigram = train_spm(corpus, work + "/uni", vocab_size=600 if fallback else 400, model_type="unigram",
                            byte_fallback=fallback, normalization_rule_tsv=rules, hard_vocab_limit=False)
        yield name, (unigram, sentencepiece.SentencePieceProcessor(model_proto=unigram.SerializeToString()))
        tok = Tokenizer(models.Unigram([(p.piece, p.score) for p in unigram.pieces], 0, fallback))
        data = json.loads(tok.to_str())
        charsmap = base64.b64encode(unigram.normalizer_spec.precompiled_charsmap).decode()
        data["normalizer"] = {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": charsmap},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}
        tok = Tokenizer.from_str(json.dumps(data))
        tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        tok.decoder = decoders.Metaspace(prepend_scheme="always")
        tok.add_special_tokens(["<unk>", "<s>", "</s>"])
        tok.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
        yield name.replace("spm_", "json_"), tok


def vectors(tok):
    def encode(text):
        return tok.encode(text, add_special_tokens=False).ids

    def special(text):
        return tok.encode(text).ids

    def decode(ids, skip):
        return tok.decode(ids, skip_special_tokens=skip)

    size = tok.get_vocab_size()
    rng = random.Random(11)
    all_texts = texts()
    encoded = [encode(text) for text in all_texts]
    decoded = [decode(ids, False) for ids in encoded]
    ids = [[rng.randrange(size) for _ in range(rng.randrange(1, 24))] for _ in range(30)]
    return {"encoded": encoded, "special": [special(text) for text in all_texts[:12]],
            "decoded": [None if d == t else d for d, t in zip(decoded, all_texts)],
            "ids": ids, "texts": [decode(i, False) for i in ids], "texts_skipped": [decode(i, True) for i in ids]}


def spm_vectors(processor):
    # Runs of bytes that are no text are shown otherwise by the library: only texts are compared.
    encoded = [processor.encode(text) for text in texts()]
    decoded = [processor.decode(ids) for ids in encoded]
    return {"encoded": encoded, "special": [[processor.bos_id()] + ids for ids in encoded[:12]],
            "decoded": [None if d == t else d for d, t in zip(decoded, texts())],
            "ids": [], "texts": [], "texts_skipped": []}


def write(path, data):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data, file, separators=(",", ":"))
        file.write("\n")


def make(corpus, folder):
    write(folder + "/texts.json", texts())
    for name, tok in tokenizers(corpus, folder):
        place = f"{folder}/{name}"
        os.makedirs(place, exist_ok=True)
        if isinstance(tok, tuple):
            model, processor = tok
            with open(place + "/tokenizer.model", "wb") as file:
                file.write(model.SerializeToString())
            write(place + "/vectors.json", spm_vectors(processor))
        else:
            tok.save(place + "/tokenizer.json", pretty=False)
            write(place + "/vectors.json", vectors(tok))
    os.remove(folder + "/rules.tsv")


def check(folder):
    failed = 0
    for name in sorted(os.listdir(folder)):
        place = f"{folder}/{name}"
        if not os.path.isdir(place):
            continue
        if os.path.exists(place + "/tokenizer.model"):
            found = spm_vectors(sentencepiece.SentencePieceProcessor(model_file=place + "/tokenizer.model"))
        else:
            found = vectors(Tokenizer.from_file(place + "/tokenizer.json"))
        with open(place + "/vectors.json", encoding="utf-8") as file:
            same = json.load(file) == found
        failed += not same
        print(f"{name}: {'as committed' if same else 'OTHER VECTORS'}")
    sys.exit(failed > 0)


if sys.argv[1] == "--check":
    check(sys.argv[2])
else:
    make(*sys.argv[1:])
