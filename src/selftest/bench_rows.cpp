#include <nibble/formats.h>

#include "selftest/bench_rows.h"

#include <bit>

#include "selftest/lists.h"

namespace nib::selftest {
namespace {

constexpr uint64_t kSeed = 2024;

}  // namespace

void BenchList::add(uint32_t order, const BenchShape& shape, Case c, uint32_t n, Recipe recipe) {
  c.recipe = recipe;
  c.seed = kSeed;
  c.n = n != 0 ? n : shape.m;
  rows.push_back({order, std::move(c)});
}

BenchSharing usualSharing(const NibFormatInfo& info) {
  return info.default_group_size == 0 ? kPerRow : BenchSharing{NIB_GRANULARITY_GROUP, info.default_group_size};
}

NibWeights benchWeights(const NibFormatInfo& info, BenchSharing sharing, uint32_t flags) {
  const bool affine = (info.weights_flags & NIB_WEIGHTS_ASYMMETRIC) != 0;
  uint32_t type = affine ? NIB_TYPE_F16 : NIB_TYPE_F32;
  if (!(info.scale_types >> type & 1u)) type = uint32_t(std::countr_zero(info.scale_types));
  return weightsOf(info.format, sharing.granularity, sharing.group, flags, type);
}

bool inEveryWay(const NibFormatInfo& info) { return info.format <= NIB_FORMAT_UINT8; }

std::string RowNames::sharing() const {
  std::string text = granularity;
  if (group_size != 0) text += " " + std::to_string(group_size);
  for (const std::string& mode : modes) text += " " + mode;
  if (scales == "given") text += " given";
  return text;
}

void RowNames::describe(const NibWeights& weights) {
  if (weights.format == NIB_FORMAT_DENSE) {
    type = typeName(weights.scale_type);
    granularity = granularityName(NIB_GRANULARITY_TENSOR);
    return;
  }
  const NibFormatInfo* info = nibFormatById(weights.format);
  type = info != nullptr ? info->name : "?";
  granularity = granularityName(weights.granularity);
  group_size = weights.granularity == NIB_GRANULARITY_GROUP ? weights.group_size : 0;
  scale_type = typeName(weights.scale_type);
  if (weights.flags & NIB_WEIGHTS_ASYMMETRIC) modes.emplace_back("asymmetric");
  if (weights.flags & NIB_WEIGHTS_NARROW) modes.emplace_back("narrow");
  if (weights.flags & NIB_WEIGHTS_FOUR_BITS) modes.emplace_back("four bits");
  if (weights.flags & NIB_WEIGHTS_FLAT) modes.emplace_back("flat");
}

RowData RowData::quantized(uint32_t rows, uint32_t cols, const NibWeights& weights) {
  RowData data;
  data.kind = Kind::kBlob;
  data.blob = selftest::describe<NibQuantizeDesc>(NIB_OP_QUANTIZE);
  data.blob.rows = rows;
  data.blob.cols = cols;
  data.blob.source_type = NIB_TYPE_F32;
  data.blob.weights = weights;
  return data;
}

}  // namespace nib::selftest
