#include "model/quantize/cast.h"

#include "model/quantize/weight_type.h"

#include <algorithm>

namespace nib::model {

NibErrors Caster::cast(const TensorInfo& tensor, Dtype to, const WeightStreams& streams) const {
  const uint32_t from_bytes = dtypeBits(tensor.dtype) / 8, to_bytes = dtypeBits(to) / 8;
  const uint64_t elements = tensor.bytes / from_bytes;
  // One long row, cut where tiles of error statistics end.
  const uint64_t piece = std::max<uint64_t>(slab_bytes_ / from_bytes / NIB_ERROR_TILE, 1) * NIB_ERROR_TILE;
  NibErrorSums sums{};
  std::vector<std::byte> dense(size_t(std::min(piece, elements) * from_bytes));
  for (uint64_t at = 0; at < elements; at += piece) {
    const uint32_t count = uint32_t(std::min(piece, elements - at));
    NibConvertDesc convert{};
    convert.op = NIB_OP_CONVERT;
    convert.rows = 1;
    convert.cols = count;
    convert.source_type = *nibTypeOf(tensor.dtype);
    convert.result_type = *nibTypeOf(to);
    NibErrorsDesc errors{};
    errors.op = NIB_OP_ERRORS;
    errors.rows = 1;
    errors.cols = count;
    errors.reference_type = convert.source_type;
    errors.candidate_type = convert.result_type;
    const kit::Plan convert_plan(device_, convert), errors_plan(device_, errors);
    const NibMemory& memory = errors_plan.memory();
    const NibMemoryPart& reference = memory.part[NIB_PART_REFERENCE];
    const NibMemoryPart& candidate = memory.part[NIB_PART_CANDIDATE];
    const kit::Buffer pair(device_, memory.range[NIB_ROLE_INPUT].size_bytes);
    const kit::Buffer tiles(device_, errors_plan.sizeBytes(NIB_ROLE_OUTPUT));
    const kit::Buffer scratch(device_, std::max(errors_plan.sizeBytes(NIB_ROLE_AUX), convert_plan.sizeBytes(NIB_ROLE_AUX)));
    const kit::Binding convert_binding(
        convert_plan, kit::Ranges{.weights = {},
                                  .input = kit::Range(pair, reference.offset_bytes, reference.size_bytes),
                                  .output = kit::Range(pair, candidate.offset_bytes, candidate.size_bytes),
                                  .aux = scratch});
    const kit::Binding errors_binding(errors_plan, kit::Ranges{.weights = {}, .input = pair, .output = tiles, .aux = scratch});
    const std::span<std::byte> bytes(dense.data(), size_t(uint64_t(count) * from_bytes));
    streams.read(at * from_bytes, bytes);
    device_.uploadBytes(pair, reference.offset_bytes, bytes.data(), bytes.size());
    device_.run(convert_binding, 1);
    device_.run(errors_binding, 1);
    std::vector<std::byte> result(size_t(uint64_t(count) * to_bytes));
    device_.downloadBytes(pair, candidate.offset_bytes, result.data(), result.size());
    streams.write(0, at * to_bytes, result);
    std::vector<NibErrorTile> of_tiles(size_t(tiles.sizeBytes() / sizeof(NibErrorTile)));
    device_.downloadBytes(tiles, 0, of_tiles.data(), of_tiles.size() * sizeof(NibErrorTile));
    nibErrorsAdd(&sums, of_tiles.data(), of_tiles.size(), at);
  }
  NibErrors result{};
  nibErrorsFinish(&sums, &result);
  return result;
}

}  // namespace nib::model
