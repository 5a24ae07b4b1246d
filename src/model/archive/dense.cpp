// Quantized weights stored as dense values of their original type. Any program loads such a file and sees the effect of
// quantization; it saves no memory. It serves to measure types that no other container holds.
#include "model/archive/container.h"

namespace nib::model {
namespace {

class DenseValues : public Container {
 public:
  const char* name() const override { return "dense"; }
  std::string refuses(const WeightSpec&, Activations activations) const override {
    return activations == Activations::kNone ? "" : "dense values cannot say that activations are quantized";
  }
  NibLayout layout(const WeightSpec&, Activations) const override { return NibLayout(0); }
  std::vector<WeightPart> parts(const WeightSpec& w, Activations) const override {
    return {{{w.name, w.source, {w.rows, w.cols}}, PartFrom::kValues}};
  }
  std::string quantizationConfig(const ConfigFacts&) const override { return ""; }
};

}  // namespace

const Container& denseValues() {
  static const DenseValues kContainer;
  return kContainer;
}

}  // namespace nib::model
