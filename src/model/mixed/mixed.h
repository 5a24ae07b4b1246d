// Chooses a type for each layer so that the model loses the least within a budget of bytes. The loss of a layer at a
// type is the mean KL divergence of the model with only this layer quantized from the model as it is stored.
#ifndef NIB_MODEL_MIXED_MIXED_H
#define NIB_MODEL_MIXED_MIXED_H

#include "model/decode.h"
#include "model/mixed/costs.h"
#include "model/mixed/layers.h"
#include "model/quantize/selection.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace nib::model {

struct MixedOptions {
  std::vector<SizedType> types;
  double bits = 0;                               // budget per weight of the layers, scales included
  std::optional<uint64_t> size_bytes;            // instead: of all tensors of the output
  bool measure_all = false;                      // every type of every layer; else one, and the others are estimated
  bool separate = false;                         // layers that runtimes fuse choose alone
  std::vector<std::vector<uint32_t>> sequences;  // token ids for calibration
  size_t measured_sequences = 0;  // how many of them, from the first, divergences are measured on; 0 = all
  // Called with the tokens that forward passes have processed, of all. May be empty.
  std::function<void(uint64_t done, uint64_t all)> progress;
};

struct MixedReport {
  enum class Source { kMeasured, kEstimated, kDense, kUnknown };
  struct Option {
    std::string type;
    uint64_t bytes = 0;
    double bits = 0;        // per weight
    double divergence = 0;  // kUnknown: 0
    double error = 0;       // kMeasured: its standard error
    Source source = Source::kUnknown;
  };
  struct Unit {
    std::vector<std::string> modules;
    uint64_t elements = 0;
    std::vector<Option> options;
    size_t chosen = 0;
    bool fixed = false;  // by a rule
  };
  std::vector<Unit> units;
  uint64_t elements = 0;
  uint64_t budget_bytes = 0, bytes = 0;  // of the layers
  uint64_t unit_bytes = 1;               // Chosen::unit_bytes
  bool exact = true;
  double divergence = 0;  // sum of those of the choice, without fixed layers
  uint64_t tokens = 0;    // that divergences were measured on

  double bits() const { return 8.0 * double(bytes) / double(elements); }
};

// memory_bytes: of activations in host memory; the others are in a file in the folder of `costs`. chosen: gets the
// types of the layers. Throws; before any work if the budget is too small.
MixedReport chooseTypes(const TimedDevice& device, const ModelView& view, const MixedOptions& options,
                        const MixedLayers& layers, uint64_t memory_bytes, MeasuredCosts& costs, ChosenTypes& chosen);

}  // namespace nib::model
#endif
