// One weight from a checkpoint to the tensors of its container, piece by piece.
#ifndef NIB_MODEL_QUANTIZE_QUANTIZE_WEIGHT_H
#define NIB_MODEL_QUANTIZE_QUANTIZE_WEIGHT_H

#include "model/archive/container.h"
#include "model/quantize/slab.h"

#include <nibble/kit.h>

#include <functional>
#include <span>
#include <vector>

namespace nib::model {

struct WeightResult {
  NibErrors errors{};
  NibStatus status{};
};

// Where a weight comes from and goes to. read(offset, bytes) of the dense tensor; write(part, offset, bytes) of
// the container's parts: every byte of every part once.
struct WeightStreams {
  std::function<void(uint64_t offset, std::span<std::byte> bytes)> read;
  std::function<void(size_t part, uint64_t offset, std::span<const std::byte> bytes)> write;
};

// Keeps plans and buffers from weight to weight, for models repeat their shapes. One thread.
class WeightQuantizer {
 public:
  WeightQuantizer(const kit::Device& device, const Container& container, Activations activations, uint64_t slab_bytes);
  // Throws, also for weights that hold NaN or infinities.
  WeightResult quantize(const WeightSpec& weight, std::span<const WeightPart> parts, const WeightStreams& streams);

 private:
  struct Kept {
    std::string key;
    std::unique_ptr<SlabWorker> worker;
  };
  SlabWorker& worker(const WeightSpec& weight, uint32_t rows, bool given);

  kit::Device device_;
  const Container& container_;
  Activations activations_;
  uint64_t slab_bytes_;
  std::vector<Kept> kept_;  // last used last
};

}  // namespace nib::model
#endif
