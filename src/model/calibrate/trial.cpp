#include "model/calibrate/trial.h"

#include <nibble/formats.h>

#include "model/quantize/weight_type.h"

#include <algorithm>

namespace nib::model {
namespace {

constexpr uint64_t kChunkElements = 4u << 20;  // a multiple of NIB_ERROR_TILE

}  // namespace

NibErrors tryRange(const kit::Device& device, const Recording& recording, const ChosenRange& range, bool symmetric) {
  const uint64_t elements = recording.tokens * recording.channels;
  const uint32_t type = *nibTypeOf(recording.dtype);
  const uint64_t element_bytes = dtypeBits(recording.dtype) / 8;
  const NibWeights weights{NIB_FORMAT_INT8, NIB_GRANULARITY_TENSOR, 0, NIB_TYPE_F32,
                           symmetric ? 0u : uint32_t(NIB_WEIGHTS_ASYMMETRIC)};
  const uint32_t most = uint32_t(std::min(elements, kChunkElements));
  std::vector<std::byte> bytes(size_t(most * element_bytes));
  NibErrorSums sums{};
  for (uint64_t at = 0; at < elements; at += most) {
    // There is one scale per tensor, so the matrix can be treated as one row.
    const uint32_t count = uint32_t(std::min<uint64_t>(most, elements - at));
    const std::span<std::byte> chunk(bytes.data(), size_t(count * element_bytes));
    recording.read(at * element_bytes, chunk);
    const kit::Plan quantize(device, NibQuantizeDesc{NIB_OP_QUANTIZE, sizeof(NibQuantizeDesc),
                                                     NIB_QUANTIZE_GIVEN_SCALES, 1, count, type, 0, weights});
    const kit::Plan dequantize(
        device, NibDequantizeDesc{NIB_OP_DEQUANTIZE, sizeof(NibDequantizeDesc), 0, 1, count, NIB_TYPE_F32, 0, weights});
    const kit::Plan errors(device,
                           NibErrorsDesc{NIB_OP_ERRORS, sizeof(NibErrorsDesc), 0, 1, count, type, 0, NIB_TYPE_F32, 0});
    const auto buffer = [&](const kit::Plan& plan, NibRole role) {
      return kit::Buffer(device, (plan.sizeBytes(role) + 3) / 4 * 4);
    };
    const kit::Buffer blob = buffer(quantize, NIB_ROLE_WEIGHTS), pair = buffer(errors, NIB_ROLE_INPUT),
                      tiles = buffer(errors, NIB_ROLE_OUTPUT);
    const kit::Buffer scratch[] = {buffer(quantize, NIB_ROLE_AUX), buffer(dequantize, NIB_ROLE_AUX),
                                   buffer(errors, NIB_ROLE_AUX)};
    const NibMemory& memory = quantize.memory();
    device.fill(blob, 0, 0, blob.sizeBytes());
    device.uploadBytes(blob, memory.part[NIB_PART_SCALES].offset_bytes, &range.scale, 4);
    if (!symmetric) device.uploadBytes(blob, memory.part[NIB_PART_ZEROS].offset_bytes, &range.zero_point, 1);
    device.uploadBytes(pair, 0, chunk.data(), chunk.size());
    const auto part = [&](NibPart p) {
      return kit::Range(pair, errors.memory().part[p].offset_bytes, errors.memory().part[p].size_bytes);
    };
    device.run(
        kit::Binding(quantize, {.weights = blob, .input = part(NIB_PART_REFERENCE), .output = {}, .aux = scratch[0]}),
        1);
    device.run(
        kit::Binding(dequantize, {.weights = blob, .input = {}, .output = part(NIB_PART_CANDIDATE), .aux = scratch[1]}),
        1);
    device.run(kit::Binding(errors, {.weights = {}, .input = pair, .output = tiles, .aux = scratch[2]}), 1);
    const size_t tile_count = size_t(errors.sizeBytes(NIB_ROLE_OUTPUT) / sizeof(NibErrorTile));
    const std::vector<NibErrorTile> tile_errors = device.download<NibErrorTile>(tiles, tile_count);
    nibErrorsAdd(&sums, tile_errors.data(), tile_errors.size(), at);
  }
  NibErrors result{sizeof(NibErrors)};
  nibErrorsFinish(&sums, &result);
  return result;
}

}  // namespace nib::model
