#include "model/quantize/slab.h"

#include "model/archive/error.h"
#include "model/quantize/scale_of.h"
#include "model/quantize/weight_type.h"

#include <nibble/formats.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

namespace nib::model {
namespace {

// The same weights without double quantization: quantize and repack work on fp32 block scales.
NibWeights withoutNesting(NibWeights weights) {
  weights.flags &= ~uint32_t(NIB_WEIGHTS_NESTED);
  return weights;
}

// The search adds to the same counts of the status.
NibQuantizeDesc quantizeDesc(const WeightSpec& w, NibType source, uint32_t rows, bool given_scales) {
  NibQuantizeDesc desc{};
  desc.op = NIB_OP_QUANTIZE;
  desc.desc_bytes = sizeof desc;
  desc.flags = w.search_scales ? uint32_t(NIB_QUANTIZE_GIVEN_SCALES)
                               : NIB_QUANTIZE_STATUS | (given_scales ? uint32_t(NIB_QUANTIZE_GIVEN_SCALES) : 0u);
  if (w.importance) desc.flags |= NIB_QUANTIZE_IMPORTANCE;
  desc.rows = rows;
  desc.cols = w.cols;
  desc.source_type = source;
  desc.weights = withoutNesting(w.weights);
  return desc;
}

NibSearchDesc searchDesc(const WeightSpec& w, NibType source, uint32_t rows) {
  NibSearchDesc desc{NIB_OP_SEARCH, sizeof(NibSearchDesc)};
  desc.flags = NIB_SEARCH_STATUS;
  desc.rows = rows;
  desc.cols = w.cols;
  desc.source_type = source;
  desc.weights = withoutNesting(w.weights);
  return desc;
}

NibRepackDesc repackDesc(const WeightSpec& w, NibLayout layout, uint32_t rows) {
  return {NIB_OP_REPACK, sizeof(NibRepackDesc), 0, rows, w.cols, uint32_t(layout), withoutNesting(w.weights)};
}

NibDequantizeDesc dequantizeDesc(const WeightSpec& w, NibType result, uint32_t rows) {
  NibDequantizeDesc desc{};
  desc.op = NIB_OP_DEQUANTIZE;
  desc.desc_bytes = sizeof desc;
  desc.rows = rows;
  desc.cols = w.cols;
  desc.result_type = result;
  desc.weights = w.weights;
  return desc;
}

NibErrorsDesc errorsDesc(const WeightSpec& w, NibType source, uint32_t rows) {
  NibErrorsDesc desc{};
  desc.op = NIB_OP_ERRORS;
  desc.desc_bytes = sizeof desc;
  desc.rows = rows;
  desc.cols = w.cols;
  desc.reference_type = source;
  desc.candidate_type = NIB_TYPE_F32;
  return desc;
}

NibMinMaxDesc minmaxDesc(const WeightSpec& w, NibType source, uint32_t rows, NibGranularity granularity) {
  NibMinMaxDesc desc{};
  desc.op = NIB_OP_MINMAX;
  desc.desc_bytes = sizeof desc;
  desc.rows = rows;
  desc.cols = w.cols;
  desc.source_type = source;
  desc.granularity = granularity;
  return desc;
}

kit::Range partOf(const kit::Buffer& buffer, const NibMemory& memory, NibPart part) {
  return kit::Range(buffer, memory.part[part].offset_bytes, memory.part[part].size_bytes);
}

}  // namespace

uint64_t slabUnit(const WeightSpec& w) {
  uint64_t elements = NIB_ERROR_TILE;
  if (w.weights.flags & NIB_WEIGHTS_FLAT) elements = std::lcm(elements, uint64_t(w.weights.group_size));
  if (w.weights.flags & NIB_WEIGHTS_NESTED) elements = std::lcm(elements, uint64_t(w.weights.group_size) * 256);
  // Rows that share a word of packed codes or zero points.
  return std::lcm(elements, uint64_t(w.cols) * std::max(8u, 32 / std::gcd(32u, w.bits())));
}

SlabShape slabShape(const WeightSpec& w, uint64_t unit, uint32_t element_bytes, uint64_t target_bytes) {
  const uint64_t row_bytes = uint64_t(w.cols) * element_bytes;
  const uint64_t rows = unit / w.cols;
  const uint64_t most = std::max<uint64_t>(target_bytes / row_bytes / rows, 1) * rows;
  const uint64_t least_count = (w.rows + most - 1) / most;
  // Slabs of equal size share one worker. Accept up to twice as many slabs for it.
  for (uint64_t count = least_count; count < 2 * least_count; ++count) {
    if (w.rows % count == 0 && (count == 1 || w.rows / count % rows == 0))
      return {uint32_t(w.rows / count), uint32_t(count)};
  }
  return {uint32_t(most), uint32_t(least_count)};
}

SlabWorker::Plans::Plans(const kit::Device& device, const WeightSpec& w, NibType source, NibLayout layout,
                         uint32_t rows, Extents extents)
    : quantize(device, quantizeDesc(w, source, rows, extents == Extents::kTensor)),
      dequantize(device, dequantizeDesc(w, NIB_TYPE_F32, rows)),
      errors(device, errorsDesc(w, source, rows)) {
  if (w.search_scales) search.emplace(device, searchDesc(w, source, rows));
  if (layout != 0) {
    repack.emplace(device, repackDesc(w, layout, rows));
  } else {
    values.emplace(device, dequantizeDesc(w, nibTypeOf(w.source).value_or(NIB_TYPE_F32), rows));
  }
  if (extents != Extents::kNone) {
    minmax.emplace(
        device, minmaxDesc(w, source, rows, extents == Extents::kRows ? NIB_GRANULARITY_ROW : NIB_GRANULARITY_TENSOR));
  }
}

kit::Buffer SlabWorker::buffer(uint64_t size_bytes) {
  bytes_ += size_bytes;
  return kit::Buffer(device_.untimed(), size_bytes);
}

SlabWorker::SlabWorker(const TimedDevice& device, const WeightSpec& weight, NibType source, NibLayout layout,
                       uint32_t rows, Extents extents)
    : device_(device),
      extents_(extents),
      rows_(rows),
      weight_(weight),
      type_(source),
      plans_(device.untimed(), weight, source, layout, rows, extents) {
  const NibMemory& pair = plans_.errors.memory();
  pair_ = buffer(pair.range[NIB_ROLE_INPUT].size_bytes);
  // Codes and scales are at the same offsets with and without nested scales, so one buffer serves both plans.
  blob_ = buffer(std::max(plans_.quantize.sizeBytes(NIB_ROLE_WEIGHTS), plans_.dequantize.sizeBytes(NIB_ROLE_WEIGHTS)));
  packed_ = buffer((plans_.repack ? *plans_.repack : *plans_.values).sizeBytes(NIB_ROLE_OUTPUT));
  status_ = buffer((plans_.search ? *plans_.search : plans_.quantize).sizeBytes(NIB_ROLE_AUX));
  tiles_ = buffer(plans_.errors.sizeBytes(NIB_ROLE_OUTPUT));
  const uint64_t minmax_scratch = plans_.minmax ? plans_.minmax->sizeBytes(NIB_ROLE_AUX) : 0;
  scratch_ = buffer(std::max(minmax_scratch, plans_.errors.sizeBytes(NIB_ROLE_AUX)));
  const kit::Range dense = partOf(pair_, pair, NIB_PART_REFERENCE);
  const kit::Range decoded = partOf(pair_, pair, NIB_PART_CANDIDATE);
  const kit::Ranges to_blob{.weights = blob_, .input = dense, .output = {}, .aux = status_};
  if (plans_.search) search_.emplace(*plans_.search, to_blob);
  quantize_.emplace(plans_.quantize, to_blob);
  const kit::Ranges to_packed{.weights = blob_, .input = {}, .output = packed_, .aux = {}};
  if (plans_.repack) repack_.emplace(*plans_.repack, to_packed);
  if (plans_.values) values_.emplace(*plans_.values, to_packed);
  dequantize_.emplace(plans_.dequantize, kit::Ranges{.weights = blob_, .input = {}, .output = decoded, .aux = {}});
  errors_.emplace(plans_.errors, kit::Ranges{.weights = {}, .input = pair_, .output = tiles_, .aux = scratch_});
  if (plans_.minmax) {
    extent_ = buffer(plans_.minmax->sizeBytes(NIB_ROLE_OUTPUT));
    minmax_.emplace(*plans_.minmax, kit::Ranges{.weights = {}, .input = dense, .output = extent_, .aux = scratch_});
  }
}

kit::Range SlabWorker::source() const { return partOf(pair_, plans_.errors.memory(), NIB_PART_REFERENCE); }

NibExtent SlabWorker::extent() {
  device_.run(*minmax_, rows_);
  NibExtent extent{};
  device_.download(extent_, 0, &extent, sizeof extent);
  return extent;
}

void SlabWorker::setScale(uint32_t stored_scale, uint32_t stored_zero) {
  const NibMemory& memory = plans_.quantize.memory();
  device_.fill(blob_, stored_scale, memory.part[NIB_PART_SCALES].offset_bytes, 4);
  const NibMemoryPart& zeros = memory.part[NIB_PART_ZEROS];
  if (zeros.size_bytes != 0) device_.fill(blob_, stored_zero, zeros.offset_bytes, 4);
}

void SlabWorker::setImportance(std::span<const float> columns) {
  const NibMemoryPart& part = plans_.quantize.memory().part[NIB_PART_IMPORTANCE];
  device_.upload(status_, part.offset_bytes, columns.data(), columns.size_bytes());
}

void SlabWorker::quantize(PackedSlab& packed, uint32_t least_zero) {
  const NibMemory& memory = (plans_.search ? *plans_.search : plans_.quantize).memory();
  const NibMemoryPart& status = memory.part[NIB_PART_STATUS];
  device_.fill(status_, 0, status.offset_bytes, status.size_bytes);
  if (search_) device_.run(*search_, rows_);
  device_.run(*quantize_, rows_);
  device_.download(status_, status.offset_bytes, &packed.status, sizeof packed.status);
  if (least_zero != 0 && raiseZeros()) {
    if (!plans_.requantize) {
      NibQuantizeDesc desc = quantizeDesc(weight_, type_, rows_, true);
      desc.flags = NIB_QUANTIZE_GIVEN_SCALES;
      plans_.requantize.emplace(device_.untimed(), desc);
    }
    const kit::Range dense = partOf(pair_, plans_.errors.memory(), NIB_PART_REFERENCE);
    const kit::Ranges ranges{.weights = blob_, .input = dense, .output = {}, .aux = {}};
    device_.run(kit::Binding(*plans_.requantize, ranges), rows_);
  }
  pack(packed);
}

// A group of positive weights only has the zero point 0. With 1 it has a step less above it.
bool SlabWorker::raiseZeros() {
  const NibMemory& memory = plans_.quantize.memory();
  const NibMemoryPart &zero_part = memory.part[NIB_PART_ZEROS], &scale_part = memory.part[NIB_PART_SCALES];
  if (zero_part.size_bytes == 0) return false;
  const uint32_t bits = weight_.bits(), levels = (1u << bits) - 1u;
  const std::byte none{weight_.weights.format == NIB_FORMAT_INT8 ? uint8_t(0x80) : uint8_t(0)};
  std::vector<std::byte> zeros(static_cast<size_t>(zero_part.size_bytes)),
      scales(static_cast<size_t>(scale_part.size_bytes));
  device_.download(blob_, zero_part.offset_bytes, zeros.data(), zeros.size());
  const uint64_t groups = weight_.groupsPerRow() * rows_;
  const auto end = zeros.begin() + std::ptrdiff_t(groups);
  auto found = std::find(zeros.begin(), end, none);
  if (found == end) return false;
  device_.download(blob_, scale_part.offset_bytes, scales.data(), scales.size());
  const bool wide = weight_.weights.scale_type == NIB_TYPE_F32;
  const Dtype type = wide ? Dtype::kF32 : weight_.weights.scale_type == NIB_TYPE_F16 ? Dtype::kF16 : Dtype::kBF16;
  for (; found != end; found = std::find(found, end, none)) {
    *found |= std::byte{1};
    std::byte* at = &scales[size_t(found - zeros.begin()) * (wide ? 4 : 2)];
    NibExtent extent{};
    extent.max = floatValue(type, at) * float(levels) / float(levels - 1) * float(levels);
    const uint32_t scale = scaleOf(weight_, extent).scale;
    std::memcpy(at, &scale, wide ? 4 : 2);
  }
  device_.upload(blob_, zero_part.offset_bytes, zeros.data(), zeros.size());
  device_.upload(blob_, scale_part.offset_bytes, scales.data(), scales.size());
  return true;
}

void SlabWorker::take(std::span<const std::byte> blob, const NibMemory& memory, const WeightSpec& weight,
                      uint32_t first_row, uint32_t least_zero, PackedSlab& packed) {
  const NibMemory& here = plans_.quantize.memory();
  // Rows of a part follow each other, and a slab begins at a multiple of eight of them: on a word.
  const auto copyRows = [&](NibPart part, uint64_t row_bytes) {
    const NibMemoryPart& from = memory.part[part];
    const uint64_t begin = row_bytes * first_row;
    const uint64_t size = std::min(here.part[part].size_bytes, from.size_bytes - begin);
    device_.upload(blob_, here.part[part].offset_bytes, blob.data() + from.offset_bytes + begin, size);
  };
  copyRows(NIB_PART_CODES, memory.part[NIB_PART_CODES].size_bytes / weight.rows);
  const uint64_t scales = weight.groupsPerRow();
  copyRows(NIB_PART_SCALES, scales * std::bit_floor(memory.part[NIB_PART_SCALES].size_bytes / (scales * weight.rows)));
  if (memory.part[NIB_PART_ZEROS].size_bytes != 0) copyRows(NIB_PART_ZEROS, scales);
  if (least_zero != 0) shiftZeros();
  packed.status = {};
  pack(packed);
}

void SlabWorker::takeLoaded(const std::function<void(const kit::Range& blob)>& load, uint32_t least_zero,
                            PackedSlab& packed) {
  load(blob_);
  packed.status = {};
  const NibMemoryPart& part = plans_.quantize.memory().part[NIB_PART_ZEROS];
  if (least_zero != 0 && part.size_bytes != 0) {
    std::vector<std::byte> zeros(static_cast<size_t>(part.size_bytes));
    device_.download(blob_, part.offset_bytes, zeros.data(), zeros.size());
    const std::byte none{weight_.weights.format == NIB_FORMAT_INT8 ? uint8_t(0x80) : uint8_t(0)};
    const auto end = zeros.begin() + std::ptrdiff_t(weight_.groupsPerRow() * rows_);
    if (std::find(zeros.begin(), end, none) != end) {
      throw Error(
          quoteText(weight_.name) +
          ": has a group of zero point 0, which version 1 of GPTQ's files cannot store: choose --format gptq_v2");
    }
  }
  pack(packed);
}

// The same of codes that are given: codes and zero point move up by one step, and the largest code stays.
void SlabWorker::shiftZeros() {
  const NibMemory& memory = plans_.quantize.memory();
  const NibMemoryPart &zero_part = memory.part[NIB_PART_ZEROS], &code_part = memory.part[NIB_PART_CODES];
  if (zero_part.size_bytes == 0) return;
  const uint32_t bits = weight_.bits(), mask = (1u << bits) - 1u;
  const uint8_t flip = weight_.weights.format == NIB_FORMAT_INT8 ? 0x80 : 0;
  std::vector<uint8_t> zeros(static_cast<size_t>(zero_part.size_bytes)),
      codes(static_cast<size_t>(code_part.size_bytes));
  device_.download(blob_, zero_part.offset_bytes, zeros.data(), zeros.size());
  device_.download(blob_, code_part.offset_bytes, codes.data(), codes.size());
  const uint64_t groups = weight_.groupsPerRow(), row_bytes = codes.size() / rows_;
  const uint32_t group = groups == 1 ? weight_.cols : weight_.weights.group_size;
  bool any = false;
  for (uint64_t i = 0; i < groups * rows_; ++i) {
    if (zeros[size_t(i)] != flip) continue;
    any = true;
    zeros[size_t(i)] |= 1;
    uint8_t* row = &codes[size_t(i / groups * row_bytes)];
    const uint64_t first = i % groups * group, end = std::min<uint64_t>(first + group, weight_.cols);
    for (uint64_t bit = first * bits; bit < end * bits; bit += bits) {
      // A code of 3 bits may lie in two bytes.
      uint32_t pair = row[bit / 8] | (bit % 8 + bits > 8 ? uint32_t(row[bit / 8 + 1]) << 8 : 0u);
      const uint32_t code = (pair >> bit % 8 & mask) ^ flip, moved = std::min(code + 1, mask) ^ flip;
      pair = (pair & ~(mask << bit % 8)) | moved << bit % 8;
      row[bit / 8] = uint8_t(pair);
      if (bit % 8 + bits > 8) row[bit / 8 + 1] = uint8_t(pair >> 8);
    }
  }
  if (!any) return;
  device_.upload(blob_, zero_part.offset_bytes, zeros.data(), zeros.size());
  device_.upload(blob_, code_part.offset_bytes, codes.data(), codes.size());
}

void SlabWorker::pack(PackedSlab& packed) {
  const NibMemory& memory = plans_.quantize.memory();
  const auto read = [&](const kit::Buffer& from, const NibMemoryPart& part) {
    std::vector<std::byte> bytes(size_t(part.size_bytes));
    if (!bytes.empty()) device_.download(from, part.offset_bytes, bytes.data(), bytes.size());
    return bytes;
  };
  if (repack_) device_.run(*repack_, rows_);
  const NibMemory packed_memory = plans_.repack ? plans_.repack->memory() : NibMemory{};
  packed.codes = read(packed_, packed_memory.part[NIB_PART_PACKED_CODES]);
  packed.scales = read(blob_, memory.part[NIB_PART_SCALES]);
  const NibMemoryPart& zeros = packed_memory.part[NIB_PART_PACKED_ZEROS];
  packed.zeros = zeros.size_bytes != 0 ? read(packed_, zeros) : read(blob_, memory.part[NIB_PART_ZEROS]);
  if (extents_ == Extents::kRows) packed.absmax = absmaxOfRows();
}

std::vector<std::byte> SlabWorker::absmaxOfRows() {
  device_.run(*minmax_, rows_);
  std::vector<NibExtent> extents(rows_);
  device_.download(extent_, 0, extents.data(), extents.size() * sizeof(NibExtent));
  std::vector<std::byte> bytes(size_t(rows_) * sizeof(float));
  for (uint32_t row = 0; row < rows_; ++row)
    std::memcpy(&bytes[row * sizeof(float)], &extents[row].absmax, sizeof(float));
  return bytes;
}

uint64_t SlabWorker::lostGroups(const WeightSpec& weight, std::span<const std::byte> scales) const {
  const uint32_t type = weight.weights.scale_type;
  // The scales of groups are bytes times the two halves of their block: those count here.
  const bool super = type == NIB_TYPE_BYTE;
  std::vector<std::byte> halves;
  if (super) {
    const NibMemoryPart& nested = plans_.quantize.memory().part[NIB_PART_NESTED];
    halves.resize(size_t(nested.size_bytes));
    device_.download(blob_, nested.offset_bytes, halves.data(), halves.size());
    scales = halves;
  }
  const size_t scale_bytes = super || type == NIB_TYPE_F32 ? 4 : type == NIB_TYPE_E8M0 ? 1 : 2;
  const uint64_t elements = uint64_t(rows_) * weight.cols;
  const bool flat = (weight.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  const bool grouped = weight.weights.granularity == NIB_GRANULARITY_GROUP && weight.weights.group_size != UINT32_MAX;
  const bool whole = weight.weights.granularity == NIB_GRANULARITY_TENSOR;
  const uint64_t row = flat || whole ? elements : weight.cols;  // elements whose groups follow each other
  constexpr uint64_t kSuperBlock = 256;
  const uint64_t group = super ? kSuperBlock : grouped ? std::min<uint64_t>(weight.weights.group_size, row) : row;
  const uint64_t per_row = (row + group - 1) / group;
  std::vector<uint64_t> zero;
  for (uint64_t i = 0; i < elements / row * per_row; ++i) {
    uint32_t stored = 0;
    std::memcpy(&stored, &scales[size_t(i) * scale_bytes], scale_bytes);
    if (scale_bytes == 2 || super) stored &= 0x7fff7fffu;  // the signs of zeros
    if (stored == 0) zero.push_back(i);
  }
  if (zero.empty()) return 0;
  const NibMemoryPart& part = plans_.errors.memory().part[NIB_PART_REFERENCE];
  const size_t size = size_t(part.size_bytes / elements);
  std::vector<std::byte> source(size_t(part.size_bytes));
  device_.download(pair_, part.offset_bytes, source.data(), source.size());
  uint64_t lost = 0;
  for (const uint64_t i : zero) {
    const uint64_t begin = i / per_row * row + i % per_row * group;
    const uint64_t end = std::min(begin + group, (i / per_row + 1) * row);
    bool any = false;
    for (uint64_t e = begin; e < end && !any; ++e) {
      uint32_t value = 0;
      std::memcpy(&value, &source[size_t(e) * size], size);
      any = (value & (size == 2 ? 0x7fffu : 0x7fffffffu)) != 0;
    }
    lost += any ? 1 : 0;
  }
  return lost;
}

void SlabWorker::nest(std::span<const std::byte> codes, std::span<const float> nested) {
  const NibMemory& memory = plans_.dequantize.memory();
  std::vector<std::byte> padded(size_t(memory.part[NIB_PART_SCALES].size_bytes));
  std::memcpy(padded.data(), codes.data(), codes.size());
  device_.upload(blob_, memory.part[NIB_PART_SCALES].offset_bytes, padded.data(), padded.size());
  device_.upload(blob_, memory.part[NIB_PART_NESTED].offset_bytes, nested.data(), nested.size_bytes());
}

std::vector<std::byte> SlabWorker::values() {
  device_.run(*values_, rows_);
  std::vector<std::byte> bytes(size_t(packed_.sizeBytes()));
  device_.download(packed_, 0, bytes.data(), bytes.size());
  return bytes;
}

void SlabWorker::compare(NibErrorSums& sums, uint64_t first_element, std::span<const uint32_t> order) {
  device_.run(*dequantize_, rows_);
  if (!order.empty()) {
    const NibMemoryPart& part = plans_.errors.memory().part[NIB_PART_CANDIDATE];
    std::vector<float> read(size_t(rows_) * order.size()), placed(read.size());
    device_.download(pair_, part.offset_bytes, read.data(), read.size() * sizeof(float));
    for (size_t at = 0; at < read.size(); at += order.size()) {
      for (size_t p = 0; p < order.size(); ++p) placed[at + order[p]] = read[at + p];
    }
    device_.upload(pair_, part.offset_bytes, placed.data(), placed.size() * sizeof(float));
  }
  device_.run(*errors_, rows_);
  std::vector<NibErrorTile> tiles(size_t(tiles_.sizeBytes() / sizeof(NibErrorTile)));
  device_.download(tiles_, 0, tiles.data(), tiles.size() * sizeof(NibErrorTile));
  nibErrorsAdd(&sums, tiles.data(), tiles.size(), first_element);
}

}  // namespace nib::model
