// How a program keeps quantized weights: which tensors a weight becomes, and what config.json says of them. One file each.
//
// A container only names and lays out; the bytes come from the pipeline, in the layout it asks for.
#ifndef NIB_MODEL_ARCHIVE_CONTAINER_H
#define NIB_MODEL_ARCHIVE_CONTAINER_H

#include "model/archive/safetensors_header.h"

#include <nibble/nibble.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

// How what enters a layer is quantized once for all, and how a file keeps that.
struct StaticInput {
  float scale = 0;
  int8_t zero_point = 0;
  bool asymmetric = false;       // has a zero point
  Dtype scale_dtype = Dtype::kF32;
  Dtype zero_dtype = Dtype::kI8;
  std::vector<uint64_t> shape = {1};  // or scalars
};

// A weight matrix and how it is quantized.
struct WeightSpec {
  std::string name;   // of the dense tensor: "model.layers.0.mlp.up_proj.weight"
  uint32_t rows = 0;
  uint32_t cols = 0;
  Dtype source = Dtype::kF32;  // kF32, kF16 or kBF16
  NibWeights weights{};
  std::optional<StaticInput> input = {};  // of static activations

  // The name without ".weight".
  std::string module() const;
  uint32_t bits() const;
  // Of a row; 1 for scales per row or tensor.
  uint64_t groupsPerRow() const;
};

// What a tensor of a stored weight is filled with.
enum class PartFrom {
  kCodes,         // packed, row by row
  kScales,        // row by row
  kAbsmax,        // in place of scales: fp32 absolute maxima of rows, 127 scales each
  kZeros,         // packed
  kNestedScales,  // of double quantization: fp32 scales of blocks
  kBytes,         // WeightPart::bytes
  kLate           // Container::lateBytes, when the whole weight is known
};

struct WeightPart {
  TensorSpec tensor;
  PartFrom from = PartFrom::kBytes;
  std::vector<std::byte> bytes = {};
};

enum class Activations { kNone, kInt8Token, kFp8Token, kInt8Static, kFp8Static };
inline bool isStatic(Activations a) { return a == Activations::kInt8Static || a == Activations::kFp8Static; }

class Checkpoint;
class Container;

// A weight that a checkpoint keeps quantized.
struct FoundWeight {
  const Container* container = nullptr;
  WeightSpec spec;
  Activations activations = Activations::kNone;
  std::vector<size_t> tensors;  // of the checkpoint, for each of the container's parts
  float nested_offset = 0;      // of double quantization
};

// What config.json is made from.
struct ConfigFacts {
  std::vector<WeightSpec> weights;
  std::vector<std::string> dense_modules;  // linear layers that stay as they are
  Activations activations = Activations::kNone;
};

class Container {
 public:
  virtual ~Container() = default;
  virtual const char* name() const = 0;
  // What it leaves no choice in: the type of scales, ...
  virtual void normalize(WeightSpec& weight) const;
  // Why it cannot hold the weight, "" if it can.
  virtual std::string refuses(const WeightSpec& weight, Activations activations) const = 0;
  virtual NibLayout layout(const WeightSpec& weight, Activations activations) const = 0;
  virtual std::vector<WeightPart> parts(const WeightSpec& weight, Activations activations) const = 0;
  // Of parts with kLate, as many bytes as their tensor has.
  virtual std::vector<std::byte> lateBytes(const WeightSpec& weight, float nested_offset) const;
  // The weights that the names of tensors tell of. Throws if parts are missing or contradict each other.
  virtual std::vector<FoundWeight> find(const Checkpoint& checkpoint) const;
  // The text of "quantization_config", "" for none.
  virtual std::string quantizationConfig(const ConfigFacts& facts) const = 0;
};

// By its name on the command line, "compressed-tensors", "bnb", "safetensors"; NULL if there is none.
const Container* findContainer(std::string_view name);
std::vector<std::string> containerNames();

const Container& compressedTensors();
const Container& bitsandbytes();
const Container& plainSafetensors();

// FP8 tensors without scales: read, never written.
const Container& plainFp8();

// find() of all containers.
std::vector<FoundWeight> findWeights(const Checkpoint& checkpoint);

// Helper of find: the parts of a weight by name, dtype and shape. False if one is absent or another.
bool findParts(const Container& container, const Checkpoint& checkpoint, FoundWeight& weight, std::string* why);

// Throws unless the text of a config.json is JSON of a size and a depth that its readers bear.
void checkConfig(const std::string& config_json);

// config.json with its "quantization_config" set (text of an object, "" = removed), and, unless it is "", the dtype of the
// weights ("float16") where it has one; other keys and their order are kept. Throws.
std::string configWith(const std::string& config_json, const std::string& quantization_config,
                       const std::string& torch_dtype = "");
// "float32", "float16", "bfloat16".
const char* torchName(Dtype dtype);

}  // namespace nib::model
#endif
