// Tests of means: Student's t distribution, and a bootstrap that gives the same result on every machine.
#ifndef NIB_MODEL_EVAL_STATISTICS_H
#define NIB_MODEL_EVAL_STATISTICS_H

#include <cstdint>
#include <span>

namespace nib::model {

// The regularized incomplete beta function I_x(a, b), for a, b > 0 and x in [0, 1].
double incompleteBeta(double a, double b, double x);
// The probability that Student's t of `freedom` degrees is at least |t| from zero.
double studentTwoSided(double t, double freedom);
// The t that is exceeded in magnitude with probability `outside`, in (0, 1).
double studentBound(double outside, double freedom);

// The mean of independent values, and whether it may be zero.
struct MeanTest {
  uint64_t count = 0;
  double mean = 0;
  double error = 0;          // standard error of the mean
  double low = 0, high = 0;  // interval of 95 %, by the t distribution
  double p_t = 1;            // two-sided; of the paired t-test if the values are differences
  double p_bootstrap = 1;    // share of resamples, of values shifted to mean zero, whose mean is as far from zero
};
inline constexpr uint32_t kResamples = 10000;
// At least two values.
MeanTest testMean(std::span<const double> values);

}  // namespace nib::model
#endif
