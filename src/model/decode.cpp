#include "model/decode.h"

#include "model/archive/error.h"
#include "model/quantize/slab.h"
#include "model/quantize/weight_type.h"

#include <algorithm>
#include <set>

namespace nib::model {

ModelView::ModelView(const Checkpoint& checkpoint) : checkpoint_(checkpoint), model_(findWeights(checkpoint)) {
  std::set<size_t> parts;
  for (const FoundWeight& weight : model_.weights) parts.insert(weight.tensors.begin(), weight.tensors.end());
  for (size_t i = 0; i < checkpoint.size(); ++i) {
    if (parts.count(i) != 0) continue;
    const TensorInfo info = checkpoint.info(i);
    tensors_.push_back({std::string(info.name), info.shape, std::string(dtypeName(info.dtype)), info.dtype, i, nullptr, info.bytes});
  }
  for (const FoundWeight& weight : model_.weights) {
    Tensor tensor{weight.spec.name, {weight.spec.rows, weight.spec.cols}, nibFormatById(weight.spec.weights.format)->name};
    tensor.weight = &weight;
    for (const size_t part : weight.tensors) tensor.bytes += checkpoint.info(part).bytes;
    tensors_.push_back(std::move(tensor));
  }
  std::sort(tensors_.begin(), tensors_.end(), [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!by_name_.emplace(tensors_[i].name, i).second) throw Error(quoteText(tensors_[i].name) + ": is there both dense and quantized");
  }
}

const ModelView::Tensor* ModelView::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found != by_name_.end() ? &tensors_[found->second] : nullptr;
}

std::optional<NibType> Decoder::typeOf(const ModelView::Tensor& tensor) const {
  return tensor.weight != nullptr ? std::optional<NibType>(NIB_TYPE_F32) : nibTypeOf(tensor.dtype);
}

uint64_t Decoder::unit(const ModelView::Tensor& tensor) const {
  if (tensor.weight == nullptr) return NIB_ERROR_TILE;
  return slabUnit(tensor.weight->spec);
}

void Decoder::decode(const ModelView::Tensor& tensor, uint64_t first, uint64_t count, const kit::Range& to) {
  if (tensor.weight != nullptr) return decodeWeight(*tensor.weight, first, count, to);
  const uint64_t size = dtypeBits(tensor.dtype) / 8;
  std::vector<std::byte> bytes(size_t(count * size));
  view_.checkpoint().read(tensor.index, first * size, bytes);
  device_.uploadBytes(*to.buffer, to.offset_bytes, bytes.data(), bytes.size());
}

void Decoder::decodeWeight(const FoundWeight& found, uint64_t first, uint64_t count, const kit::Range& to) {
  const Container& container = *view_.container();
  const WeightSpec& w = found.spec;
  const uint32_t first_row = uint32_t(first / w.cols), rows = uint32_t(count / w.cols);
  const bool flat = (w.weights.flags & NIB_WEIGHTS_FLAT) != 0, nested = (w.weights.flags & NIB_WEIGHTS_NESTED) != 0;
  NibWeights plain = w.weights;
  plain.flags &= ~uint32_t(NIB_WEIGHTS_NESTED);
  const NibRepackDesc repack_desc{NIB_OP_REPACK, NIB_REPACK_UNPACK, rows, w.cols, uint32_t(container.layout(w, found.activations)), plain};
  NibDequantizeDesc dequantize_desc{};
  dequantize_desc.op = NIB_OP_DEQUANTIZE;
  dequantize_desc.rows = rows;
  dequantize_desc.cols = w.cols;
  dequantize_desc.weights = w.weights;
  const kit::Plan repack(device_, repack_desc), dequantize(device_, dequantize_desc);
  // Codes lie at the same place in both blobs; the second has room for what double quantization adds.
  const NibMemory& memory = dequantize.memory();
  const NibMemory& packed_memory = repack.memory();
  const kit::Buffer packed(device_, repack.sizeBytes(NIB_ROLE_INPUT));
  const kit::Buffer blob(device_, std::max(repack.sizeBytes(NIB_ROLE_WEIGHTS), dequantize.sizeBytes(NIB_ROLE_WEIGHTS)));

  // The slice of each part that these rows have.
  const std::vector<WeightPart> parts = container.parts(w, found.activations);
  for (size_t i = 0; i < parts.size(); ++i) {
    const uint64_t whole = view_.checkpoint().info(found.tensors[i]).bytes;
    const auto slice = [&](uint64_t offset, uint64_t size, uint64_t padded) {
      std::vector<std::byte> bytes(static_cast<size_t>(padded));
      size = std::min(size, whole - std::min(offset, whole));
      view_.checkpoint().read(found.tensors[i], offset, std::span(bytes.data(), size_t(size)));
      return bytes;
    };
    const auto put = [&](const kit::Buffer& buffer, const NibMemoryPart& part, uint64_t offset, uint64_t size) {
      const std::vector<std::byte> bytes = slice(offset, size, part.size_bytes);
      device_.uploadBytes(buffer, part.offset_bytes, bytes.data(), bytes.size());
    };
    const bool one = w.weights.granularity == NIB_GRANULARITY_TENSOR;
    const uint64_t scale_bytes = nested ? 1 : w.weights.scale_type == NIB_TYPE_F32 ? 4 : w.weights.scale_type == NIB_TYPE_E8M0 ? 1 : 2;
    const uint64_t scales_before = flat ? first / w.weights.group_size : one ? 0 : first_row * w.groupsPerRow();
    const uint64_t scales = flat ? (count + w.weights.group_size - 1) / w.weights.group_size : one ? 1 : rows * w.groupsPerRow();
    switch (parts[i].from) {
      case PartFrom::kCodes: {
        const NibMemoryPart& part = packed_memory.part[NIB_PART_PACKED_CODES];
        // Pieces before the last are whole words, so their sizes are exact.
        const uint64_t row_bytes = whole / w.rows;
        put(packed, part, flat ? first / 2 : first_row * row_bytes, flat ? (count + 1) / 2 : rows * row_bytes);
        break;
      }
      case PartFrom::kScales: put(blob, memory.part[NIB_PART_SCALES], scales_before * scale_bytes, scales * scale_bytes); break;
      case PartFrom::kZeros: {
        const NibMemoryPart& part = packed_memory.part[NIB_PART_PACKED_ZEROS];
        if (part.size_bytes != 0) {
          put(packed, part, uint64_t(first_row) * w.bits() / 32 * w.groupsPerRow() * 4, part.size_bytes);
        } else {
          put(blob, memory.part[NIB_PART_ZEROS], scales_before, scales);
        }
        break;
      }
      case PartFrom::kNestedScales: {
        const NibMemoryPart& part = memory.part[NIB_PART_NESTED];
        std::vector<std::byte> bytes = slice(scales_before / 256 * 4, (scales + 255) / 256 * 4, part.size_bytes - 4);
        device_.uploadBytes(blob, part.offset_bytes, &found.nested_offset, 4);
        device_.uploadBytes(blob, part.offset_bytes + 4, bytes.data(), bytes.size());
        break;
      }
      default: break;
    }
  }
  const kit::Binding repack_binding(repack, kit::Ranges{.weights = blob, .input = packed, .output = {}, .aux = {}});
  device_.run(repack_binding, rows);
  const kit::Binding dequantize_binding(dequantize, kit::Ranges{.weights = blob, .input = {}, .output = to, .aux = {}});
  device_.run(dequantize_binding, rows);
}

}  // namespace nib::model
