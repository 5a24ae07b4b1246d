// Quantizes one weight to the tensors of its container, slab by slab.
#ifndef NIB_MODEL_QUANTIZE_QUANTIZE_WEIGHT_H
#define NIB_MODEL_QUANTIZE_QUANTIZE_WEIGHT_H

#include "model/archive/container.h"
#include "model/quantize/slab.h"

#include <nibble/kit.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

struct WeightResult {
  NibErrorSums sums{};
  NibStatus status{};
  uint64_t lost_groups = 0;  // groups of weights other than zero whose scale became zero
  uint64_t overflowed = 0;   // PartFrom::kValues that are infinite
};

// Supplies the elements of a tensor.
struct WeightSource {
  NibType type = NIB_TYPE_F32;  // element type that load writes
  uint64_t unit = 1;            // `first` and `count` of load are multiples of this, except the last count
  uint32_t elementBytes() const { return type == NIB_TYPE_F32 ? 4 : 2; }
  // Writes elements [first, first + count), in row-major order, to a device range. May throw.
  std::function<void(uint64_t first, uint64_t count, const kit::Range& to)> load;
  // Writes the blob of whole rows, in the layout of NIB_OP_QUANTIZE for them, instead of quantizing elements. Empty =
  // elements are quantized. May throw.
  std::function<void(uint64_t first, uint64_t count, const kit::Range& to)> load_blob = {};
};
// The memory of a whole weight's blob. None if the weight is too large for one.
std::optional<NibMemory> memoryOf(const WeightSpec& weight);

// A quantized weight, in the layout of NIB_OP_QUANTIZE for all its rows.
struct GivenBlob {
  std::span<const std::byte> bytes = {};
  std::span<const uint32_t> order = {};  // column order[p] of the weight is column p of the blob; empty = in order
};
// Receives the output: every byte of every part of the container exactly once.
using PartSink = std::function<void(size_t part, uint64_t offset, std::span<const std::byte> bytes)>;

// Reuses plans and buffers between weights, because a model repeats its shapes. Not thread-safe.
class WeightQuantizer {
 public:
  // slab_bytes: target size of a slab, as dense elements. keep_bytes: limit on cached buffers, exceeded only if one
  // weight needs more.
  // errors: whether results have sums of errors; else those are 0.
  WeightQuantizer(const TimedDevice& device, const Container& container, Activations activations, bool errors,
                  uint64_t slab_bytes, uint64_t keep_bytes);
  // Throws; also if the weight holds NaN or infinities, after its parts were written.
  // given: if it is not empty, the quantized weight; the source then serves to tell the errors. Not for weights with
  // one scale or double quantization.
  WeightResult quantize(const WeightSpec& weight, std::span<const WeightPart> parts, const WeightSource& source,
                        const PartSink& sink, const GivenBlob& given = {});

 private:
  struct CachedWorker {
    std::string key;
    std::unique_ptr<SlabWorker> worker;
  };
  SlabWorker& worker(const WeightSpec& weight, NibType source, uint32_t rows, Extents extents);

  TimedDevice device_;
  const Container& container_;
  Activations activations_;
  bool errors_;
  uint64_t slab_bytes_, keep_bytes_;
  std::vector<CachedWorker> cache_;  // least recently used first
};

}  // namespace nib::model
#endif
