#include "model/quantize/column_importance.h"

#include "model/archive/error.h"

#include <algorithm>
#include <numeric>

namespace nib::model {
namespace {

// A column of which the data had only zeros is not worthless: a block of nothing but such columns would become zero.
constexpr float kLeastShare = 1e-5f;

void liftZeros(std::vector<float>& values) {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  const float least = sum > 0 ? float(sum / double(values.size())) * kLeastShare : 1.0f;
  for (float& value : values) value = std::max(value, least);
}

std::string countText(size_t count, const char* one, const char* more) {
  return std::to_string(count) + (count == 1 ? one : more);
}

}  // namespace

bool takesImportance(const WeightSpec& weight) {
  NibQuantizeDesc desc{NIB_OP_QUANTIZE, sizeof(NibQuantizeDesc)};
  desc.flags = NIB_QUANTIZE_IMPORTANCE;
  desc.rows = weight.rows;
  desc.cols = weight.cols;
  desc.weights = weight.weights;
  NibMemory memory{sizeof(NibMemory)};
  return nibGetMemory(reinterpret_cast<const NibOpDesc*>(&desc), nullptr, &memory) == NIB_SUCCESS;
}

ColumnImportance::ColumnImportance(const ImportanceFile& file, const std::string& config_json)
    : file_(file), network_(readGgufNetwork(config_json)) {}

void ColumnImportance::give(WeightSpec& weight) {
  if (!takesImportance(weight)) {
    skipped_.insert(weight.name);
    return;
  }
  const std::optional<GgufPlace> place = ggufPlace(*network_.family, weight.name);
  const auto entry = place ? file_.importance.entries.find(place->name) : file_.importance.entries.end();
  if (entry == file_.importance.entries.end()) {
    missing_.insert(weight.name);
    return;
  }
  const uint64_t experts = place->expert ? network_.experts : 1;
  const size_t wanted = size_t(weight.cols * experts), counts = entry->second.counts.size();
  if (entry->second.squares.size() != wanted || (counts != 1 && counts != experts)) {
    throw Error(shown(file_.path) + ": has " + std::to_string(entry->second.squares.size()) + " numbers for " +
                quoteText(entry->first) + ", which has " + std::to_string(wanted) +
                " columns: it was collected from another model");
  }
  std::vector<float> values = entry->second.means(place->expert.value_or(0), experts);
  liftZeros(values);
  weight.importance = std::make_shared<const std::vector<float>>(std::move(values));
  ++given_;
}

void ColumnImportance::check(std::vector<std::string>& notes) const {
  if (given_ == 0 && missing_.empty()) {
    throw Error("--imatrix " + shown(file_.path) +
                ": no weight gets a type whose scales are searched by importance (K types, iq4_nl, iq4_xs); choose "
                "another --type, or leave --imatrix out");
  }
  if (given_ == 0) {
    throw Error(shown(file_.path) + ": has no entry for " + quoteText(*missing_.begin()) +
                " or any other weight: it was collected from another model");
  }
  if (!missing_.empty()) {
    notes.push_back(shown(file_.path) + ": has no entry for " +
                    countText(missing_.size(), " weight, ", " weights, the first ") + quoteText(*missing_.begin()) +
                    ": quantized without importance");
  }
  if (!skipped_.empty()) {
    notes.push_back(countText(skipped_.size(), " weight has", " weights have") +
                    " a type that is quantized without importance, the first " + quoteText(*skipped_.begin()));
  }
}

}  // namespace nib::model
