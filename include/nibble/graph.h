// Whole networks on a kit device. A Graph is data: values and nodes, each node one op of nibble.h. A Program is a graph
// compiled for a device: plans, bindings and one arena. A step on a GPU is recorded into a command buffer, the kit's or
// the application's own; on the CPU it is run by calls.
//
//   nib::graph::Graph graph(512);                                            // at most 512 tokens per step
//   const auto x = graph.input("x", nib::graph::dense(NIB_TYPE_F32, 256));
//   const auto y = nib::graph::linear(graph, x, "layer.weight", {.rows = 704, .weights = {}});
//   graph.keep(y);
//   const nib::graph::Program program(device, graph, {{"layer.weight", blob}});
//
// Errors: functions that say "Throws" throw nib::kit::Error with a one-line message that names the node or value.
// Threads: a Graph is used by one thread at a time. A Program may be recorded by several threads; its steps share one
// arena, so they run one after the other.
#ifndef NIBBLE_GRAPH_H
#define NIBBLE_GRAPH_H

#include <nibble/kit.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib::graph {

using ValueId = uint32_t;
inline constexpr ValueId kNoValue = UINT32_MAX;

// The shape of a dense value: rows of `cols` elements, `rows_per_token` rows for each token of a step.
struct Shape {
  uint32_t type = NIB_TYPE_F32;  // NibType, or kIds
  uint32_t cols = 0;
  uint32_t rows_per_token = 1;
  uint32_t stride = 0;  // elements from row to row, at least cols; dense() and ids() set it
};
inline constexpr uint32_t kIds = 16;  // uint32 elements: token ids, positions, rows of a cache

// Rows without gaps, but rows of 16-bit elements begin on a word.
Shape dense(uint32_t type, uint32_t cols, uint32_t rows_per_token = 1);
Shape ids(uint32_t per_token = 1);

enum class Storage {
  kArena,  // lives from the node that writes it to the last one that reads it; then its memory is reused
  kInput,  // written by the host before a step
  kMemory  // weights and states (caches): memory that the caller gives when it compiles the graph
};

struct Value {
  std::string name;
  Storage storage = Storage::kArena;
  Shape shape;                     // arena and inputs
  uint64_t size_bytes = 0;         // at the graph's largest step; memory: what the nodes need, at least
  ValueId in_place_of = kNoValue;  // shares the bytes of this value
  bool must_share = false;         // in_place_of is part of what the node computes, not only a way to save memory
  bool view = false;               // the same elements in another shape, or a part of them
  uint64_t offset_bytes = 0;       // of a part, in the value that it is a part of
  bool kept = false;               // readable after the step
  bool state = false;              // an arena value that lives from step to step
};

// Ties a role, or one of its parts, to a value. part NIB_PART_COUNT = the whole role.
struct Operand {
  NibRole role = NIB_ROLE_INPUT;
  NibPart part = NIB_PART_COUNT;
  ValueId value = kNoValue;
  bool writes = false;
  uint64_t offset_bytes = 0;  // in the value
};

struct Node {
  std::string name;
  std::vector<uint64_t> desc;  // the bytes of a description, for as many rows as the largest step has
  uint32_t desc_bytes = 0;
  uint32_t rows_per_token = 1;  // NibRun.n of a step is the step's tokens times this
  std::vector<Operand> operands;

  const NibOpDesc* description() const { return reinterpret_cast<const NibOpDesc*>(desc.data()); }
};

class Graph {
 public:
  // max_tokens: of a step. Kernels are chosen for that many: build one graph for single tokens and one for many.
  explicit Graph(uint32_t max_tokens) : max_tokens_(max_tokens) {}

  uint32_t maxTokens() const { return max_tokens_; }
  const std::vector<Value>& values() const { return values_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const Value& value(ValueId id) const { return values_[id]; }
  ValueId find(std::string_view name) const;  // kNoValue if there is none

  // Throw if the name is taken.
  ValueId input(std::string name, const Shape& shape);
  ValueId arena(std::string name, const Shape& shape);
  // An arena value that lives from step to step: a step reads the bytes that the previous one wrote. It begins
  // undefined.
  ValueId state(std::string name, const Shape& shape);
  // A value that shares the bytes of `of`. must_share: the node that writes it also reads them there.
  ValueId inPlace(std::string name, ValueId of, bool must_share = false);
  ValueId memory(std::string name, uint64_t size_bytes);
  // The elements of `of` in another shape of the same size.
  ValueId view(std::string name, ValueId of, const Shape& shape);
  // Columns [first, first + cols) of every row of a value that is not memory. Layers that say so take a part as input.
  // Throws.
  ValueId part(std::string name, ValueId of, uint32_t first, uint32_t cols);
  // The value stays readable when the step is over.
  void keep(ValueId value) { values_[value].kept = true; }

  // Adds a node: a description (copied) and its operands. Nodes run in the order in which they are added. Throws if a
  // value is read before it is written.
  template <class Desc>
  void add(std::string name, const Desc& desc, uint32_t rows_per_token, std::initializer_list<Operand> operands) {
    addNode(std::move(name), reinterpret_cast<const NibOpDesc*>(&desc), sizeof desc, rows_per_token,
            {operands.begin(), operands.end()});
  }
  void addNode(std::string name, const NibOpDesc* desc, size_t desc_bytes, uint32_t rows_per_token,
               std::span<const Operand> operands);

 private:
  ValueId addValue(Value value);
  bool isWritten(ValueId id) const;
  uint32_t max_tokens_;
  std::vector<Value> values_;
  std::vector<bool> written_;
  std::vector<Node> nodes_;
};

// Memory of a kMemory value.
struct Memory {
  std::string_view name;
  kit::Range range;
};

// Passed to a tap while a step runs: the tap records runs of its own after the node that wrote the value. On the CPU
// device they run at once.
class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual void run(const kit::Binding& binding, const kit::RunOptions& options) = 0;
  // Makes writes of runs recorded before visible to runs recorded after.
  virtual void barrier() = 0;
};
using Tap = std::function<void(Recorder&, uint32_t tokens)>;

struct ProgramOptions {
  // Plans that programs share: equal descriptions are planned once. NULL = the program's own.
  class PlanCache* plans = nullptr;
};

// Plans by description. Used by one thread at a time. Programs keep their plans alive, so the cache may be destroyed
// first.
class PlanCache {
 public:
  // Throws.
  std::shared_ptr<const kit::Plan> plan(const kit::Device& device, const NibOpDesc* desc, size_t desc_bytes);
  size_t size() const;
  PlanCache();
  ~PlanCache();
  PlanCache(const PlanCache&) = delete;
  PlanCache& operator=(const PlanCache&) = delete;

 private:
  struct Entries;
  std::unique_ptr<Entries> entries_;
};

// Memory that a program takes.
struct MemoryNeeds {
  struct Item {
    std::string name;
    uint64_t size_bytes = 0;
  };
  std::vector<Item> memory;  // kMemory values, each once
  uint64_t arena_bytes = 0;
};
// The memory of a program of the graph. Allocates none on the device; makes the plans, on a GPU with their pipelines.
// Throws; names the node that cannot be planned.
MemoryNeeds memoryNeeds(const kit::Device& device, const Graph& graph, const ProgramOptions& options = {});

struct StepStats {
  double seconds = 0;
  uint32_t submissions = 0;
};

class Program {
 public:
  // Throws; names the node that cannot be planned, or the memory that is missing or too small.
  Program(const kit::Device& device, const Graph& graph, std::span<const Memory> memory,
          const ProgramOptions& options = {});
  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;
  ~Program();

  uint32_t maxTokens() const;
  // The memory of a value: valid after its node, until another value reuses the memory. Throws if there is no such
  // value.
  kit::Range range(std::string_view name) const;
  uint64_t arenaBytes() const;
  // The numbers of barriers and of nodes of a step.
  uint32_t barrierCount() const;
  uint32_t nodeCount() const;

  // `tap` is called after the node that writes the value. An empty function removes it. Throws if no node writes it.
  void tap(std::string_view value, Tap tap);

  // Writes an input for the next run: rows of its shape, from the first token on. size_bytes is at most the input's
  // size at max_tokens tokens. Throws.
  void setInput(std::string_view name, const void* data, uint64_t size_bytes) const;
  template <class T>
  void setInput(std::string_view name, const std::vector<T>& data) const {
    setInput(name, data.data(), data.size() * sizeof(T));
  }
  // Runs a step of n tokens and waits. Long steps are split into submissions of about 20 ms. Throws.
  StepStats run(uint32_t n) const { return runNodes(n, 0, nodeCount()); }
  // Runs nodes [first, end) of such a step. The arena must still hold what the nodes before them wrote. Inputs are
  // copied to the arena if first is 0. Throws.
  StepStats runNodes(uint32_t n, uint32_t first, uint32_t end) const;
  // Runs the nodes of a step of n tokens one by one, and returns the seconds of each: the device's own time where it
  // has timestamps. Values are overwritten as by run. Taps are not called. Throws.
  std::vector<double> nodeSeconds(uint32_t n) const;

#if !defined(NIB_NO_VULKAN)
  // Records a step into the application's command buffer: no allocation, no lock, no submission. Inputs are copied from
  // `inputs` (kInput values in their order, each at a multiple of 256 bytes: inputOffset), or are already in the arena
  // if the buffer is VK_NULL_HANDLE. The step begins with a barrier after all earlier compute and transfer commands of
  // the queue; after it, results are written by compute shaders. Taps are not called.
  void record(VkCommandBuffer commands, uint32_t n, VkBuffer inputs = VK_NULL_HANDLE,
              VkDeviceSize inputs_offset = 0) const noexcept;
#endif
  uint64_t inputBytes() const;
  uint64_t inputOffset(std::string_view name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// --------------------------------------------------------------------------------------------- layers
// Each adds one node, named `name`, and returns its result. Weights are the memory value of that name, in the layout
// that nibGetMemory gives for the node's description; values of one name are shared. All throw.

struct Linear {
  uint32_t rows = 0;     // outputs
  NibWeights weights{};  // any format, or dense
  bool bias = false;
  uint32_t activation = NIB_ACTIVATION_NONE;
  uint32_t result_type = NIB_TYPE_F32;
  ValueId add_to = kNoValue;  // the result is added to this value, in place
  std::string memory;         // the memory value of the weights; "" = the node's name
  // How the input is quantized; all 0 = not at all. With ROW granularity each token has a scale of its own. With TENSOR
  // the scale, and ASYMMETRIC the zero point, are given: the caller writes them to the states name + ".input_scale"
  // (fp32) and name + ".input_zero" (a code).
  NibWeights input{};
  float outlier_threshold = 0;  // int8 per token: LLM.int8(), see NIB_OP_DYNAMIC_GEMM
};
// NIB_OP_MATMUL; with int8 inputs NIB_OP_DYNAMIC_GEMM, or NIB_OP_QUANTIZE and NIB_OP_INT8_GEMM; with FP8 inputs
// NIB_OP_QUANTIZE and NIB_OP_MATMUL.
ValueId linear(Graph& graph, ValueId input, std::string name, const Linear& layer);

struct Experts {
  uint32_t rows = 0;     // outputs of an expert
  uint32_t experts = 0;  // matrices, which follow each other in the weights
  NibWeights weights{};
  uint32_t activation = NIB_ACTIVATION_NONE;
  // How the input is quantized, with ROW granularity; all 0 = not at all. Its codes are decoded before the product.
  NibWeights input{};
};
// NIB_OP_MATMUL by the experts that tokens choose. chosen: ids(count). input: a row for each token, or for each choice.
// The result has a row for each choice, `count` to a token.
ValueId experts(Graph& graph, ValueId input, ValueId chosen, std::string name, const Experts& layer);

// NIB_OP_MIX: a row for each token from `count` rows of the input. logits: fp32 [tokens, count]. log_sum: fp32
// [tokens]; SOFTMAX_ALL alone. add_to: the result is added to this value, in place; kNoValue = none.
ValueId mix(Graph& graph, ValueId input, ValueId logits, ValueId log_sum, std::string name, NibMixWeighting weighting,
            ValueId add_to = kNoValue);

struct Norm {
  float epsilon = 1e-5f;
  bool mean = false;  // layer norm
  bool bias = false;
  uint32_t result_type = NIB_TYPE_F32;
};
// NIB_OP_NORM, with a weight.
ValueId norm(Graph& graph, ValueId input, std::string name, const Norm& layer);

// NIB_OP_ELEMENTWISE: activation(gate) * other, in place of the gate; a + b, in place of a.
ValueId gated(Graph& graph, ValueId gate, ValueId other, std::string name, uint32_t activation);
ValueId add(Graph& graph, ValueId a, ValueId b, std::string name);
// The same of rows whose first half is the gate, into a value of half the columns.
ValueId gatedHalves(Graph& graph, ValueId halves, std::string name, uint32_t activation);
// factor * input, in place.
ValueId scale(Graph& graph, ValueId input, std::string name, float factor);
// limit * tanh(input / limit), in place.
ValueId cap(Graph& graph, ValueId input, std::string name, float limit);
// The elements of a part, one row after the other (those of fp32 below 2^-126 become 0).
ValueId copy(Graph& graph, ValueId part, std::string name);

struct Hadamard {
  uint32_t size = 0;  // of a block; 0 = a row of the input
  std::string signs;  // the memory value of fp32 signs, one per column (NIB_HADAMARD_SIGNS); "" = none
};
// NIB_OP_HADAMARD, in place.
ValueId hadamard(Graph& graph, ValueId input, std::string name, const Hadamard& layer);

struct Rope {
  uint32_t heads = 0;
  uint32_t head_size = 0;
  uint32_t rotary_size = 0;  // 0 = head_size
  uint32_t positions = 0;    // rows of the table
  bool interleaved = false;
  std::string table = "rope";  // the memory value of cosines and sines (nibFillRopeTable)
};
// NIB_OP_ROPE, in place, or from a part into a value of its own. positions: ids().
ValueId rope(Graph& graph, ValueId input, ValueId positions, std::string name, const Rope& layer);

struct Attention {
  uint32_t heads = 0;
  uint32_t key_heads = 0;
  uint32_t head_size = 0;
  uint32_t cache_rows = 0;
  NibWeights cache{};  // as NibAppendDesc::cache: dense fp32, another dense type or codes
  float scale = 0;     // 0 = 1 / sqrt(head_size)
  float cap = 0;       // of scores; 0 = none
};
struct AttentionInputs {
  ValueId queries, keys, values;  // dense [tokens, heads * head_size], or parts
  ValueId cache_rows;             // ids(): where the keys and values of each token go
  ValueId visible;                // ids(4): what each token sees, see NIB_OP_ATTENTION
};
// NIB_OP_APPEND of keys and values to the cache, the memory value name + ".cache", then NIB_OP_ATTENTION.
ValueId attention(Graph& graph, const AttentionInputs& inputs, std::string name, const Attention& layer);

struct Embedding {
  uint32_t rows = 0;
  uint32_t cols = 0;
  NibWeights weights{};  // any format, or dense
  uint32_t result_type = NIB_TYPE_F32;
};
// NIB_OP_GATHER. numbers: ids().
ValueId embed(Graph& graph, ValueId numbers, std::string name, const Embedding& layer);

// NIB_OP_LOSS: fp32 [tokens, 4]. targets: ids(). reference: the logits of another model, or kNoValue.
ValueId loss(Graph& graph, ValueId logits, ValueId targets, std::string name, ValueId reference = kNoValue);

struct Selected {
  ValueId logits;   // fp32 [tokens, count], the largest first
  ValueId ids;      // their columns
  ValueId log_sum;  // fp32 [tokens]: log-sum-exp of the whole row
};
// NIB_OP_SELECT. ids: the value that the columns are written to, ids(count), in place; or kNoValue.
Selected select(Graph& graph, ValueId logits, std::string name, uint32_t count, ValueId ids = kNoValue);

}  // namespace nib::graph
#endif  // NIBBLE_GRAPH_H
