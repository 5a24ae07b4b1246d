// One-call functions on whole tensors in host memory.
#include <nibble/kit.h>

#include <algorithm>

namespace nib::kit {
namespace {

std::string shapeText(uint32_t rows, uint32_t cols) { return std::to_string(rows) + "x" + std::to_string(cols); }

Buffer bufferFor(const Device& device, const Plan& plan, NibRole role) { return Buffer(device, plan.sizeBytes(role)); }

// errors() processes this many values per run: two inputs of 64 MiB, in whole tiles.
constexpr size_t kErrorSlab = size_t{1} << 24;
static_assert(kErrorSlab % NIB_ERROR_TILE == 0);

}  // namespace

NibQuantizeDesc quantizeDesc(std::string_view format, uint32_t rows, uint32_t cols, uint32_t group) {
  const std::string name(format);
  const NibFormatInfo* info = nibFormatByName(name.c_str());
  if (!info) {
    std::string known;
    for (uint32_t i = 0; i < nibFormatCount(); ++i) known += std::string(i ? ", " : "") + nibFormatAt(i)->name;
    throw NotFound("no format \"" + name + "\" in this build; there is " + known);
  }
  if (group == 0) group = info->default_group_size;
  NibQuantizeDesc desc{};
  desc.op = NIB_OP_QUANTIZE;
  desc.desc_bytes = sizeof desc;
  desc.rows = rows;
  desc.cols = cols;
  desc.source_type = NIB_TYPE_F32;
  desc.weights.format = info->format;
  desc.weights.granularity = group == 0 ? NIB_GRANULARITY_ROW : NIB_GRANULARITY_GROUP;
  desc.weights.group_size = group;
  // fp32 is the first type. Formats without it have one other.
  while (!(info->scale_types >> desc.weights.scale_type & 1u)) ++desc.weights.scale_type;
  return desc;
}

NibQuantizeDesc int4(uint32_t rows, uint32_t cols, uint32_t group) { return quantizeDesc("int4", rows, cols, group); }

NibQuantizeDesc int8(uint32_t rows, uint32_t cols) {
  NibQuantizeDesc desc = quantizeDesc("int8", rows, cols);
  desc.weights.granularity = NIB_GRANULARITY_ROW;
  desc.weights.group_size = 0;
  return desc;
}

NibQuantizeDesc nf4(uint32_t rows, uint32_t cols, uint32_t group) { return quantizeDesc("nf4", rows, cols, group); }

std::span<const std::byte> Tensor::part(NibPart part) const {
  const NibMemoryPart& where = memory.part[part];
  const std::span<const std::byte> bytes = std::as_bytes(std::span(blob));
  if (where.size_bytes == 0 || where.offset_bytes + where.size_bytes > bytes.size()) return {};
  return bytes.subspan(static_cast<size_t>(where.offset_bytes), static_cast<size_t>(where.size_bytes));
}

Tensor quantize(const Device& device, std::span<const float> data, const NibQuantizeDesc& desc) {
  const uint64_t count = uint64_t{desc.rows} * desc.cols;
  if (data.size() != count) {
    throw Error("quantize: " + shapeText(desc.rows, desc.cols) + " needs " + std::to_string(count) + " values, got " +
                std::to_string(data.size()));
  }
  if (desc.source_type != NIB_TYPE_F32 || (desc.source_stride != 0 && desc.source_stride != desc.cols)) {
    throw Error("quantize: the data is dense fp32; use a Plan for other sources");
  }
  if ((desc.flags & NIB_QUANTIZE_GIVEN_SCALES) != 0) {
    throw Error("quantize: it computes the scales; use a Plan to give your own");
  }
  NibQuantizeDesc counted = desc;
  counted.flags |= NIB_QUANTIZE_STATUS;
  const Plan plan(device, counted);
  const Buffer input = bufferFor(device, plan, NIB_ROLE_INPUT);
  const Buffer blob = bufferFor(device, plan, NIB_ROLE_WEIGHTS);
  const Buffer aux = bufferFor(device, plan, NIB_ROLE_AUX);
  const Binding binding(plan, Ranges{.weights = blob, .input = input, .output = {}, .aux = aux});

  Tensor tensor;
  tensor.weights = desc.weights;
  tensor.rows = desc.rows;
  tensor.cols = desc.cols;
  tensor.memory = plan.memory();
  device.uploadBytes(input, 0, data.data(), data.size_bytes());
  // No kernel writes the gaps between parts. They are zeroed, so that equal tensors have equal bytes.
  device.fill(blob, 0, 0, blob.sizeBytes());
  const NibMemoryPart& status = plan.memory().part[NIB_PART_STATUS];
  device.fill(aux, 0, status.offset_bytes, status.size_bytes);
  device.run(binding, desc.rows);
  tensor.blob = device.download<uint32_t>(blob, static_cast<size_t>(blob.sizeBytes() / 4));
  device.downloadBytes(aux, status.offset_bytes, &tensor.status, sizeof tensor.status);
  return tensor;
}

std::vector<float> dequantize(const Device& device, const Tensor& tensor) {
  NibDequantizeDesc desc{};
  desc.op = NIB_OP_DEQUANTIZE;
  desc.desc_bytes = sizeof desc;
  desc.rows = tensor.rows;
  desc.cols = tensor.cols;
  desc.result_type = NIB_TYPE_F32;
  desc.weights = tensor.weights;
  const Plan plan(device, desc);
  const Buffer blob = bufferFor(device, plan, NIB_ROLE_WEIGHTS);
  const Buffer output = bufferFor(device, plan, NIB_ROLE_OUTPUT);
  const Buffer aux = bufferFor(device, plan, NIB_ROLE_AUX);
  if (tensor.blob.size() * 4 < blob.sizeBytes()) {
    throw Error("dequantize: a tensor of " + shapeText(tensor.rows, tensor.cols) + " has " +
                std::to_string(blob.sizeBytes()) + " bytes, this one " + std::to_string(tensor.blob.size() * 4));
  }
  const Binding binding(plan, Ranges{.weights = blob, .input = {}, .output = output, .aux = aux});
  device.uploadBytes(blob, 0, tensor.blob.data(), blob.sizeBytes());
  device.run(binding, desc.rows);
  return device.download<float>(output, size_t{tensor.rows} * tensor.cols);
}

NibErrors errors(const Device& device, std::span<const float> reference, std::span<const float> candidate) {
  if (reference.size() != candidate.size()) {
    throw Error("errors: the reference has " + std::to_string(reference.size()) + " values, the candidate " +
                std::to_string(candidate.size()));
  }
  NibErrorSums sums{};
  for (size_t first = 0; first < reference.size(); first += kErrorSlab) {
    const size_t count = std::min(kErrorSlab, reference.size() - first);
    NibErrorsDesc desc{};
    desc.op = NIB_OP_ERRORS;
    desc.desc_bytes = sizeof desc;
    desc.rows = 1;
    desc.cols = static_cast<uint32_t>(count);
    const Plan plan(device, desc);
    const Buffer input = bufferFor(device, plan, NIB_ROLE_INPUT);
    const Buffer output = bufferFor(device, plan, NIB_ROLE_OUTPUT);
    const NibMemoryPart* part = plan.memory().part;
    device.uploadBytes(input, part[NIB_PART_REFERENCE].offset_bytes, &reference[first], count * sizeof(float));
    device.uploadBytes(input, part[NIB_PART_CANDIDATE].offset_bytes, &candidate[first], count * sizeof(float));
    device.run(Binding(plan, Ranges{.weights = {}, .input = input, .output = output, .aux = {}}), 1);
    const auto tiles =
        device.download<NibErrorTile>(output, static_cast<size_t>(output.sizeBytes() / sizeof(NibErrorTile)));
    nibErrorsAdd(&sums, tiles.data(), tiles.size(), first);
  }
  NibErrors result{sizeof(NibErrors)};
  nibErrorsFinish(&sums, &result);
  return result;
}

}  // namespace nib::kit
