#include "model/convert/conversion.h"

#include "model/archive/checkpoint.h"
#include "model/archive/error.h"
#include "model/quantize/quantize_weight.h"

#include <nibble/formats.h>

#include <algorithm>
#include <cstring>

namespace nib::model {
namespace {

bool has(const WeightSpec& w, uint32_t flag) { return (w.weights.flags & flag) != 0; }
bool isBlock(const WeightSpec& w) { return (nibFormatById(w.weights.format)->flags & NIB_FORMAT_OWN_SCALES) != 0; }

// ggml's block without a minimum is a group of 32 symmetric codes with a scale of F16.
constexpr std::pair<uint32_t, uint32_t> kBlockTwins[] = {{NIB_FORMAT_Q4_0, NIB_FORMAT_INT4},
                                                         {NIB_FORMAT_Q8_0, NIB_FORMAT_INT8}};

// The format whose codes and scales mean the same in the container; 0 if there is none.
uint32_t twinOf(const WeightSpec& w, const Container& container) {
  const bool to_blocks = &container == &gguf();
  for (const auto& [block, affine] : kBlockTwins) {
    if (!to_blocks && w.weights.format == block) return affine;
    const bool fits = w.weights.format == affine && !w.asymmetric() && w.weights.granularity == NIB_GRANULARITY_GROUP &&
                      w.weights.group_size == 32 && w.weights.scale_type == NIB_TYPE_F16 && w.cols % 32 == 0;
    if (to_blocks && fits) return block;
  }
  return 0;
}

// Whether the scale of some block is negative: the range of codes then lies the other way.
bool hasNegativeScale(const Checkpoint& checkpoint, const FoundWeight& found) {
  const uint64_t size = checkpoint.info(found.tensors[0]).bytes;
  const uint64_t block = found.spec.weights.format == NIB_FORMAT_Q4_0 ? 18 : 34, chunk = block << 16;
  std::vector<std::byte> bytes;
  for (uint64_t at = 0; at < size; at += chunk) {
    bytes.resize(size_t(std::min(chunk, size - at)));
    checkpoint.read(found.tensors[0], at, bytes);
    for (size_t i = 1; i < bytes.size(); i += size_t(block)) {
      const bool zero = (bytes[i] & std::byte{0x7f}) == std::byte{0} && bytes[i - 1] == std::byte{0};
      if ((bytes[i] & std::byte{0x80}) != std::byte{0} && !zero) return true;
    }
  }
  return false;
}

// Whether blobs of both lie in memory in the same way.
bool sameMemory(const WeightSpec& a, const WeightSpec& b) {
  const std::optional<NibMemory> x = memoryOf(a), y = memoryOf(b);
  if (!x || !y) return false;
  for (const NibPart part : {NIB_PART_CODES, NIB_PART_SCALES, NIB_PART_ZEROS}) {
    if (x->part[part].offset_bytes != y->part[part].offset_bytes ||
        x->part[part].size_bytes != y->part[part].size_bytes)
      return false;
  }
  return true;
}

const char* nameOf(const WeightSpec& w) { return nibFormatById(w.weights.format)->name; }

// Why the container cannot hold the weight's own codes and scales; "" if it can. Sets `target`.
std::string keepCodes(const Checkpoint& checkpoint, const FoundWeight& found, const Container& container,
                      WeightSpec& target) {
  const WeightSpec& w = found.spec;
  target = w;
  if (found.grid) return "its scales are of blocks of rows and columns";
  if (const uint32_t twin = twinOf(w, container)) {
    target.weights.format = twin;
    if (isBlock(w) && hasNegativeScale(checkpoint, found)) return std::string(nameOf(w)) + " with negative scales";
  } else if (isBlock(w) && &container != &gguf()) {
    return std::string("blocks of ") + nameOf(w);
  }
  const uint32_t scale_type = target.weights.scale_type;
  container.normalize(target);
  if (target.weights.scale_type != scale_type) {
    const char* const names[] = {"F32", "F16", "BF16", "E8M0"};
    return std::string("scales of ") + names[std::min(scale_type, 3u)];
  }
  if (std::string why = container.refuses(target, Activations::kNone); !why.empty()) return why;
  for (const WeightPart& part : container.parts(target, Activations::kNone)) {
    if (part.from == PartFrom::kAbsmax) return "largest magnitudes of rows instead of scales";
    if (part.from == PartFrom::kValues) return "values instead of codes";
  }
  if (has(target, NIB_WEIGHTS_FLAT) || has(target, NIB_WEIGHTS_NESTED)) return "blocks that cross rows";
  return sameMemory(w, target) ? "" : "another layout";
}

// The type that the container has for weights that are quantized again.
WeightSpec closest(const WeightSpec& w, const Container& container) {
  WeightSpec target = w;
  NibWeights& t = target.weights;
  const uint32_t bits = w.bits();
  const bool asymmetric = w.asymmetric() || (nibFormatById(t.format)->flags & NIB_FORMAT_MINIMUM);
  const bool flat = has(w, NIB_WEIGHTS_FLAT);
  t.flags = 0;
  if (&container == &gguf()) {
    t = {bits > 5                  ? uint32_t(NIB_FORMAT_Q8_0)
         : bits == 5 && asymmetric ? uint32_t(NIB_FORMAT_Q5_1)
         : bits == 5               ? uint32_t(NIB_FORMAT_Q5_0)
         : asymmetric              ? uint32_t(NIB_FORMAT_Q4_1)
                                   : uint32_t(NIB_FORMAT_Q4_0),
         NIB_GRANULARITY_GROUP, 32, NIB_TYPE_F16, 0};
    return target;
  }
  if (&container == &bitsandbytes()) {
    t = bits > 4 ? NibWeights{NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, NIB_WEIGHTS_NARROW}
                 : NibWeights{NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 64, NIB_TYPE_F32,
                              NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED};
    return target;
  }
  if (bits > 4 && &container == &awq()) {
    throw Error(quoteText(w.name) + ": has " + std::to_string(bits) +
                " bits, and AWQ has 4: nibble quantize makes a smaller model of the original");
  }
  t.format = bits > 4 ? NIB_FORMAT_INT8 : NIB_FORMAT_INT4;
  if (asymmetric) t.flags = NIB_WEIGHTS_ASYMMETRIC;
  t.scale_type = w.source == Dtype::kBF16 ? NIB_TYPE_BF16 : w.source == Dtype::kF32 ? NIB_TYPE_F32 : NIB_TYPE_F16;
  const bool grouped = w.weights.granularity == NIB_GRANULARITY_GROUP && w.weights.group_size != UINT32_MAX;
  const bool fits = grouped && (!flat || w.cols % w.weights.group_size == 0);
  t.granularity = fits ? NIB_GRANULARITY_GROUP : NIB_GRANULARITY_ROW;
  t.group_size = fits ? w.weights.group_size : 0;
  return target;
}

}  // namespace

Conversion conversionOf(const Checkpoint& checkpoint, const FoundWeight& found, const Container& container) {
  const std::string name = quoteText(found.spec.name);
  if (found.transposed || !found.shape.empty()) {
    throw Error(name + ": is a stack of matrices, which nibble quantize splits, and nibble convert does not");
  }
  if (!found.groups_of.empty()) {
    throw Error(name + ": has its columns in act-order (g_idx), and --format " + std::string(container.name()) +
                " has groups of neighbours: nibble quantize IN makes new codes from its values");
  }
  if (found.container == &container) {
    throw Error(name + ": is in --format " + std::string(container.name()) + " already: copy the model");
  }
  Conversion conversion;
  conversion.why = keepCodes(checkpoint, found, container, conversion.weight);
  conversion.lossless = conversion.why.empty();
  if (!conversion.lossless) {
    conversion.weight = closest(found.spec, container);
    container.normalize(conversion.weight);
    if (const std::string why = container.refuses(conversion.weight, Activations::kNone); !why.empty()) {
      throw Error(name + ": " + why);
    }
  }
  conversion.weight.search_scales = false;
  if (const std::string misfit = container.misfits(conversion.weight); !misfit.empty()) {
    throw Error(name + ": " + misfit + ": nibble quantize keeps such weights dense");
  }
  return conversion;
}

}  // namespace nib::model
