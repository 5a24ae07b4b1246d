// The words of the modules that a context unpacked last, because plans build several pipelines of one module.
#ifndef NIB_PLAN_KERNEL_CACHE_H
#define NIB_PLAN_KERNEL_CACHE_H

#include <cstring>
#include <mutex>

#include "base/memory.h"
#include "plan/kernel_code.h"

namespace nib {

class KernelCache {
 public:
  explicit KernelCache(const HostMemory& memory) : memory_(memory) {}
  ~KernelCache() { clear(); }
  KernelCache(const KernelCache&) = delete;
  KernelCache& operator=(const KernelCache&) = delete;

  // As KernelCode::load. Thread-safe; no lock is held while a module is unpacked.
  NibResult load(const KernelRow& row, const Log& log, KernelCode* code) {
    if (row.packed == nullptr) return code->load(row, log);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const Slot* slot = find(row);
      if (slot != nullptr) return code->copy(row, slot->words, log);
    }
    const NibResult result = code->load(row, log);
    return result == NIB_SUCCESS ? keep(row, *code, log) : result;
  }
  // Frees the words.
  void clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (Slot& slot : slots_) {
      memory_.release(slot.words);
      slot = {};
    }
  }

 private:
  static constexpr uint32_t kModules = 16;
  struct Slot {
    const KernelRow* row = nullptr;
    uint32_t* words = nullptr;
  };
  const Slot* find(const KernelRow& row) const {
    for (const Slot& slot : slots_) {
      if (slot.row == &row) return &slot;
    }
    return nullptr;
  }
  // In place of the oldest.
  NibResult keep(const KernelRow& row, const KernelCode& code, const Log& log) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (find(row) != nullptr) return NIB_SUCCESS;
    auto* words = static_cast<uint32_t*>(memory_.allocate(size_t(code.count()) * 4u, alignof(uint32_t)));
    if (words == nullptr) return KernelCode::failMemory(row, log);
    std::memcpy(words, code.words(), size_t(code.count()) * 4u);
    Slot& slot = slots_[next_++ % kModules];
    memory_.release(slot.words);
    slot = {&row, words};
    return NIB_SUCCESS;
  }

  HostMemory memory_;
  std::mutex mutex_;
  Slot slots_[kModules];
  uint32_t next_ = 0;
};

}  // namespace nib
#endif
