#include "model/eval/step_times.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <numeric>

namespace nib::model {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kSeconds = 2;
constexpr size_t kMostSteps = 256;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The first steps compile programs and find how many slices fit a submission, and do not count.
StepTimes timeSteps(uint32_t tokens, size_t warm, size_t least, const std::function<void(size_t step)>& step) {
  StepTimes times;
  times.tokens = tokens;
  for (size_t i = 0; i < warm; ++i) step(i);
  const Clock::time_point start = Clock::now();
  while (times.seconds.size() < kMostSteps && (times.seconds.size() < least || secondsSince(start) < kSeconds)) {
    const Clock::time_point begin = Clock::now();
    step(warm + times.seconds.size());
    times.seconds.push_back(secondsSince(begin));
  }
  std::sort(times.seconds.begin(), times.seconds.end());
  return times;
}

void run(Runner& runner, uint32_t position, std::span<const uint32_t> ids) {
  const Chunk chunk{0, position, ids};
  runner.step({&chunk, 1});
}

}  // namespace

double StepTimes::percentile(double percent) const {
  const double rank = std::ceil(percent / 100 * double(seconds.size()));
  return seconds[std::min(seconds.size(), std::max<size_t>(1, size_t(rank))) - 1];
}

double StepTimes::tokensPerSecond() const {
  return double(tokens) * double(seconds.size()) / std::accumulate(seconds.begin(), seconds.end(), 0.0);
}

StepTimes timeDecode(Runner& runner, std::span<const uint32_t> window) {
  const size_t half = window.size() / 2, rest = window.size() - half;
  run(runner, 0, window.first(half));
  return timeSteps(1, 3, 16, [&](size_t step) {
    const size_t position = half + step % rest;
    run(runner, uint32_t(position), window.subspan(position, 1));
    runner.select(0, 1);
  });
}

StepTimes timePrefill(Runner& runner, std::span<const uint32_t> window) {
  return timeSteps(uint32_t(window.size()), 1, 3, [&](size_t) {
    run(runner, 0, window);
    runner.select(uint32_t(window.size()) - 1, 1);
  });
}

}  // namespace nib::model
