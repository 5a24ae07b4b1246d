#include "model/eval/statistics.h"

#include "model/eval/random.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nib::model {
namespace {

// The continued fraction of I_x(a, b), by Lentz's method. It converges fast for x < (a + 1) / (a + b + 2).
double betaFraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300, kEnough = 1e-15;
  constexpr int kMostTerms = 10000;
  const auto kept = [](double value) { return std::fabs(value) < kTiny ? kTiny : value; };
  double c = 1, d = 1 / kept(1 - (a + b) * x / (a + 1)), result = d;
  for (int m = 1; m <= kMostTerms; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / kept(1 + even * d);
    c = kept(1 + even / c);
    result *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / kept(1 + odd * d);
    c = kept(1 + odd / c);
    result *= d * c;
    if (std::fabs(d * c - 1) < kEnough) break;
  }
  return result;
}

}  // namespace

double incompleteBeta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * betaFraction(a, b, x) / a;
  return 1 - front * betaFraction(b, a, 1 - x) / b;
}

double studentTwoSided(double t, double freedom) {
  if (std::isinf(t)) return 0;
  return incompleteBeta(freedom / 2, 0.5, freedom / (freedom + t * t));
}

double studentBound(double outside, double freedom) {
  double low = 0, high = 1;
  while (studentTwoSided(high, freedom) > outside && high < 1e150) high *= 2;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (studentTwoSided(middle, freedom) > outside ? low : high) = middle;
  }
  return (low + high) / 2;
}

MeanTest testMean(std::span<const double> values) {
  MeanTest test;
  test.count = values.size();
  const double count = double(values.size());
  double largest = 0;
  for (const double value : values) {
    test.mean += value;
    largest = std::max(largest, std::fabs(value));
  }
  test.mean /= count;
  // Sums of shares that are equal but for rounding are ties.
  const double slack = 1e-12 * largest;
  if (std::fabs(test.mean) <= slack) test.mean = 0;
  double squares = 0;
  for (const double value : values) squares += (value - test.mean) * (value - test.mean);
  test.error = std::sqrt(squares / (count - 1) / count);
  const double reach = studentBound(0.05, count - 1) * test.error;
  test.low = test.mean - reach;
  test.high = test.mean + reach;
  if (test.mean == 0) return test;
  test.p_t =
      studentTwoSided(test.error > 0 ? test.mean / test.error : std::numeric_limits<double>::infinity(), count - 1);
  Random random(0);
  uint32_t as_far = 0;
  for (uint32_t i = 0; i < kResamples; ++i) {
    double sum = 0;
    for (size_t v = 0; v < values.size(); ++v) sum += values[random.below(values.size())] - test.mean;
    if (std::fabs(sum / count) >= std::fabs(test.mean) - slack) ++as_far;
  }
  // The sample itself counts as one, so that no p-value is 0.
  test.p_bootstrap = double(as_far + 1) / double(kResamples + 1);
  return test;
}

}  // namespace nib::model
