// One weight from a checkpoint to the tensors of its container, piece by piece.
#ifndef NIB_MODEL_QUANTIZE_QUANTIZE_WEIGHT_H
#define NIB_MODEL_QUANTIZE_QUANTIZE_WEIGHT_H

#include "model/archive/container.h"
#include "model/quantize/slab.h"

#include <nibble/kit.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

struct WeightResult {
  NibErrorSums sums{};
  NibStatus status{};
};

// Where a tensor comes from.
struct WeightSource {
  NibType type = NIB_TYPE_F32;  // of what load gives
  uint64_t unit = 1;            // elements: load's pieces are multiples of it
  uint32_t elementBytes() const { return type == NIB_TYPE_F32 ? 4 : 2; }
  // Elements [first, first + count), row by row, to a device range.
  std::function<void(uint64_t first, uint64_t count, const kit::Range& to)> load;
};
// Where it goes to: every byte of every part of the container once.
using PartSink = std::function<void(size_t part, uint64_t offset, std::span<const std::byte> bytes)>;

// Keeps plans and buffers from weight to weight, for models repeat their shapes. One thread.
class WeightQuantizer {
 public:
  // slab_bytes: of dense elements, about, for a piece. keep_bytes: of buffers, at most, unless one weight needs more.
  WeightQuantizer(const Station& station, const Container& container, Activations activations, uint64_t slab_bytes,
                  uint64_t keep_bytes);
  // Throws, also for weights that hold NaN or infinities.
  WeightResult quantize(const WeightSpec& weight, std::span<const WeightPart> parts, const WeightSource& source,
                        const PartSink& sink);

 private:
  struct Kept {
    std::string key;
    std::unique_ptr<SlabWorker> worker;
  };
  SlabWorker& worker(const WeightSpec& weight, NibType source, uint32_t rows, Extents extents);

  Station station_;
  const Container& container_;
  Activations activations_;
  uint64_t slab_bytes_, keep_bytes_;
  std::vector<Kept> kept_;  // last used last
};

}  // namespace nib::model
#endif
