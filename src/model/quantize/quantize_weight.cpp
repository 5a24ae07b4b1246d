#include "model/quantize/quantize_weight.h"

#include "model/archive/error.h"
#include "model/archive/gguf/mx_blocks.h"
#include "model/quantize/scale_of.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>

namespace nib::model {

std::optional<NibMemory> memoryOf(const WeightSpec& weight) {
  NibQuantizeDesc desc{NIB_OP_QUANTIZE, sizeof(NibQuantizeDesc)};
  desc.rows = weight.rows;
  desc.cols = weight.cols;
  desc.weights = weight.weights;
  NibMemory memory{sizeof(NibMemory)};
  if (nibGetMemory(reinterpret_cast<const NibOpDesc*>(&desc), nullptr, &memory) != NIB_SUCCESS) return std::nullopt;
  return memory;
}

namespace {

// The CPU device keeps the rows it works on in a core's cache. Blocks of nested scales need the mean of all block
// scales first, so a weight in many slabs would be quantized twice.
uint64_t slabBytes(const kit::Device& device, const WeightSpec& weight, uint64_t most) {
  constexpr uint64_t kCpuSlab = 512u << 10;
  const bool nested = (weight.weights.flags & NIB_WEIGHTS_NESTED) != 0;
  return device.isCpu() && !nested ? std::min(most, kCpuSlab) : most;
}

// Weights are finite, so infinite values are beyond the type. They are of 16 bits, because fp32 holds all values.
uint64_t infiniteCount(std::span<const std::byte> values, Dtype dtype) {
  if (dtype == Dtype::kF32) return 0;
  const uint16_t infinity = dtype == Dtype::kF16 ? 0x7c00 : 0x7f80;
  uint64_t count = 0;
  for (size_t i = 0; i + 1 < values.size(); i += 2) {
    uint16_t bits = 0;
    std::memcpy(&bits, &values[i], sizeof bits);
    count += (bits & 0x7fff) >= infinity ? 1 : 0;
  }
  return count;
}

size_t partIndex(std::span<const WeightPart> parts, PartFrom from) {
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].from == from) return i;
  }
  return SIZE_MAX;
}

void fill(const WeightPart& part, const TensorSink& sink) {
  const uint64_t size = *tensorBytes(part.tensor.dtype, part.tensor.shape), chunk = part.bytes.size() << 12;
  std::vector<std::byte> bytes(size_t(std::min(size, chunk)));
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = part.bytes[i % part.bytes.size()];
  for (uint64_t at = 0; at < size; at += chunk) sink(at, std::span(bytes).first(size_t(std::min(chunk, size - at))));
}

// Puts the codes of packed rows back where the weight has them.
void restoreColumns(std::span<std::byte> codes, const WeightSpec& weight, std::span<const uint32_t> order) {
  const uint32_t bits = weight.bits(), mask = (1u << bits) - 1u;
  const size_t row_bytes = size_t(uint64_t(weight.cols) * bits / 8);
  std::vector<uint8_t> row(weight.cols);
  for (size_t at = 0; at + row_bytes <= codes.size(); at += row_bytes) {
    std::byte* const data = &codes[at];
    for (uint64_t p = 0, bit = 0; p < weight.cols; ++p, bit += bits) {
      const uint32_t pair = uint32_t(data[bit / 8]) | (bit % 8 + bits > 8 ? uint32_t(data[bit / 8 + 1]) << 8 : 0u);
      row[order[p]] = uint8_t(pair >> bit % 8 & mask);
    }
    uint64_t pending = 0;
    uint32_t used = 0;
    std::byte* to = data;
    for (const uint8_t code : row) {
      pending |= uint64_t(code) << used;
      for (used += bits; used >= 8; used -= 8, pending >>= 8) *to++ = std::byte(pending);
    }
  }
}

std::vector<std::byte> groupsOf(const WeightSpec& weight, std::span<const uint32_t> order) {
  const uint32_t group = weight.groupsPerRow() == 1 ? weight.cols : weight.weights.group_size;
  std::vector<std::byte> bytes(size_t(weight.cols) * sizeof(uint32_t));
  for (uint32_t col = 0; col < weight.cols; ++col) {
    const uint32_t of = col / group, at = order.empty() ? col : order[col];
    std::memcpy(&bytes[at * sizeof of], &of, sizeof of);
  }
  return bytes;
}

void addStatus(NibStatus& total, const NibStatus& more, uint64_t first_element) {
  if (more.nonfinite_count != 0 && total.nonfinite_count == 0) {
    total.first_nonfinite_not = ~uint32_t(first_element + ~more.first_nonfinite_not);
  }
  total.nonfinite_count += more.nonfinite_count;
  total.saturated_count += more.saturated_count;
}

}  // namespace

WeightQuantizer::WeightQuantizer(const TimedDevice& device, const Container& container, Activations activations,
                                 bool errors, uint64_t slab_bytes, uint64_t keep_bytes)
    : device_(device),
      container_(container),
      activations_(activations),
      errors_(errors),
      slab_bytes_(slab_bytes),
      keep_bytes_(keep_bytes) {}

SlabWorker& WeightQuantizer::worker(const WeightSpec& weight, NibType source, uint32_t rows, Extents extents) {
  std::string key(sizeof weight.weights, '\0');
  std::memcpy(key.data(), &weight.weights, sizeof weight.weights);
  for (const uint32_t number : {rows, weight.cols, uint32_t(source), uint32_t(extents), uint32_t(weight.search_scales),
                                uint32_t(weight.importance != nullptr)})
    key += "," + std::to_string(number);
  const auto found =
      std::find_if(cache_.begin(), cache_.end(), [&](const CachedWorker& cached) { return cached.key == key; });
  if (found != cache_.end()) {
    std::rotate(found, found + 1, cache_.end());
    return *cache_.back().worker;
  }
  // The size of the new worker is known only once it exists, so assume that it is as large as the last one.
  uint64_t total = 0;
  for (const CachedWorker& cached : cache_) total += cached.worker->bytes();
  while (!cache_.empty() && total + cache_.back().worker->bytes() > keep_bytes_) {
    total -= cache_.front().worker->bytes();
    cache_.erase(cache_.begin());
  }
  const NibLayout layout = container_.layout(weight, activations_);
  cache_.push_back({key, std::make_unique<SlabWorker>(device_, weight, source, layout, rows, extents)});
  return *cache_.back().worker;
}

WeightResult WeightQuantizer::quantize(const WeightSpec& weight, std::span<const WeightPart> parts,
                                       const WeightSource& source, const PartSink& sink, const GivenBlob& given) {
  const std::span<const std::byte> blob = given.bytes;
  const std::optional<NibMemory> whole = blob.empty() ? NibMemory{} : memoryOf(weight);
  if (!whole) throw Error(quoteText(weight.name) + " cannot be quantized as a whole");
  const NibMemory& blob_memory = *whole;
  const SlabShape slabs = slabShape(weight, std::lcm(slabUnit(weight), source.unit), source.elementBytes(),
                                    slabBytes(device_.untimed(), weight, slab_bytes_));
  const bool nested = (weight.weights.flags & NIB_WEIGHTS_NESTED) != 0;
  const bool per_tensor = weight.weights.granularity == NIB_GRANULARITY_TENSOR && slabs.count > 1;
  const Extents extents = per_tensor                                        ? Extents::kTensor
                          : partIndex(parts, PartFrom::kAbsmax) != SIZE_MAX ? Extents::kRows
                                                                            : Extents::kNone;
  const auto load = [&](uint32_t slab) -> SlabWorker& {
    const uint32_t rows = std::min(slabs.rows, weight.rows - slab * slabs.rows);
    SlabWorker& slab_worker = worker(weight, source.type, rows, extents);
    if (!source.load_blob || errors_) {
      source.load(uint64_t(slab) * slabs.rows * weight.cols, uint64_t(rows) * weight.cols, slab_worker.source());
    }
    if (weight.importance) slab_worker.setImportance(*weight.importance);
    return slab_worker;
  };

  // First pass over the weight: the scale of the tensor, or the mean of its block scales, is needed by every slab.
  StoredScale scale;
  if (per_tensor) {
    NibExtent whole{};
    for (uint32_t s = 0; s < slabs.count; ++s) {
      const NibExtent extent = load(s).extent();
      whole.min = s == 0 ? extent.min : std::min(whole.min, extent.min);
      whole.max = s == 0 ? extent.max : std::max(whole.max, extent.max);
    }
    scale = scaleOf(weight, whole);
  }
  std::vector<float> block_scales;
  std::vector<uint8_t> nested_codes;
  std::vector<float> nested_scales;
  SlabWorker* slab_worker = nullptr;
  PackedSlab packed;
  if (per_tensor || nested) {
    if (source.load_blob) throw Error(quoteText(weight.name) + ": its scales cannot be taken as they are");
  }
  if (nested) {
    for (uint32_t s = 0; s < slabs.count; ++s) {
      slab_worker = &load(s);
      slab_worker->quantize(packed);
      const size_t at = block_scales.size();
      block_scales.resize(at + packed.scales.size() / 4);
      std::memcpy(block_scales.data() + at, packed.scales.data(), packed.scales.size());
    }
    nested_codes.resize(block_scales.size());
    nested_scales.resize(1 + (block_scales.size() + 255) / 256);
    nibNestScales(block_scales.data(), uint32_t(block_scales.size()), nested_codes.data(), nested_scales.data());
  }

  WeightResult result;
  std::vector<uint64_t> written(parts.size(), 0);
  std::vector<std::optional<TransposedWriter>> transposed(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].transposition) transposed[i].emplace(parts[i].transposition, weight.rows, slab_bytes_);
  }
  uint32_t slab_rows = 0;
  const auto write = [&](PartFrom from, std::span<const std::byte> bytes) {
    const size_t part = partIndex(parts, from);
    if (part == SIZE_MAX) return;
    if (transposed[part]) {
      transposed[part]->add(bytes.first(size_t(slab_rows * parts[part].transposition.rowBytes())),
                            [&](uint64_t offset, std::span<const std::byte> piece) { sink(part, offset, piece); });
      return;
    }
    // Device ranges are whole words; the tensor may end within the last one.
    const uint64_t size = *tensorBytes(parts[part].tensor.dtype, parts[part].tensor.shape);
    const uint64_t count = std::min<uint64_t>(bytes.size(), size - written[part]);
    sink(part, written[part], bytes.first(size_t(count)));
    written[part] += count;
  };
  size_t first_block = 0;
  for (uint32_t s = 0; s < slabs.count; ++s) {
    slab_rows = std::min(slabs.rows, weight.rows - s * slabs.rows);
    // If the weight is one slab, the first pass of double quantization has left it on the device quantized.
    if (!nested || slabs.count > 1) {
      slab_worker = &load(s);
      if (per_tensor) slab_worker->setScale(scale.scale, scale.zero);
      if (source.load_blob) {
        const uint64_t first = uint64_t(s) * slabs.rows * weight.cols, count = uint64_t(slab_rows) * weight.cols;
        slab_worker->takeLoaded([&](const kit::Range& to) { source.load_blob(first, count, to); },
                                container_.leastZeroPoint(), packed);
      } else if (blob.empty()) {
        slab_worker->quantize(packed, container_.leastZeroPoint());
      } else {
        slab_worker->take(blob, blob_memory, weight, s * slabs.rows, container_.leastZeroPoint(), packed);
      }
    }
    const uint64_t first_element = uint64_t(s) * slabs.rows * weight.cols;
    if (!source.load_blob && (!per_tensor || s == 0))
      result.lost_groups += slab_worker->lostGroups(weight, packed.scales);
    addStatus(result.status, packed.status, first_element);
    if (nested) {
      const size_t blocks = packed.scales.size() / 4;
      const std::span<const std::byte> codes = std::as_bytes(std::span(nested_codes)).subspan(first_block, blocks);
      std::vector<float> slab_scales{nested_scales[0]};
      for (size_t b = first_block / 256; b <= (first_block + blocks - 1) / 256; ++b) {
        slab_scales.push_back(nested_scales[1 + b]);
      }
      slab_worker->nest(codes, slab_scales);
      packed.scales.assign(codes.begin(), codes.end());
      first_block += blocks;
    }
    if (partIndex(parts, PartFrom::kValues) != SIZE_MAX) {
      const std::vector<std::byte> values = slab_worker->values();
      result.overflowed += infiniteCount(values, weight.source);
      write(PartFrom::kValues, values);
    }
    if (errors_) slab_worker->compare(result.sums, first_element, given.order);
    if (!given.order.empty()) restoreColumns(packed.codes, weight, given.order);
    write(PartFrom::kCodes, packed.codes);
    if (partIndex(parts, PartFrom::kMxBlocks) != SIZE_MAX) {
      write(PartFrom::kMxBlocks, packMxBlocks(packed.codes, packed.scales));
    }
    // A per-tensor scale is written once, with the first slab.
    if (!per_tensor || s == 0) write(PartFrom::kScales, packed.scales);
    if (!per_tensor || s == 0) write(PartFrom::kZeros, packed.zeros);
    write(PartFrom::kAbsmax, packed.absmax);
  }
  if (nested) write(PartFrom::kNestedScales, std::as_bytes(std::span(nested_scales)).subspan(4));
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].from == PartFrom::kBytes) sink(i, 0, parts[i].bytes);
    if (parts[i].from == PartFrom::kFill) fill(parts[i], [&](auto at, auto bytes) { sink(i, at, bytes); });
    if (parts[i].from == PartFrom::kGroups) sink(i, 0, groupsOf(weight, given.order));
    if (parts[i].from == PartFrom::kLate) sink(i, 0, container_.lateBytes(weight, nested ? nested_scales[0] : 0.0f));
  }
  if (result.status.nonfinite_count != 0) {
    throw Error(quoteText(weight.name) + " holds " + std::to_string(result.status.nonfinite_count) +
                " NaN or infinite values, the first at row " +
                std::to_string(~result.status.first_nonfinite_not / weight.cols) + ", column " +
                std::to_string(~result.status.first_nonfinite_not % weight.cols) + ": fix the model, or --exclude it");
  }
  return result;
}

}  // namespace nib::model
