// Pipelines by module and specialization constants. Plans create and share them; the context destroys them.
#ifndef NIB_PLAN_PIPELINE_STORE_H
#define NIB_PLAN_PIPELINE_STORE_H

#include <mutex>

#include "base/memory.h"
#include "plan/kernel_table.h"
#include "vk/api.h"

namespace nib {

class PipelineStore {
 public:
  explicit PipelineStore(NibContext& context);
  // spec: consecutive 4-byte constants with ids 0, 1, ... Thread-safe; the lock is not held while the driver compiles.
  NibResult get(const KernelRow& row, const uint32_t* spec, uint32_t spec_count, VkPipeline* out_pipeline);
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
    VkPipeline pipeline;
  };
  VkPipeline find(const KernelRow& row, const uint32_t* spec, uint32_t spec_count) const;
  NibResult build(const KernelRow& row, const uint32_t* spec, uint32_t spec_count, VkPipeline* out_pipeline);

  NibContext& context_;
  mutable std::mutex mutex_;
  Array<Entry> entries_;
};

// Copies a module to `out` and declares round-to-nearest-even for fp32 in the copy. `out` has space for
// words + kRoundEvenWords. Returns the number of words written, 0 if the module is malformed or has no entry point.
inline constexpr uint32_t kRoundEvenWords = 2 + 7 + 4;
uint32_t declareRoundEven(const uint32_t* spirv, uint32_t words, uint32_t* out);

}  // namespace nib
#endif
