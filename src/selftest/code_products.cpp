#include <nibble/formats.h>

#include "selftest/code_products.h"

#include "selftest/lists.h"

namespace nib::selftest {

NibWeights randomSide(Random& random, bool grouped) {
  struct Way {
    NibGranularity granularity;
    uint32_t group;
  };
  constexpr Way kWays[] = {{NIB_GRANULARITY_ROW, 0},     {NIB_GRANULARITY_GROUP, 32}, {NIB_GRANULARITY_TENSOR, 0},
                           {NIB_GRANULARITY_GROUP, 128}, {NIB_GRANULARITY_ROW, 0},    {NIB_GRANULARITY_GROUP, 48}};
  const uint32_t format = random.below(3) == 0 ? NIB_FORMAT_UINT8 : NIB_FORMAT_INT8;
  Way way = kWays[random.below(6)];
  if (!grouped && way.granularity == NIB_GRANULARITY_GROUP) way = kWays[0];
  const uint32_t scale_type = random.below(3);
  const uint32_t mode = random.below(5);
  const uint32_t flags = mode < 2 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) : mode == 2 ? uint32_t(NIB_WEIGHTS_NARROW) : 0u;
  return weightsOf(format, way.granularity, way.group, flags, scale_type);
}

std::string sideName(const NibWeights& w) {
  const NibFormatInfo* info = nibFormatById(w.format);
  std::string text = info != nullptr ? info->name : "?";
  if (w.granularity == NIB_GRANULARITY_GROUP) {
    text += " g" + std::to_string(w.group_size);
  } else {
    text += std::string(" ") + granularityName(w.granularity);
  }
  if (w.flags & NIB_WEIGHTS_ASYMMETRIC) text += " asym";
  if (w.flags & NIB_WEIGHTS_NARROW) text += " narrow";
  if (w.flags & NIB_WEIGHTS_FOUR_BITS) text += " four bits";
  return text + " " + typeName(w.scale_type);
}

void fillCodeWeights(const Case& c, const NibWeights& weights, const NibMemory& memory, Words& range) {
  const NibMemoryPart& codes = memory.part[NIB_PART_CODES];
  const NibMemoryPart& bias = memory.part[NIB_PART_BIAS];
  fillPart(range, codes, makeCodes(c.recipe, weights, codes.size_bytes, c.seed + 2));
  fillParameters(range, memory, weights.scale_type, c.seed);
  fillPart(range, bias, makeValues(Recipe::kMixed, bias.size_bytes / 4, c.seed + 4));
}

}  // namespace nib::selftest
