#include "model/quantize/gptq/blocks.h"

#include "model/blocks/memory.h"
#include "model/blocks/walk.h"

#include <algorithm>
#include <utility>

namespace nib::model {
namespace {

class GptqVisitor : public BlockVisitor {
 public:
  GptqVisitor(const TimedDevice& device, const ModelView& view, const BlocksOptions& options)
      : device_(device), view_(view), options_(options), decoder_(device, view) {}

  bool wants(const std::string& module) const override { return options_.weight(module).has_value(); }

  uint64_t workBytes(const LayerGroup& group, uint32_t cols) const override { return solverBytes(rowsOf(group), cols); }

  // Loads the weights of a block that an earlier run has finished.
  bool finished(std::span<const LayerGroup> groups, ModelWeights& weights) override {
    if (!options_.finished) return false;
    std::vector<std::pair<std::string, HostBlob>> blobs;
    for (const LayerGroup& group : groups) {
      for (const std::string& module : group.modules) {
        HostBlob blob = options_.finished(module);
        if (blob.empty()) return false;
        blobs.emplace_back(module, std::move(blob));
      }
    }
    for (const auto& [module, blob] : blobs) {
      decodeBlob(device_, *options_.weight(module), blob, weights.range(module));
    }
    return true;
  }

  void visit(const LayerGroup& group, const GroupInputs& inputs, ModelWeights& weights) override {
    GptqSolver solver(device_, options_.gptq, inputs.hessian, rowsOf(group));
    for (const std::string& module : group.modules) {
      const WeightSpec spec = *options_.weight(module);
      const ModelView::Tensor* tensor = view_.find(module + ".weight");
      const NibType type = *decoder_.typeOf(*tensor);
      decoder_.decode(*tensor, 0, tensor->elements(), solver.source(spec.rows, type));
      GptqLayerReport report;
      report.module = module;
      kit::Range values = weights.range(module);
      values.size_bytes = uint64_t(spec.rows) * spec.cols * sizeof(float);
      const HostBlob blob = solver.solve(spec, type, values, report);
      options_.done(report, blob);
    }
  }

 private:
  uint32_t rowsOf(const LayerGroup& group) const {
    uint32_t rows = 0;
    for (const std::string& module : group.modules) rows = std::max(rows, options_.weight(module)->rows);
    return rows;
  }

  TimedDevice device_;
  const ModelView& view_;
  const BlocksOptions& options_;
  Decoder decoder_;
};

}  // namespace

void quantizeBlocks(const TimedDevice& device, const ModelView& view, const ModelConfig& config,
                    std::span<const std::vector<uint32_t>> sequences, const BlocksOptions& options) {
  GptqVisitor visitor(device, view, options);
  WalkOptions walk;
  walk.step_tokens = options.step_tokens;
  walk.memory_bytes = options.memory_bytes;
  walk.folder = options.folder;
  walk.together = !options.gptq.sequential;
  walk.purpose = options.gptq.nearest ? "--scale-search output" : "GPTQ";
  walk.times = options.gptq.times;
  walk.progress = options.progress;
  walkBlocks(device, view, config, sequences, walk, visitor);
}

}  // namespace nib::model
