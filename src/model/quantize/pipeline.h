// Quantizes a whole model: reads a checkpoint and writes a new one.
#ifndef NIB_MODEL_QUANTIZE_PIPELINE_H
#define NIB_MODEL_QUANTIZE_PIPELINE_H

#include "model/calibrate/calibration.h"
#include "model/mixed/mixed.h"
#include "model/quantize/column_importance.h"
#include "model/quantize/dense_share.h"
#include "model/quantize/gptq/layer.h"
#include "model/quantize/mix.h"
#include "model/quantize/selection.h"
#include "model/timed_device.h"
#include "model/transform/transform.h"

#include <nibble/kit.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

struct Progress {
  std::string_view tensor;
  uint64_t done_bytes = 0;  // input bytes
  uint64_t total_bytes = 0;
};

inline constexpr uint64_t kDefaultMemory = 640'000'000;
inline constexpr uint64_t kLeastMemory = 16'000'000;

// The data that GPTQ and transforms learn from.
struct CalibrationSet {
  std::vector<std::vector<uint32_t>> sequences;  // token ids
  // Called with the tokens that forward passes have processed, of all. May be empty.
  std::function<void(uint64_t done, uint64_t all)> progress;
};

struct QuantizeOptions {
  std::filesystem::path in;
  std::filesystem::path out;
  const Container* container = nullptr;
  SelectionOptions selection;
  const GgufMix* mix = nullptr;  // chooses the types of tensors; selection.type is that of most
  std::optional<ImportanceFile> importance;
  std::vector<TransformChoice> transforms;  // in the order in which they apply
  bool awq_modules = false;                 // TransformInput
  uint64_t seed = 0;                        // of what transforms draw
  std::optional<GptqOptions> gptq;          // rounds with GPTQ instead of to nearest
  std::optional<MixedOptions> mixed;        // chooses the types of layers; selection.type is any quantized one of them
  // Static activations get their ranges from `calibration` instead of selection.inputs, once transforms are done.
  std::optional<RangeChoice> input_range;
  CalibrationSet calibration;
  uint64_t max_shard_bytes = 5'000'000'000;
  std::optional<uint64_t> split_bytes;     // of GGUF: a folder of parts of about this size
  uint64_t memory_bytes = kDefaultMemory;  // approximate size of all buffers; determines the size of slabs
  bool force = false;
  bool resume = false;
  bool convert = false;  // keep what is quantized, with its codes where the container can; `selection` says nothing
  bool errors = true;    // compare quantized weights with the originals
  // All options that determine the output bytes, as one line without paths and devices. Stored in the output files; a
  // resumed run must have the same line.
  std::string command;
  std::function<void(const Progress&)> progress;  // may be empty; called from any thread, one call at a time
};

struct TensorReport {
  std::string name;
  std::vector<uint64_t> shape;
  std::string type;         // "int4", "F16"
  uint32_t group_size = 0;  // 0 = none
  double bits_per_weight = 0;
  uint64_t bytes_in = 0, bytes_out = 0;
  bool changed = false;           // quantized or cast
  bool compared = false;          // `errors` is valid
  bool kept_from_before = false;  // finished by the interrupted run
  NibErrors errors{sizeof(NibErrors)};
  NibErrorSums sums{};       // the sums behind `errors`; quantized tensors only
  uint32_t saturated = 0;    // number of saturated scales
  uint64_t lost_groups = 0;  // groups of weights other than zero whose scale became zero
  uint64_t overflowed = 0;   // finite values that became infinite
  uint64_t vanished = 0;     // values other than zero that became zero in a cast
  uint64_t nonfinite = 0;    // NaN and infinite values that were cast
  bool wide_scales = false;  // fp32 scales, because fp16 could not hold them
  bool beyond_type = false;  // stays dense, because the type cannot hold its values or scales
  std::optional<GptqLayerReport> gptq;
  enum class Conversion { kNone, kLossless, kRequantized, kDecoded } conversion = Conversion::kNone;
  std::string note;
};

// Totals over all quantized weights except those that are kept_from_before.
struct QuantizedTotal {
  size_t tensors = 0;
  uint64_t elements = 0;
  uint64_t bytes_out = 0;
  bool compared = false;  // `sqnr_db` is valid
  double sqnr_db = 0;     // over all their elements, as if they were one tensor
};

struct QuantizeReport {
  std::string device;
  double seconds = 0;
  uint64_t bytes_in = 0, bytes_out = 0;
  std::vector<TensorReport> tensors;  // in the order of the input
  QuantizedTotal quantized;
  std::optional<MixedReport> mixed;
  DenseShare dense;                                 // nothing if the type is dense
  std::vector<std::string> notes;                   // on the input: files that were not copied, ...
  std::array<double, kStageCount> stage_seconds{};  // how long each Stage was busy
  BlockTimes gptq_times;
  std::vector<TransformReport> transforms;
  size_t dropped_scales = 0;  // tensors of the input that say how its activations are quantized
  size_t bare_fp8 = 0;        // FP8 tensors of the input without scales: their codes are read as values
  uint32_t lanes = 0;         // tensors processed concurrently
  uint64_t slab_bytes = 0;    // target size of a slab, as dense elements
};

// `in` may be quantized, in any container that nibble reads: its weights are decoded first, and a weight that is not
// quantized again is written in its dense type.
// Writes `out` completely or not at all; Publication explains force and resume. Throws.
QuantizeReport quantizeModel(const kit::Device& device, const QuantizeOptions& options);

}  // namespace nib::model
#endif
