#include "model/quantize/scale_of.h"

#include <vector>

namespace nib::model {

// The CPU reference quantizes a tensor of the two ends.
StoredScale scaleOf(const WeightSpec& weight, const NibExtent& extent) {
  NibQuantizeDesc desc{};
  desc.op = NIB_OP_QUANTIZE;
  desc.desc_bytes = sizeof desc;
  desc.rows = 1;
  desc.cols = 2;
  desc.weights = weight.weights;
  NibMemory memory{sizeof(NibMemory)};
  nibGetMemory(reinterpret_cast<const NibOpDesc*>(&desc), nullptr, &memory);
  std::vector<uint32_t> blob(size_t(memory.range[NIB_ROLE_WEIGHTS].size_bytes / 4));
  std::vector<uint32_t> aux(size_t(memory.range[NIB_ROLE_AUX].size_bytes / 4));
  float ends[2] = {extent.min, extent.max};
  NibCpuBinding binding{sizeof(NibCpuBinding)};
  binding.range[NIB_ROLE_WEIGHTS] = {blob.data(), blob.size() * 4};
  binding.range[NIB_ROLE_INPUT] = {ends, sizeof ends};
  binding.range[NIB_ROLE_AUX] = {aux.data(), aux.size() * 4};
  const NibRun run{sizeof(NibRun), 1, 0, 0, UINT32_MAX, {}};
  nibCpuRun(reinterpret_cast<const NibOpDesc*>(&desc), &binding, &run, nullptr, nullptr);
  StoredScale stored;
  stored.scale = blob[size_t(memory.part[NIB_PART_SCALES].offset_bytes / 4)];
  if (memory.part[NIB_PART_ZEROS].size_bytes != 0)
    stored.zero = blob[size_t(memory.part[NIB_PART_ZEROS].offset_bytes / 4)];
  return stored;
}

}  // namespace nib::model
