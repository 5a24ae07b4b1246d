// The test of drift: how often it raises a false alarm, and that it finds real changes.
#include "model/eval/drift.h"

#include "model/eval/random.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace nib::model;

namespace {

constexpr double kQuantiles[] = {-3.0902, -2.3263, -1.6449, -1.2816, -0.8416, -0.5244, -0.2533, 0,
                                 0.2533,  0.5244,  0.8416,  1.2816,  1.6449,  2.3263,  3.0902};

class Normal {
 public:
  explicit Normal(uint64_t seed) : random_(seed) {}
  // By the method of Box and Muller.
  double next() {
    const double u = (double(random_.next() >> 11) + 0.5) * 0x1p-53, v = double(random_.next() >> 11) * 0x1p-53;
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * 3.14159265358979323846 * v);
  }

 private:
  Random random_;
};

// Layers of normal values, whose mean and spread differ from window to window, partly in all layers alike. shift: of
// the mean of layer 5.
struct World {
  size_t layers = 12;
  double shift = 0;
};

std::vector<LayerSample> draw(Normal& normal, const World& world, size_t windows) {
  std::vector<LayerSample> samples(world.layers);
  for (size_t w = 0; w < windows; ++w) {
    const double mean = normal.next(), spread = normal.next();
    for (size_t l = 0; l < world.layers; ++l) {
      const double m = 0.07 * (mean + normal.next()) + (l == 5 ? world.shift : 0);
      const double s = std::exp(0.1 * (spread + normal.next()));
      std::vector<double> values;
      for (const double z : kQuantiles) values.push_back(0.5 * std::erfc(-(z - m) / s / std::sqrt(2.0)));
      samples[l].windows.push_back(values);
    }
  }
  return samples;
}

// A calibration of other windows of the world without a shift.
void calibrate(Normal& normal, std::vector<LayerSample>& samples, size_t windows) {
  const std::vector<LayerSample> before = draw(normal, {samples.size(), 0}, windows);
  for (size_t l = 0; l < samples.size(); ++l) {
    samples[l].before.assign(std::size(kQuantiles), 0);
    for (const std::vector<double>& window : before[l].windows) {
      for (size_t k = 0; k < window.size(); ++k) samples[l].before[k] += window[k] / double(windows);
    }
  }
}

}  // namespace

TEST_CASE("the test of drift raises at most 2 false alarms in 100 runs") {
  Normal normal(7);
  for (const auto& [windows, before] : {std::pair<size_t, size_t>{8, 60}, {16, 16}, {32, 60}}) {
    constexpr int kRuns = 150;
    int alarms = 0;
    for (int run = 0; run < kRuns; ++run) {
      std::vector<LayerSample> samples = draw(normal, {}, windows);
      calibrate(normal, samples, before);
      bool alarm = false;
      for (const LayerDrift& drift : testDrift(samples, double(before))) {
        alarm = alarm || drift.probability < kDriftAlarm;
      }
      alarms += alarm ? 1 : 0;
    }
    CAPTURE(windows);
    // 8 or more of 150 have a chance of 1 % at a rate of 2 %.
    CHECK(alarms < 8);
  }
}

TEST_CASE("the test of drift finds the layer that has changed") {
  Normal normal(11);
  int found = 0, others = 0;
  for (int run = 0; run < 20; ++run) {
    std::vector<LayerSample> samples = draw(normal, {12, 0.3}, 16);
    calibrate(normal, samples, 60);
    const std::vector<LayerDrift> drifts = testDrift(samples, 60);
    for (size_t l = 0; l < drifts.size(); ++l) {
      if (drifts[l].probability < kDriftAlarm) ++(l == 5 ? found : others);
    }
  }
  CHECK(found >= 18);
  CHECK(others <= 2);
}

TEST_CASE("windows that equal the calibration have not drifted, and any difference of equal windows is one") {
  std::vector<LayerSample> samples(1);
  samples[0].before = {0.1, 0.5};
  samples[0].windows.assign(8, {0.1, 0.5});
  CHECK(testDrift(samples, 8)[0].distance == doctest::Approx(0));
  samples[0].windows.assign(8, {0.1, 0.75});
  const LayerDrift drift = testDrift(samples, 8)[0];
  CHECK(drift.distance == doctest::Approx(0.5));  // 0.25 / sqrt(0.25)
  CHECK(drift.probability < 0.001);
}
