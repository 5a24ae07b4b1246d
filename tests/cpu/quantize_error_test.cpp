// The quantization error matches theory. Rounding a uniform source to steps of D leaves an error that is uniform in
// [-D/2, D/2]: its square has the mean D^2/12 and the variance D^4/80 - D^4/144 = D^4/180. The mean over n samples is
// within five standard deviations D^2/sqrt(180 n) of D^2/12 except for one seed in 1.7 million; the seeds are fixed.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <cmath>
#include <string>
#include <vector>

#include "model.h"
#include "run_op.h"
#include "selftest/recipe.h"

using namespace nib;
using namespace nib::tests;

namespace {

constexpr uint32_t kRows = 256, kCols = 2048;
constexpr size_t kSamples = size_t{kRows} * kCols;

// Quantizes and dequantizes; returns the mean squared error. *scale is the first group's.
double meanSquaredError(const NibWeights& w, const std::vector<float>& x, double* scale) {
  const NibQuantizeDesc quantize = quantizeDesc(kRows, kCols, w);
  Ranges coded(asOp(quantize));
  REQUIRE(coded.valid());
  coded.clearStatus();
  coded.write(NIB_ROLE_INPUT, x);
  REQUIRE(coded.run(kRows) == NIB_SUCCESS);
  const NibDequantizeDesc dequantize = dequantizeDesc(kRows, kCols, w);
  Ranges values(asOp(dequantize));
  values.write(NIB_ROLE_WEIGHTS, coded.copy(NIB_ROLE_WEIGHTS));
  REQUIRE(values.run(kRows) == NIB_SUCCESS);
  float first;
  std::memcpy(&first, coded.scales(), sizeof first);
  *scale = first;
  const std::vector<float> y = values.read<float>(NIB_ROLE_OUTPUT, 0, x.size());
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += (double(x[i]) - y[i]) * (double(x[i]) - y[i]);
  return sum / double(x.size());
}

double density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * 3.14159265358979323846); }

// Integral of f by Simpson's rule.
template <class F>
double integral(double from, double to, F f) {
  const int steps = 2000;
  const double h = (to - from) / steps;
  double sum = f(from) + f(to);
  for (int i = 1; i < steps; ++i) sum += f(from + i * h) * (i % 2 != 0 ? 4 : 2);
  return sum * h / 3;
}

// A normally distributed number by the Box-Muller transform.
double normal(selftest::Random& random) {
  const double u = 1.0 - random.unit(), v = random.unit();
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * 3.14159265358979323846 * v);
}

}  // namespace

TEST_CASE("a uniform source quantized to affine codes has a mean squared error of step^2 / 12") {
  struct Mode {
    uint32_t flags;
    double low, high;  // of the source
  };
  const Mode modes[] = {{0, -1, 1},
                        {NIB_WEIGHTS_NARROW, -1, 1},
                        {NIB_WEIGHTS_ASYMMETRIC, -1, 1},
                        {NIB_WEIGHTS_ASYMMETRIC, -0.37, 1.9},  // a zero point that had to be rounded
                        {NIB_WEIGHTS_ASYMMETRIC, 0, 3},
                        {NIB_WEIGHTS_ASYMMETRIC, -2, 0}};
  uint64_t seed = 2024;
  for (const model::Format& format : model::scaledFormats()) {
    const NibFormatInfo* info = nibFormatById(format.id);
    if (!format.affine()) continue;
    for (const Mode& mode : modes) {
      selftest::Random random(++seed);
      std::vector<float> x(kSamples);
      for (float& v : x) v = float(mode.low + (mode.high - mode.low) * random.unit());
      // The source includes both ends, so that the step is known: codes then cover the source exactly and no cell is
      // cut, or, for asymmetric ones, the part that the zero point's rounding cuts off one end appears at the other.
      x[0] = float(mode.low);
      x[1] = float(mode.high);
      double step = 0;
      const double error = meanSquaredError(weights(format.id, NIB_GRANULARITY_TENSOR, 0, mode.flags), x, &step);
      const double steps = mode.flags & NIB_WEIGHTS_NARROW ? format.levels() - 1 : format.levels();
      INFO(info->name, " flags ", mode.flags, " source ", mode.low, " to ", mode.high,
           ", error / (step^2 / 12) = ", error / (step * step / 12));
      CHECK(std::fabs(step * steps / (mode.high - mode.low) - 1) < 1e-6);
      CHECK(std::fabs(error - step * step / 12) < 5 * step * step / std::sqrt(180.0 * double(kSamples)));
    }
  }
}

TEST_CASE("a normal source quantized to NF4 has the error that integrating over the table's cells gives") {
  if (nibFormatById(NIB_FORMAT_NF4) == nullptr) return;
  const float* values = model::formatOf(NIB_FORMAT_NF4)->values;
  // A standard normal source cut at +-a, including a, in one block: absmax a. Cells between midpoints m of neighbouring
  // values v: the mean of (x - a v)^2 under the cut density, and its variance for the interval.
  for (const double a : {2.5, 3.0, 4.0}) {
    double mass = 0, mean = 0, square = 0;
    for (uint32_t code = 0; code < 16; ++code) {
      const double from = code == 0 ? -a : a * (double(values[code - 1]) + double(values[code])) / 2;
      const double to = code == 15 ? a : a * (double(values[code]) + double(values[code + 1])) / 2;
      const auto error = [&](double x) { return (x - a * double(values[code])) * (x - a * double(values[code])); };
      mass += integral(from, to, density);
      mean += integral(from, to, [&](double x) { return error(x) * density(x); });
      square += integral(from, to, [&](double x) { return error(x) * error(x) * density(x); });
    }
    mean /= mass;
    const double variance = square / mass - mean * mean;

    selftest::Random random(uint64_t(a * 1000));
    std::vector<float> x(kSamples);
    for (float& v : x) {
      do v = float(normal(random));
      while (std::fabs(v) > a);
    }
    x[0] = float(a);
    double scale = 0;
    const double error = meanSquaredError(weights(NIB_FORMAT_NF4, NIB_GRANULARITY_TENSOR, 0), x, &scale);
    INFO("absmax ", a, ": error ", error, ", integral ", mean);
    CHECK(scale == a);
    CHECK(std::fabs(error - mean) < 5 * std::sqrt(variance / double(kSamples)));
    // The interval is narrow: within two percent.
    CHECK(5 * std::sqrt(variance / double(kSamples)) < 0.02 * mean);
  }
}

TEST_CASE("smaller groups never make the error of a normal source larger") {
  std::vector<float> x(kSamples);
  selftest::Random random(99);
  for (float& v : x) v = float(normal(random));
  for (const model::Format& format : model::scaledFormats()) {
    if (format.kind == model::Kind::kFloat) continue;  // the error depends on the element, not on the group
    const NibFormatInfo* info = nibFormatById(format.id);
    double scale = 0;
    double last = meanSquaredError(weights(format.id, NIB_GRANULARITY_TENSOR, 0), x, &scale);
    for (const uint32_t group : {UINT32_MAX, 256u, 128u, 64u, 32u, 16u}) {
      if (group < info->group_multiple) continue;
      const double error = meanSquaredError(weights(format.id, NIB_GRANULARITY_GROUP, group), x, &scale);
      INFO(info->name, " group ", group);
      CHECK(error < last);
      last = error;
    }
  }
}
