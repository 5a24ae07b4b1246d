// Objects destroyed in the wrong order, refused runs, and pipelines that several threads want.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "gpu/fake_pipelines.h"
#include "plan/plan.h"

using namespace nib;
using namespace nib::tests;

namespace {

NibMinMaxDesc minmaxDesc() {
  NibMinMaxDesc d = selftest::describe<NibMinMaxDesc>(NIB_OP_MINMAX);
  d.rows = 40;
  d.cols = 100;
  d.granularity = NIB_GRANULARITY_ROW;
  return d;
}

// A context with one plan and two bindings, whose destruction the test decides. Counts host memory and keeps the log.
struct Children {
  NibContext* context = nullptr;
  NibPlan* plan = nullptr;
  NibBinding* bindings[2] = {};
  kit::Buffer buffers[NIB_ROLE_COUNT];
  int allocations = 0;
  std::vector<std::string> lines;

  Children() {
    NibContextDesc desc = contextDesc();
    desc.get_instance_proc_addr = hooks::wrap(device().getInstanceProcAddr());
    const NibAllocator allocator{[](void* user, size_t size, size_t) -> void* {
                                   ++static_cast<Children*>(user)->allocations;
                                   return std::malloc(size);
                                 },
                                 [](void* user, void* memory) {
                                   --static_cast<Children*>(user)->allocations;
                                   std::free(memory);
                                 },
                                 this};
    const NibLog log{
        [](void* user, NibSeverity, const char* line) { static_cast<Children*>(user)->lines.emplace_back(line); },
        this};
    desc.allocator = &allocator;
    desc.log = &log;
    REQUIRE(nibCreateContext(&desc, &context) == NIB_SUCCESS);
    const NibMinMaxDesc op = minmaxDesc();
    REQUIRE(nibCreatePlan(context, reinterpret_cast<const NibOpDesc*>(&op), &plan) == NIB_SUCCESS);
    NibMemory memory{sizeof(NibMemory)};
    nibPlanGetMemory(plan, &memory);
    NibBindingDesc ranges{sizeof(NibBindingDesc)};
    for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
      if (memory.range[role].size_bytes == 0) continue;
      buffers[role] = kit::Buffer(device(), memory.range[role].size_bytes);
      ranges.range[role] = buffers[role].range();
    }
    for (NibBinding*& binding : bindings) REQUIRE(nibCreateBinding(plan, &ranges, &binding) == NIB_SUCCESS);
  }

  // Records a run without a command buffer, which is fine as long as nothing is recorded.
  void run(const NibBinding* binding) const {
    NibRun run{sizeof(NibRun)};
    run.n = 40;
    run.slice_count = UINT32_MAX;
    nibCmdRun(VK_NULL_HANDLE, plan, binding, &run);
  }
  const char* problem(const NibBinding* binding) const {
    NibRun run{sizeof(NibRun)};
    run.n = 40;
    run.slice_count = UINT32_MAX;
    return nibCheckRun(plan, binding, &run);
  }
};

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_SUITE_BEGIN("lifetime");

TEST_CASE_FIXTURE(Gpu, "a context that is destroyed first takes its children's Vulkan objects along") {
  const FakePipelines fake;
  hooks::resetCalls();
  Children made;
  CHECK(made.problem(made.bindings[0]) == nullptr);
  nibDestroyContext(made.context);
  REQUIRE(made.lines.size() == 1);
  CHECK(contains(made.lines[0], "1 plans, 2 bindings and 0 self-tests"));
  // Everything that was created is destroyed now, and nothing later.
  CHECK(hooks::callsOf(hooks::fn::vkDestroyPipeline) == hooks::callsOf(hooks::fn::vkCreateComputePipelines));
  CHECK(hooks::callsOf(hooks::fn::vkDestroyDescriptorPool) == hooks::callsOf(hooks::fn::vkCreateDescriptorPool));
  CHECK(hooks::callsOf(hooks::fn::vkDestroyPipelineLayout) == 1);
  hooks::resetCalls();
  // Runs are refused, once in the log per binding.
  for (int i = 0; i < 3; ++i) made.run(made.bindings[0]);
  REQUIRE(made.lines.size() == 2);
  CHECK(contains(made.lines[1], "nibCmdRun records nothing: the context was destroyed"));
  made.run(made.bindings[1]);
  CHECK(made.lines.size() == 3);
  NibBinding* late = nullptr;
  const NibBindingDesc ranges{sizeof(NibBindingDesc)};
  CHECK(nibCreateBinding(made.plan, &ranges, &late) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(late == nullptr);
  // In any order: the plan before its bindings.
  nibDestroyBinding(made.bindings[1]);
  nibDestroyPlan(made.plan);
  CHECK(made.allocations > 0);
  nibDestroyBinding(made.bindings[0]);
  CHECK(made.allocations == 0);
  for (uint32_t f = 0; f < hooks::fn::kCount; ++f) {
    CHECK_MESSAGE(hooks::callsOf(hooks::Function(f)) == 0, std::string(hooks::nameOf(hooks::Function(f))));
  }
  CHECK(made.lines.size() == 4);  // with the late binding's; the plan's end after its context says nothing
}

TEST_CASE_FIXTURE(Gpu, "a plan that is destroyed before its bindings is said, and records nothing") {
  const FakePipelines fake;
  Children made;
  nibDestroyPlan(made.plan);
  REQUIRE(made.lines.size() == 1);
  CHECK(contains(made.lines[0], "minmax: a plan was destroyed before 2 bindings of it"));
  CHECK(made.problem(made.bindings[0]) == std::string("the plan was destroyed"));
  hooks::resetCalls();
  made.run(made.bindings[0]);
  made.run(made.bindings[0]);
  CHECK(made.lines.size() == 2);
  CHECK(hooks::callsOf(hooks::fn::vkCmdDispatch) == 0);
  CHECK(hooks::callsOf(hooks::fn::vkCmdBindPipeline) == 0);
  nibDestroyBinding(made.bindings[0]);
  nibDestroyBinding(made.bindings[1]);
  nibDestroyContext(made.context);
  CHECK(made.lines.size() == 2);
  CHECK(made.allocations == 0);
}

TEST_CASE_FIXTURE(Gpu, "objects destroyed in order say nothing") {
  const FakePipelines fake;
  Children made;
  for (NibBinding* binding : made.bindings) nibDestroyBinding(binding);
  nibDestroyPlan(made.plan);
  nibDestroyContext(made.context);
  CHECK(made.lines.empty());
  CHECK(made.allocations == 0);
}

namespace {

std::atomic<uint32_t> compiling{0};
std::atomic<uint32_t> failures_left{0};

// A compiler that takes long enough for other threads to ask meanwhile, and fails as often as it is told.
VKAPI_ATTR VkResult VKAPI_CALL slowCreate(VkDevice, VkPipelineCache, uint32_t count, const VkComputePipelineCreateInfo*,
                                          const VkAllocationCallbacks*, VkPipeline* pipelines) {
  static std::atomic<uintptr_t> last{0};
  ++compiling;
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  if (failures_left.load() != 0 && failures_left.fetch_sub(1) != 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
  for (uint32_t i = 0; i < count; ++i) {
    const uintptr_t handle = last += 16;
    pipelines[i] = VK_NULL_HANDLE;
    std::memcpy(&pipelines[i], &handle, sizeof handle);
  }
  return VK_SUCCESS;
}

// Results of four threads that make the same plan at once.
std::vector<NibResult> planInFourThreads(NibContext* context) {
  const NibMinMaxDesc op = minmaxDesc();
  std::vector<NibResult> results(4);
  std::vector<std::thread> threads;
  for (NibResult& result : results) {
    threads.emplace_back([&result, &op, context] {
      NibPlan* plan = nullptr;
      result = nibCreatePlan(context, reinterpret_cast<const NibOpDesc*>(&op), &plan);
      nibDestroyPlan(plan);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return results;
}

}  // namespace

TEST_CASE_FIXTURE(Gpu, "four threads that want one pipeline compile it once") {
  const FakePipelines fake;
  const hooks::Replaced slow(hooks::fn::vkCreateComputePipelines, &slowCreate);
  NibContextDesc desc = contextDesc();
  desc.get_instance_proc_addr = hooks::wrap(device().getInstanceProcAddr());
  NibContext* context = nullptr;
  REQUIRE(nibCreateContext(&desc, &context) == NIB_SUCCESS);
  compiling = failures_left = 0;
  for (const NibResult result : planInFourThreads(context)) CHECK(result == NIB_SUCCESS);
  CHECK(compiling == context->pipelines.count());
  CHECK(compiling > 0);
  nibDestroyContext(context);

  // If the first thread's compilation fails, that thread reports it and another one compiles.
  REQUIRE(nibCreateContext(&desc, &context) == NIB_SUCCESS);
  compiling = 0;
  failures_left = 1;
  uint32_t failed = 0;
  for (const NibResult result : planInFourThreads(context)) failed += result != NIB_SUCCESS;
  CHECK(failed == 1);
  CHECK(compiling == context->pipelines.count() + 1);
  nibDestroyContext(context);
}

TEST_SUITE_END();
