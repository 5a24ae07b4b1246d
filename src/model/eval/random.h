// A generator of random numbers that gives the same ones on every machine.
#ifndef NIB_MODEL_EVAL_RANDOM_H
#define NIB_MODEL_EVAL_RANDOM_H

#include <cstddef>
#include <cstdint>

namespace nib::model {

// SplitMix64: the same numbers everywhere, unlike the distributions of <random>.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  // Below `count`; the bias of the remainder is below count / 2^64.
  uint64_t below(uint64_t count) { return next() % count; }

 private:
  uint64_t state_;
};

}  // namespace nib::model
#endif
