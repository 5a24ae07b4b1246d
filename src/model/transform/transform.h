// A transform changes weights so that they lose less when they are rounded, and leaves the network's results as they
// were. A kind is a file of this folder and a line in transforms.cpp; README.md says how to add one.
#ifndef NIB_MODEL_TRANSFORM_TRANSFORM_H
#define NIB_MODEL_TRANSFORM_TRANSFORM_H

#include "model/arch/config.h"
#include "model/archive/container.h"
#include "model/decode.h"
#include "model/timed_device.h"
#include "model/transform/edits.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

// A transform that a user chose: "smooth:0.5".
struct TransformChoice {
  std::string name;
  std::string setting;  // behind the colon; "" = the default
  std::string text() const { return setting.empty() ? name : name + ":" + setting; }
};

struct TransformInput {
  const TimedDevice& device;
  const ModelView& view;  // of the model so far: transforms apply one after the other
  const ModelConfig& config;
  std::span<const std::vector<uint32_t>> sequences;  // token ids for calibration; empty if the kind needs none
  // How a module is quantized; none = it stays dense.
  std::function<std::optional<WeightSpec>(const std::string& module)> weight;
  Activations activations = Activations::kNone;
  // AWQ compares outputs of whole modules, attention or feed-forward, instead of those of the layers it scales.
  bool awq_modules = false;
  uint64_t seed = 0;
  uint64_t memory_bytes = 0;                                  // of activations in host memory; the others are in a file
  std::filesystem::path folder;                               // of that file
  std::function<void(uint64_t done, uint64_t all)> progress;  // tokens of forward passes; may be empty
};

// One decision of a transform.
struct TransformStep {
  uint32_t layer = 0;
  std::string before;                // the module whose results are scaled
  std::vector<std::string> modules;  // the layers that read them
  std::string setting;               // "ratio 0.35"; empty = nothing was chosen
  std::optional<double> value;       // 0.35
  // Mean squared error of the layers' outputs, summed over their channels, without and with the transform.
  std::optional<double> plain_loss, loss;
};

struct TransformReport {
  std::string name;  // "smooth:0.5"
  std::vector<TransformStep> steps;
};

struct TransformKind {
  const char* name;
  const char* help;
  // Whether it needs a calibration set, given its setting.
  bool needs_data;
  // Whether only nibble runs the result.
  bool own_network;
  // Returns why the setting is none; "" if it is.
  std::string (*refuses)(const std::string& setting);
  // Throws.
  Edits (*make)(const TransformInput& input, const std::string& setting, TransformReport& report);
};

std::span<const TransformKind* const> transformKinds();
// Parses "NAME[:SETTING]". Throws.
TransformChoice parseTransform(const std::string& text);
const TransformKind& kindOf(const TransformChoice& choice);

extern const TransformKind kAwqTransform;
extern const TransformKind kBiasTransform;
extern const TransformKind kClipTransform;
extern const TransformKind kEqualizeTransform;
extern const TransformKind kHadamardTransform;
extern const TransformKind kRotateTransform;
extern const TransformKind kSmoothTransform;
extern const TransformKind kSplitTransform;

}  // namespace nib::model
#endif
