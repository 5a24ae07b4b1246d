// Counts the instructions of a pipeline if the driver reports them (VK_KHR_pipeline_executable_properties), else the
// operations of its SPIR-V module.
#ifndef NIB_BENCH_INSTRUCTIONS_H
#define NIB_BENCH_INSTRUCTIONS_H

#include "selftest/run_case.h"

#include <memory>
#include <optional>
#include <string>

namespace nib::bench {

struct InstructionCount {
  std::optional<double> per_element;
  std::string kind;  // "driver" or "spirv": the source of the count
  std::string note;  // how it was counted, or why there is no count
};

class PipelineInspector {
 public:
  // The first count that needs the driver creates a second VkDevice, because statistics must be requested when a
  // pipeline is built, and the device's own pipelines do not request them.
  explicit PipelineInspector(const kit::Device& device);
  ~PipelineInspector();

  // Counts the only kernel of a plan: one invocation if each processes one run of elements, else one iteration of its
  // loops over elements.
  InstructionCount count(const kit::Plan& plan, const selftest::Case& row);

 private:
  struct State;
  kit::Device device_;
  std::unique_ptr<State> state_;
};

}  // namespace nib::bench
#endif
