#include "model/compare.h"

#include "model/decode.h"
#include "model/quantize/weight_type.h"

#include <algorithm>
#include <numeric>

namespace nib::model {
namespace {

constexpr uint64_t kChunkElements = 16u << 20;

NibErrors compareTensor(const kit::Device& device, Decoder& reference, const ModelView::Tensor& x, Decoder& candidate,
                        const ModelView::Tensor& y) {
  const uint64_t elements = x.elements();
  const uint64_t unit = std::lcm(reference.unit(x), candidate.unit(y));
  const uint64_t chunk = std::max<uint64_t>(kChunkElements / unit, 1) * unit;
  NibErrorSums sums{};
  for (uint64_t at = 0; at < elements; at += chunk) {
    const uint64_t count = std::min(chunk, elements - at);
    NibErrorsDesc desc{};
    desc.op = NIB_OP_ERRORS;
    desc.desc_bytes = sizeof desc;
    desc.rows = 1;
    desc.cols = uint32_t(count);
    desc.reference_type = *reference.typeOf(x);
    desc.candidate_type = *candidate.typeOf(y);
    const kit::Plan plan(device, desc);
    const NibMemory& memory = plan.memory();
    const kit::Buffer pair(device, plan.sizeBytes(NIB_ROLE_INPUT)), tiles(device, plan.sizeBytes(NIB_ROLE_OUTPUT)),
        scratch(device, plan.sizeBytes(NIB_ROLE_AUX));
    const auto part = [&](NibPart p) {
      return kit::Range(pair, memory.part[p].offset_bytes, memory.part[p].size_bytes);
    };
    reference.decode(x, at, count, part(NIB_PART_REFERENCE));
    candidate.decode(y, at, count, part(NIB_PART_CANDIDATE));
    const kit::Binding binding(plan, kit::Ranges{.weights = {}, .input = pair, .output = tiles, .aux = scratch});
    device.run(binding, 1);
    std::vector<NibErrorTile> tile_errors(size_t(tiles.sizeBytes() / sizeof(NibErrorTile)));
    device.downloadBytes(tiles, 0, tile_errors.data(), tile_errors.size() * sizeof(NibErrorTile));
    nibErrorsAdd(&sums, tile_errors.data(), tile_errors.size(), at);
  }
  NibErrors errors{sizeof(NibErrors)};
  nibErrorsFinish(&sums, &errors);
  return errors;
}

}  // namespace

ModelComparison compareModels(const kit::Device& device, const std::filesystem::path& reference,
                              const std::filesystem::path& candidate) {
  const Checkpoint a(reference), b(candidate);
  const ModelView x(a), y(b);
  const TimedDevice timed(device);
  Decoder reference_decoder(timed, x), candidate_decoder(timed, y);
  ModelComparison result;
  for (const ModelView::Tensor& tensor : x.tensors()) {
    const ModelView::Tensor* other = y.find(tensor.name);
    if (other == nullptr) {
      result.only_in_reference.emplace_back(tensor.name);
      continue;
    }
    TensorComparison comparison{std::string(tensor.name),
                                tensor.shape,
                                std::string(tensor.type),
                                std::string(other->type),
                                tensor.bytes,
                                other->bytes,
                                {},
                                ""};
    if (tensor.shape != other->shape) {
      comparison.note = "shapes differ";
    } else if (!reference_decoder.typeOf(tensor) || !candidate_decoder.typeOf(*other)) {
      comparison.note = "no floating-point values";
    } else if (tensor.bytes != 0) {
      comparison.errors = compareTensor(device, reference_decoder, tensor, candidate_decoder, *other);
    }
    result.tensors.push_back(std::move(comparison));
  }
  for (const ModelView::Tensor& tensor : y.tensors()) {
    if (x.find(tensor.name) == nullptr) result.only_in_candidate.emplace_back(tensor.name);
  }
  return result;
}

}  // namespace nib::model
