// How many instructions the driver made of a pipeline, where it tells (VK_KHR_pipeline_executable_properties); else how
// many operations the module has.
#ifndef NIB_BENCH_INSTRUCTIONS_H
#define NIB_BENCH_INSTRUCTIONS_H

#include "selftest/run_case.h"

#include <memory>
#include <optional>
#include <string>

namespace nib::bench {

struct InstructionCount {
  std::optional<double> per_element;
  std::string kind;  // "driver" or "spirv": what was counted
  std::string note;  // why there is none, or what was counted
};

class PipelineInspector {
 public:
  // Nothing happens before the first question: then a second device of the same kind is made, for the application's own
  // pipelines are not built to be looked into.
  explicit PipelineInspector(const kit::Device& device);
  ~PipelineInspector();

  // Of a plan's only kernel: what an invocation does, if each does one run of elements, else what a round of its loops
  // over them does.
  InstructionCount count(const kit::Plan& plan, const selftest::Case& row);

 private:
  struct State;
  kit::Device device_;
  std::unique_ptr<State> state_;
};

}  // namespace nib::bench
#endif
