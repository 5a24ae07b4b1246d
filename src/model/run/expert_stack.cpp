#include "model/run/expert_stack.h"

#include "model/archive/error.h"

#include <cstring>

namespace nib::model {
namespace {

constexpr char kNumber = '*';

NibMemory memoryOf(const NibMatmulDesc& desc) {
  NibMemory memory{sizeof(NibMemory)};
  if (nibGetMemory(reinterpret_cast<const NibOpDesc*>(&desc), nullptr, &memory) != NIB_SUCCESS) {
    throw Error("the matrices of experts are too large for one product");
  }
  return memory;
}

[[noreturn]] void refuse(const std::string& name, uint32_t rows) {
  throw Error(quoteText(name) + ": the scales of its " + std::to_string(rows) +
              " rows do not fill whole words, and nibble does not run such experts yet");
}

}  // namespace

bool isOfExperts(std::string_view module) { return module.find(kNumber) != std::string_view::npos; }

std::string expertName(std::string_view module, uint32_t expert) {
  const size_t at = module.find(kNumber);
  return std::string(module.substr(0, at)) + std::to_string(expert) + std::string(module.substr(at + 1));
}

NibWeights stackedWeights(const NibWeights& weights, const std::string& name) {
  NibWeights stacked = weights;
  if (weights.format == NIB_FORMAT_DENSE) return stacked;
  if (weights.granularity == NIB_GRANULARITY_COLUMN || (weights.flags & (NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED)) != 0) {
    throw Error(quoteText(name) +
                ": nibble runs experts whose rows have scales of their own, not scales of columns, "
                "groups across rows (bnb) or scales that are quantized");
  }
  if (weights.granularity == NIB_GRANULARITY_TENSOR) stacked.granularity = NIB_GRANULARITY_ROW;
  return stacked;
}

ExpertStack::ExpertStack(const NibMatmulDesc& desc) : desc_(desc), memory_(memoryOf(desc)) {
  bytes_.resize(size_t(memory_.range[NIB_ROLE_WEIGHTS].size_bytes));
}

NibMemory ExpertStack::memoryOfOne(const NibWeights& weights) const {
  NibMatmulDesc one = desc_;
  one.batch = one.choices = 0;
  one.flags &= ~uint32_t(NIB_PRODUCT_EACH_INPUT);
  one.tokens = 1;
  one.weights = weights;
  return memoryOf(one);
}

uint64_t ExpertStack::bytesOfOne(const NibWeights& weights) const {
  return memoryOfOne(weights).range[NIB_ROLE_WEIGHTS].size_bytes;
}

void ExpertStack::put(uint32_t expert, const NibWeights& weights, std::span<const std::byte> blob,
                      const std::string& name) {
  const NibMemory one = memoryOfOne(weights);
  const bool spreads = weights.granularity != desc_.weights.granularity && weights.format != NIB_FORMAT_DENSE;
  for (const NibPart part : {NIB_PART_CODES, NIB_PART_SCALES, NIB_PART_ZEROS, NIB_PART_NESTED}) {
    const NibMemoryPart &from = one.part[part], &to = memory_.part[part];
    if (to.size_bytes == 0) continue;
    const uint64_t share = to.size_bytes / desc_.batch;
    std::byte* const place = bytes_.data() + to.offset_bytes + expert * share;
    if (spreads && part != NIB_PART_CODES) {
      // The only scale or zero point, for every row.
      const uint64_t size = share / desc_.rows;
      if (size * desc_.rows * desc_.batch != to.size_bytes) refuse(name, desc_.rows);
      for (uint32_t row = 0; row < desc_.rows; ++row) std::memcpy(place + row * size, &blob[from.offset_bytes], size);
      continue;
    }
    if (from.size_bytes * desc_.batch != to.size_bytes) {
      refuse(name, desc_.rows);
    }
    std::memcpy(place, &blob[from.offset_bytes], size_t(from.size_bytes));
  }
}

}  // namespace nib::model
