// MXFP4 experts as gpt-oss stores them: NAME_blocks U8 [experts, rows, groups, 16] with two codes of E2M1 to a byte,
// the even column in the low nibble, and NAME_scales U8 [experts, rows, groups], exponents of 32 columns. The dense
// tensor NAME that they replace is [experts, columns, rows].
#include "model/archive/checkpoint.h"

#include <nibble/formats.h>

#include "model/archive/container.h"
#include "model/archive/error.h"
#include "model/archive/quantization_config.h"

namespace nib::model {
namespace {

constexpr std::string_view kBlocks = "blocks";  // after '_' or '.'
constexpr uint32_t kGroup = 32;                 // two codes to each of 16 bytes

class Mxfp4Experts : public Container {
 public:
  const char* name() const override { return "mxfp4 experts"; }
  std::string refuses(const WeightSpec&, Activations) const override { return "this form of mxfp4 is only read"; }
  NibLayout layout(const WeightSpec&, Activations) const override { return NIB_LAYOUT_ROWS; }
  std::string quantizationConfig(const ConfigFacts&) const override { return ""; }

  std::vector<WeightPart> parts(const WeightSpec& w, Activations) const override {
    return {{{w.name + "_blocks", Dtype::kU8, {w.rows, w.groupsPerRow(), kGroup / 2}}, PartFrom::kCodes},
            {{w.name + "_scales", Dtype::kU8, {w.rows, w.groupsPerRow()}}, PartFrom::kScales}};
  }

  std::vector<FoundWeight> find(const Checkpoint& checkpoint) const override {
    std::vector<FoundWeight> found;
    std::optional<Dtype> source;
    for (size_t i = 0; i < checkpoint.size(); ++i) {
      const TensorInfo blocks = checkpoint.info(i);
      if (!blocks.name.ends_with(kBlocks) || blocks.dtype != Dtype::kU8 || blocks.shape.size() != 4) continue;
      const std::string begin(blocks.name.substr(0, blocks.name.size() - kBlocks.size()));
      const bool published = begin.ends_with('.');
      if (!published && !begin.ends_with('_')) continue;
      const std::string name = begin.substr(0, begin.size() - 1);
      const std::optional<size_t> scale = checkpoint.find(begin + "scales");
      if (!scale) throw Error(quoteText(blocks.name) + ": there is no " + quoteText(begin + "scales") + " beside it");
      const TensorInfo scales = checkpoint.info(*scale);
      const std::vector<uint64_t>& s = blocks.shape;
      if ((scales.dtype != Dtype::kU8 && scales.dtype != Dtype::kF8E8M0) || s[3] != kGroup / 2 ||
          scales.shape != std::vector<uint64_t>(s.begin(), s.end() - 1)) {
        throw Error(quoteText(name) + ": its blocks and scales are not U8 [experts, rows, groups, 16] and " +
                    "[experts, rows, groups], as gpt-oss has them");
      }
      if (blocks.bytes == 0) continue;
      if (s[0] * s[1] > UINT32_MAX || s[2] > UINT32_MAX / kGroup) throw Error(quoteText(name) + ": is too large");
      if (!source) source = statedDtype(checkpoint).value_or(Dtype::kBF16);
      FoundWeight weight;
      WeightSpec& w = weight.spec;
      w.name = name;
      w.rows = uint32_t(s[0] * s[1]);
      w.cols = uint32_t(s[2] * kGroup);
      w.source = *source;
      w.weights = {NIB_FORMAT_MXFP4, NIB_GRANULARITY_GROUP, kGroup, NIB_TYPE_E8M0, 0};
      weight.tensors = {i, *scale};
      weight.shape = published ? std::vector<uint64_t>{s[0], s[1], s[2] * kGroup}
                               : std::vector<uint64_t>{s[0], s[2] * kGroup, s[1]};
      weight.transposed = !published;
      found.push_back(std::move(weight));
    }
    return found;
  }
};

}  // namespace

const Container& mxfp4Experts() {
  static const Mxfp4Experts kContainer;
  return kContainer;
}

}  // namespace nib::model
