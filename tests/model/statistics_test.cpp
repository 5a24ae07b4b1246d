// Student's t and the test of a mean, against published values and exact fractions.
#include "model/eval/statistics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace nib::model;

TEST_CASE("the incomplete beta function has its exact values") {
  CHECK(incompleteBeta(1, 1, 0.3) == doctest::Approx(0.3).epsilon(1e-13));
  // The chance of at least 2 heads of 4 coins, and of at least 3 sixes of 5 dice.
  CHECK(incompleteBeta(2, 3, 0.5) == doctest::Approx(11.0 / 16).epsilon(1e-13));
  CHECK(incompleteBeta(3, 3, 1.0 / 6) == doctest::Approx(276.0 / 7776).epsilon(1e-13));
  // 2 / pi * asin(sqrt(x)).
  CHECK(incompleteBeta(0.5, 0.5, 0.9) == doctest::Approx(0.7951672353008665).epsilon(1e-13));
  CHECK(incompleteBeta(2, 3, 0) == 0);
  CHECK(incompleteBeta(2, 3, 1) == 1);
}

TEST_CASE("Student's t has the values of the tables") {
  // Two-sided bounds as tables print them.
  const struct {
    double freedom, five, one;
  } rows[] = {{1, 12.706, 63.657}, {2, 4.303, 9.925},  {5, 2.571, 4.032},  {10, 2.228, 3.169},
              {30, 2.042, 2.750},  {60, 2.000, 2.660}, {120, 1.980, 2.617}};
  for (const auto& row : rows) {
    CHECK(std::fabs(studentBound(0.05, row.freedom) - row.five) < 5.1e-4);
    CHECK(std::fabs(studentBound(0.01, row.freedom) - row.one) < 5.1e-4);
    CHECK(studentTwoSided(row.five, row.freedom) == doctest::Approx(0.05).epsilon(2e-3));
  }
  // One degree of freedom is Cauchy's distribution; two have a closed form.
  CHECK(studentTwoSided(1, 1) == doctest::Approx(0.5).epsilon(1e-13));
  CHECK(studentTwoSided(-2, 2) == doctest::Approx(1 - 2 / std::sqrt(6.0)).epsilon(1e-13));
  CHECK(studentTwoSided(0, 7) == 1);
  CHECK(studentTwoSided(INFINITY, 7) == 0);
}

TEST_CASE("a mean is tested as Student tested his sleeping drugs") {
  // The differences of Student (1908), "The probable error of a mean": t = 4.0621, p = 0.00283, as R's sleep gives.
  const std::vector<double> hours{1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4};
  const MeanTest test = testMean(hours);
  CHECK(test.mean == doctest::Approx(1.58).epsilon(1e-12));
  CHECK(test.mean / test.error == doctest::Approx(4.0621).epsilon(1e-5));
  CHECK(test.p_t == doctest::Approx(0.00283289).epsilon(1e-5));
  CHECK(test.low == doctest::Approx(0.7001142).epsilon(1e-6));
  CHECK(test.high == doctest::Approx(2.4598858).epsilon(1e-6));
  CHECK(test.p_bootstrap < 0.01);
  CHECK(test.p_bootstrap >= 1.0 / (kResamples + 1));
}

TEST_CASE("a bootstrap counts the resamples that are as far from zero") {
  // Shifted to mean zero the values are -1 and 1: a resample's mean is -1, 0, 0 or 1, so half are 1 or more from zero.
  const MeanTest test = testMean(std::vector<double>{0.0, 2.0});
  CHECK(test.p_bootstrap == doctest::Approx(0.5).epsilon(0.04));
  CHECK(testMean(std::vector<double>{0.0, 2.0}).p_bootstrap == test.p_bootstrap);
  CHECK(test.p_t == doctest::Approx(0.5).epsilon(1e-12));  // t = 1, one degree of freedom
}

TEST_CASE("resamples that are as far as the sample but for rounding count") {
  // Thirds, whose sums are rounded. Shifted they are -2/3, 1/3, 1/3: 15 of 27 resamples have a mean of 1/3 or more from
  // zero.
  const MeanTest test = testMean(std::vector<double>{-1.0 / 3, 2.0 / 3, 2.0 / 3});
  uint32_t as_far = 0;
  for (int i = 0; i < 27; ++i) {
    const int shifted[] = {-2, 1, 1};
    if (std::abs(shifted[i % 3] + shifted[i / 3 % 3] + shifted[i / 9]) >= 3) ++as_far;
  }
  CHECK(test.p_bootstrap == doctest::Approx(as_far / 27.0).epsilon(0.05));
}

TEST_CASE("values without a difference or without a spread") {
  const MeanTest none = testMean(std::vector<double>{0, 0, 0});
  CHECK((none.p_t == 1 && none.p_bootstrap == 1 && none.low == 0 && none.high == 0));
  // Their sum is 0 but for rounding.
  const MeanTest shares = testMean(std::vector<double>{0.1, 0.2, -0.3, 0});
  CHECK((shares.mean == 0 && shares.p_t == 1 && shares.p_bootstrap == 1 && shares.low == -shares.high));
  const MeanTest equal = testMean(std::vector<double>{0.5, 0.5, 0.5, 0.5});
  CHECK((equal.p_t == 0 && equal.low == 0.5 && equal.high == 0.5));
  CHECK(equal.p_bootstrap < 0.001);
}
