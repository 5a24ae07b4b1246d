#include "model/decode.h"

#include "model/archive/error.h"
#include "model/archive/gguf/mx_blocks.h"
#include "model/archive/gguf/types.h"
#include "model/quantize/slab.h"
#include "model/quantize/weight_type.h"

#include <nibble/formats.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <set>

namespace nib::model {

namespace {

// Whether all stored scales are finite and not negative. The kernels would silently decode the group of a bad scale to
// zeros. infinity: the exponent bits of infinity, or E8M0's NaN.
template <class T>
bool areValidScales(std::span<const std::byte> bytes, uint32_t infinity) {
  for (size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    T bits;
    std::memcpy(&bits, &bytes[at], sizeof bits);
    const bool negative = sizeof(T) > 1 && bits >> (8 * sizeof(T) - 1) != 0 && T(bits << 1) != 0;
    if (negative || (bits & infinity) == infinity) return false;
  }
  return true;
}

bool areValidScales(std::span<const std::byte> bytes, uint32_t type) {
  switch (type) {
    case NIB_TYPE_F16: return areValidScales<uint16_t>(bytes, 0x7c00u);
    case NIB_TYPE_BF16: return areValidScales<uint16_t>(bytes, 0x7f80u);
    case NIB_TYPE_E8M0: return areValidScales<uint8_t>(bytes, 0xffu);
    default: return areValidScales<uint32_t>(bytes, 0x7f800000u);
  }
}

// Throws unless the scales of ggml's blocks are finite.
void checkGgmlScales(const TensorSpec& tensor, std::span<const std::byte> blocks) {
  if (haveFiniteScales(*findGgmlType(tensor.blocks), blocks)) return;
  throw Error(quoteText(tensor.name) + ": holds a scale that is NaN or infinite");
}

}  // namespace

ModelView::ModelView(const Checkpoint& checkpoint) : checkpoint_(checkpoint), quantized_(readQuantized(checkpoint)) {
  std::set<size_t> parts(quantized_.dropped.begin(), quantized_.dropped.end());
  for (const FoundWeight& weight : quantized_.weights) parts.insert(weight.tensors.begin(), weight.tensors.end());
  for (size_t i = 0; i < checkpoint.size(); ++i) {
    if (parts.count(i) != 0) continue;
    const TensorInfo info = checkpoint.info(i);
    tensors_.push_back(
        {info.name, info.shape, dtypeName(info.dtype), info.dtype, i, nullptr, info.bytes, info.declared});
  }
  for (const FoundWeight& weight : quantized_.weights) {
    Tensor tensor{
        weight.spec.name, {weight.spec.rows, weight.spec.cols}, nibFormatById(weight.spec.weights.format)->name};
    if (!weight.shape.empty()) tensor.shape = weight.shape;
    tensor.weight = &weight;
    tensor.index = weight.tensors.front();
    for (const size_t part : weight.tensors) tensor.bytes += checkpoint.info(part).bytes;
    tensors_.push_back(std::move(tensor));
  }
  std::sort(tensors_.begin(), tensors_.end(), [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
  for (size_t i = 1; i < tensors_.size(); ++i) {
    if (tensors_[i].name == tensors_[i - 1].name) {
      throw Error(quoteText(tensors_[i].name) + ": the model has it both dense and quantized");
    }
  }
}

uint64_t ModelView::Tensor::elements() const {
  uint64_t count = 1;
  for (const uint64_t side : shape) count *= side;
  return count;
}

const ModelView::Tensor* ModelView::find(std::string_view name) const {
  const auto found =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const Tensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

std::optional<NibType> Decoder::typeOf(const ModelView::Tensor& tensor) const {
  return tensor.weight != nullptr ? std::optional<NibType>(NIB_TYPE_F32) : nibTypeOf(tensor.dtype);
}

uint64_t Decoder::unit(const ModelView::Tensor& tensor) const {
  if (tensor.weight == nullptr) return NIB_ERROR_TILE;
  if (tensor.weight->transposed) return tensor.shape[1] * tensor.shape[2];
  return slabUnit(tensor.weight->spec);
}

void Decoder::decode(const ModelView::Tensor& tensor, uint64_t first, uint64_t count, const kit::Range& to) {
  if (tensor.weight != nullptr && tensor.weight->transposed) return decodeTransposed(*tensor.weight, first, count, to);
  if (tensor.weight != nullptr && !tensor.weight->groups_of.empty())
    return decodeGathered(*tensor.weight, first, count, to);
  if (tensor.weight != nullptr) return decodeWeight(*tensor.weight, first, count, to);
  const uint64_t size = dtypeBits(tensor.dtype) / 8;
  device_.load(*to.buffer, to.offset_bytes, count * size,
               [&](std::span<std::byte> bytes) { view_.checkpoint().read(tensor.index, first * size, bytes); });
}

void Decoder::decodeSlice(const ModelView::Tensor& tensor, const Slice& slice, uint32_t cols, uint64_t first,
                          uint64_t count, const kit::Range& to) {
  const uint64_t size = tensor.weight != nullptr ? sizeof(float) : dtypeBits(tensor.dtype) / 8;
  const auto load = [&](const std::function<void(std::span<std::byte>)>& read) {
    device_.load(*to.buffer, to.offset_bytes, count * size, read);
  };
  if (tensor.weight == nullptr) {
    return load([&](std::span<std::byte> bytes) {
      readSlice(view_.checkpoint(), tensor.index, slice, cols, uint32_t(size), first, count, bytes);
    });
  }
  const auto place = [&](uint64_t element) {
    return slice.first + element / cols * slice.row_stride + element % cols * slice.column_stride;
  };
  // All rows that are asked for, in whole units of decode().
  const uint64_t last = (first + count - 1) / cols;
  const uint64_t step = unit(tensor), begin = place(first / cols * cols) / step * step;
  const uint64_t end = std::min((place(last * cols + cols - 1) / step + 1) * step, tensor.elements());
  if (decoded_.weight != tensor.weight || decoded_.begin > begin || decoded_.end < end) {
    const kit::Buffer buffer(device_.untimed(), (end - begin) * sizeof(float));
    decode(tensor, begin, end - begin, buffer);
    decoded_ = {tensor.weight, begin, end, std::vector<float>(size_t(end - begin))};
    device_.download(buffer, 0, decoded_.values.data(), (end - begin) * sizeof(float));
  }
  load([&](std::span<std::byte> bytes) {
    for (uint64_t i = 0; i < count; ++i) {
      std::memcpy(&bytes[size_t(i * size)], &decoded_.values[size_t(place(first + i) - decoded_.begin)], size);
    }
  });
}

// Plans and buffers to decode chunks of a fixed number of rows of one kind of weight.
struct Decoder::Kernels {
  Kernels(const kit::Device& device, const FoundWeight& found, uint32_t chunk_rows)
      : weights(found.spec.weights),
        layout(found.container->layout(found.spec, found.activations)),
        rows(chunk_rows),
        cols(found.spec.cols),
        repack(device, repackDesc()),
        dequantize(device, dequantizeDesc()),
        packed(device, repack.sizeBytes(NIB_ROLE_INPUT)) {}

  // Codes are at the same offset in both blobs; only dequantize's has the parts of double quantization.
  uint64_t blobBytes() const {
    return std::max(repack.sizeBytes(NIB_ROLE_WEIGHTS), dequantize.sizeBytes(NIB_ROLE_WEIGHTS));
  }

  bool fits(const FoundWeight& found, uint32_t chunk_rows) const {
    return rows == chunk_rows && cols == found.spec.cols &&
           layout == found.container->layout(found.spec, found.activations) &&
           std::memcmp(&weights, &found.spec.weights, sizeof weights) == 0;
  }
  NibRepackDesc repackDesc() const {
    NibWeights plain = weights;
    plain.flags &= ~uint32_t(NIB_WEIGHTS_NESTED);
    return {NIB_OP_REPACK, sizeof(NibRepackDesc), NIB_REPACK_UNPACK, rows, cols, uint32_t(layout), plain};
  }
  NibDequantizeDesc dequantizeDesc() const {
    NibDequantizeDesc desc{};
    desc.op = NIB_OP_DEQUANTIZE;
    desc.desc_bytes = sizeof desc;
    desc.rows = rows;
    desc.cols = cols;
    desc.weights = weights;
    return desc;
  }

  NibWeights weights;
  NibLayout layout;
  uint32_t rows, cols;
  kit::Plan repack, dequantize;
  kit::Buffer packed, blob;
};

Decoder::Decoder(const TimedDevice& device, const ModelView& view) : device_(device), view_(view) {}
Decoder::~Decoder() = default;

Decoder::Kernels& Decoder::kernels(const FoundWeight& found, uint32_t rows) {
  if (!kernels_ || !kernels_->fits(found, rows)) {
    kernels_.reset();  // first free the old buffers: both sets at once would double the memory
    kernels_ = std::make_unique<Kernels>(device_.untimed(), found, rows);
  }
  return *kernels_;
}

// Loads elements [first, first + count) as a blob of their own.
void Decoder::loadBlob(const FoundWeight& found, uint64_t first, uint64_t count, Kernels& work,
                       const kit::Range& blob) {
  const WeightSpec& w = found.spec;
  const uint32_t first_row = uint32_t(first / w.cols), rows = uint32_t(count / w.cols);
  const bool flat = (w.weights.flags & NIB_WEIGHTS_FLAT) != 0, nested = (w.weights.flags & NIB_WEIGHTS_NESTED) != 0;
  const NibMemory& memory = work.dequantize.memory();
  const NibMemory& packed_memory = work.repack.memory();

  const bool per_tensor = w.weights.granularity == NIB_GRANULARITY_TENSOR;
  const uint64_t scale_bytes = nested                                  ? 1
                               : w.weights.scale_type == NIB_TYPE_F32  ? 4
                               : w.weights.scale_type == NIB_TYPE_E8M0 ? 1
                                                                       : 2;
  const uint64_t scales_before = flat ? first / w.weights.group_size : per_tensor ? 0 : first_row * w.groupsPerRow();
  const uint64_t scales = flat         ? (count + w.weights.group_size - 1) / w.weights.group_size
                          : per_tensor ? 1
                                       : rows * w.groupsPerRow();
  bool scaled = false;

  // Load the slice of each part that belongs to these rows.
  const std::vector<WeightPart> parts = found.container->parts(w, found.activations);
  if (first == 0) found.container->check(view_.checkpoint(), found);
  for (size_t i = 0; i < parts.size() && i < found.tensors.size(); ++i) {
    const bool transposed = bool(parts[i].transposition);
    const uint64_t whole =
        transposed ? w.rows * parts[i].transposition.rowBytes() : view_.checkpoint().info(found.tensors[i]).bytes;
    const auto checkScales = [&](std::span<const std::byte> bytes, uint32_t type) {
      if (!areValidScales(bytes, type)) {
        throw Error(quoteText(parts[i].tensor.name) + ": holds a scale that is NaN, infinite or negative");
      }
    };
    // Reads `size` bytes at `offset`, clipped to the end of the tensor, and zero-fills the rest of the device part.
    const auto put = [&](const kit::Range& range, const NibMemoryPart& part, uint64_t offset, uint64_t size,
                         std::optional<uint32_t> scale_type = std::nullopt, bool are_blocks = false) {
      size = std::min(size, whole - std::min(offset, whole));
      device_.load(*range.buffer, range.offset_bytes + part.offset_bytes, part.size_bytes,
                   [&](std::span<std::byte> bytes) {
                     if (transposed) {
                       readRows(found, i, parts[i], offset, bytes.first(size_t(size)));
                     } else {
                       view_.checkpoint().read(found.tensors[i], offset, bytes.first(size_t(size)));
                     }
                     if (scale_type) checkScales(bytes.first(size_t(size)), *scale_type);
                     if (are_blocks) checkGgmlScales(parts[i].tensor, bytes.first(size_t(size)));
                     std::fill(bytes.begin() + std::ptrdiff_t(size), bytes.end(), std::byte{0});
                   });
    };
    switch (parts[i].from) {
      case PartFrom::kCodes: {
        // Every chunk but the last fills whole words, so the sizes are exact.
        const uint64_t row_bytes = whole / w.rows;
        put(work.packed, packed_memory.part[NIB_PART_PACKED_CODES], flat ? first / 2 : first_row * row_bytes,
            flat ? (count + 1) / 2 : rows * row_bytes, std::nullopt, work.layout == NIB_LAYOUT_GGUF);
        break;
      }
      case PartFrom::kMxBlocks: {
        const uint64_t row_bytes = whole / w.rows;
        std::vector<std::byte> blocks(size_t(rows * row_bytes));
        view_.checkpoint().read(found.tensors[i], first_row * row_bytes, blocks);
        const size_t number = blocks.size() / kMxBlockBytes;
        std::vector<std::byte> codes(number * 16), scale_bytes_of(number);
        unpackMxBlocks(blocks, codes, scale_bytes_of);
        checkGgmlScales(parts[i].tensor, blocks);
        const auto load = [&](const kit::Range& range, const NibMemoryPart& part, std::span<const std::byte> from) {
          device_.load(*range.buffer, range.offset_bytes + part.offset_bytes, part.size_bytes,
                       [&](std::span<std::byte> bytes) {
                         std::copy(from.begin(), from.end(), bytes.begin());
                         std::fill(bytes.begin() + std::ptrdiff_t(from.size()), bytes.end(), std::byte{0});
                       });
        };
        load(work.packed, packed_memory.part[NIB_PART_PACKED_CODES], codes);
        load(blob, memory.part[NIB_PART_SCALES], scale_bytes_of);
        scaled = true;
        break;
      }
      case PartFrom::kScales:
        put(blob, memory.part[NIB_PART_SCALES], scales_before * scale_bytes, scales * scale_bytes,
            nested ? std::nullopt : std::optional(w.weights.scale_type));
        scaled = true;
        break;
      case PartFrom::kAbsmax: {
        std::vector<float> absmax(rows);
        view_.checkpoint().read(found.tensors[i], first_row * sizeof(float), std::as_writable_bytes(std::span(absmax)));
        checkScales(std::as_bytes(std::span(absmax)), NIB_TYPE_F32);
        for (float& value : absmax) value /= 127.0f;
        device_.upload(*blob.buffer, blob.offset_bytes + memory.part[NIB_PART_SCALES].offset_bytes, absmax.data(),
                       absmax.size() * sizeof(float));
        scaled = true;
        break;
      }
      case PartFrom::kZeros: {
        const NibMemoryPart& part = packed_memory.part[NIB_PART_PACKED_ZEROS];
        if (part.size_bytes != 0) {
          put(work.packed, part, uint64_t(first_row) * w.bits() / 32 * w.groupsPerRow() * 4, part.size_bytes);
        } else {
          put(blob, memory.part[NIB_PART_ZEROS], scales_before, scales);
        }
        break;
      }
      case PartFrom::kNestedScales: {
        NibMemoryPart part = memory.part[NIB_PART_NESTED];
        device_.upload(*blob.buffer, blob.offset_bytes + part.offset_bytes, &found.nested_offset, 4);
        part.offset_bytes += 4;
        part.size_bytes -= 4;
        put(blob, part, scales_before / 256 * 4, (scales + 255) / 256 * 4, NIB_TYPE_F32);
        break;
      }
      default: break;
    }
  }
  const NibMemoryPart& scale_part = memory.part[NIB_PART_SCALES];
  if (found.grid) {
    loadGrid(found, first_row, rows,
             {*blob.buffer, blob.offset_bytes + scale_part.offset_bytes, scale_part.size_bytes});
    scaled = true;
  }
  // The format has no scales: its codes are values, so the scale is 1.
  if (!scaled) device_.fill(*blob.buffer, 0x3f800000u, blob.offset_bytes + scale_part.offset_bytes, 4);
  const kit::Binding repacking(work.repack,
                               kit::Ranges{.weights = blob, .input = work.packed, .output = {}, .aux = {}});
  device_.run(repacking, rows);
}

// Reads bytes of a part that lies along the outputs, as if it lay along rows. Rows are read in larger pieces and kept,
// because each piece costs a read for every line.
void Decoder::readRows(const FoundWeight& found, size_t part, const WeightPart& what, uint64_t offset,
                       std::span<std::byte> out) {
  constexpr uint64_t kKeptBytes = 4u << 20, kTogether = 32;
  const uint64_t row_bytes = what.transposition.rowBytes(), rows = found.spec.rows;
  for (uint64_t end = offset + out.size(), at = offset; at < end;) {
    KeptRows* kept = nullptr;
    for (KeptRows& one : kept_) kept = one.weight == &found && one.part == part ? &one : kept;
    if (kept == nullptr) {
      kept_.erase(std::remove_if(kept_.begin(), kept_.end(), [&](const KeptRows& k) { return k.weight != &found; }),
                  kept_.end());
      kept = &kept_.emplace_back(KeptRows{&found, part});
    }
    if (at < kept->begin || at >= kept->end) {
      const uint64_t first = at / row_bytes / kTogether * kTogether;
      const uint64_t asked = (end - 1) / row_bytes + 1 - first, least = std::max(asked, kKeptBytes / row_bytes);
      const uint64_t count = std::min((least + kTogether - 1) / kTogether * kTogether, rows - first);
      kept->rows.resize(size_t(count * row_bytes));
      const auto read = [&](uint64_t from, std::span<std::byte> to) {
        view_.checkpoint().read(found.tensors[part], from, to);
      };
      kept->begin = kept->end = 0;
      if (!readTransposed(what.transposition, rows, first, count, read, kept->rows)) {
        throw Error(quoteText(what.tensor.name) +
                    ": holds the zero point of a version 1 file for which loaders differ (0, stored as the largest "
                    "number): set checkpoint_format to gptq_v2 if the file is of version 2");
      }
      kept->begin = first * row_bytes;
      kept->end = kept->begin + kept->rows.size();
    }
    const uint64_t size = std::min(end, kept->end) - at;
    std::memcpy(out.data() + (at - offset), &kept->rows[size_t(at - kept->begin)], size_t(size));
    at += size;
  }
}

// Gives each group of these rows the scale of its block, as fp32.
void Decoder::loadGrid(const FoundWeight& found, uint32_t first_row, uint32_t rows, const kit::Range& scales) const {
  const ScaleGrid& grid = *found.grid;
  const WeightSpec& w = found.spec;
  const bool per_tensor = w.weights.granularity == NIB_GRANULARITY_TENSOR;
  const uint64_t groups = w.groupsPerRow();
  const uint64_t group = w.weights.granularity == NIB_GRANULARITY_GROUP ? w.weights.group_size : w.cols;
  const auto gridRow = [&](uint64_t row) {
    return row / grid.matrix_rows * grid.rows + row % grid.matrix_rows / grid.block_rows;
  };
  const uint64_t begin = gridRow(first_row), end = gridRow(first_row + rows - 1) + 1;
  const uint64_t size = dtypeBits(grid.dtype) / 8;
  std::vector<std::byte> stored(size_t((end - begin) * grid.cols * size));
  view_.checkpoint().read(grid.tensor, begin * grid.cols * size, stored);
  std::vector<float> values(size_t((end - begin) * grid.cols));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = floatValue(grid.dtype, &stored[i * size]);
    if (!std::isfinite(values[i]) || values[i] < 0) {
      throw Error(quoteText(view_.checkpoint().info(grid.tensor).name) +
                  ": holds a scale that is NaN, infinite or negative");
    }
  }
  device_.load(*scales.buffer, scales.offset_bytes, scales.size_bytes, [&](std::span<std::byte> bytes) {
    std::fill(bytes.begin(), bytes.end(), std::byte{0});
    size_t at = 0;
    for (uint64_t row = first_row; row < (per_tensor ? first_row + 1 : first_row + rows); ++row) {
      for (uint64_t g = 0; g < groups; ++g, at += sizeof(float)) {
        const float value = values[size_t((gridRow(row) - begin) * grid.cols + g * group / grid.block_cols)];
        std::memcpy(&bytes[at], &value, sizeof value);
      }
    }
  });
}

void Decoder::decodeWeight(const FoundWeight& found, uint64_t first, uint64_t count, const kit::Range& to) {
  const uint32_t rows = uint32_t(count / found.spec.cols);
  Kernels& work = kernels(found, rows);
  if (work.blob.sizeBytes() == 0) work.blob = kit::Buffer(device_.untimed(), work.blobBytes());
  loadBlob(found, first, count, work, work.blob);
  const kit::Binding dequantizing(work.dequantize,
                                  kit::Ranges{.weights = work.blob, .input = {}, .output = to, .aux = {}});
  device_.run(dequantizing, rows);
}

// Columns of which each has the scale of a group of its own, in no order.
void Decoder::decodeGathered(const FoundWeight& found, uint64_t first, uint64_t count, const kit::Range& to) {
  const WeightSpec& w = found.spec;
  const uint64_t first_row = first / w.cols, rows = count / w.cols, groups = w.groupsPerRow();
  const uint32_t bits = w.bits(), mask = (1u << bits) - 1u;
  const std::vector<WeightPart> parts = found.container->parts(w, found.activations);
  if (first == 0) found.container->check(view_.checkpoint(), found);
  std::vector<std::byte> codes, scales, zeros;
  Dtype scale = Dtype::kF16;
  for (size_t i = 0; i < parts.size() && i < found.tensors.size(); ++i) {
    std::vector<std::byte>* const into = parts[i].from == PartFrom::kCodes    ? &codes
                                         : parts[i].from == PartFrom::kScales ? &scales
                                         : parts[i].from == PartFrom::kZeros  ? &zeros
                                                                              : nullptr;
    if (into == nullptr) continue;
    if (into == &scales) scale = parts[i].tensor.dtype;
    into->resize(size_t(rows * parts[i].transposition.rowBytes()));
    readRows(found, i, parts[i], first_row * parts[i].transposition.rowBytes(), *into);
    if (into == &scales && !areValidScales(scales, w.weights.scale_type)) {
      throw Error(quoteText(parts[i].tensor.name) + ": holds a scale that is NaN, infinite or negative");
    }
  }
  const uint64_t row_bytes = codes.size() / rows, scale_bytes = dtypeBits(scale) / 8;
  const uint8_t flip = w.weights.format == NIB_FORMAT_INT8 ? 0x80 : 0;
  device_.load(*to.buffer, to.offset_bytes, count * sizeof(float), [&](std::span<std::byte> bytes) {
    for (uint64_t r = 0; r < rows; ++r) {
      for (uint64_t c = 0; c < w.cols; ++c) {
        const uint64_t bit = c * bits;
        const std::byte* at = &codes[size_t(r * row_bytes + bit / 8)];
        const uint32_t pair = uint32_t(*at) | (bit % 8 + bits > 8 ? uint32_t(at[1]) << 8 : 0u);
        const uint64_t group = r * groups + found.groups_of[size_t(c)];
        const int32_t zero = zeros.empty() ? int32_t(1u << (bits - 1)) : int32_t(uint8_t(zeros[size_t(group)]) ^ flip);
        const float value =
            float(int32_t(pair >> bit % 8 & mask) - zero) * floatValue(scale, &scales[size_t(group * scale_bytes)]);
        std::memcpy(&bytes[size_t((r * w.cols + c) * sizeof value)], &value, sizeof value);
      }
    }
  });
}

// first and count are those of whole matrices.
void Decoder::decodeTransposed(const FoundWeight& found, uint64_t first, uint64_t count, const kit::Range& to) {
  const uint64_t cols = found.shape[1], rows = found.shape[2], elements = rows * cols;
  const kit::Buffer decoded(device_.untimed(), elements * sizeof(float));
  std::vector<float> matrix(static_cast<size_t>(elements)), turned(matrix.size());
  for (uint64_t at = 0; at < count; at += elements) {
    decodeWeight(found, first + at, elements, decoded);
    device_.download(decoded, 0, matrix.data(), elements * sizeof(float));
    // Small tiles stay in the cache.
    constexpr uint64_t kTile = 32;
    for (uint64_t row = 0; row < rows; row += kTile) {
      for (uint64_t col = 0; col < cols; col += kTile) {
        for (uint64_t r = row; r < std::min(row + kTile, rows); ++r) {
          for (uint64_t c = col; c < std::min(col + kTile, cols); ++c) turned[c * rows + r] = matrix[r * cols + c];
        }
      }
    }
    device_.upload(*to.buffer, to.offset_bytes + at * sizeof(float), turned.data(), elements * sizeof(float));
  }
}

void Decoder::loadRows(const ModelView::Tensor& tensor, uint64_t first, uint64_t count, const kit::Range& to) {
  loadBlob(*tensor.weight, first, count, kernels(*tensor.weight, uint32_t(count / tensor.weight->spec.cols)), to);
}

void Decoder::load(const ModelView::Tensor& tensor, const kit::Range& to) {
  if (tensor.weight == nullptr || !decodesToBlob(*tensor.weight)) return decode(tensor, 0, tensor.elements(), to);
  Kernels& work = kernels(*tensor.weight, tensor.weight->spec.rows);
  const uint64_t size = work.dequantize.sizeBytes(NIB_ROLE_WEIGHTS);
  if (work.blobBytes() <= size) return loadBlob(*tensor.weight, 0, tensor.elements(), work, to);
  // Repacking knows no double quantization, so it needs more memory for scales than the blob has.
  const kit::Buffer blob(device_.untimed(), work.blobBytes());
  loadBlob(*tensor.weight, 0, tensor.elements(), work, blob);
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  device_.download(blob, 0, bytes.data(), size);
  device_.upload(*to.buffer, to.offset_bytes, bytes.data(), size);
}

}  // namespace nib::model
