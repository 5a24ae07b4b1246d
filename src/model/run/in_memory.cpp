#include "model/run/in_memory.h"

#include "model/archive/error.h"
#include "model/calibrate/static_inputs.h"

namespace nib::model {
namespace {

// Holds every weight, and writes no file.
class Memory final : public Container {
 public:
  const char* name() const override { return "memory"; }
  std::string refuses(const WeightSpec&, Activations) const override { return ""; }
  NibLayout layout(const WeightSpec&, Activations) const override { return NIB_LAYOUT_ROWS; }
  std::vector<WeightPart> parts(const WeightSpec&, Activations) const override { return {}; }
  std::string quantizationConfig(const ConfigFacts&) const override { return ""; }
};

bool fits(uint32_t format, Activations activations) {
  const bool tokens = activations == Activations::kInt8Token || activations == Activations::kInt4Token;
  if (!tokens && activations != Activations::kInt8Static) return true;
  const std::string_view name = nibFormatById(format)->name;
  return name == "int8" || name == "uint8" || (tokens && (name == "int4" || name == "uint4"));
}

}  // namespace

std::optional<FoundWeight> InMemory::find(const ModelView& view, const ModelView::Tensor& tensor) const {
  static const Memory memory;
  if (tensor.weight != nullptr || !tensor.name.ends_with(".weight")) return std::nullopt;
  const Decision decision = decide(view.checkpoint().info(tensor.index), options_, memory);
  if (decision.passed_over && tensor.shape.size() == 2) throw Error(quoteText(tensor.name) + ": " + decision.note);
  if (decision.kind != Decision::kQuantize) return std::nullopt;
  FoundWeight found;
  found.container = &memory;
  found.spec = decision.weight;
  found.activations = options_.activations;
  if (!fits(found.spec.weights.format, found.activations)) {
    throw Error("int8 activations go with --type int8, and int8-token and int4-token with int4 too");
  }
  if (isStatic(found.activations)) found.spec.input = inputOf(options_.inputs, found.spec);
  return found;
}

void InMemory::load(const TimedDevice& device, Decoder& decoder, const ModelView::Tensor& tensor,
                    const WeightSpec& weight, const kit::Range& to) const {
  NibQuantizeDesc desc{NIB_OP_QUANTIZE, sizeof(NibQuantizeDesc)};
  desc.rows = weight.rows;
  desc.cols = weight.cols;
  desc.source_type = uint32_t(*decoder.typeOf(tensor));
  desc.weights = weight.weights;
  const kit::Plan plan(device.untimed(), desc);
  const kit::Buffer source(device.untimed(), plan.sizeBytes(NIB_ROLE_INPUT));
  const kit::Buffer scratch(device.untimed(), plan.sizeBytes(NIB_ROLE_AUX));
  decoder.decode(tensor, 0, tensor.elements(), source);
  const kit::Binding binding(plan, kit::Ranges{.weights = to, .input = source, .output = {}, .aux = scratch});
  device.run(binding, weight.rows);
}

double bitsPerWeight(const WeightSpec& weight) {
  NibQuantizeDesc desc{NIB_OP_QUANTIZE, sizeof(NibQuantizeDesc)};
  desc.rows = weight.rows;
  desc.cols = weight.cols;
  desc.weights = weight.weights;
  NibMemory memory{sizeof(NibMemory)};
  if (nibGetMemory(reinterpret_cast<const NibOpDesc*>(&desc), nullptr, &memory) != NIB_SUCCESS) return 0;
  uint64_t bytes = 0;
  for (const NibPart part : {NIB_PART_CODES, NIB_PART_SCALES, NIB_PART_ZEROS, NIB_PART_NESTED}) {
    bytes += memory.part[part].size_bytes;
  }
  return 8.0 * double(bytes) / (double(weight.rows) * weight.cols);
}

}  // namespace nib::model
