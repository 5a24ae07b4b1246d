// Decides on every tensor of a model: how it is quantized or cast, and which output tensors that gives.
#ifndef NIB_MODEL_QUANTIZE_QUANTIZE_PLAN_H
#define NIB_MODEL_QUANTIZE_QUANTIZE_PLAN_H

#include "model/quantize/pipeline.h"
#include "model/quantize/type_ranges.h"

#include <deque>
#include <map>

namespace nib::model {

// A tensor of the input, or a matrix of it, and the output tensors made from it.
struct QuantizeJob {
  const ModelView::Tensor* tensor = nullptr;
  Decision decision;
  std::string name;  // of the dense tensor in the output
  std::vector<uint64_t> shape;
  uint64_t bytes_in = 0;
  std::vector<WeightPart> parts;  // kQuantize
  size_t first_output = 0;

  size_t outputCount() const { return std::max<size_t>(parts.size(), 1); }
};

struct QuantizePlan {
  std::vector<QuantizeJob> jobs;
  std::vector<OutputTensor> outputs;
  ConfigFacts facts;
  std::string quantization_config;
  bool untied = false;  // a head that config.json ties to the embedding is quantized
  DenseShare dense;
  std::vector<std::string> left_out;  // tensors
  std::vector<std::string> notes;
};

// The plan of a model. ranges: one for each lane. chosen: types by tensor. Throws.
QuantizePlan makePlan(const ModelView& view, std::deque<TypeRanges>& ranges, const QuantizeOptions& options,
                      ChosenTypes chosen);

MatrixFacts matrixFactsOf(const ModelView& view);

uint64_t outputBytes(const QuantizePlan& plan, const QuantizeJob& job);

// How modules are quantized.
std::map<std::string, WeightSpec> weightsOf(const QuantizePlan& plan);

// The format by which GPTQ makes codes of this one: a scale, and symmetric codes. 0 = itself or none.
uint32_t gptqTwin(uint32_t format);

// Throws if a quantized type was asked for but no tensor would be quantized.
void checkNotEmpty(const QuantizePlan& plan, const QuantizeOptions& options);

}  // namespace nib::model
#endif
