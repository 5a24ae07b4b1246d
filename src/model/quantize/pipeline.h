// A model in, a quantized model out.
#ifndef NIB_MODEL_QUANTIZE_PIPELINE_H
#define NIB_MODEL_QUANTIZE_PIPELINE_H

#include "model/quantize/selection.h"
#include "model/station.h"

#include <nibble/kit.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

struct Progress {
  std::string_view tensor;
  uint64_t done_bytes = 0;  // of the input
  uint64_t total_bytes = 0;
};

inline constexpr uint64_t kDefaultMemory = 640'000'000;
inline constexpr uint64_t kLeastMemory = 16'000'000;

struct QuantizeOptions {
  std::filesystem::path in;
  std::filesystem::path out;
  const Container* container = nullptr;
  SelectionOptions selection;
  uint64_t max_shard_bytes = 5'000'000'000;
  uint64_t memory_bytes = kDefaultMemory;  // of buffers, about: decides how large pieces of tensors are
  bool force = false;
  bool resume = false;
  // What the output follows from, beside the input: one line, without paths and devices. Kept in the files.
  std::string command;
  std::function<void(const Progress&)> progress;  // may be empty; one call at a time, from any thread
};

struct TensorReport {
  std::string name;
  std::vector<uint64_t> shape;
  std::string type;           // "int4", "F16"
  uint32_t group_size = 0;    // 0 = none
  double bits_per_weight = 0;
  uint64_t bytes_in = 0, bytes_out = 0;
  bool changed = false;       // quantized or cast: errors are known
  bool kept_from_before = false;  // finished by the run that is resumed: errors are not known
  NibErrors errors{sizeof(NibErrors)};
  NibErrorSums sums{};     // what they follow from, of quantized ones
  uint32_t saturated = 0;
  std::string note;
};

// All quantized weights together, without those that are kept_from_before.
struct QuantizedTotal {
  size_t tensors = 0;
  uint64_t elements = 0;
  uint64_t bytes_out = 0;
  double sqnr_db = 0;  // of their elements as one tensor
};

struct QuantizeReport {
  std::string device;
  double seconds = 0;
  uint64_t bytes_in = 0, bytes_out = 0;
  std::vector<TensorReport> tensors;  // in the order of the input
  QuantizedTotal quantized;
  std::array<double, kStageCount> stage_seconds{};  // how long each Stage was busy
  uint32_t lanes = 0;       // weights under way at once
  uint64_t slab_bytes = 0;  // of the dense elements of a piece, at most about
};

// IN may be quantized itself, in a container that nibble reads: its weights are then what they decode to, and those that
// are not quantized again are written in their dense type.
// Writes OUT whole or not at all; see Publication for what force and resume mean. Throws.
QuantizeReport quantizeModel(const kit::Device& device, const QuantizeOptions& options);

}  // namespace nib::model
#endif
