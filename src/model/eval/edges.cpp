#include "model/eval/edges.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nib::model {
namespace {

// NIB_OP_LOSS counts an infinite logit as 2^60.
constexpr float kInfiniteLogit = 0x1p59f;

// The first value of the last step, of `tokens` tokens, that is not finite.
std::string findNonfinite(Runner& runner, uint32_t tokens) {
  std::string value = runner.findNonfinite();
  if (!value.empty()) return value;
  std::vector<uint32_t> rows(tokens);
  std::iota(rows.begin(), rows.end(), 0);
  for (const TokenLoss& loss : runner.losses(rows, std::vector<uint32_t>(tokens, UINT32_MAX))) {
    if (!std::isfinite(loss.log_sum) || std::fabs(loss.log_sum) >= kInfiniteLogit) return "the logits";
  }
  return {};
}

void step(Runner& runner, std::span<const uint32_t> ids) {
  const Chunk chunk{0, 0, ids};
  runner.step({&chunk, 1});
}

EdgeInput refusal(Runner& runner, std::string name, std::span<const uint32_t> ids) {
  EdgeInput input{std::move(name), false, "accepted"};
  try {
    step(runner, ids);
  } catch (const std::runtime_error& error) {
    input.passed = true;
    input.result = "refused";
  }
  return input;
}

std::vector<float> logitsOfOne(Runner& runner, uint32_t id) {
  step(runner, {&id, 1});
  const uint32_t row = 0;
  return runner.logits({&row, 1});
}

}  // namespace

EdgeReport checkEdges(Runner& runner, std::span<const uint32_t> window) {
  EdgeReport report;
  const std::vector<uint32_t> repeated(window.size(), window[0]);
  const auto finite = [&](std::string name, std::span<const uint32_t> ids) {
    step(runner, ids);
    const std::string value = findNonfinite(runner, uint32_t(ids.size()));
    if (!value.empty() && report.nonfinite.empty()) {
      report.nonfinite = value;
      report.nonfinite_input = name;
    }
    report.inputs.push_back({std::move(name), value.empty(), value.empty() ? "finite" : "not finite from " + value});
  };
  finite("one token", window.first(1));
  finite("a full window", window);
  finite("one token repeated", repeated);
  const std::vector<float> before = logitsOfOne(runner, window[0]);
  const std::vector<uint32_t> unknown{window[0], runner.config().vocabulary};
  report.inputs.push_back(refusal(runner, "an unknown token", unknown));
  report.inputs.push_back(refusal(runner, "an empty input", {}));
  // By bits, because NaN is equal to itself then.
  const std::vector<float> after = logitsOfOne(runner, window[0]);
  const bool same = std::equal(before.begin(), before.end(), after.begin(), after.end(),
                               [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); });
  report.inputs.push_back({"one token again", same, same ? "the same logits" : "other logits"});
  return report;
}

}  // namespace nib::model
