#include "model/calibrate/linear_inputs.h"

#include <algorithm>
#include <string_view>

namespace nib::model {
namespace {

constexpr std::string_view kQuantize = ".quantize";  // the node that quantizes a layer's input

// The dense input of a node of a linear layer, or kNoValue.
graph::ValueId linearInput(const graph::Node& node) {
  const uint32_t op = node.description()->op;
  if (op != NIB_OP_MATMUL && op != NIB_OP_DYNAMIC_GEMM && op != NIB_OP_QUANTIZE) return graph::kNoValue;
  for (const graph::Operand& operand : node.operands) {
    if (operand.role == NIB_ROLE_INPUT && operand.part == NIB_PART_COUNT) return operand.value;
  }
  return graph::kNoValue;
}

}  // namespace

std::vector<LinearInput> linearInputs(const Runner& runner) {
  std::vector<LinearInput> list;
  for (const graph::Node& node : runner.graph().nodes()) {
    const graph::ValueId input = linearInput(node);
    if (input == graph::kNoValue) continue;
    std::string module = node.name;
    if (module.ends_with(kQuantize)) module.resize(module.size() - kQuantize.size());
    const auto same = std::find_if(list.begin(), list.end(), [&](const LinearInput& l) { return l.value == input; });
    if (same != list.end()) {
      same->modules.push_back(std::move(module));
      continue;
    }
    const graph::Value& value = runner.graph().value(input);
    const CollectedShape shape{module, runner.graph().maxTokens() * value.shape.rows_per_token, value.shape.cols,
                               value.shape.type, value.shape.stride};
    list.push_back({input, {module}, shape});
  }
  return list;
}

}  // namespace nib::model
