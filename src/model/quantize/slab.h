// Quantizes, packs and verifies a slab on the device: some whole rows of a weight.
#ifndef NIB_MODEL_QUANTIZE_SLAB_H
#define NIB_MODEL_QUANTIZE_SLAB_H

#include "model/archive/container.h"
#include "model/timed_device.h"

#include <nibble/kit.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace nib::model {

// How a weight is split: `count` slabs of `rows` rows; the last one may be shorter.
struct SlabShape {
  uint32_t rows = 0;
  uint32_t count = 0;
};
// Elements of the smallest slab: whole rows, and a multiple of everything that must not span two slabs (words of
// packed zero points, blocks that cross rows, blocks of nested scales, tiles of error statistics).
uint64_t slabUnit(const WeightSpec& weight);
// Chooses slabs of about target_bytes of dense elements at most, in multiples of `unit`, of equal size if possible.
// unit: a multiple of slabUnit.
SlabShape slabShape(const WeightSpec& weight, uint64_t unit, uint32_t element_bytes, uint64_t target_bytes);

// The quantized slab in the container's layout, row by row.
struct PackedSlab {
  std::vector<std::byte> codes;
  std::vector<std::byte> scales;
  std::vector<std::byte> zeros;
  std::vector<std::byte> absmax;  // one fp32 per row, only with Extents::kRows
  NibStatus status{};
};

// Which ranges of the dense elements a worker computes.
enum class Extents {
  kNone,
  kTensor,  // the range of the slab; the scale is given by setScale
  kRows     // the absolute maximum of each row
};

// Plans and buffers for slabs of `rows` rows of one kind of weight. Not thread-safe. All functions but bytes() throw.
class SlabWorker {
 public:
  // source: type of the dense elements. layout: 0 = codes are not packed, and only values() is used.
  SlabWorker(const TimedDevice& device, const WeightSpec& weight, NibType source, NibLayout layout, uint32_t rows,
             Extents extents);

  // Input buffer of the dense rows: fill it before quantize() or extent().
  kit::Range source() const;
  // Minimum and maximum of the slab. Only with kTensor.
  NibExtent extent();
  // Sets the scale and zero point, as stored in the blob, that quantize() uses. Only with kTensor.
  void setScale(uint32_t stored_scale, uint32_t stored_zero);
  // Sets the importance of the columns that quantize() takes into account. Only for a weight that has it.
  void setImportance(std::span<const float> columns);
  // Quantizes the slab. With double quantization, packed.scales are the fp32 block scales.
  // least_zero: groups whose zero point is smaller, 0 or 1, are given that one and a scale that reaches as far.
  void quantize(PackedSlab& packed, uint32_t least_zero = 0);
  // Instead of quantize(): the slab's rows, from row first_row on, of a blob of the whole weight. memory: of the blob.
  void take(std::span<const std::byte> blob, const NibMemory& memory, const WeightSpec& weight, uint32_t first_row,
            uint32_t least_zero, PackedSlab& packed);
  // The same of a blob of the slab that `load` writes.
  void takeLoaded(const std::function<void(const kit::Range& blob)>& load, uint32_t least_zero, PackedSlab& packed);
  // How many groups of the slab have weights other than zero and a stored scale of zero. scales: those of quantize().
  uint64_t lostGroups(const WeightSpec& weight, std::span<const std::byte> scales) const;
  // Double quantization: replaces the scales on the device by their codes, which compare() then decodes. nested: the
  // offset, followed by the scales of the scale blocks.
  void nest(std::span<const std::byte> codes, std::span<const float> nested);
  // The values of the slab in the type that the weight had. Without a layout only.
  std::vector<std::byte> values();
  // Decodes the slab and adds its errors to `sums`. first_element: index of the slab's first element in the weight.
  // order: column order[p] of the weight is column p of the slab; empty = they are in order.
  void compare(NibErrorSums& sums, uint64_t first_element, std::span<const uint32_t> order = {});

  uint64_t bytes() const { return bytes_; }  // total size of the device buffers

 private:
  struct Plans {
    Plans(const kit::Device& device, const WeightSpec& weight, NibType source, NibLayout layout, uint32_t rows,
          Extents extents);
    kit::Plan quantize, dequantize, errors;
    std::optional<kit::Plan> search, repack, values, minmax;
    std::optional<kit::Plan> requantize;  // with given scales, once it is needed
  };
  kit::Buffer buffer(uint64_t size_bytes);
  std::vector<std::byte> absmaxOfRows();
  void pack(PackedSlab& packed);
  bool raiseZeros();
  void shiftZeros();

  TimedDevice device_;
  Extents extents_;
  uint32_t rows_;
  WeightSpec weight_;
  NibType type_;  // of the source
  Plans plans_;
  uint64_t bytes_ = 0;
  kit::Buffer pair_, blob_, packed_, status_, tiles_, extent_, scratch_;
  std::optional<kit::Binding> search_, quantize_, repack_, dequantize_, values_, errors_, minmax_;
};

}  // namespace nib::model
#endif
