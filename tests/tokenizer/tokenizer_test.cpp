// Tokenizers whose results were worked out by hand.
#include "tokenizer_files.h"

using namespace nib::model;
using namespace nib::model::test;

namespace {

const char* const kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)";
const char* const kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)";

// Merges that show where words end.
const std::vector<std::string> kMerges = {"a b",         "ab c", "1 2", "12 3", "4 5", "123 45", "\xc4\xa0 \xc4\xa0",
                                          "\xc4\xa0 abc"};

}  // namespace

TEST_CASE("merges are made by rank, then from the left") {
  const Json json = byteLevelJson({"b c", "a b", "bc d", "ab ab"}, kGpt2Json);
  const Tokenizer tokenizer = loadJson(json);
  CHECK(pieces(tokenizer, "abcd") == "|a|bcd|");
  CHECK(pieces(tokenizer, "abab") == "|abab|");
  CHECK(pieces(tokenizer, "ababab") == "|abab|ab|");
  // A long word takes another way to the same result.
  std::string word, expected = "|";
  for (int i = 0; i < 100; ++i) word += "ababab";
  for (int i = 0; i < 150; ++i) expected += "abab|";
  CHECK(pieces(tokenizer, word) == expected);
  CHECK(tokenizer.encode("abcd", false) == Ids{'a', 258});
}

TEST_CASE("ignore_merges takes a word that is a token") {
  Json json = byteLevelJson({"a b", "b c", "a bc"}, kGpt2Json);
  CHECK(pieces(loadJson(json), "abc") == "|ab|c|");
  json["model"]["ignore_merges"] = true;
  CHECK(pieces(loadJson(json), "abc") == "|abc|");
}

TEST_CASE("GPT-2, Llama-3 and Qwen2 divide texts differently") {
  const Tokenizer gpt2 = loadJson(byteLevelJson(kMerges, kGpt2Json));
  const Tokenizer llama3 = loadJson(byteLevelJson(kMerges, splitJson(kLlama3)));
  const Tokenizer qwen2 = loadJson(byteLevelJson(kMerges, splitJson(kQwen2)));
  // GPT-2 takes digits together, Llama-3 three at a time, Qwen2 one at a time.
  CHECK(pieces(gpt2, "12345") == "|12345|");
  CHECK(pieces(llama3, "12345") == "|123|45|");
  CHECK(pieces(qwen2, "12345") == "|1|2|3|4|5|");
  // A run of spaces leaves the last one to the word behind it.
  for (const Tokenizer* tokenizer : {&gpt2, &llama3, &qwen2}) {
    CHECK(pieces(*tokenizer, "abc   abc") == "|abc|  | abc|");
    CHECK(pieces(*tokenizer, "  ") == "|  |");
    CHECK(tokenizer->encode("", true).empty());
  }
  // Contractions of capitals are for GPT-2 an apostrophe and a word: only there can they merge with what follows.
  const std::vector<std::string> merges = {"' S", "S A", "' s", "s a"};
  CHECK(pieces(loadJson(byteLevelJson(merges, kGpt2Json)), "'SA'sa") == "|'|SA|'s|a|");
  CHECK(pieces(loadJson(byteLevelJson(merges, splitJson(kLlama3))), "'SA'sa") == "|'S|A|'s|a|");
}

TEST_CASE("a normalizer composes characters before they are encoded") {
  Json json = byteLevelJson({}, splitJson(kQwen2));
  const std::string decomposed = "e\xcc\x81", composed = "\xc3\xa9";
  CHECK(loadJson(json).encode(decomposed, false).size() == 3);
  for (const std::string form : {"NFC", "NFKC"}) {
    json["normalizer"] = {{"type", form}};
    const Tokenizer tokenizer = loadJson(json);
    CHECK(tokenizer.encode(decomposed, false) == Ids{0xc3, 0xa9});
    CHECK(tokenizer.encode(composed, false) == Ids{0xc3, 0xa9});
  }
  for (const std::string form : {"NFD", "NFKD"}) {
    json["normalizer"] = {{"type", form}};
    CHECK(loadJson(json).encode(composed, false) == Ids{'e', 0xcc, 0x81});
  }
  // Marks are ordered by class; Hangul is composed; compatibility characters stay in NFC.
  json["normalizer"] = {{"type", "NFC"}};
  const Tokenizer nfc = loadJson(json);
  CHECK(nfc.encode("q\xcc\x87\xcc\xa3", false) == nfc.encode("q\xcc\xa3\xcc\x87", false));
  CHECK(nfc.encode("\xe1\x84\x80\xe1\x85\xa1", false) == Ids{0xea, 0xb0, 0x80});
  CHECK(nfc.encode("\xef\xac\x81", false) == Ids{0xef, 0xac, 0x81});
  json["normalizer"] = {{"type", "NFKC"}};
  CHECK(loadJson(json).encode("\xef\xac\x81", false) == Ids{'f', 'i'});
}

TEST_CASE("every byte is encoded and decoded; what is not UTF-8 becomes U+FFFD") {
  const Tokenizer tokenizer = loadJson(byteLevelJson({}, kGpt2Json));
  for (const std::string text : {"\xf0\x9f\x98\x80", "\xe4\xb8\xad\xe6\x96\x87", "a\xcc\x81", "\x01\x7f\t\r\n"}) {
    const Ids ids = tokenizer.encode(text, false);
    CHECK(ids.size() == text.size());
    CHECK(tokenizer.decode(ids, false) == text);
  }
  const Ids replacement = {0xef, 0xbf, 0xbd};
  for (const std::string broken : {"\xff", "\xc3", "\xe4\xb8", "\xf0\x9f\x98", "\x80"}) {
    CHECK(tokenizer.encode(broken, false) == replacement);
  }
  // One for each byte that cannot begin or continue a character.
  CHECK(tokenizer.encode("\xed\xa0\x80", false).size() == 9);
  CHECK(tokenizer.encode("\xc0\xaf", false).size() == 6);
  CHECK(tokenizer.encode(std::string("\0", 1), false) == Ids{0});
  CHECK(tokenizer.decode(Ids{0xe4, 0xb8, 'a', 0xff}, false) ==
        "\xef\xbf\xbd"
        "a\xef\xbf\xbd");
}

TEST_CASE("a stream shows whole characters, as soon as they are complete") {
  const Tokenizer tokenizer = loadJson(byteLevelJson({}, kGpt2Json));
  TextStream stream(tokenizer, false);
  CHECK(stream.push('a') == "a");
  CHECK(stream.push(0xf0).empty());
  CHECK(stream.push(0x9f).empty());
  CHECK(stream.push(0x98).empty());
  CHECK(stream.push(0x80) == "\xf0\x9f\x98\x80");
  CHECK(stream.push(0xe4).empty());
  CHECK(stream.push('b') ==
        "\xef\xbf\xbd"
        "b");
  CHECK(stream.push(0xc3).empty());
  CHECK(stream.finish() == "\xef\xbf\xbd");
  CHECK(stream.push('c') == "c");  // a new text
  CHECK(stream.push(4000).empty());
  CHECK(stream.finish().empty());
}

TEST_CASE("added tokens are found before the model sees the text") {
  Json json = byteLevelJson(kMerges, kGpt2Json);
  addToken(json, 300, "<|end|>", {{"special", true}});
  addToken(json, 301, "<|end|><|more|>", {{"special", true}});
  addToken(json, 302, "yz", {{"single_word", true}, {"normalized", false}});
  addToken(json, 303, "<l>", {{"lstrip", true}, {"normalized", false}});
  addToken(json, 304, "<r>", {{"rstrip", true}, {"normalized", false}});
  const Tokenizer tokenizer = loadJson(json);
  CHECK(tokenizer.size() == 305);
  CHECK(tokenizer.isSpecial(300));
  CHECK(!tokenizer.isSpecial(302));
  CHECK(tokenizer.token(299) == nullptr);
  CHECK(tokenizer.find("<l>") == 303u);
  CHECK(tokenizer.encode("1<|end|>2", false) == Ids{'1', 300, '2'});
  CHECK(tokenizer.encode("<|end|><|more|>", false) == Ids{301});  // the longest
  CHECK(tokenizer.encode("yz xyz yz", false) == Ids{302, ' ', 'x', 'y', 'z', ' ', 302});
  CHECK(tokenizer.encode("a  <l> b", false) == Ids{'a', 303, ' ', 'b'});
  CHECK(tokenizer.encode("a <r> \n b", false) == Ids{'a', ' ', 304, 'b'});
  CHECK(tokenizer.decode(Ids{'a', 300, 304}, false) == "a<|end|><r>");
  CHECK(tokenizer.decode(Ids{'a', 300, 304}, true) == "a<r>");
  // As ordinary text on request.
  CHECK(tokenizer.encode("<|end|>", false, false) == Ids{'<', '|', 'e', 'n', 'd', '|', '>'});
  CHECK(tokenizer.encode("<r>", false, false) == Ids{304});
}

TEST_CASE("normalized added tokens are found in the normalized text, by their normalized form") {
  Json json = byteLevelJson({}, kGpt2Json);
  json["normalizer"] = {{"type", "Lowercase"}};
  addToken(json, 300, "Abc", {{"normalized", true}});
  addToken(json, 301, "Xyz", {{"normalized", false}});
  const Tokenizer tokenizer = loadJson(json);
  CHECK(tokenizer.encode("ABC", false) == Ids{300});
  CHECK(tokenizer.encode("Xyz", false) == Ids{301});
  CHECK(tokenizer.encode("XYZ", false) == Ids{'x', 'y', 'z'});
}

TEST_CASE("special tokens and stop ids are those of the configuration files") {
  Json json = byteLevelJson({}, kGpt2Json);
  addToken(json, 300, "<s>", {{"special", true}});
  addToken(json, 301, "</s>", {{"special", true}});
  addToken(json, 302, "<|eot|>", {{"special", true}});
  const std::string text = json.dump();
  const Tokenizer bare = loadJson(json);
  CHECK(!bare.bos());
  CHECK(bare.stopIds().empty());
  CHECK(bare.encode("a", true) == Ids{'a'});

  const Tokenizer configured = loadFiles(
      {{"tokenizer.json", text},
       {"tokenizer_config.json", R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "add_bos_token": true})"},
       {"generation_config.json", R"({"eos_token_id": [301, 302]})"},
       {"config.json", R"({"bos_token_id": 7, "eos_token_id": 8})"}});
  CHECK(configured.bos() == 300u);
  CHECK(configured.eos() == 301u);
  CHECK(configured.stopIds() == Ids{301, 302});
  CHECK(configured.encode("a", true) == Ids{300, 'a'});
  CHECK(configured.encode("a", false) == Ids{'a'});

  // null says that there is none; then the ids of the other files do not count.
  const Tokenizer none = loadFiles({{"tokenizer.json", text},
                                    {"tokenizer_config.json", R"({"bos_token": null})"},
                                    {"config.json", R"({"bos_token_id": 300, "eos_token_id": 301})"}});
  CHECK(!none.bos());
  CHECK(none.eos() == 301u);
  CHECK(none.stopIds() == Ids{301});

  // Tokens that only tokenizer_config.json has.
  const Tokenizer more = loadFiles(
      {{"tokenizer.json", text},
       {"tokenizer_config.json", R"({"added_tokens_decoder": {"310": {"content": "<tool>", "special": false}}})"}});
  CHECK(more.encode("<tool>", false) == Ids{310});
}

TEST_CASE("a template adds tokens around the text") {
  Json json = byteLevelJson({}, kGpt2Json);
  addToken(json, 300, "<s>", {{"special", true}});
  addToken(json, 301, "</s>", {{"special", true}});
  json["post_processor"] = Json::parse(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "</s>", "type_id": 0}}],
    "pair": [],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [300], "tokens": ["<s>"]},
                       "</s>": {"id": "</s>", "ids": [301], "tokens": ["</s>"]}}})");
  const Tokenizer tokenizer = loadFiles(
      {{"tokenizer.json", json.dump()}, {"tokenizer_config.json", R"({"bos_token": "<s>", "add_bos_token": true})"}});
  CHECK(tokenizer.encode("a", true) == Ids{300, 'a', 301});  // one <s>, not two
  CHECK(tokenizer.before() == Ids{300});
  CHECK(tokenizer.after() == Ids{301});
  json["post_processor"] = Json::parse(R"({"type": "RobertaProcessing", "sep": ["</s>", 301], "cls": ["<s>", 300]})");
  CHECK(loadJson(json).encode("a", true) == Ids{300, 'a', 301});
}

TEST_CASE("unknown characters become the unknown token, or an error if there is none") {
  Json json;
  json["model"] = {{"type", "BPE"}, {"vocab", {{"<unk>", 0}, {"a", 1}, {"b", 2}}}, {"merges", Json::array()}};
  NIB_CHECK_ERROR("no token for \"x\"", loadJson(json).encode("axb", false));
  json["model"]["unk_token"] = "<unk>";
  CHECK(loadJson(json).encode("axyb", false) == Ids{1, 0, 0, 2});
  json["model"]["fuse_unk"] = true;
  CHECK(loadJson(json).encode("axyb", false) == Ids{1, 0, 2});
}

TEST_CASE("Unigram takes the best sum of scores, and the first of equal ways") {
  Json json;
  json["model"] = {{"type", "Unigram"},
                   {"unk_id", 0},
                   {"vocab", Json::parse(R"([["<unk>", 0], ["a", 0], ["b", 0], ["c", 0], ["d", 0], ["cd", 1], ["ab", 2],
                                             ["abc", 5], ["abcd", 10]])")}};
  const Tokenizer tokenizer = loadJson(json);
  CHECK(tokenizer.encode("abcd", false) == Ids{8});
  CHECK(tokenizer.encode("abcdacdxx", false) == Ids{8, 1, 5, 0});
  CHECK(tokenizer.encode("x", false) == Ids{0});
  CHECK(tokenizer.decode(Ids{8, 1}, false) == "abcd a");  // without a decoder
}

TEST_CASE("SentencePiece models: added tokens and the space in front") {
  const fs::path model = fs::path(NIB_TOKENIZER_DATA) / "spm_bpe/tokenizer.model";
  const std::string bytes = readText(model);
  const Tokenizer plain = loadFiles({{"tokenizer.model", bytes}});
  CHECK(plain.bos() == 1u);
  CHECK(plain.eos() == 2u);
  const Ids god = plain.encode("God", false);
  CHECK(plain.decode(god, false) == "God");
  CHECK(plain.encode("God", true).size() == god.size() + 1);
  const std::string added = R"("added_tokens_decoder": {"2": {"content": "</s>", "special": true, "normalized": false},
                                                        "900": {"content": "<tool>", "special": false}})";
  // Legacy: the space is put in front of every piece of text.
  const Tokenizer legacy = loadFiles({{"tokenizer.model", bytes}, {"tokenizer_config.json", "{" + added + "}"}});
  Ids expected = {900};
  expected.insert(expected.end(), god.begin(), god.end());
  CHECK(legacy.encode("<tool>God", false) == expected);
  CHECK(legacy.size() == 901);
  CHECK(legacy.encode("</s>", false) == Ids{2});
  const Tokenizer modern =
      loadFiles({{"tokenizer.model", bytes}, {"tokenizer_config.json", "{\"legacy\": false, " + added + "}"}});
  CHECK(modern.encode("God", false) == god);
  CHECK(modern.encode("<tool>God", false) != expected);
  CHECK(modern.decode(modern.encode("<tool>God", false), false) == "<tool>God");
  CHECK(loadFiles({{"tokenizer.model", bytes}, {"tokenizer_config.json", R"({"add_bos_token": false})"}})
            .encode("God", true) == god);
  NIB_CHECK_ERROR("\"T5Tokenizer\"", loadFiles({{"tokenizer.model", bytes},
                                                {"tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer"})"}}));
}
