// Pipelines by module and specialization constants. Plans create and share them; the context destroys them.
#ifndef NIB_PLAN_PIPELINE_STORE_H
#define NIB_PLAN_PIPELINE_STORE_H

#include <condition_variable>
#include <mutex>

#include "base/memory.h"
#include "plan/kernel_cache.h"
#include "plan/kernel_table.h"
#include "vk/api.h"
#include "vk/caps.h"

namespace nib {

class PipelineStore {
 public:
  explicit PipelineStore(NibContext& context);
  // spec: consecutive 4-byte constants with ids 0, 1, ... Thread-safe. The lock is not held while the driver compiles;
  // a thread that asks for a pipeline which another one is compiling waits for it.
  // Each success is a use, which `release` ends. kNever: NIB_ERROR_NOT_COMPILED unless it is here, or in the
  // application's pipeline cache as far as that can be asked.
  enum class Compile { kIfNeeded, kNever };
  NibResult get(const KernelRow& row, const uint32_t* spec, uint32_t spec_count, Compile compile,
                VkPipeline* out_pipeline);
  void release(VkPipeline pipeline);
  bool has(const KernelRow& row, const uint32_t* spec, uint32_t spec_count) const;
  uint32_t trim();  // destroys what has no use, and frees unpacked modules; returns how many pipelines
  void destroyAll();

  // For tools that inspect pipelines. Thread-safe.
  static constexpr uint32_t kMaxSpec = 28;
  struct Origin {
    const KernelRow* row;  // NULL if the pipeline is not in this store
    uint32_t spec_count;
    uint32_t spec[kMaxSpec];
  };
  Origin originOf(VkPipeline pipeline) const;
  uint32_t count() const;

 private:
  struct Entry {
    const KernelRow* row;
    uint32_t spec_count;
    uint32_t spec[kMaxSpec];
    VkPipeline pipeline;  // VK_NULL_HANDLE while a thread compiles it
    uint32_t users;       // plans
  };
  static constexpr size_t kNone = SIZE_MAX;
  size_t find(const KernelRow& row, const uint32_t* spec, uint32_t spec_count) const;
  NibResult build(const KernelRow& row, const uint32_t* spec, uint32_t spec_count, Compile compile,
                  VkPipeline* out_pipeline);

  NibContext& context_;
  KernelCache modules_;
  mutable std::mutex mutex_;
  std::condition_variable compiled_;
  Array<Entry> entries_;
};

// Rules of arithmetic that a module can declare (SPV_KHR_float_controls).
struct FloatModes {
  bool round_even;   // fp32 rounds to nearest even
  bool keep_halves;  // denormals of fp16 are kept
  bool keep_floats;  // denormals of fp32 are kept
  bool any() const { return round_even || keep_halves || keep_floats; }
};

FloatModes floatModes(const vk::Caps& caps);

// Copies a module to `out` and declares `modes` in the copy. `out` has space for words + kFloatModeWords. Returns the
// number of words written, 0 if the module is malformed or has no entry point.
inline constexpr uint32_t kFloatModeWords = 2 * 2 + 7 + 3 * 4;
uint32_t declareFloatModes(const uint32_t* spirv, uint32_t words, const FloatModes& modes, uint32_t* out);

// Copies a module to `out` and replaces every packed signed dot product a.b by a.(b + 128) - 128 * (sum of a), with
// mixed products: the same integers. `out` has space for words + mixedDotWords(spirv, words). Returns the number of
// words written, 0 if the module is malformed.
uint32_t mixedDotWords(const uint32_t* spirv, uint32_t words);
uint32_t useMixedDots(const uint32_t* spirv, uint32_t words, uint32_t* out);

}  // namespace nib
#endif
