// A bench subject with made-up answers and times.
#ifndef NIB_TESTS_FAKE_SUBJECT_H
#define NIB_TESTS_FAKE_SUBJECT_H

#include "bench/measure.h"

namespace nib::test {

class FakeSubject final : public bench::Subject {
 public:
  std::string verify() override {
    ++verified;
    return first_answer;
  }
  std::string verifyAgain() override { return second_answer; }
  bench::Batch run(uint32_t repetitions) override {
    runs += repetitions;
    if (log != nullptr) *log += name;
    bench::Batch batch;
    for (uint32_t i = 0; i < repetitions && device_seconds > 0; ++i) {
      const size_t at = next++;
      batch.device_seconds.push_back(device_pattern.empty() ? device_seconds
                                                            : device_pattern[at % device_pattern.size()]);
    }
    batch.wall_seconds = wall_seconds * repetitions;
    return batch;
  }

  std::string first_answer, second_answer;  // "" = correct
  double device_seconds = 0.020;            // per repetition; 0 = no device clock
  double wall_seconds = 0.021;
  std::vector<double> device_pattern;  // cycled through instead of device_seconds
  uint32_t verified = 0, runs = 0;
  size_t next = 0;
  std::string* log = nullptr;  // the name is appended at every submission
  char name = 'a';
};

// Ends after few repetitions: made-up times are not waited for.
inline bench::MeasureOptions shortly() {
  bench::MeasureOptions options;
  options.seconds = 0;
  options.max_repetitions = 200;
  return options;
}

}  // namespace nib::test
#endif
