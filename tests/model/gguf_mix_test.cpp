// The types that a mix chooses are those that llama-quantize chose (tests/gguf/mixes.py).
#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <vector>

#include "model/archive/gguf/mix.h"
#include "model/archive/gguf/types.h"
#include "model_test.h"

using namespace nib::model;

namespace {

struct Frozen {
  MixModel model;
  std::string name;
  std::vector<MixTensor> tensors;
  std::map<std::string, std::vector<std::string>> types;  // by tensor, in each mix
};

std::string fullName(const std::string& name) {
  return (name.find('.') != std::string::npos ? "blk." : "") + name + ".weight";
}

std::vector<Frozen> readFrozen(std::vector<std::string>* mixes) {
  std::ifstream file(NIB_GGUF_MIXES);
  std::vector<Frozen> models;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == "mixes") {
      while (words >> word) mixes->push_back(word);
    } else if (word == "model") {
      Frozen& model = models.emplace_back();
      words >> model.name >> model.model.architecture >> model.model.layers >> model.model.heads >>
          model.model.key_heads >> model.model.experts;
    } else {
      const uint64_t cols = std::stoull(word);
      std::vector<std::string> types(mixes->size());
      for (std::string& type : types) words >> type;
      while (words >> word) {
        models.back().tensors.push_back({fullName(word), cols});
        models.back().types[fullName(word)] = types;
      }
    }
  }
  return models;
}

}  // namespace

TEST_CASE("a mix chooses the types of llama-quantize") {
  std::vector<std::string> mixes;
  std::vector<Frozen> models = readFrozen(&mixes);
  REQUIRE(models.size() >= 11);
  REQUIRE(mixes.size() >= 22);
  size_t compared = 0;
  for (Frozen& frozen : models) {
    for (size_t m = 0; m < mixes.size(); ++m) {
      frozen.model.importance = mixes[m].ends_with('+');
      const GgufMix* mix = findGgufMix(mixes[m].substr(0, mixes[m].find('+')));
      REQUIRE(mix != nullptr);
      const std::map<std::string, uint32_t> chosen = chooseGgufTypes(*mix, frozen.model, frozen.tensors);
      for (const MixTensor& tensor : frozen.tensors) {
        const std::string& wanted = frozen.types[tensor.name][m];
        const auto found = chosen.find(tensor.name);
        const std::string got =
            found != chosen.end() ? findGgmlType(ggufFallback(found->second, tensor.cols))->name : "-";
        CHECK_MESSAGE(got == wanted, frozen.name, " ", mixes[m], " ", tensor.name);
        ++compared;
      }
    }
  }
  CHECK(compared > 20000);
}

TEST_CASE("names of mixes") {
  CHECK(findGgufMix("q4_k_m") == findGgufMix("Q4_K_M"));
  CHECK(findGgufMix("Q4_K") == findGgufMix("Q4_K_M"));
  CHECK(findGgufMix("Q3_K")->file_type == 12);
  CHECK(findGgufMix("Q5_K")->file_type == 17);
  CHECK(findGgufMix("int4") == nullptr);
  CHECK(findGgufMix("Q4_K_") == nullptr);
  CHECK(findGgufMix("") == nullptr);
}

TEST_CASE("rows that fit no block are F16") {
  CHECK(ggufFallback(12, 256) == 12);
  CHECK(ggufFallback(12, 288) == 6);
  CHECK(ggufFallback(12, 80) == 1);
  CHECK(ggufFallback(2, 80) == 1);
  CHECK(ggufFallback(23, 96) == 20);
}
