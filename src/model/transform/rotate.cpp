// Rotation of the hidden states and of the values of heads (QuaRot, arXiv 2404.00456), folded into the weights.
#include "model/archive/error.h"
#include "model/run/network_view.h"
#include "model/transform/orthogonal.h"
#include "model/transform/scaling.h"
#include "model/transform/transform.h"

namespace nib::model {
namespace {

class Rotate {
 public:
  Rotate(const TransformInput& input, bool random) : input_(input), states_(hiddenStates(input.config)) {
    hidden_ =
        random ? randomRotation(input.config.hidden, input.seed) : hadamardRotation(input.config.hidden, input.seed);
    heads_ = random ? randomRotation(input.config.head_size, input.seed + 1)
                    : hadamardRotation(input.config.head_size, input.seed + 1);
  }

  Edits make(TransformReport& report) {
    if (!input_.config.norms_before || input_.config.norms_after) {
      throw Error("--transform rotate: models of type " + input_.config.family +
                  " norm what layers add to the hidden states, and a rotation does not pass such a norm");
    }
    refuseExperts(input_.config, "--transform rotate", "their router and they read the hidden states too");
    edits_.unties = input_.config.tied;
    if (input_.config.tied && !has(states_.head + ".weight")) {
      edits_.untied_head = states_.head + ".weight";
      edits_.embedding = states_.embedding + ".weight";
    }
    edits_.add(states_.embedding + ".weight", rotateColumns(hidden_));
    for (uint32_t layer = 0; layer < input_.config.layers; ++layer) {
      for (const ScaleGroup& group : scaleGroups(input_.config, layer)) {
        if (group.norm) {
          foldNorm(group.before, group.modules);
          for (const std::string& module : group.modules) edits_.add(module + ".weight", rotateColumns(hidden_));
        } else if (group.run == input_.config.head_size) {
          rotateHeads(group);
        }
      }
      for (const std::string& module : hiddenWriters(input_.config, layer)) {
        edits_.add(module + ".weight", rotateRows(hidden_));
        if (has(module + ".bias")) edits_.add(module + ".bias", rotateColumns(hidden_));
      }
      report.steps.push_back({layer, states_.embedding, hiddenWriters(input_.config, layer), "", {}, {}, {}});
    }
    foldNorm(states_.norm, {states_.head});
    edits_.add(states_.head + ".weight", rotateColumns(hidden_));
    return std::move(edits_);
  }

 private:
  bool has(const std::string& tensor) const { return input_.view.find(tensor) != nullptr; }

  // Moves the weights of a norm into the layers that read it: only then does a rotation go through the norm.
  void foldNorm(const std::string& norm, const std::vector<std::string>& modules) {
    if (has(norm + ".bias")) {
      throw Error("--transform rotate: " + quoteText(norm) + " has a bias, and a rotation passes RMS norms alone");
    }
    const std::vector<float> weights = readValues(input_.view, norm + ".weight");
    for (const std::string& module : modules) {
      edits_.add(module + ".weight", scaleColumns({weights.begin(), weights.end()}));
    }
    edits_.add(norm + ".weight", setAll(1));
  }

  // Every head's values are rotated where they are made, and back where they are read.
  void rotateHeads(const ScaleGroup& group) {
    edits_.add(group.before + ".weight", rotateRows(heads_, group.first));
    if (has(group.before + ".bias")) edits_.add(group.before + ".bias", rotateColumns(heads_));
    for (const std::string& module : group.modules) edits_.add(module + ".weight", rotateColumns(heads_));
  }

  const TransformInput& input_;
  HiddenStates states_;
  std::shared_ptr<const Rotation> hidden_, heads_;
  Edits edits_;
};

std::string refuses(const std::string& setting) {
  return setting.empty() || setting == "hadamard" || setting == "random"
             ? ""
             : "expected rotate, rotate:hadamard or rotate:random";
}

Edits make(const TransformInput& input, const std::string& setting, TransformReport& report) {
  return Rotate(input, setting == "random").make(report);
}

}  // namespace

const TransformKind kRotateTransform = {
    "rotate", "rotates the hidden states and the values of heads", false, false, refuses, make};

}  // namespace nib::model
