// A piece of a weight on the device: rows of it quantized, packed, and compared with what they were.
#ifndef NIB_MODEL_QUANTIZE_SLAB_H
#define NIB_MODEL_QUANTIZE_SLAB_H

#include "model/archive/container.h"

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
// About target_bytes of the dense weight each.
SlabShape slabShape(const WeightSpec& weight, uint64_t target_bytes);

// What a piece becomes, in the order of its rows.
struct PackedSlab {
  std::vector<std::byte> codes;
  std::vector<std::byte> scales;
  std::vector<std::byte> zeros;
  NibStatus status{};
};

// Plans and buffers for pieces of `rows` rows of one kind of weight. One thread.
class SlabWorker {
 public:
  // given_scale: scales are set by setScale instead of being found. Throws.
  SlabWorker(const kit::Device& device, const WeightSpec& weight, NibLayout layout, uint32_t rows, bool given_scale);

  void upload(std::span<const std::byte> dense);
  // Min, max of what was uploaded; of workers with given scales.
  NibExtent extent();
  // Before quantize(), of workers with given scales: as stored in the blob.
  void setScale(uint32_t stored_scale, uint32_t stored_zero);
  // Quantizes what was uploaded; with double quantization scales are fp32 until `nest`.
  void quantize(PackedSlab& packed);
  // Puts codes of double quantization in place of the scales of the piece, for compare(). nested: offset, then block
  // scales.
  void nest(std::span<const std::byte> codes, std::span<const float> nested);
  // Adds the errors of the piece to `sums`. first_element: of the piece, within the weight.
  void compare(NibErrorSums& sums, uint64_t first_element);

  uint64_t bytes() const { return bytes_; }  // of buffers

 private:
  struct Parts {
    Parts(const kit::Device& device, const WeightSpec& weight, NibLayout layout, uint32_t rows, bool given);
    kit::Plan quantize, repack, dequantize, errors;
    std::optional<kit::Plan> minmax;  // for given scales
  };
  kit::Buffer buffer(uint64_t size_bytes);

  kit::Device device_;
  uint32_t rows_;
  Parts parts_;
  uint64_t bytes_ = 0;
  kit::Buffer pair_, blob_, packed_, status_, tiles_, extent_, scratch_;
  std::optional<kit::Binding> quantize_, repack_, dequantize_, errors_, minmax_;
};

}  // namespace nib::model
#endif
