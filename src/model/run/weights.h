// The weights of a network on a device: the memory that the nodes of its graphs read.
#ifndef NIB_MODEL_RUN_WEIGHTS_H
#define NIB_MODEL_RUN_WEIGHTS_H

#include "model/arch/decoder.h"
#include "model/decode.h"
#include "model/run/in_memory.h"

#include <nibble/graph.h>

#include <deque>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace nib::model {

class ModelWeights {
 public:
  // Makes memory of a size in bytes. Throws.
  using Allocate = std::function<kit::Buffer(uint64_t size_bytes)>;
  struct Options {
    Allocate allocate = {};                                     // empty = buffers of the kit
    const InMemory* in_memory = nullptr;                        // quantizes dense weights; must outlive the weights
    std::function<bool(const std::string& module)> widen = {};  // matrices that are kept in fp32; empty = none
  };
  // view and config: must outlive the weights.
  ModelWeights(const TimedDevice& device, const ModelView& view, const ModelConfig& config, Options options);

  // How the matrix of a module is stored and its input quantized: as the checkpoint has it. Throws if the checkpoint
  // lacks it.
  Storage storage(const std::string& module) const;
  // Writes the scales and zero points of static inputs to a program of the graph. Throws.
  void setInputScales(const graph::Graph& graph, const graph::Program& program) const;
  // Loads the weights that the nodes of a graph read, unless they are loaded already. Throws if the checkpoint lacks a
  // tensor, or if one has another shape than the network needs.
  // except: a memory value that is not a weight.
  void load(const graph::Graph& graph, std::string_view except = {});
  // Adds memory that is not a tensor of the checkpoint, filled with zeros.
  const kit::Buffer& add(const std::string& name, uint64_t size_bytes);
  // Where the memory of this name lies. Throws if there is none.
  kit::Range range(std::string_view name) const;
  void give(const std::string& name, const kit::Range& range) { memory_.push_back({keep(name), range}); }
  // Bits per weight of all matrices that were quantized, with scales; 0 if none was.
  double quantizedBits() const { return quantized_elements_ > 0 ? quantized_bits_ / quantized_elements_ : 0; }
  const std::vector<graph::Memory>& memory() const { return memory_; }
  // Throws if a tensor of the checkpoint was not loaded, unless it is known to be unused. Call it when all graphs are
  // loaded.
  void checkAllUsed() const;
  bool has(const std::string& name) const;

 private:
  // How a tensor is quantized; none if it is dense.
  std::optional<FoundWeight> foundOf(const ModelView::Tensor& tensor) const;
  const ModelView::Tensor& find(const std::string& name, uint64_t rows, uint64_t cols) const;
  void loadNode(const graph::Node& node, const std::string& name, const kit::Buffer& to);
  void loadMatrix(const std::string& module, uint32_t rows, uint32_t cols, const kit::Buffer& to);
  // Matrices of experts, one behind the other. module: with "*" for the number of an expert.
  Storage expertStorage(const std::string& module) const;
  void loadExperts(const NibMatmulDesc& desc, const std::string& module, const kit::Buffer& to);
  // The table of positions of a network of images: of their patches' bias and of the token for the whole, too.
  void loadPatchTable(uint32_t rows, uint32_t cols, const kit::Buffer& to);
  // The elements of a dense tensor of so many.
  std::vector<float> valuesOf(const std::string& name, uint64_t count);
  void loadWidened(const ModelView::Tensor& tensor, const kit::Range& to);
  // addend: is added to the elements.
  void loadVector(const std::string& name, uint32_t count, const NibMemoryPart& part, const kit::Buffer& to,
                  float addend = 0);
  std::string_view keep(const std::string& name);

  TimedDevice device_;
  Allocate allocate_;
  const InMemory* in_memory_;
  std::function<bool(const std::string& module)> widen_;
  const ModelView& view_;
  const ModelConfig& config_;
  Decoder decoder_;
  std::deque<std::string> names_;  // of memory_, whose views stay valid
  std::deque<kit::Buffer> buffers_;
  std::vector<graph::Memory> memory_;
  double quantized_bits_ = 0, quantized_elements_ = 0;
  mutable std::set<std::string, std::less<>> used_;  // tensors
};

}  // namespace nib::model
#endif
