// Ways to quantize a model for a device: what they take, what they lose, how fast they can be.
#ifndef NIB_MODEL_SUGGEST_SUGGEST_H
#define NIB_MODEL_SUGGEST_SUGGEST_H

#include "model/suggest/footprint.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

enum class Quality { kHigh, kMedium, kLow };
// The mean KL divergence up to which a model counts as of this quality.
double mostLoss(Quality quality);

struct Suggestion {
  std::string format, type;  // as the options of `nibble quantize` call them; "" = the model as it is
  std::optional<int64_t> group_size;
  bool asymmetric = false;
  std::string method;          // "rtn", "gptq"; "" = the model as it is
  double bits_per_weight = 0;  // of the blocks' linear layers, scales included
  Footprint footprint;
  double loss = 0;                          // mean KL
  bool loss_measured = false;               // on some blocks; else by the bits
  std::optional<double> tokens_per_second;  // at most: bandwidth over the bytes of a token
  bool fits = true;
  bool good = true;  // within the quality's loss

  // The options of `nibble quantize` behind the model and the output; "" for the model as it is.
  std::string arguments() const;
};

struct SuggestOptions {
  uint32_t context = 2048;                     // tokens in the cache
  std::optional<uint64_t> memory_bytes;        // none = everything fits
  std::optional<double> gigabytes_per_second;  // of memory
  Quality quality = Quality::kHigh;
  // Measures the loss of weights; empty = it is estimated.
  std::function<double(const LayerWeights& weights)> measure;
  // Told why something is left out, as a line. May be empty.
  std::function<void(const std::string& line)> note;
};

// Best first: what fits before what does not; of these, what is good enough in ascending order of size, then the others
// in ascending order of loss. Throws.
std::vector<Suggestion> suggest(const std::string& config_json, Dtype dense, const SuggestOptions& options);

}  // namespace nib::model
#endif
