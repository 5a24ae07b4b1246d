// A piece of a weight on the device: rows of it quantized, packed, and compared with what they were.
#ifndef NIB_MODEL_QUANTIZE_SLAB_H
#define NIB_MODEL_QUANTIZE_SLAB_H

#include "model/archive/container.h"
#include "model/timed_device.h"

#include <nibble/kit.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace nib::model {

// How a weight is cut: full pieces have `rows` rows, the last one what is left.
struct SlabShape {
  uint32_t rows = 0;
  uint32_t count = 0;
};
// Elements of the smallest piece, whole rows: pieces are cut where words of zero points, blocks across rows, blocks of
// their scales and tiles of error statistics end.
uint64_t slabUnit(const WeightSpec& weight);
// At most about target_bytes of dense elements each, where multiples of `unit` allow it; pieces of equal size where they
// can be. unit: a multiple of slabUnit.
SlabShape slabShape(const WeightSpec& weight, uint64_t unit, uint32_t element_bytes, uint64_t target_bytes);

// What a piece becomes, in the order of its rows.
struct PackedSlab {
  std::vector<std::byte> codes;
  std::vector<std::byte> scales;
  std::vector<std::byte> zeros;
  std::vector<std::byte> absmax;  // fp32 of rows, where the container keeps those
  NibStatus status{};
};

// What a worker needs to know of its pieces before or beside their codes.
enum class Extents {
  kNone,
  kTensor,  // the piece's range, for scales that setScale sets instead of their being found
  kRows     // absolute maxima of rows
};

// Plans and buffers for pieces of `rows` rows of one kind of weight. One thread.
class SlabWorker {
 public:
  // source: type of the dense elements. Throws.
  SlabWorker(const TimedDevice& device, const WeightSpec& weight, NibType source, NibLayout layout, uint32_t rows, Extents extents);

  // Where the dense rows are put before quantize() or extent().
  kit::Range source() const;
  // Min, max of the piece; of workers with kTensor.
  NibExtent extent();
  // Before quantize(), of workers with kTensor: as stored in the blob.
  void setScale(uint32_t stored_scale, uint32_t stored_zero);
  // Quantizes the piece; with double quantization scales are fp32 until `nest`.
  void quantize(PackedSlab& packed);
  // Puts codes of double quantization in place of the scales of the piece, for compare(). nested: offset, then block
  // scales.
  void nest(std::span<const std::byte> codes, std::span<const float> nested);
  // Adds the errors of the piece to `sums`. first_element: of the piece, within the weight.
  void compare(NibErrorSums& sums, uint64_t first_element);

  uint64_t bytes() const { return bytes_; }  // of buffers

 private:
  struct Parts {
    Parts(const kit::Device& device, const WeightSpec& weight, NibType source, NibLayout layout, uint32_t rows, Extents extents);
    kit::Plan quantize, repack, dequantize, errors;
    std::optional<kit::Plan> minmax;
  };
  kit::Buffer buffer(uint64_t size_bytes);
  std::vector<std::byte> absmaxOfRows();

  TimedDevice device_;
  Extents extents_;
  uint32_t rows_;
  Parts parts_;
  uint64_t bytes_ = 0;
  kit::Buffer pair_, blob_, packed_, status_, tiles_, extent_, scratch_;
  std::optional<kit::Binding> quantize_, repack_, dequantize_, errors_, minmax_;
};

}  // namespace nib::model
#endif
