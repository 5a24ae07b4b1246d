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

  // As KernelCode::load. Thread-safe; no lock is held while a module is unpacked, or while the log is called.
  NibResult load(const KernelRow& row, const Log& log, KernelCode* code) {
    if (row.packed == nullptr) return code->load(row, log);
    bool copied = false;
    if (find(row, code, &copied)) return copied ? NIB_SUCCESS : KernelCode::failMemory(row, log);
    const NibResult result = code->load(row, log);
    if (result != NIB_SUCCESS) return result;
    return keep(row, *code) ? NIB_SUCCESS : KernelCode::failMemory(row, log);
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
  bool holds(const KernelRow& row, const uint32_t** words) const {
    for (const Slot& slot : slots_) {
      if (slot.row != &row) continue;
      *words = slot.words;
      return true;
    }
    return false;
  }
  // Whether the module is here. *copied: whether there was memory for a copy.
  bool find(const KernelRow& row, KernelCode* code, bool* copied) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const uint32_t* words = nullptr;
    if (!holds(row, &words)) return false;
    *copied = code->copy(words, row.spirv_words);
    return true;
  }
  // In place of the oldest. False without memory.
  bool keep(const KernelRow& row, const KernelCode& code) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const uint32_t* kept = nullptr;
    if (holds(row, &kept)) return true;
    auto* words = static_cast<uint32_t*>(memory_.allocate(size_t(code.count()) * 4u, alignof(uint32_t)));
    if (words == nullptr) return false;
    std::memcpy(words, code.words(), size_t(code.count()) * 4u);
    Slot& slot = slots_[next_++ % kModules];
    memory_.release(slot.words);
    slot = {&row, words};
    return true;
  }

  HostMemory memory_;
  std::mutex mutex_;
  Slot slots_[kModules];
  uint32_t next_ = 0;
};

}  // namespace nib
#endif
