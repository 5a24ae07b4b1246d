// Broken and unsupported tokenizers: one line that names the place, and never a crash.
#include "model/tokenizer/text.h"
#include "tokenizer_files.h"

#include <functional>
#include <random>

using namespace nib::model;
using namespace nib::model::test;

namespace {

// Loads a changed tokenizer and encodes with it.
std::string failure(const std::function<void(Json&)>& change) {
  Json json = byteLevelJson({"a b"}, kGpt2Json);
  addToken(json, 300, "<s>", {{"special", true}});
  change(json);
  return errorOf([&] { loadJson(json); });
}

const char kUnigram[] = R"({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1]]}})";

std::string textFailure(const std::string& text) {
  return errorOf([&] { loadFiles({{"tokenizer.json", text}}); });
}

}  // namespace

TEST_CASE("what is not understood is refused by name") {
  CHECK(failure([](Json&) {}).empty());
  struct Case {
    const char* part;
    std::function<void(Json&)> change;
  };
  const std::vector<Case> cases = {
      {R"(normalizer: the normalizer "Nmt" is not supported)",
       [](Json& j) {
         j["normalizer"] = {{"type", "Nmt"}};
       }},
      {R"(normalizer.normalizers[1]: the normalizer "Nmt")",
       [](Json& j) {
         j["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Nmt"}}}}};
       }},
      {R"(pre_tokenizer: the pre_tokenizer "UnicodeScripts")",
       [](Json& j) {
         j["pre_tokenizer"] = {{"type", "UnicodeScripts"}};
       }},
      {R"(decoder: the decoder "BPEDecoder")",
       [](Json& j) {
         j["decoder"] = {{"type", "BPEDecoder"}};
       }},
      {R"(decoder.decoders[1]: the decoder "CTC")",
       [](Json& j) {
         j["decoder"] = {{"type", "Sequence"}, {"decoders", {{{"type", "Fuse"}}, {{"type", "CTC"}}}}};
       }},
      {R"(post_processor: the post_processor "Mystery")",
       [](Json& j) {
         j["post_processor"] = {{"type", "Mystery"}};
       }},
      {R"(model: the model type "WordLevel")", [](Json& j) { j["model"]["type"] = "WordLevel"; }},
      {"model: has merges, which a WordPiece model has not",
       [](Json& j) {
         j["model"]["type"] = "WordPiece";
         j["model"]["unk_token"] = "a";
       }},
      {R"(normalizer: has the unknown setting "speed")",
       [](Json& j) {
         j["normalizer"] = {{"type", "BertNormalizer"}, {"speed", 1}};
       }},
      {R"(model: has the unknown setting "surprise")", [](Json& j) { j["model"]["surprise"] = 1; }},
      {R"(has the unknown setting "surprise")", [](Json& j) { j["surprise"] = 1; }},
      {R"(pre_tokenizer: has the unknown setting "speed")", [](Json& j) { j["pre_tokenizer"]["speed"] = 1; }},
      {R"(version: is "2.0")", [](Json& j) { j["version"] = "2.0"; }},
      {"model.dropout: is not 0", [](Json& j) { j["model"]["dropout"] = 0.1; }},
      {"the behavior \"Sideways\"",
       [](Json& j) {
         j["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"String", "a"}}}, {"behavior", "Sideways"}};
       }},
      {"pre_tokenizer.pattern.Regex: the pattern \"\\\\bx\"",
       [](Json& j) {
         j["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", "\\bx"}}}, {"behavior", "Isolated"}};
       }},
      {"after Fuse or ByteLevel",
       [](Json& j) {
         j["decoder"] = {{"type", "Sequence"}, {"decoders", {{{"type", "Fuse"}}, {{"type", "ByteFallback"}}}}};
       }},
  };
  for (const Case& c : cases) {
    const std::string text = failure(c.change);
    CHECK_MESSAGE(contains(text, c.part), text);
    CHECK_MESSAGE(contains(text, "tokenizer.json: "), text);
  }
}

TEST_CASE("contradictions are refused") {
  CHECK(contains(failure([](Json& j) { j["model"]["merges"].push_back("a zz"); }),
                 "merge 1 of \"a\" and \"zz\" has a part or a product that is not in the vocabulary"));
  CHECK(contains(failure([](Json& j) { j["model"]["merges"].push_back("b a"); }), "merge 1 of \"b\" and \"a\""));
  CHECK(contains(failure([](Json& j) { j["model"]["merges"].push_back("abc"); }), "is not two tokens with a space"));
  CHECK(contains(failure([](Json& j) { j["model"]["merges"].push_back({"a", "b", "c"}); }), "a merge of two tokens"));
  CHECK(contains(failure([](Json& j) { j["model"]["merges"].push_back(7); }), "expected a string: a merge"));
  CHECK(contains(failure([](Json& j) { j["model"]["vocab"]["new"] = 97; }),
                 "has the id 97, which is also that of \"a\""));
  CHECK(contains(failure([](Json& j) { j["model"]["vocab"]["new"] = -1; }), "its id is negative"));
  CHECK(contains(failure([](Json& j) { j["model"]["vocab"]["new"] = 1.5; }), "whole number"));
  CHECK(contains(failure([](Json& j) { j["model"]["vocab"]["new"] = 4000000000u; }), "16777216 or more"));
  CHECK(contains(failure([](Json& j) { j["model"]["vocab"] = 3; }), "expected an object"));
  CHECK(contains(failure([](Json& j) { j["model"].erase("vocab"); }), "has no \"vocab\""));
  CHECK(contains(failure([](Json& j) { j["model"].erase("merges"); }), "has no \"merges\""));
  CHECK(contains(failure([](Json& j) { j.erase("model"); }), "has no \"model\""));
  CHECK(contains(failure([](Json& j) { j["model"]["unk_token"] = "zz"; }), "is not a token of the vocabulary"));
  CHECK(contains(failure([](Json& j) { j["model"]["fuse_unk"] = "yes"; }), "model.fuse_unk: expected true or false"));
  CHECK(contains(failure([](Json& j) { addToken(j, 97, "<x>"); }), "has the id 97, which is also that of \"a\""));
  CHECK(contains(failure([](Json& j) { addToken(j, 400, "a"); }), "has the id 400, but 97 in the vocabulary"));
  CHECK(contains(failure([](Json& j) { addToken(j, 400, "<s>"); }), "is added twice"));
  CHECK(contains(failure([](Json& j) { addToken(j, 300, "<t>"); }), "which is also that of \"<s>\""));
  CHECK(contains(failure([](Json& j) { addToken(j, 400, ""); }), "is empty"));
  CHECK(contains(failure([](Json& j) { addToken(j, 4000000, "x", {{"special", 1}}); }), "expected true or false"));
  CHECK(contains(failure([](Json& j) { addToken(j, 2000000000, "x"); }), "16777216 or more"));
  CHECK(contains(failure([](Json& j) { j["added_tokens"] = "no"; }), "added_tokens: expected a list"));
  CHECK(contains(failure([](Json& j) { j["normalizer"] = 1; }), "normalizer: expected an object"));
  CHECK(contains(failure([](Json& j) { j["normalizer"] = Json::object(); }), "normalizer: has no \"type\""));
  CHECK(contains(failure([](Json& j) {
                   j["post_processor"] = {{"type", "RobertaProcessing"}, {"sep", {"<s>", 97}}, {"cls", {"<s>", 300}}};
                 }),
                 "is not the id of the token \"<s>\""));
  CHECK(contains(failure([](Json& j) {
                   j["post_processor"] = {{"type", "TemplateProcessing"},
                                          {"single", {{{"SpecialToken", {{"id", "<q>"}}}}}},
                                          {"special_tokens", Json::object()}};
                 }),
                 "that special_tokens lacks"));

  CHECK(textFailure(kUnigram).empty());
  CHECK(contains(textFailure(replaced(kUnigram, "\"unk_id\": 0", "\"unk_id\": 2")), "is not an id of the vocabulary"));
  CHECK(contains(textFailure(replaced(kUnigram, "\"unk_id\": 0,", "")), "has no \"unk_id\""));
  CHECK(contains(textFailure(replaced(kUnigram, "\"a\"", "\"<unk>\"")), "appears twice"));
  CHECK(contains(textFailure(replaced(kUnigram, "-1", "1e999")), "expected a finite number"));
  CHECK(contains(textFailure(replaced(kUnigram, ", -1", "")), "expected the score"));
  CHECK(contains(textFailure(replaced(kUnigram, "-1]", "-1, 2]")), "a token and its score only"));
  CHECK(contains(textFailure(replaced(kUnigram, "Unigram", "BPE")), "is not that of the type BPE"));
}

TEST_CASE("damaged text is refused") {
  for (const std::string& text : {std::string(), std::string("[]"), std::string("{"), std::string("{\"model\": {}}"),
                                  std::string("{\"model\": 1}"), std::string("null"), std::string("{} x"),
                                  "{\"normalizer\": " + std::string(100000, '[') + "}",
                                  "{\"model\": {\"vocab\": " + std::string(100000, '[') + "}}",
                                  std::string("{\"model\": {\"vocab\": {\"a\": 0, \"a\": 1}, \"merges\": []}}"),
                                  std::string("{\"version\": \"1.0\", \"version\": \"1.0\"}"),
                                  std::string("{\"model\": {\"vocab\": {\"\xff\": 0}, \"merges\": []}}")}) {
    CHECK(!textFailure(text).empty());
  }
  NIB_CHECK_ERROR("neither tokenizer.json nor tokenizer.model nor vocab.txt", loadFiles({{"config.json", "{}"}}));
  const std::string text = kUnigram;
  for (size_t size = 0; size < text.size(); ++size) CHECK(!textFailure(text.substr(0, size)).empty());
}

TEST_CASE("configuration files with wrong contents are refused") {
  Json json = byteLevelJson({}, kGpt2Json);
  const auto with = [&](const std::string& name, const std::string& text) {
    return errorOf([&] { loadFiles({{"tokenizer.json", json.dump()}, {name, text}}); });
  };
  CHECK(contains(with("tokenizer_config.json", R"({"bos_token": "<nope>"})"), "\"<nope>\", which is not a token"));
  CHECK(contains(with("tokenizer_config.json", R"({"bos_token": 3})"), "expected a string"));
  CHECK(contains(with("tokenizer_config.json", R"({"add_bos_token": true})"), "there is no such token"));
  CHECK(contains(with("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "y"}}})"), "not an id"));
  CHECK(contains(with("tokenizer_config.json", R"({"added_tokens_decoder": {"9": {"content": "a"}}})"),
                 "whose id is 97"));
  CHECK(contains(with("generation_config.json", R"({"eos_token_id": "2"})"), "expected a number"));
  CHECK(contains(with("generation_config.json", R"({"eos_token_id": [2, -1]})"), "expected a whole number"));
  CHECK(contains(with("config.json", "[]"), "expected an object"));
  CHECK(contains(with("config.json", "{"), "config.json"));
}

TEST_CASE("vocab.txt that is not a whole vocabulary of BERT is refused") {
  const std::string lines = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\r\n";
  const auto failureOf = [](const std::string& vocabulary, const std::string& config) {
    return errorOf([&] { loadFiles({{"vocab.txt", vocabulary}, {"tokenizer_config.json", config}}); });
  };
  CHECK(failureOf(lines, "{}").empty());
  CHECK(loadFiles({{"vocab.txt", lines}}).encode("A ab abb c", true) == Ids{2, 5, 5, 6, 5, 6, 6, 1, 3});
  CHECK(contains(failureOf(replaced(lines, "[CLS]\n", ""), "{}"), "vocab.txt: has no token \"[CLS]\", the cls_token"));
  CHECK(contains(failureOf(lines + "a\n", "{}"), "vocab.txt: line 8: token \"a\" appears twice"));
  CHECK(contains(failureOf(lines + "\xff\n", "{}"), "vocab.txt: is not UTF-8"));
  CHECK(contains(failureOf(lines, R"({"tokenizer_class": "EsmTokenizer"})"), "is \"EsmTokenizer\", whose vocab.txt"));
  CHECK(contains(failureOf(lines, R"({"do_basic_tokenize": false})"), "do_basic_tokenize: is false"));
  CHECK(contains(failureOf(lines, R"({"do_lower_case": 1})"), "expected true or false"));
  CHECK(contains(failureOf(lines, R"({"mask_token": "<mask>"})"), "has no token \"<mask>\", the mask_token"));
}

TEST_CASE("random damage never crashes") {
  std::mt19937 random(5);
  const fs::path data = NIB_TOKENIZER_DATA;
  const std::string text = readText(data / "json_unigram/tokenizer.json");
  const std::string small = R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace",
    "pattern": {"Regex": "a+"}, "content": "b"}]}, "pre_tokenizer": {"type": "Metaspace"}, "decoder": {"type":
    "Metaspace"}, "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1]]}, "added_tokens": [
    {"id": 2, "content": "<x>", "lstrip": true}]})";
  const auto use = [](const std::string& name, const std::string& bytes) {
    static_cast<void>(errorOf([&] {
      const Tokenizer tokenizer = loadFiles({{name, bytes}});
      const Ids ids = tokenizer.encode("a<x> \xe4\xb8\xad  e\xcc\x81 the end\xff", true);
      static_cast<void>(tokenizer.decode(ids, false));
    }));
  };
  const auto damaged = [&](std::string bytes) {
    for (uint32_t n = 1 + random() % 3; n > 0; --n) bytes[random() % bytes.size()] = char(random());
    return bytes;
  };
  for (int i = 0; i < 2000; ++i) use("tokenizer.json", damaged(small));
  // The table of characters, in base64.
  const size_t begin = text.find("precompiled_charsmap") + 24, end = text.find('"', begin);
  for (int i = 0; i < 300; ++i) {
    std::string changed = text;
    changed[begin + random() % (end - begin)] = char('A' + random() % 26);
    use("tokenizer.json", changed);
  }
  for (const char* name : {"spm_bpe", "spm_unigram", "spm_unigram_bytes"}) {
    const std::string model = readText(data / name / "tokenizer.model");
    for (int i = 0; i < 150; ++i) use("tokenizer.model", damaged(model));
    for (size_t size = 0; size < model.size(); size += 1 + model.size() / 200)
      use("tokenizer.model", model.substr(0, size));
  }
}

TEST_CASE("damaged SentencePiece models are refused") {
  const std::string model = readText(fs::path(NIB_TOKENIZER_DATA) / "spm_unigram/tokenizer.model");
  NIB_CHECK_ERROR("is not a SentencePiece model", loadFiles({{"tokenizer.model", "not a model"}}));
  NIB_CHECK_ERROR("has no pieces", loadFiles({{"tokenizer.model", ""}}));
  NIB_CHECK_ERROR("ends within", loadFiles({{"tokenizer.model", model.substr(0, model.size() - 1)}}));
  // A second piece "<unk>", and a table of characters that leads nowhere.
  NIB_CHECK_ERROR("twice", loadFiles({{"tokenizer.model", model + "\x0a\x07\x0a\x05<unk>"}}));
  NIB_CHECK_ERROR("its table of characters",
                  loadFiles({{"tokenizer.model", model + "\x1a\x07\x12\x05\x01\x02\x03\x04\x05"}}));
  NIB_CHECK_ERROR("model type CHAR", loadFiles({{"tokenizer.model", model + "\x12\x02\x18\x04"}}));
}
