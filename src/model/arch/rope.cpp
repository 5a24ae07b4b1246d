// Frequencies of the rotary embedding (arXiv 2104.09864) under each scaling, as transformers computes them.
#include "model/arch/config.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace nib::model {
namespace {

double magnitude(double scale, double mscale) { return scale <= 1 ? 1 : 0.1 * mscale * std::log(scale) + 1; }

void applyLlama3(const RopeConfig& rope, std::vector<double>& frequencies) {
  const double longest = rope.original_positions / rope.low_freq_factor;
  const double shortest = rope.original_positions / rope.high_freq_factor;
  for (double& frequency : frequencies) {
    const double wavelength = 2 * std::numbers::pi / frequency;
    if (wavelength > longest) {
      frequency /= rope.factor;
    } else if (wavelength >= shortest) {
      const double t = (rope.original_positions / wavelength - rope.low_freq_factor) /
                       (rope.high_freq_factor - rope.low_freq_factor);
      frequency = (1 - t) * frequency / rope.factor + t * frequency;
    }
  }
}

double applyYarn(const RopeConfig& rope, std::vector<double>& frequencies) {
  const double r = rope.rotary_size;
  // The (fractional) index of the pair that makes `turns` rotations over the original positions.
  const auto pairOf = [&](double turns) {
    return r * std::log(rope.original_positions / (turns * 2 * std::numbers::pi)) / (2 * std::log(rope.theta));
  };
  double low = pairOf(rope.beta_fast), high = pairOf(rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, r - 1);
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((double(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] = frequencies[i] / rope.factor * ramp + frequencies[i] * (1 - ramp);
  }
  if (rope.attention_factor != 0) return rope.attention_factor;
  if (rope.mscale != 0 && rope.mscale_all_dim != 0) {
    return magnitude(rope.factor, rope.mscale) / magnitude(rope.factor, rope.mscale_all_dim);
  }
  return magnitude(rope.factor, 1);
}

double applyLongrope(const RopeConfig& rope, uint32_t positions, std::vector<double>& frequencies) {
  const std::vector<double>& factors = positions > rope.original_positions ? rope.long_factor : rope.short_factor;
  for (size_t i = 0; i < frequencies.size(); ++i) frequencies[i] /= factors[i];
  if (rope.attention_factor != 0) return rope.attention_factor;
  return rope.factor <= 1 ? 1 : std::sqrt(1 + std::log(rope.factor) / std::log(rope.original_positions));
}

}  // namespace

RopeFrequencies ropeFrequencies(const RopeConfig& rope, uint32_t positions) {
  double theta = rope.theta;
  if (rope.scaling == RopeConfig::Scaling::kDynamic) {
    const double n = std::max(double(positions), rope.max_positions), r = rope.rotary_size;
    theta *= std::pow(rope.factor * n / rope.max_positions - (rope.factor - 1), r / (r - 2));
  }
  RopeFrequencies result;
  for (uint32_t i = 0; i < rope.rotary_size / 2; ++i) {
    result.frequency.push_back(std::pow(theta, -2.0 * i / rope.rotary_size));
  }
  switch (rope.scaling) {
    case RopeConfig::Scaling::kLinear:
      for (double& frequency : result.frequency) frequency /= rope.factor;
      break;
    case RopeConfig::Scaling::kLlama3: applyLlama3(rope, result.frequency); break;
    case RopeConfig::Scaling::kYarn: result.factor = applyYarn(rope, result.frequency); break;
    case RopeConfig::Scaling::kLongrope: result.factor = applyLongrope(rope, positions, result.frequency); break;
    case RopeConfig::Scaling::kNone:
    case RopeConfig::Scaling::kDynamic: break;
  }
  return result;
}

}  // namespace nib::model
