// Token ids from text, JSON lines and .npy files.
#include "model/tokenizer/inputs.h"
#include "tokenizer_files.h"

using namespace nib::model;
using namespace nib::model::test;

namespace {

template <class Id>
std::string npy(const std::string& type, const std::string& shape, const std::vector<Id>& values) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize((header.size() + 11 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  std::string text = "\x93NUMPY\x01";
  text += '\0';
  text += char(header.size() & 255);
  text += char(header.size() >> 8);
  text += header;
  if (!values.empty()) text.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Id));
  return text;
}

}  // namespace

TEST_CASE("ids are read from .npy files of every integer type, without a tokenizer") {
  const TempFolder folder;
  const auto load = [&](const std::string& text) {
    writeText(folder / "ids.npy", text);
    return loadTokens(folder / "ids.npy", nullptr);
  };
  const Ids ids = {1, 2, 65535};
  CHECK(load(npy<uint16_t>("<u2", "(3,)", {1, 2, 65535})).ids == ids);
  CHECK(load(npy<uint32_t>("<u4", "(3,)", {1, 2, 65535})).ids == ids);
  CHECK(load(npy<int32_t>("<i4", "(3,)", {1, 2, 65535})).ids == ids);
  const TokenInput rows = load(npy<int64_t>("<i8", "(2, 3)", {1, 2, 3, 4, 5, 6}));
  CHECK(rows.ids == Ids{1, 2, 3, 4, 5, 6});
  CHECK(rows.row_tokens == 3);
  CHECK(load(npy<int32_t>("<i4", "(0,)", {})).ids.empty());

  NIB_CHECK_ERROR("value 1 is -5, which is not a token id", load(npy<int64_t>("<i8", "(2,)", {1, -5})));
  NIB_CHECK_ERROR("value 0 is 4294967296", load(npy<int64_t>("<i8", "(1,)", {int64_t{1} << 32})));
  NIB_CHECK_ERROR("value 0 is 4294967295", load(npy<uint32_t>("<u4", "(1,)", {0xffffffff})));
  NIB_CHECK_ERROR("has 3 dimensions", load(npy<int32_t>("<i4", "(1, 1, 1)", {1})));
  NIB_CHECK_ERROR("token ids are", load(npy<float>("<f4", "(1,)", {1})));
  NIB_CHECK_ERROR("token ids are", load(npy<int32_t>(">i4", "(1,)", {1})));
  NIB_CHECK_ERROR("is not an .npy file", load("one two three four"));
}

TEST_CASE("text files are encoded as a whole, and lines of JSON joined by an empty line") {
  const TempFolder folder;
  Json json = byteLevelJson({"\xc4\x8a \xc4\x8a"}, kGpt2Json);
  addToken(json, 300, "<s>", {{"special", true}});
  const Tokenizer tokenizer = loadFiles(
      {{"tokenizer.json", json.dump()}, {"tokenizer_config.json", R"({"bos_token": "<s>", "add_bos_token": true})"}});
  const auto load = [&](const std::string& name, const std::string& text) {
    writeText(folder / name, text);
    return loadTokens(folder / name, &tokenizer).ids;
  };
  CHECK(load("a.txt", "a\nb\n") == Ids{300, 'a', '\n', 'b', '\n'});
  CHECK(load("a", "") == Ids{300});
  CHECK(loadTokens(folder / "a.txt", &tokenizer, false).ids == Ids{'a', '\n', 'b', '\n'});
  const std::string lines = "{\"text\": \"a\\u00e9\"}\r\n\n{\"id\": [1, {}], \"text\": \"b\"}\n{\"text\": \"\"}";
  // GPT-2's pattern leaves the last line end before a word alone.
  CHECK(load("a.JSONL", lines) == Ids{300, 'a', 0xc3, 0xa9, '\n', '\n', 'b', 256});

  NIB_CHECK_ERROR("line 2: has no \"text\"", load("b.jsonl", "{\"text\": \"a\"}\n{\"txt\": \"b\"}\n"));
  NIB_CHECK_ERROR("line 1", load("b.jsonl", "{\"text\": \"a\""));
  NIB_CHECK_ERROR("line 1.text: expected a string", load("b.jsonl", "{\"text\": 5}"));
  NIB_CHECK_ERROR("expected an object with \"text\"", load("b.jsonl", "\"text\""));
  NIB_CHECK_ERROR("has no lines", load("b.jsonl", "\n \n"));
  NIB_CHECK_ERROR("byte 1 is not UTF-8", load("b.txt", "a\xff"));
  NIB_CHECK_ERROR("there is no tokenizer", loadTokens(folder / "a.txt", nullptr));
  NIB_CHECK_ERROR("No such file", loadTokens(folder / "missing.txt", &tokenizer));
}

TEST_CASE("the sample model's text and ids are one input") {
  const fs::path model = NIB_SAMPLE_MODEL;
  const Tokenizer tokenizer = loadTokenizer(model);
  for (const std::string name : {"test", "calib"}) {
    const TokenInput ids = loadTokens(model / (name + "_ids.npy"), nullptr);
    CHECK(ids.row_tokens == 0);
    CHECK((loadTokens(model / (name + ".txt"), &tokenizer).ids == ids.ids));
  }
}
