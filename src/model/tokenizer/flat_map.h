// A hash map with open addressing from 64-bit keys to small values: merges and tries have up to a million entries.
#ifndef NIB_MODEL_TOKENIZER_FLAT_MAP_H
#define NIB_MODEL_TOKENIZER_FLAT_MAP_H

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace nib::model {

// Keys must not be kNoKey.
template <class Value>
class FlatMap {
 public:
  static constexpr uint64_t kNoKey = ~uint64_t{0};

  void reserve(size_t count) {
    size_t slots = 16;
    while (slots < count * 2) slots *= 2;
    if (slots > slots_.size()) rehash(slots);
  }

  // Inserts or replaces.
  void set(uint64_t key, Value value) {
    if (size_ * 2 >= slots_.size()) rehash(slots_.empty() ? 16 : slots_.size() * 2);
    Slot& slot = slots_[find(key)];
    if (slot.key == kNoKey) ++size_;
    slot = {key, value};
  }

  // NULL = absent. Valid until the next change.
  const Value* get(uint64_t key) const {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[find(key)];
    return slot.key == kNoKey ? nullptr : &slot.value;
  }

  size_t size() const { return size_; }

 private:
  struct Slot {
    uint64_t key = kNoKey;
    Value value{};
  };

  size_t find(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    uint64_t hash = key * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
    size_t at = size_t(hash) & mask;
    while (slots_[at].key != kNoKey && slots_[at].key != key) at = (at + 1) & mask;
    return at;
  }

  void rehash(size_t slots) {
    std::vector<Slot> old(slots);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.key != kNoKey) slots_[find(slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_;
  size_t size_ = 0;
};

}  // namespace nib::model
#endif
