// An online rotation (QuaRot, arXiv 2404.00456): the inputs of down go through a Hadamard transform while the network
// runs, and its weights through the same one before. It spreads outliers that no scale can move away from there.
#include "model/archive/error.h"
#include "model/run/network_view.h"
#include "model/transform/scaling.h"
#include "model/transform/transform.h"

namespace nib::model {
namespace {

// The largest block of `size` columns that has a Hadamard matrix.
uint32_t blockOf(uint32_t size) {
  uint32_t block = size;
  while (block > 2 && (size % block != 0 || nibHadamardOrder(block) == 0)) --block;
  return block;
}

Edits make(const TransformInput& input, const std::string&, TransformReport& report) {
  if (input.config.inner_hadamard != 0) throw Error("--transform hadamard: the model has been through it already");
  const uint32_t block = blockOf(input.config.inner);
  refuseExperts(input.config, "--transform hadamard", "the inputs of their down layers are not rotated yet");
  if (input.config.inner % block != 0) {
    throw Error("--transform hadamard: an odd intermediate_size, " + std::to_string(input.config.inner) +
                ", has no Hadamard matrix");
  }
  const auto rotation = std::make_shared<const Rotation>(
      Rotation{block, [block](double* x) { nibHadamardTransform(x, block, nullptr); }});
  Edits edits;
  for (uint32_t layer = 0; layer < input.config.layers; ++layer) {
    // The last layer of a block, and the one before it.
    const std::vector<std::vector<std::string>> layers = linearLayers(input.config, layer);
    for (const std::string& module : layers.back()) edits.add(module + ".weight", rotateColumns(rotation));
    report.steps.push_back({layer, layers[layers.size() - 2].back(), layers.back(), "block", double(block), {}, {}});
  }
  edits.config[kInnerHadamard] = block;
  edits.own_network = true;
  return edits;
}

std::string refuses(const std::string& setting) { return setting.empty() ? "" : "hadamard takes no setting"; }

}  // namespace

const TransformKind kHadamardTransform = {
    "hadamard", "rotates the inputs of down while the model runs, in nibble alone", false, true, refuses, make};

}  // namespace nib::model
