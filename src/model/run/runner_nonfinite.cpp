// The first value of a step that is not finite.
#include "model/run/runner.h"

namespace nib::model {
namespace {

struct Watched {
  std::string name;
  std::shared_ptr<const kit::Plan> plan;
  kit::Buffer extent, scratch;
  std::optional<kit::Binding> binding;
  uint32_t rows_per_token = 1;
};

}  // namespace

std::string Runner::findNonfinite() {
  std::vector<std::unique_ptr<Watched>> list;
  for (const graph::Node& node : last_->graph.nodes()) {
    for (const graph::Operand& operand : node.operands) {
      const graph::Value& value = last_->graph.value(operand.value);
      if (!operand.writes || value.storage != graph::Storage::kArena || value.shape.type == graph::kIds) continue;
      NibMinMaxDesc desc{NIB_OP_MINMAX, sizeof(NibMinMaxDesc)};
      desc.rows = last_->graph.maxTokens() * value.shape.rows_per_token;
      desc.cols = value.shape.cols;
      desc.source_type = value.shape.type;
      desc.source_stride = value.shape.stride;
      desc.granularity = NIB_GRANULARITY_TENSOR;
      auto watched = std::make_unique<Watched>();
      watched->name = value.name;
      watched->rows_per_token = value.shape.rows_per_token;
      watched->plan = plans_.plan(device_.untimed(), reinterpret_cast<const NibOpDesc*>(&desc), sizeof desc);
      watched->extent = kit::Buffer(device_.untimed(), watched->plan->sizeBytes(NIB_ROLE_OUTPUT));
      kit::Ranges ranges{.weights = {}, .input = last_->body.range(value.name), .output = watched->extent, .aux = {}};
      if (const uint64_t aux = watched->plan->sizeBytes(NIB_ROLE_AUX); aux != 0) {
        watched->scratch = kit::Buffer(device_.untimed(), aux);
        ranges.aux = watched->scratch;
      }
      watched->binding.emplace(*watched->plan, ranges);
      last_->body.tap(value.name, [&w = *watched](graph::Recorder& recorder, uint32_t tokens) {
        recorder.run(*w.binding, {.n = tokens * w.rows_per_token});
      });
      list.push_back(std::move(watched));
    }
  }
  last_->body.run(last_tokens_);
  std::string first;
  for (const std::unique_ptr<Watched>& watched : list) {
    last_->body.tap(watched->name, {});
    NibExtent extent{};
    device_.download(watched->extent, 0, &extent, sizeof extent);
    if (first.empty() && extent.nonfinite_count != 0) first = watched->name;
  }
  return first;
}

}  // namespace nib::model
