#include "model/inspect.h"

#include "model/archive/error.h"
#include "model/archive/gguf/types.h"
#include "model/archive/quantized_input.h"
#include "model/decode.h"
#include "model/inspect_packed.h"
#include "model/quantize/weight_type.h"

#include <algorithm>

namespace nib::model {
namespace {

constexpr uint64_t kChunkBytes = 64u << 20;

TensorStatistics statisticsOf(const kit::Device& device, const Checkpoint& checkpoint, size_t i,
                              const TensorInfo& info) {
  const uint64_t element_bytes = dtypeBits(info.dtype) / 8;
  TensorStatistics total;
  bool first = true;
  std::vector<std::byte> bytes(size_t(std::min(kChunkBytes, info.bytes)));
  for (uint64_t at = 0; at < info.bytes; at += kChunkBytes) {
    const uint64_t count = std::min(kChunkBytes, info.bytes - at);
    checkpoint.read(i, at, std::span(bytes.data(), size_t(count)));
    NibMinMaxDesc desc{};
    desc.op = NIB_OP_MINMAX;
    desc.desc_bytes = sizeof desc;
    desc.rows = 1;
    desc.cols = uint32_t(count / element_bytes);
    desc.source_type = *nibTypeOf(info.dtype);
    desc.granularity = NIB_GRANULARITY_TENSOR;
    const kit::Plan plan(device, desc);
    const kit::Buffer input(device, plan.sizeBytes(NIB_ROLE_INPUT)), output(device, plan.sizeBytes(NIB_ROLE_OUTPUT)),
        aux(device, plan.sizeBytes(NIB_ROLE_AUX));
    device.uploadBytes(input, 0, bytes.data(), count);
    const kit::Binding binding(plan, kit::Ranges{.weights = {}, .input = input, .output = output, .aux = aux});
    device.run(binding, 1);
    NibExtent extent{};
    device.downloadBytes(output, 0, &extent, sizeof extent);
    total.nonfinite_count += extent.nonfinite_count;
    if (extent.nonfinite_count == desc.cols) continue;  // without finite values min and max are undefined
    total.min = first ? extent.min : std::min(total.min, extent.min);
    total.max = first ? extent.max : std::max(total.max, extent.max);
    total.absmax = std::max(total.absmax, extent.absmax);
    first = false;
  }
  return total;
}

// Throws if the scales of a quantized tensor of a GGUF file are not finite.
void checkBlocks(const Checkpoint& checkpoint, size_t i, const TensorInfo& info) {
  const GgmlType& type = *findGgmlType(info.blocks);
  const uint64_t chunk = kChunkBytes / type.bytes * type.bytes;
  std::vector<std::byte> bytes(size_t(std::min(chunk, info.bytes)));
  for (uint64_t at = 0; at < info.bytes; at += chunk) {
    const std::span<std::byte> part(bytes.data(), size_t(std::min(chunk, info.bytes - at)));
    checkpoint.read(i, at, part);
    if (!haveFiniteScales(type, part)) throw Error(quoteText(info.name) + ": holds a scale that is NaN or infinite");
  }
}

}  // namespace

ModelFacts inspectModel(const kit::Device& device, const std::filesystem::path& path, bool statistics) {
  const Checkpoint checkpoint(path);
  const std::vector<std::filesystem::path> files = checkpoint.files();
  ModelFacts facts;
  facts.metadata = checkpoint.metadata();
  facts.notes = checkpoint.notes();
  facts.quantization = statedName(checkpoint);
  try {
    const ModelView view(checkpoint);
    for (const ModelView::Tensor& tensor : view.tensors()) {
      if (tensor.weight != nullptr) ++facts.quantized[std::string(tensor.type)];
    }
    for (std::string& line : missingPackedKeys(checkpoint)) facts.notes.push_back(std::move(line));
    if (statistics) checkPackedWeights(device, view);
  } catch (const UnreadQuantization& error) {  // the tensors can be listed all the same
    facts.unread = error.what();
  }
  for (size_t i = 0; i < checkpoint.size(); ++i) {
    const TensorInfo info = checkpoint.info(i);
    TensorFacts tensor;
    tensor.name = std::string(info.name);
    tensor.dtype = dtypeName(info.dtype);
    tensor.shape = info.shape;
    if (info.blocks != 0) {
      const GgmlType& type = *findGgmlType(info.blocks);
      tensor.dtype = type.name;
      tensor.shape.back() = tensor.shape.back() / type.bytes * type.block;
    }
    tensor.bytes = info.bytes;
    tensor.file = files[info.file].filename().string();
    if (statistics && info.blocks == 0 && nibTypeOf(info.dtype) && info.bytes != 0)
      tensor.statistics = statisticsOf(device, checkpoint, i, info);
    if (statistics && info.blocks != 0 && facts.unread.empty()) checkBlocks(checkpoint, i, info);
    facts.bytes += info.bytes;
    facts.tensors.push_back(std::move(tensor));
  }
  return facts;
}

}  // namespace nib::model
