// The words of a row's module, which most tables hold packed.
#ifndef NIB_PLAN_KERNEL_CODE_H
#define NIB_PLAN_KERNEL_CODE_H

#include <cstring>

#include "base/hash.h"
#include "base/log.h"
#include "plan/kernel_table.h"

namespace nib {

// Part of a verdict's key, so that a changed kernel has no verdict yet.
inline uint64_t kernelHash(const KernelRow& row) {
  return row.packed != nullptr ? row.packed->hash : fnv1a64(row.spirv, size_t(row.spirv_words) * 4u);
}

// Encoded as in word 1 of a module, 0 if there is none.
inline uint32_t spirvVersion(const KernelRow& row) {
  return row.packed != nullptr ? row.packed->version : row.spirv_words > 1 ? row.spirv[1] : 0;
}

class KernelCode {
 public:
  explicit KernelCode(const HostMemory& memory) : memory_(memory), unpacked_(memory) {}
  NibResult load(const KernelRow& row, const Log& log) {
    words_ = row.spirv;
    count_ = row.spirv_words;
    if (row.packed == nullptr) return NIB_SUCCESS;
    const packing::Unpacked result = packing::unpack(*row.packed, memory_, &unpacked_);
    if (result == packing::Unpacked::kOutOfMemory) return failMemory(row, log);
    if (result != packing::Unpacked::kYes) {
      return log.fail(NIB_ERROR_UNSUPPORTED, "%s: this program's copy of the kernel is damaged", row.module);
    }
    words_ = unpacked_.data();
    return NIB_SUCCESS;
  }
  // Words that have been unpacked before. False if there is no memory for them.
  bool copy(const uint32_t* words, uint32_t count) {
    if (!unpacked_.resize(count)) return false;
    std::memcpy(unpacked_.data(), words, size_t(count) * 4u);
    words_ = unpacked_.data();
    count_ = count;
    return true;
  }
  static NibResult failMemory(const KernelRow& row, const Log& log) {
    return log.fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of host memory", row.module);
  }
  const uint32_t* words() const { return words_; }
  uint32_t count() const { return count_; }

 private:
  HostMemory memory_;
  Array<uint32_t> unpacked_;
  const uint32_t* words_ = nullptr;
  uint32_t count_ = 0;
};

}  // namespace nib
#endif
