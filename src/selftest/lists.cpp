#include "selftest/lists.h"

namespace nib::selftest {

bool canHave(const NibFormatInfo& info, const Sharing& sharing, uint32_t mode) {
  if (((sharing.flags | mode) & ~info.weights_flags) != 0 || !(info.granularities >> sharing.granularity & 1u))
    return false;
  if (sharing.granularity != NIB_GRANULARITY_GROUP) return true;
  if (sharing.group == UINT32_MAX) return !hasOneGroupSize(info);
  return sharing.group % info.group_multiple == 0 && sharing.group <= info.group_max;
}

uint32_t scaleType(const NibFormatInfo& info, uint64_t variant) {
  uint32_t types[5], count = 0;
  for (uint32_t type = 0; type < 5; ++type) {
    if (info.scale_types >> type & 1u) types[count++] = type;
  }
  return types[variant % count];
}

std::vector<uint32_t> scaleModes(const NibFormatInfo& info) {
  std::vector<uint32_t> modes = {0};
  constexpr uint32_t kModes[] = {NIB_WEIGHTS_ASYMMETRIC,
                                 NIB_WEIGHTS_NARROW,
                                 NIB_WEIGHTS_SCALE_CEIL,
                                 NIB_WEIGHTS_SCALE_EVEN,
                                 NIB_WEIGHTS_SCALE_RCEIL,
                                 NIB_WEIGHTS_FOUR_BITS,
                                 NIB_WEIGHTS_FOUR_BITS | NIB_WEIGHTS_ASYMMETRIC,
                                 NIB_WEIGHTS_FOUR_BITS | NIB_WEIGHTS_NARROW};
  for (const uint32_t mode : kModes) {
    if ((mode & ~info.weights_flags) == 0) modes.push_back(mode);
  }
  return modes;
}

NibWeights weightsLike(const NibFormatInfo& info, const Sharing& sharing, uint32_t mode, uint64_t variant) {
  const bool nested = (sharing.flags & NIB_WEIGHTS_NESTED) != 0;
  return weightsOf(info.format, sharing.granularity, sharing.group, sharing.flags | mode,
                   scaleType(info, nested ? 0 : variant));
}

std::vector<const Sharing*> sharingsOf(const NibFormatInfo* info) {
  std::vector<const Sharing*> list;
  for (const Sharing& sharing : kSharings) {
    if (info != nullptr ? canHave(*info, sharing, 0) : list.empty()) list.push_back(&sharing);
  }
  return list;
}

const char* activationName(uint32_t activation) {
  static const char* const kNames[] = {"", " relu", " relu6", " gelu", " gelu-tanh", " silu"};
  return activation < std::size(kNames) ? kNames[activation] : "";
}

std::string weightsName(const NibWeights& w) {
  const NibFormatInfo* info = nibFormatById(w.format);
  std::string text = info != nullptr ? info->name : "?";
  if (w.granularity != NIB_GRANULARITY_GROUP) {
    text += std::string(" ") + granularityName(w.granularity);
  } else {
    text += w.group_size == UINT32_MAX ? " g-1" : " g" + std::to_string(w.group_size);
  }
  if (w.flags & NIB_WEIGHTS_ASYMMETRIC) text += " asym";
  if (w.flags & NIB_WEIGHTS_NARROW) text += " narrow";
  if (w.flags & NIB_WEIGHTS_FOUR_BITS) text += " four bits";
  if (w.flags & NIB_WEIGHTS_FLAT) text += " flat";
  if (w.flags & NIB_WEIGHTS_NESTED) text += " nested";
  const uint32_t rule = w.flags & NIB_WEIGHTS_SCALE_RULE;
  if (rule != 0) text += rule == NIB_WEIGHTS_SCALE_CEIL ? " ceil" : rule == NIB_WEIGHTS_SCALE_EVEN ? " even" : " rceil";
  return text + " scales " + typeName(w.scale_type);
}

std::string dimsName(uint32_t rows, uint32_t cols, uint32_t stride, uint32_t n) {
  std::string text = ", " + std::to_string(rows) + "x" + std::to_string(cols);
  if (stride != 0) text += " stride " + std::to_string(stride);
  if (n != rows) text += " n " + std::to_string(n);
  return text;
}

std::string dataName(const Case& c) {
  return std::string(", ") + recipeName(c.recipe) + " seed " + std::to_string(c.seed);
}

uint64_t sharingKind(const NibWeights& w, uint64_t more) {
  const uint64_t long_group = w.group_size == UINT32_MAX ? 1 : 0;
  return uint64_t(w.granularity) | long_group << 2 | uint64_t(w.flags & (NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED)) << 4 |
         more << 12;
}

Lines linesOfWeights(const NibWeights& weights, uint32_t rows, const NibMemory& memory, NibPart part) {
  const NibFormatInfo* info = nibFormatById(weights.format);
  const bool nested = (weights.flags & NIB_WEIGHTS_NESTED) != 0;
  switch (part) {
    case NIB_PART_CODES: {
      if (info == nullptr)
        return linesOfDense(weights.scale_type,
                            memory.part[part].size_bytes * 8 / rows / (weights.scale_type == NIB_TYPE_F32 ? 32 : 16));
      const uint32_t lines = (weights.flags & NIB_WEIGHTS_FLAT) != 0 ? 1 : rows;
      return {memory.part[part].size_bytes * 8 / lines, info->bits};
    }
    case NIB_PART_SCALES:
      return {0, nested || weights.scale_type >= NIB_TYPE_E8M0 ? 8u : weights.scale_type == NIB_TYPE_F32 ? 32u : 16u};
    case NIB_PART_ZEROS:
      return {0, info != nullptr && (info->flags & (NIB_FORMAT_MINIMUM | NIB_FORMAT_SUPER_BLOCKS)) == NIB_FORMAT_MINIMUM
                     ? 16u
                     : 8u};
    default: return {};
  }
}

Lines linesOfDense(uint32_t type, uint64_t stride) {
  const uint32_t bits = type == NIB_TYPE_F32 ? 32 : 16;
  return {stride * bits, bits};
}

Lines linesOfResult(uint32_t type, uint64_t stride, uint64_t cols) {
  const uint64_t usual = type == NIB_TYPE_F32 ? cols : (cols + 1) / 2 * 2;
  return linesOfDense(type, stride != 0 ? stride : usual);
}

}  // namespace nib::selftest
