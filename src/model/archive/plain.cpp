// Plain safetensors without quantized weights: the container of casts.
#include "model/archive/container.h"

namespace nib::model {
namespace {

class Plain : public Container {
 public:
  const char* name() const override { return "safetensors"; }
  std::string refuses(const WeightSpec&, Activations) const override {
    return "plain safetensors holds F32, F16 and BF16 only; --format compressed-tensors or bnb holds quantized weights";
  }
  NibLayout layout(const WeightSpec&, Activations) const override { return NIB_LAYOUT_ROWS; }
  std::vector<WeightPart> parts(const WeightSpec&, Activations) const override { return {}; }
  std::string quantizationConfig(const ConfigFacts&) const override { return ""; }
};

}  // namespace

const Container& plainSafetensors() {
  static const Plain kPlain;
  return kPlain;
}

}  // namespace nib::model
