#include "model/quantize/cast.h"

#include "model/quantize/weight_type.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace nib::model {
namespace {

uint32_t infinityOf(Dtype dtype) {
  return dtype == Dtype::kF32 ? 0x7f800000u : dtype == Dtype::kF16 ? 0x7c00u : 0x7f80u;
}

uint32_t magnitudeAt(std::span<const std::byte> values, size_t size, size_t i) {
  uint32_t bits = 0;
  std::memcpy(&bits, &values[i * size], size);
  return bits & (size == 2 ? 0x7fffu : 0x7fffffffu);
}

// Whether there is a zero, an infinity or NaN.
bool hasExtremes(std::span<const std::byte> values, Dtype dtype) {
  const uint32_t infinity = infinityOf(dtype);
  const size_t size = dtypeBits(dtype) / 8;
  for (size_t i = 0; i < values.size() / size; ++i) {
    const uint32_t magnitude = magnitudeAt(values, size, i);
    if (magnitude == 0 || magnitude >= infinity) return true;
  }
  return false;
}

void countLost(std::span<const std::byte> from, NibType from_type, std::span<const std::byte> to, Dtype to_type,
               CastResult& result) {
  const size_t size = from_type == NIB_TYPE_F32 ? 4 : 2;
  const uint32_t from_infinity = from_type == NIB_TYPE_F32   ? 0x7f800000u
                                 : from_type == NIB_TYPE_F16 ? infinityOf(Dtype::kF16)
                                                             : infinityOf(Dtype::kBF16);
  const size_t to_size = dtypeBits(to_type) / 8;
  for (size_t i = 0; i < to.size() / to_size; ++i) {
    const uint32_t before = magnitudeAt(from, size, i), after = magnitudeAt(to, to_size, i);
    if (after == 0 && before != 0) ++result.vanished;
    if (after >= infinityOf(to_type) && before < from_infinity) ++result.overflowed;
  }
}

}  // namespace

void makeInfinite(NibErrors& errors) {
  errors.max_error = errors.mse = errors.mae = errors.relative_error = HUGE_VAL;
  errors.sqnr_db = -HUGE_VAL;
}

CastResult Caster::cast(uint64_t elements, Dtype to, const WeightSource& source, const PartSink& sink) const {
  const uint32_t from_bytes = source.elementBytes(), to_bytes = dtypeBits(to) / 8;
  // The tensor is treated as one row, split at multiples of the error tile so that tiles do not span chunks.
  const uint64_t unit = std::lcm(source.unit, uint64_t(NIB_ERROR_TILE));
  const uint64_t chunk = std::max<uint64_t>(slab_bytes_ / from_bytes / unit, 1) * unit;
  const kit::Device& device = device_.untimed();
  NibErrorSums sums{};
  CastResult cast_result;
  for (uint64_t at = 0; at < elements; at += chunk) {
    const uint32_t count = uint32_t(std::min(chunk, elements - at));
    NibConvertDesc convert{};
    convert.op = NIB_OP_CONVERT;
    convert.desc_bytes = sizeof convert;
    convert.rows = 1;
    convert.cols = count;
    convert.source_type = source.type;
    convert.result_type = *nibTypeOf(to);
    NibErrorsDesc errors{};
    errors.op = NIB_OP_ERRORS;
    errors.desc_bytes = sizeof errors;
    errors.rows = 1;
    errors.cols = count;
    errors.reference_type = convert.source_type;
    errors.candidate_type = convert.result_type;
    const kit::Plan convert_plan(device, convert), errors_plan(device, errors);
    const NibMemory& memory = errors_plan.memory();
    const NibMemoryPart& reference = memory.part[NIB_PART_REFERENCE];
    const NibMemoryPart& candidate = memory.part[NIB_PART_CANDIDATE];
    const kit::Buffer pair(device, memory.range[NIB_ROLE_INPUT].size_bytes);
    const kit::Buffer tiles(device, errors_plan.sizeBytes(NIB_ROLE_OUTPUT));
    const kit::Buffer scratch(device,
                              std::max(errors_plan.sizeBytes(NIB_ROLE_AUX), convert_plan.sizeBytes(NIB_ROLE_AUX)));
    const kit::Binding convert_binding(
        convert_plan, kit::Ranges{.weights = {},
                                  .input = kit::Range(pair, reference.offset_bytes, reference.size_bytes),
                                  .output = kit::Range(pair, candidate.offset_bytes, candidate.size_bytes),
                                  .aux = scratch});
    const kit::Binding errors_binding(errors_plan,
                                      kit::Ranges{.weights = {}, .input = pair, .output = tiles, .aux = scratch});
    source.load(at, count, kit::Range(pair, reference.offset_bytes, reference.size_bytes));
    device_.run(convert_binding, 1);
    device_.run(errors_binding, 1);
    std::vector<std::byte> result(size_t(uint64_t(count) * to_bytes));
    device_.download(pair, candidate.offset_bytes, result.data(), result.size());
    sink(0, at * to_bytes, result);
    if (hasExtremes(result, to)) {
      std::vector<std::byte> original(size_t(uint64_t(count) * from_bytes));
      device_.download(pair, reference.offset_bytes, original.data(), original.size());
      countLost(original, source.type, result, to, cast_result);
    }
    std::vector<NibErrorTile> tile_errors(size_t(tiles.sizeBytes() / sizeof(NibErrorTile)));
    device_.download(tiles, 0, tile_errors.data(), tile_errors.size() * sizeof(NibErrorTile));
    nibErrorsAdd(&sums, tile_errors.data(), tile_errors.size(), at);
  }
  nibErrorsFinish(&sums, &cast_result.errors);
  if (cast_result.overflowed != 0) makeInfinite(cast_result.errors);
  return cast_result;
}

}  // namespace nib::model
