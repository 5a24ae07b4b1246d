// Text from a model, token by token.
#ifndef NIB_MODEL_RUN_GENERATE_H
#define NIB_MODEL_RUN_GENERATE_H

#include "model/run/runner.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace nib::model {

struct SamplingOptions {
  double temperature = 0;  // 0 = greedy: the most likely token
  uint32_t top_k = 0;      // choose among this many of the most likely tokens; 0 = all
  double top_p = 1;        // of those, the fewest whose probabilities sum to at least this
  uint64_t seed = 0;
};

// Chooses tokens from the result of Runner::select. The same options give the same choices on every machine.
class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options) : options_(options), state_(options.seed) {}
  // How many candidates choose() needs.
  uint32_t candidates() const;
  float temperature() const { return options_.temperature > 0 ? float(options_.temperature) : 1; }
  uint32_t choose(const Candidates& candidates);
  // Whether top_p, or the whole vocabulary without top_k, once needed more candidates than NIB_OP_SELECT gives.
  bool lackedCandidates() const { return lacked_; }

 private:
  double uniform();  // in [0, 1)
  SamplingOptions options_;
  uint64_t state_;
  bool lacked_ = false;
};

struct Generated {
  std::vector<uint32_t> ids;
  bool stopped = false;  // at a stop id, which is not in `ids`
  double prompt_seconds = 0, seconds = 0;
};

// Extends the prompt by at most `tokens` tokens as sequence 0 of the runner. show: called with each id; returning false
// ends the text. Throws.
Generated generate(Runner& runner, std::span<const uint32_t> prompt, uint32_t tokens, Sampler& sampler,
                   std::span<const uint32_t> stop_ids, const std::function<bool(uint32_t id)>& show);

}  // namespace nib::model
#endif
