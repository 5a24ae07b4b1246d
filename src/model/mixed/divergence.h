// How far the predictions of a model move when some of its weights change: the mean KL divergence from those of the
// model as it is stored, and the change of its losses. One copy of the weights is on the device.
#ifndef NIB_MODEL_MIXED_DIVERGENCE_H
#define NIB_MODEL_MIXED_DIVERGENCE_H

#include "model/eval/evaluate.h"
#include "model/run/runner.h"

#include <cstdint>
#include <span>
#include <vector>

namespace nib::model {

class Divergence {
 public:
  // Runs the model as it is stored on the sequences. view and config: must outlive this. changes_head: weights outside
  // of the blocks may change too. Throws.
  Divergence(const TimedDevice& device, const ModelView& view, const ModelConfig& config,
             std::span<const std::vector<uint32_t>> sequences, bool changes_head);
  // Where the elements of a dense matrix are, by module. Throws.
  kit::Range weights(const std::string& module) const { return runner_.weights().range(module); }
  struct Moved {
    Mean kl;
    Mean nll_delta;  // negative log-likelihood of the tokens that follow, with the changed weights - without
  };
  // Over all predicted tokens, with the weights as they are now. Throws.
  Moved measure();
  uint64_t tokens() const { return tokens_; }

 private:
  struct Step {
    std::vector<uint32_t> ids;
    std::vector<size_t> lengths;           // of sequences
    std::vector<uint32_t> rows, targets;   // predictions
    std::vector<uint32_t> reference_rows;  // the same of the reference
    std::vector<float> hidden;             // of the reference
  };
  static RunnerOptions optionsFor(std::span<const std::vector<uint32_t>> sequences, bool changes_head);
  void run(const Step& step);

  Runner runner_;
  std::vector<Step> steps_;
  uint64_t tokens_ = 0;
};

}  // namespace nib::model
#endif
