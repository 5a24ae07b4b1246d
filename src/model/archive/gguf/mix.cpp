#include "model/archive/gguf/mix.h"

#include "model/archive/gguf/types.h"

#include <algorithm>
#include <vector>

namespace nib::model {
namespace {

// ids of ggml
enum Type : uint32_t {
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2K = 10,
  kQ3K = 11,
  kQ4K = 12,
  kQ5K = 13,
  kQ6K = 14,
  kIq4Nl = 20,
  kIq4Xs = 23,
  kMxfp4 = kGgmlMxfp4
};

// general.file_type
enum FileType : uint32_t {
  kMixQ4_0 = 2,
  kMixQ4_1 = 3,
  kMixQ8_0 = 7,
  kMixQ5_0 = 8,
  kMixQ5_1 = 9,
  kMixQ2K = 10,
  kMixQ3KS = 11,
  kMixQ3KM = 12,
  kMixQ3KL = 13,
  kMixQ4KS = 14,
  kMixQ4KM = 15,
  kMixQ5KS = 16,
  kMixQ5KM = 17,
  kMixQ6K = 18,
  kMixQ2KS = 21,
  kMixIq4Nl = 25,
  kMixIq4Xs = 30,
  kMixMxfp4Moe = 38
};

constexpr GgufMix kMixes[] = {
    {"Q4_0", kQ4_0, kMixQ4_0},     {"Q4_1", kQ4_1, kMixQ4_1},     {"Q5_0", kQ5_0, kMixQ5_0},
    {"Q5_1", kQ5_1, kMixQ5_1},     {"Q8_0", kQ8_0, kMixQ8_0},     {"Q2_K", kQ2K, kMixQ2K},
    {"Q2_K_S", kQ2K, kMixQ2KS},    {"Q3_K_S", kQ3K, kMixQ3KS},    {"Q3_K_M", kQ3K, kMixQ3KM},
    {"Q3_K_L", kQ3K, kMixQ3KL},    {"Q4_K_S", kQ4K, kMixQ4KS},    {"Q4_K_M", kQ4K, kMixQ4KM},
    {"Q5_K_S", kQ5K, kMixQ5KS},    {"Q5_K_M", kQ5K, kMixQ5KM},    {"Q6_K", kQ6K, kMixQ6K},
    {"IQ4_NL", kIq4Nl, kMixIq4Nl}, {"IQ4_XS", kIq4Xs, kMixIq4Xs}, {"MXFP4_MOE", kMxfp4, kMixMxfp4Moe},
    {"Q3_K", kQ3K, kMixQ3KM},      {"Q4_K", kQ4K, kMixQ4KM},      {"Q5_K", kQ5K, kMixQ5KM}};
constexpr size_t kAliases = 3;  // at the end

bool equalIgnoringCase(std::string_view a, std::string_view b) {
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return upper(x) == upper(y); });
}

// The layer of "blk.3.attn_v.weight", -1 if it is in none.
int layerOf(std::string_view name) {
  if (!name.starts_with("blk.")) return -1;
  int layer = 0;
  for (const char c : name.substr(4)) {
    if (c < '0' || c > '9') break;
    layer = layer * 10 + (c - '0');
  }
  return layer;
}

bool isQuantized(std::string_view name) {
  return name.ends_with("weight") && name.find("_norm.weight") == name.npos &&
         name.find("ffn_gate_inp.weight") == name.npos;
}

// The first and the last eighth of the layers, and every third between.
bool takesMoreBits(uint32_t i, uint32_t count) {
  return i < count / 8 || i >= 7 * count / 8 || (i - count / 8) % 3 == 2;
}

class Chooser {
 public:
  Chooser(const GgufMix& mix, const MixModel& model, std::span<const MixTensor> tensors) : mix_(mix), model_(model) {
    for (const MixTensor& tensor : tensors) {
      if (isValue(tensor.name)) ++values_;
      tied_ = tied_ && tensor.name != "output.weight";
    }
  }

  uint32_t choose(const MixTensor& tensor) {
    const auto has = [&](const char* part) { return tensor.name.find(part) != std::string::npos; };
    if (tensor.name == "output.weight" || (tied_ && tensor.name == "token_embd.weight")) return head(tensor.cols);
    if (mix_.file_type == kMixMxfp4Moe) return has("_exps.weight") ? kMxfp4 : kQ8_0;
    if (isValue(tensor.name)) return value();
    if (has("attn_k.weight") && model_.experts == 8) return kQ8_0;
    if (has("attn_output.weight")) return attentionOutput();
    if (has("ffn_down")) return down(tensor.name);
    return mix_.base;
  }

 private:
  static bool isValue(const std::string& name) {
    return name.find("attn_v.weight") != name.npos || name.find("attn_qkv.weight") != name.npos;
  }

  uint32_t head(uint64_t cols) const {
    if (mix_.file_type == kMixMxfp4Moe || mix_.base == kQ8_0 || cols % findGgmlType(mix_.base)->block != 0) {
      return kQ8_0;
    }
    return kQ6K;
  }

  // Values are the most sensitive of all, and small where several heads share them.
  uint32_t value() {
    const uint32_t i = next_value_++;
    if (model_.experts == 8) return kQ8_0;
    const uint32_t type = valueType(i);
    const bool is_70b = model_.layers == 80 && (model_.architecture == "qwen2" ||
                                                (model_.architecture == "llama" && model_.heads != model_.key_heads));
    return is_70b && (type == kQ3K || type == kQ4K) ? uint32_t{kQ5K} : type;
  }

  uint32_t valueType(uint32_t i) const {
    const bool shared = model_.key_heads != 0 && model_.heads / model_.key_heads >= 4;
    switch (mix_.file_type) {
      case kMixQ2K: return shared ? kQ4K : kQ3K;
      case kMixQ2KS: return shared ? kQ4K : kQ2K;
      case kMixQ3KM: return i < 2 ? kQ5K : kQ4K;
      case kMixQ3KL: return kQ5K;
      case kMixQ4KS: return i < 4 ? kQ5K : kQ4K;
      case kMixQ4KM:
      case kMixQ5KM: return takesMoreBits(i, values_) ? uint32_t{kQ6K} : mix_.base;
      case kMixIq4Nl:
      case kMixIq4Xs: return shared ? uint32_t{kQ5K} : mix_.base;
      default: return mix_.base;
    }
  }

  uint32_t attentionOutput() const {
    if (model_.experts == 8) {
      switch (mix_.file_type) {
        case kMixQ2K:
        case kMixQ3KS:
        case kMixQ3KM:
        case kMixQ4KS:
        case kMixQ4KM:
        case kMixIq4Nl:
        case kMixIq4Xs: return kQ5K;
        default: return mix_.base;
      }
    }
    switch (mix_.file_type) {
      case kMixQ2K: return kQ3K;
      case kMixQ3KM: return kQ4K;
      case kMixQ3KL: return kQ5K;
      default: return mix_.base;
    }
  }

  uint32_t down(const std::string& name) {
    const uint32_t count = model_.layers;
    const uint32_t counted = next_down_++;
    const uint32_t i = model_.experts > 1 ? uint32_t(layerOf(name)) : counted;
    const bool in_first = i < count / 8;
    switch (mix_.file_type) {
      case kMixQ2K: return kQ3K;
      case kMixQ2KS: return in_first ? kQ4K : kQ2K;
      case kMixQ3KM: return i < count / 16 ? kQ5K : kQ4K;
      case kMixQ3KL: return kQ5K;
      case kMixQ4KM:
      case kMixQ5KM: return takesMoreBits(i, count) ? uint32_t{kQ6K} : mix_.base;
      case kMixQ4KS: return in_first ? kQ5K : kQ4K;
      case kMixIq4Nl:
      case kMixIq4Xs: return in_first && !model_.importance ? uint32_t{kQ5K} : mix_.base;
      case kMixQ4_0: return in_first && model_.importance ? kQ4_1 : kQ4_0;
      case kMixQ5_0: return in_first && model_.importance ? kQ5_1 : kQ5_0;
      default: return mix_.base;
    }
  }

  const GgufMix& mix_;
  const MixModel& model_;
  bool tied_ = true;
  uint32_t values_ = 0, next_value_ = 0, next_down_ = 0;
};

}  // namespace

const GgufMix* findGgufMix(std::string_view name) {
  for (const GgufMix& mix : kMixes) {
    if (!equalIgnoringCase(name, mix.name)) continue;
    // The mix that an alias means.
    return &*std::find_if(std::begin(kMixes), std::end(kMixes),
                          [&](const GgufMix& other) { return other.file_type == mix.file_type; });
  }
  return nullptr;
}

std::string ggufMixNames() {
  std::string names;
  for (const GgufMix& mix : std::span(kMixes).first(std::size(kMixes) - kAliases)) {
    names += (names.empty() ? "" : ", ") + std::string(mix.name);
  }
  return names;
}

std::map<std::string, uint32_t> chooseGgufTypes(const GgufMix& mix, const MixModel& model,
                                                std::span<const MixTensor> tensors) {
  // The order in which llama-quantize counts: layer by layer, by name.
  std::vector<MixTensor> ordered;
  for (const MixTensor& tensor : tensors) {
    if (isQuantized(tensor.name)) ordered.push_back(tensor);
  }
  std::sort(ordered.begin(), ordered.end(), [](const MixTensor& a, const MixTensor& b) {
    const int left = layerOf(a.name), right = layerOf(b.name);
    return left != right ? left < right : a.name < b.name;
  });
  Chooser chooser(mix, model, ordered);
  std::map<std::string, uint32_t> types;
  for (const MixTensor& tensor : ordered) types[tensor.name] = chooser.choose(tensor);
  return types;
}

uint32_t ggufFallback(uint32_t type, uint64_t cols) {
  const auto fits = [&](uint32_t id) { return cols % findGgmlType(id)->block == 0; };
  if (fits(type)) return type;
  const uint32_t other = [&]() -> uint32_t {
    switch (type) {
      case kQ2K:
      case kQ3K: return kQ4_0;
      case kQ4K: return kQ5_0;
      case kQ5K: return kQ5_1;
      case kQ6K: return kQ8_0;
      case kIq4Xs: return kIq4Nl;
      default: return kF16;
    }
  }();
  return fits(other) ? other : uint32_t{kF16};
}

}  // namespace nib::model
