// Runs an op of the CPU reference on ranges between guard words, and keeps the log's lines.
#ifndef NIB_TESTS_RUN_OP_H
#define NIB_TESTS_RUN_OP_H

#include <nibble/nibble.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "cpu/cpu_run.h"
#include "selftest/description.h"

namespace nib::tests {

inline constexpr uint8_t kUntouched = 0xa5;
inline constexpr size_t kGuardBytes = 64;

class LogLines {
 public:
  std::vector<std::string> lines;
  NibLog log() {
    return {[](void* user, NibSeverity, const char* text) { static_cast<LogLines*>(user)->lines.emplace_back(text); },
            this};
  }
};

template <class Desc>
const NibOpDesc* asOp(const Desc& desc) {
  return reinterpret_cast<const NibOpDesc*>(&desc);
}

// The four ranges of an op, of exactly the sizes of nibGetMemory, filled with 0xa5 until a test writes them.
class Ranges {
 public:
  explicit Ranges(const NibOpDesc* desc, const NibLog* log = nullptr) : desc_(desc) {
    valid_ = nibGetMemory(desc, log, &memory) == NIB_SUCCESS;
    for (uint32_t role = 0; valid_ && role < NIB_ROLE_COUNT; ++role) {
      const size_t size = size_t(memory.range[role].size_bytes);
      storage_[role].assign((size + 2 * kGuardBytes + 3) / 4, 0xa5a5a5a5u);
      if (size != 0) binding.range[role] = {bytes(role), size};
    }
  }
  Ranges(const Ranges&) = delete;  // binding points into it
  Ranges& operator=(const Ranges&) = delete;

  bool valid() const { return valid_; }
  uint8_t* bytes(uint32_t role) { return reinterpret_cast<uint8_t*>(storage_[role].data()) + kGuardBytes; }
  size_t size(uint32_t role) const { return size_t(memory.range[role].size_bytes); }
  uint8_t* part(uint32_t role, uint32_t part) { return bytes(role) + memory.part[part].offset_bytes; }
  uint8_t* scales() { return part(NIB_ROLE_WEIGHTS, NIB_PART_SCALES); }
  uint8_t* zeros() { return part(NIB_ROLE_WEIGHTS, NIB_PART_ZEROS); }
  std::vector<uint8_t> copy(uint32_t role) { return {bytes(role), bytes(role) + size(role)}; }
  template <class T>
  std::vector<T> read(uint32_t role, uint64_t offset_bytes, size_t count) {
    std::vector<T> values(count);
    if (count == 0) return values;
    std::memcpy(values.data(), bytes(role) + offset_bytes, count * sizeof(T));
    return values;
  }
  std::vector<uint32_t> words(uint32_t role, uint64_t offset_bytes, size_t count) {
    return read<uint32_t>(role, offset_bytes, count);
  }
  template <class T>
  void write(uint32_t role, const std::vector<T>& values) {
    if (!values.empty()) std::memcpy(bytes(role), values.data(), values.size() * sizeof(T));
  }

  NibStatus status() {
    NibStatus status;
    std::memcpy(&status, part(NIB_ROLE_AUX, NIB_PART_STATUS), sizeof status);
    return status;
  }
  void clearStatus() { std::memset(part(NIB_ROLE_AUX, NIB_PART_STATUS), 0, sizeof(NibStatus)); }

  NibResult run(uint32_t n, const NibParallelFor* parallel = nullptr, const NibLog* log = nullptr) {
    return cpuRun(desc_, &binding, n, parallel, log);
  }

  // True while the guard words around every range are unchanged.
  bool guardsHold() const {
    for (const std::vector<uint32_t>& words : storage_) {
      if (words.empty()) continue;
      const size_t size = size_t(memory.range[&words - storage_].size_bytes);
      const uint8_t* at = reinterpret_cast<const uint8_t*>(words.data());
      for (size_t i = 0; i < kGuardBytes; ++i) {
        if (at[i] != kUntouched || at[kGuardBytes + size + i] != kUntouched) return false;
      }
    }
    return true;
  }

  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding binding{sizeof(NibCpuBinding)};

 private:
  const NibOpDesc* desc_;
  bool valid_ = false;
  std::vector<uint32_t> storage_[NIB_ROLE_COUNT];
};

// Empty, or where two byte strings first differ.
inline std::string firstDifference(const uint8_t* got, const uint8_t* wanted, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (got[i] == wanted[i]) continue;
    return "byte " + std::to_string(i) + " is " + std::to_string(got[i]) + ", must be " + std::to_string(wanted[i]);
  }
  return {};
}

// Formats of this build with every granularity and with given scales.
inline std::vector<const NibFormatInfo*> scaledFormats() {
  std::vector<const NibFormatInfo*> list;
  for (uint32_t i = 0; const NibFormatInfo* info = nibFormatAt(i); ++i) {
    if ((info->granularities >> NIB_GRANULARITY_TENSOR & 1u) && !(info->flags & NIB_FORMAT_OWN_SCALES))
      list.push_back(info);
  }
  return list;
}

inline NibWeights weights(uint32_t format, NibGranularity granularity, uint32_t group, uint32_t flags = 0,
                          NibType scale_type = NIB_TYPE_F32) {
  return selftest::weightsOf(format, granularity, group, flags, scale_type);
}

// A quantize description with the status flag.
inline NibQuantizeDesc quantizeDesc(uint32_t rows, uint32_t cols, const NibWeights& w, NibType source = NIB_TYPE_F32,
                                    uint32_t flags = 0) {
  NibQuantizeDesc d = selftest::describe<NibQuantizeDesc>(NIB_OP_QUANTIZE);
  d.flags = flags | NIB_QUANTIZE_STATUS;
  d.rows = rows;
  d.cols = cols;
  d.source_type = source;
  d.weights = w;
  return d;
}

inline NibDequantizeDesc dequantizeDesc(uint32_t rows, uint32_t cols, const NibWeights& w,
                                        NibType result = NIB_TYPE_F32) {
  NibDequantizeDesc d = selftest::describe<NibDequantizeDesc>(NIB_OP_DEQUANTIZE);
  d.rows = rows;
  d.cols = cols;
  d.result_type = result;
  d.weights = w;
  return d;
}

}  // namespace nib::tests
#endif
