// Guesses of a module's next word that follow from what came before: words last seen in the same context.
#ifndef NIB_PACKING_CANDIDATES_H
#define NIB_PACKING_CANDIDATES_H

#include <cstdint>

#include "packing/bit_model.h"

namespace nib::packing {

// Values by hashes. A value that is confirmed stays longer.
template <uint32_t kBits>
class GuessTable {
 public:
  void reset() {
    for (uint32_t i = 0; i < 1u << kBits; ++i) values_[i] = confidence_[i] = 0;
  }
  // 0 = no guess.
  uint32_t confidence(uint32_t hash) const { return confidence_[hash >> (32 - kBits)]; }
  uint32_t value(uint32_t hash) const { return values_[hash >> (32 - kBits)]; }
  void learn(uint32_t hash, uint32_t value) {
    const uint32_t i = hash >> (32 - kBits);
    if (confidence_[i] != 0 && values_[i] == value) {
      if (confidence_[i] < 15) ++confidence_[i];
    } else if (confidence_[i] > 3) {
      confidence_[i] /= 2;
    } else {
      values_[i] = value;
      confidence_[i] = 1;
    }
  }

 private:
  uint32_t values_[1u << kBits];
  uint8_t confidence_[1u << kBits];
};

// The newest value of a key; another key of the same slot replaces it.
template <uint32_t kBits>
class NewestTable {
 public:
  static constexpr uint32_t kNone = ~0u;
  void reset() {
    for (Entry& entry : entries_) entry = {0, kNone};
  }
  uint32_t find(uint32_t key) const {
    const Entry& entry = entries_[scrambled(key) >> (32 - kBits)];
    return entry.key == key ? entry.value : kNone;
  }
  void set(uint32_t key, uint32_t value) { entries_[scrambled(key) >> (32 - kBits)] = {key, value}; }

 private:
  struct Entry {
    uint32_t key, value;
  };
  Entry entries_[1u << kBits];
};

// Different guesses of one word, in the order in which they are tried.
struct Candidates {
  static constexpr uint32_t kMax = 8;
  uint32_t value[kMax], source[kMax], confidence[kMax];
  uint32_t count = 0;
  uint32_t agreeing = 0;  // bits of sources that repeated an earlier one's value

  void add(uint32_t guess, uint32_t from, uint32_t sure) {
    for (uint32_t i = 0; i < count; ++i) {
      if (value[i] == guess) {
        agreeing |= 1u << from;
        return;
      }
    }
    value[count] = guess;
    source[count] = from;
    confidence[count++] = sure;
  }
};

}  // namespace nib::packing
#endif
