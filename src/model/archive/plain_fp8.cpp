// FP8 matrices without a scale tensor: each code is its value.
#include "model/archive/checkpoint.h"

#include <nibble/formats.h>

#include "model/archive/container.h"
#include "model/archive/error.h"

#include <cstring>

namespace nib::model {
namespace {

class PlainFp8 : public Container {
 public:
  const char* name() const override { return "fp8 without scales"; }
  std::string refuses(const WeightSpec&, Activations) const override { return "fp8 without scales is only read"; }
  NibLayout layout(const WeightSpec&, Activations) const override { return NIB_LAYOUT_ROWS; }
  std::string quantizationConfig(const ConfigFacts&) const override { return ""; }

  std::vector<WeightPart> parts(const WeightSpec& w, Activations) const override {
    const Dtype dtype = w.weights.format == NIB_FORMAT_FP8 ? Dtype::kF8E4M3 : Dtype::kF8E5M2;
    return {{{w.name, dtype, {w.rows, w.cols}}, PartFrom::kCodes}};
  }

  std::vector<FoundWeight> find(const Checkpoint& checkpoint) const override {
    std::vector<FoundWeight> found;
    for (size_t i = 0; i < checkpoint.size(); ++i) {
      const TensorInfo info = checkpoint.info(i);
      const bool e5m2 = info.dtype == Dtype::kF8E5M2;
      if ((!e5m2 && info.dtype != Dtype::kF8E4M3) || info.shape.size() != 2 || info.bytes == 0) continue;
      const std::string name(info.name);
      if (checkpoint.find(name + "_scale")) {
        if (!e5m2) continue;  // belongs to compressed-tensors
        throw Error(quoteText(name) + ": has a scale beside its E5M2 codes, which nibble does not read");
      }
      if (checkpoint.find(name + "_scale_inv")) {
        throw Error(quoteText(name) + ": has scales of square blocks (weight_scale_inv), which nibble does not read");
      }
      if (info.shape[0] > UINT32_MAX || info.shape[1] > UINT32_MAX) throw Error(quoteText(name) + ": is too large");
      FoundWeight weight;
      weight.spec.name = name;
      weight.spec.rows = uint32_t(info.shape[0]);
      weight.spec.cols = uint32_t(info.shape[1]);
      weight.spec.source = Dtype::kF16;  // represents every finite value of E4M3 and E5M2 exactly
      weight.spec.weights = {uint32_t(e5m2 ? NIB_FORMAT_FP8_E5M2 : NIB_FORMAT_FP8), NIB_GRANULARITY_TENSOR, 0,
                             NIB_TYPE_F32, 0};
      weight.tensors = {i};
      found.push_back(std::move(weight));
    }
    return found;
  }
};

}  // namespace

const Container& plainFp8() {
  static const PlainFp8 kContainer;
  return kContainer;
}

}  // namespace nib::model
