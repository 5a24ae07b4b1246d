// A container is the format in which a loader expects a model: the tensors that a quantized weight is stored as, the
// "quantization_config" of config.json, and the files that all tensors are written to. README.md says how to add one.
//
// A container only describes: it names tensors and chooses their layout; the pipeline computes their bytes.
#ifndef NIB_MODEL_ARCHIVE_CONTAINER_H
#define NIB_MODEL_ARCHIVE_CONTAINER_H

#include "model/archive/loader_names.h"
#include "model/archive/model_writer.h"
#include "model/archive/transposition.h"

#include <nibble/nibble.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

// The static quantization of a layer's input activations, and the tensors that store it.
struct StaticInput {
  float scale = 0;
  int8_t zero_point = 0;
  bool asymmetric = false;  // whether there is a zero point
  Dtype scale_dtype = Dtype::kF32;
  Dtype zero_dtype = Dtype::kI8;
  std::vector<uint64_t> shape = {1};  // of both tensors: {1}, or {} for scalars
  uint32_t channels = 0;              // of the calibrated data; 0 = not known, because it was read from a model
};

// A weight matrix and how it is quantized.
struct WeightSpec {
  std::string name;  // name of the dense tensor: "model.layers.0.mlp.up_proj.weight"
  uint32_t rows = 0;
  uint32_t cols = 0;
  Dtype source = Dtype::kF32;  // type of the dense tensor: kF32, kF16 or kBF16
  NibWeights weights{};
  bool search_scales = false;             // scales of the least squared error (NIB_OP_SEARCH)
  std::optional<StaticInput> input = {};  // static activations only
  // How much an error in each column matters, for the search of scales; NULL = all are alike.
  std::shared_ptr<const std::vector<float>> importance = nullptr;

  // The name without ".weight".
  std::string module() const;
  uint32_t bits() const;
  // 1 for scales per row or per tensor.
  uint64_t groupsPerRow() const;
  bool asymmetric() const { return (weights.flags & NIB_WEIGHTS_ASYMMETRIC) != 0; }
  Dtype scaleDtype() const;
};

// The content of one tensor of a stored weight.
enum class PartFrom {
  kCodes,         // packed codes, row by row
  kValues,        // instead of codes: the values that they stand for, in the type of the part
  kScales,        // scales, row by row
  kAbsmax,        // instead of scales: the fp32 absolute maximum of each row, which is 127 times its scale
  kZeros,         // packed zero points
  kMxBlocks,      // blocks of 17 bytes, a scale and the codes of 32 weights, as ggml has them
  kNestedScales,  // double quantization: fp32 scales of the blocks of scales
  kBytes,         // WeightPart::bytes
  kFill,          // WeightPart::bytes, over and over
  kGroups,        // the group of every column, I32
  kLate           // Container::lateBytes, once the whole weight is quantized
};

struct WeightPart {
  TensorSpec tensor;
  PartFrom from = PartFrom::kBytes;
  std::vector<std::byte> bytes = {};
  Transposition transposition = {};  // how a part lies that has rows
};

enum class Activations { kNone, kInt8Token, kInt4Token, kFp8Token, kInt8Static, kFp8Static };
inline bool isStatic(Activations a) { return a == Activations::kInt8Static || a == Activations::kFp8Static; }

class Checkpoint;
class Container;

// Scales that are stored once for a block of rows and columns. In memory every group of a row has its own.
struct ScaleGrid {
  size_t tensor = 0;          // index in the checkpoint
  Dtype dtype = Dtype::kF32;  // kF32, kF16, kBF16 or kF8E8M0
  uint64_t matrix_rows = 0;   // of each matrix of a stack
  uint64_t block_rows = 0, block_cols = 0;
  uint64_t rows = 0, cols = 0;  // of the scales of each matrix
};

// A quantized weight of a checkpoint.
struct FoundWeight {
  const Container* container = nullptr;
  WeightSpec spec;
  Activations activations = Activations::kNone;
  // Index in the checkpoint of each of the container's parts, in their order; then of other tensors that belong to it.
  std::vector<size_t> tensors;
  float nested_offset = 0;  // double quantization: the mean of the scales
  std::optional<ScaleGrid> grid = {};
  std::vector<uint64_t> shape = {};  // of the dense tensor; empty = {rows, cols}
  // A stack of shape[0] matrices, each of which the dense tensor has transposed.
  bool transposed = false;
  std::vector<uint32_t> groups_of = {};  // the group of every column; empty = runs of group_size columns
};

// Input of Container::quantizationConfig.
struct ConfigFacts {
  std::vector<WeightSpec> weights;
  std::vector<std::string> dense_modules;  // linear layers that stay dense
  std::vector<std::string> dense_trees;    // modules in which every linear layer does
  LoaderNames names;
  Activations activations = Activations::kNone;
  bool reorders = false;  // groups are of columns that are no neighbours
};

class Container {
 public:
  virtual ~Container() = default;
  virtual const char* name() const = 0;
  // Whether loaders read a weight that the dense file stores as [in, out] once it is transposed.
  virtual bool holdsTransposed() const { return false; }
  // Who reads quantized weights from the container. kNone: nobody, they are values.
  enum class Loaders { kNone, kTransformers, kMany };
  virtual Loaders loaders() const { return Loaders::kNone; }
  // Sets the properties for which the container leaves no choice, such as the type of scales.
  virtual void normalize(WeightSpec& weight) const;
  // Returns why the container cannot hold the weight, "" if it can.
  virtual std::string refuses(const WeightSpec& weight, Activations activations) const = 0;
  // Returns why loaders do not read a matrix of this size, which then stays dense; "" if they do.
  virtual std::string misfits(const WeightSpec&) const { return ""; }
  // Whether loaders read groups of columns that are no neighbours.
  virtual bool holdsOrder() const { return false; }
  // The smallest zero point that loaders read.
  virtual uint32_t leastZeroPoint() const { return 0; }
  // 0 = the container takes no codes.
  virtual NibLayout layout(const WeightSpec& weight, Activations activations) const = 0;
  // The tensors that the weight is stored as.
  virtual std::vector<WeightPart> parts(const WeightSpec& weight, Activations activations) const = 0;
  // The content of the kLate part; its size does not depend on nested_offset.
  virtual std::vector<std::byte> lateBytes(const WeightSpec& weight, float nested_offset) const;
  // Whether loaders read quantized embeddings.
  virtual bool holdsEmbeddings() const { return false; }
  // The type in which the container stores a dense tensor that is to have the type `wanted`.
  virtual Dtype denseType(const TensorInfo&, Dtype wanted) const { return wanted; }
  // The format in place of one whose blocks of `multiple` columns do not divide the rows: 0 = none of the container
  // does, and the matrix gets the type misfitType(). The format itself if they do.
  struct Fit {
    uint32_t format;
    uint32_t multiple;
  };
  virtual Fit fit(uint32_t format, uint64_t /*cols*/) const { return {format, 1}; }
  // The type of matrices whose rows the quantized type does not fit. None = they stay as they are.
  virtual std::optional<Dtype> misfitType() const { return std::nullopt; }
  // Whether loaders want the model without this tensor. tied: the head is the embedding.
  virtual bool leavesOut(std::string_view, bool /*tied*/) const { return false; }
  // Finds the quantized weights of a checkpoint by tensor names, types and shapes; sets all but `container`. Throws if
  // parts are missing or contradict each other.
  virtual std::vector<FoundWeight> find(const Checkpoint& checkpoint) const;
  // Checks tensors of a weight that decoding does not read. Throws.
  virtual void check(const Checkpoint&, const FoundWeight&) const {}
  // The JSON text of "quantization_config", "" for none. Throws.
  virtual std::string quantizationConfig(const ConfigFacts& facts) const = 0;
  // The files of an output. model: what is written besides tensors. Throws.
  virtual OutputPlan plan(const WriterOptions& options, std::span<const OutputTensor> tensors,
                          const Surroundings& model) const;
};

// Finds a container by its --format name: "compressed-tensors", "gptq", "awq", "bnb", ... NULL if there is no such
// name.
const Container* findContainer(std::string_view name);
std::vector<std::string> containerNames();

const Container& gguf();
const Container& gptq();
const Container& gptqV2();
const Container& awq();
const Container& compressedTensors();
const Container& bitsandbytes();
const Container& plainSafetensors();
const Container& denseValues();

// Forms that are only read: FP8 with scales of any shape, or with none; MXFP4 experts of gpt-oss.
const Container& storedFp8();
const Container& mxfp4Experts();
// FP8 codes without scales, which are read as values.
inline bool isBareFp8(const FoundWeight* weight) {
  return weight != nullptr && weight->container == &storedFp8() && !weight->grid;
}

// All quantized weights of a checkpoint, in any container. Throws.
std::vector<FoundWeight> findWeights(const Checkpoint& checkpoint);

// Helper of Container::find: looks the parts of a weight up by name and checks their dtypes and shapes. Returns false,
// and the reason in `why`, if one is missing or does not match.
bool findParts(const Container& container, const Checkpoint& checkpoint, FoundWeight& weight, std::string* why);

// Adds a file beside config.json with its "quantization_config", for loaders that read no other.
void addConfigFile(const Surroundings& model, const char* name, OutputPlan& plan);

// Returns config.json with its "quantization_config" replaced (by the text of an object; "" removes it) and, if
// torch_dtype is not "", every "dtype" and "torch_dtype" in it set to that. untied: also says that the head is not the
// embedding. Keeps all other keys, their order, and all numbers as they are written. Throws.
std::string configWith(const std::string& config_json, const std::string& quantization_config,
                       const std::string& torch_dtype = "", bool untied = false);
// Returns config.json with numbers set, by key of its outermost object, and type_prefix in front of its model_type, if
// that has it not already. Throws.
std::string configWithNumbers(const std::string& config_json, const std::map<std::string, uint64_t>& numbers,
                              std::string_view type_prefix = {});
// "float16" for kF16, "bfloat16" for kBF16, else "float32".
const char* torchName(Dtype dtype);

}  // namespace nib::model
#endif
