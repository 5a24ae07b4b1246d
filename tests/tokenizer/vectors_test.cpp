// The vectors of make.py and make_wordpiece.py: ids and texts of the tokenizers, sentencepiece and transformers
// packages.
#include "tokenizer_files.h"

#include <algorithm>

using namespace nib::model;
using namespace nib::model::test;

namespace {

Json readJson(const fs::path& path) { return Json::parse(readText(path)); }

std::string streamed(const Tokenizer& tokenizer, const Ids& ids, bool skip_special) {
  TextStream stream(tokenizer, skip_special);
  std::string text;
  for (const uint32_t id : ids) {
    const std::string piece = stream.push(id);
    CHECK(findInvalidUtf8(piece) == std::string::npos);
    text += piece;
  }
  return text + stream.finish();
}

// Compares the tokenizers of a folder with their vectors; returns their number.
uint32_t checkVectors(const fs::path& data) {
  const Json texts = readJson(data / "texts.json");
  uint32_t tokenizers = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(data)) {
    if (!entry.is_directory()) continue;
    const std::string name = entry.path().filename().native();
    CAPTURE(name);
    ++tokenizers;
    const Tokenizer tokenizer = loadTokenizer(entry.path());
    const Json vectors = readJson(entry.path() / "vectors.json");
    REQUIRE(vectors["encoded"].size() == texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::string text = texts[i];
      CAPTURE(text);
      const Ids ids = vectors["encoded"][i];
      CHECK(tokenizer.encode(text, false) == ids);
      const Json& decoded = vectors["decoded"][i];
      const std::string expected = decoded.is_null() ? text : decoded.get<std::string>();
      // The library shows the unknown token as " ⁇ ", which is not its text.
      if (expected.find("\xe2\x81\x87") == std::string::npos) CHECK(tokenizer.decode(ids, false) == expected);
      if (i < vectors["special"].size()) CHECK(tokenizer.encode(text, true) == vectors["special"][i].get<Ids>());
    }
    for (size_t i = 0; i < vectors["ids"].size(); ++i) {
      const Ids ids = vectors["ids"][i];
      CAPTURE(vectors["ids"][i].dump());
      CHECK(tokenizer.decode(ids, false) == vectors["texts"][i].get<std::string>());
      CHECK(tokenizer.decode(ids, true) == vectors["texts_skipped"][i].get<std::string>());
      CHECK(streamed(tokenizer, ids, false) == vectors["texts"][i].get<std::string>());
      CHECK(streamed(tokenizer, ids, true) == vectors["texts_skipped"][i].get<std::string>());
    }
  }
  return tokenizers;
}

}  // namespace

TEST_CASE("ids and texts are those of the tokenizers and sentencepiece packages") {
  CHECK(checkVectors(NIB_TOKENIZER_DATA) >= 17);
}

TEST_CASE("WordPiece: ids and texts are those of transformers") {
  const fs::path data = NIB_WORDPIECE_DATA;
  CHECK(checkVectors(data) == 4);
  for (const char* name : {"uncased", "vocab_cased"}) {
    const Tokenizer tokenizer = loadTokenizer(data / name);
    CHECK(tokenizer.mask() == 4u);
    CHECK(tokenizer.before() == Ids{2});
    CHECK(tokenizer.after() == Ids{3});
  }
}

TEST_CASE("the sample model's cases, and its texts as a whole") {
  const fs::path model = NIB_SAMPLE_MODEL;
  const Tokenizer tokenizer = loadTokenizer(model);
  CHECK(tokenizer.size() == 1024);
  CHECK(tokenizer.bos() == 0u);
  CHECK(tokenizer.eos() == 0u);
  CHECK(tokenizer.stopIds() == Ids{0});
  const Json cases = readJson(model / "tokenizer_cases.json");
  REQUIRE(!cases.empty());
  for (const Json& item : cases) {
    const std::string text = item["text"];
    CAPTURE(text);
    CHECK(tokenizer.encode(text, true) == item["ids"].get<Ids>());
    CHECK(tokenizer.decode(item["ids"].get<Ids>(), false) == text);
  }
  for (const std::string name : {"test", "calib"}) {
    const std::string npy = readText(model / (name + "_ids.npy"));
    Ids ids;
    const size_t begin = 10 + static_cast<unsigned char>(npy[8]) + 256u * static_cast<unsigned char>(npy[9]);
    for (size_t at = begin; at < npy.size(); at += 4) {
      uint32_t id = 0;
      for (size_t i = 0; i < 4; ++i) id |= uint32_t(static_cast<unsigned char>(npy[at + i])) << (8 * i);
      ids.push_back(id);
    }
    const std::string text = readText(model / (name + ".txt"));
    CHECK((tokenizer.encode(text, true) == ids));
    CHECK((tokenizer.decode(ids, false) == text));
    CHECK((streamed(tokenizer, ids, false) == text));
  }
}
