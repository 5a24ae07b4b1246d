// Pipelines before plans: counted, compiled with progress, refused, trimmed; the application's allocator and names;
// what slices cost.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "gpu/fake_pipelines.h"
#include "plan/plan.h"

using namespace nib;
using namespace nib::tests;

namespace {

// A context through the hooks, with fields that a test sets.
struct OwnContext {
  NibContext* context = nullptr;
  explicit OwnContext(const std::function<void(NibContextDesc&)>& change = [](NibContextDesc&) {}) {
    NibContextDesc desc = contextDesc();
    desc.get_instance_proc_addr = hooks::wrap(device().getInstanceProcAddr());
    change(desc);
    REQUIRE(nibCreateContext(&desc, &context) == NIB_SUCCESS);
  }
  ~OwnContext() { nibDestroyContext(context); }
  OwnContext(const OwnContext&) = delete;
  OwnContext& operator=(const OwnContext&) = delete;
};

NibMinMaxDesc minmax(uint32_t granularity) {
  NibMinMaxDesc d = selftest::describe<NibMinMaxDesc>(NIB_OP_MINMAX);
  d.rows = 300;
  d.cols = 1000;
  d.granularity = granularity;
  return d;
}

const NibOpDesc* asOp(const NibMinMaxDesc& desc) { return reinterpret_cast<const NibOpDesc*>(&desc); }

NibPipelineCount countOf(NibContext* context, const std::vector<const NibOpDesc*>& descs) {
  NibPipelineCount count{sizeof(NibPipelineCount)};
  CHECK(nibCountPipelines(context, uint32_t(descs.size()), descs.data(), &count) == NIB_SUCCESS);
  return count;
}

struct Steps {
  std::vector<uint32_t> done;
  uint32_t stop_after = UINT32_MAX;
  NibProgress progress() {
    return {[](void* user, uint32_t done, uint32_t) {
              Steps& steps = *static_cast<Steps*>(user);
              steps.done.push_back(done);
              return steps.done.size() <= steps.stop_after ? 1 : 0;
            },
            this};
  }
};

}  // namespace

TEST_SUITE_BEGIN("start_up");

TEST_CASE_FIXTURE(Gpu, "pipelines are counted, compiled with progress, and plans then compile nothing") {
  const FakePipelines fake;
  const OwnContext own;
  const NibMinMaxDesc rows = minmax(NIB_GRANULARITY_ROW), columns = minmax(NIB_GRANULARITY_COLUMN),
                      tensor = minmax(NIB_GRANULARITY_TENSOR);
  const std::vector<const NibOpDesc*> descs{asOp(rows), asOp(columns), asOp(tensor), asOp(rows)};
  hooks::resetCalls();
  const NibPipelineCount before = countOf(own.context, descs);
  CHECK(before.needed >= 2);
  CHECK(before.compiled == 0);
  CHECK(hooks::callsOf(hooks::fn::vkCreateComputePipelines) == 0);

  // Without compiling there is no plan yet.
  NibPlan* plan = nullptr;
  CHECK(nibTryCreatePlan(own.context, asOp(rows), &plan) == NIB_ERROR_NOT_COMPILED);
  CHECK(plan == nullptr);
  CHECK(hooks::callsOf(hooks::fn::vkCreateComputePipelines) == 0);

  // Cancelled after the first pipeline, which stays.
  Steps first;
  first.stop_after = 1;
  const NibProgress stops = first.progress();
  CHECK(nibCompilePipelines(own.context, uint32_t(descs.size()), descs.data(), &stops) == NIB_ERROR_CANCELLED);
  CHECK(first.done == std::vector<uint32_t>{0, 1});
  CHECK(countOf(own.context, descs).compiled == 1);

  Steps rest;
  const NibProgress goes_on = rest.progress();
  CHECK(nibCompilePipelines(own.context, uint32_t(descs.size()), descs.data(), &goes_on) == NIB_SUCCESS);
  std::vector<uint32_t> expected;
  for (uint32_t i = 1; i <= before.needed; ++i) expected.push_back(i);
  CHECK(rest.done == expected);
  CHECK(hooks::callsOf(hooks::fn::vkCreateComputePipelines) == before.needed);
  CHECK(countOf(own.context, descs).compiled == before.needed);

  for (const NibOpDesc* desc : descs) {
    CHECK(nibTryCreatePlan(own.context, desc, &plan) == NIB_SUCCESS);
    nibDestroyPlan(plan);
  }
  CHECK(hooks::callsOf(hooks::fn::vkCreateComputePipelines) == before.needed);
}

TEST_CASE_FIXTURE(Gpu, "pipelines that no plan uses are trimmed") {
  const FakePipelines fake;
  const OwnContext own;
  const NibMinMaxDesc rows = minmax(NIB_GRANULARITY_ROW), columns = minmax(NIB_GRANULARITY_COLUMN);
  NibPlan *first = nullptr, *twin = nullptr, *other = nullptr;
  REQUIRE(nibCreatePlan(own.context, asOp(rows), &first) == NIB_SUCCESS);
  REQUIRE(nibCreatePlan(own.context, asOp(rows), &twin) == NIB_SUCCESS);
  REQUIRE(nibCreatePlan(own.context, asOp(columns), &other) == NIB_SUCCESS);
  const uint32_t all = own.context->pipelines.count();
  CHECK(nibTrimPipelines(own.context) == 0);
  nibDestroyPlan(first);
  CHECK(nibTrimPipelines(own.context) == 0);  // the twin uses them
  hooks::resetCalls();
  nibDestroyPlan(twin);
  const uint32_t trimmed = nibTrimPipelines(own.context);
  CHECK(trimmed > 0);
  CHECK(trimmed < all);
  CHECK(hooks::callsOf(hooks::fn::vkDestroyPipeline) == trimmed);
  CHECK(own.context->pipelines.count() == all - trimmed);
  // A plan that cannot be made keeps nothing.
  nibDestroyPlan(other);
  CHECK(nibTrimPipelines(own.context) == all - trimmed);
  hooks::failWith(hooks::fn::vkCreateComputePipelines, VK_ERROR_OUT_OF_DEVICE_MEMORY);
  CHECK(nibCreatePlan(own.context, asOp(rows), &first) == NIB_ERROR_OUT_OF_MEMORY);
  hooks::failWith(hooks::fn::vkCreateComputePipelines, VK_SUCCESS);
  CHECK(own.context->pipelines.count() == 0);
}

TEST_CASE_FIXTURE(Gpu, "a lost device has its own error") {
  const FakePipelines fake;
  const OwnContext own;
  const NibMinMaxDesc rows = minmax(NIB_GRANULARITY_ROW);
  hooks::failWith(hooks::fn::vkCreateComputePipelines, VK_ERROR_DEVICE_LOST);
  NibPlan* plan = nullptr;
  CHECK(nibCreatePlan(own.context, asOp(rows), &plan) == NIB_ERROR_DEVICE_LOST);
  hooks::failWith(hooks::fn::vkCreateComputePipelines, VK_SUCCESS);
}

namespace {

std::atomic<uint32_t> g_flags{0};
std::atomic<bool> g_cached{false};

// A driver whose pipeline cache has everything or nothing.
VKAPI_ATTR VkResult VKAPI_CALL fromCache(VkDevice, VkPipelineCache, uint32_t, const VkComputePipelineCreateInfo* info,
                                         const VkAllocationCallbacks*, VkPipeline* pipelines) {
  g_flags = info->flags;
  const uintptr_t number = g_cached ? 32 : 0;
  pipelines[0] = VK_NULL_HANDLE;
  std::memcpy(&pipelines[0], &number, sizeof number);
  if (g_cached) return VK_SUCCESS;
  return (info->flags & VK_PIPELINE_CREATE_FAIL_ON_PIPELINE_COMPILE_REQUIRED_BIT) != 0 ? VK_PIPELINE_COMPILE_REQUIRED
                                                                                       : VK_ERROR_UNKNOWN;
}

}  // namespace

TEST_CASE_FIXTURE(Gpu, "with cache control the pipeline cache is asked, and the driver told not to compile") {
  const FakePipelines fake;
  const NibMinMaxDesc rows = minmax(NIB_GRANULARITY_ROW);
  VkPipelineCache cache = VK_NULL_HANDLE;
  const uintptr_t number = 16;
  std::memcpy(&cache, &number, sizeof number);  // FakePipelines does not look at it
  const OwnContext own([cache](NibContextDesc& desc) {
    desc.flags = NIB_CONTEXT_CACHE_CONTROL;
    desc.pipeline_cache = cache;
  });
  const hooks::Replaced replaced(hooks::fn::vkCreateComputePipelines, &fromCache);
  NibPlan* plan = nullptr;
  g_cached = false;
  CHECK(nibTryCreatePlan(own.context, asOp(rows), &plan) == NIB_ERROR_NOT_COMPILED);
  CHECK((g_flags & VK_PIPELINE_CREATE_FAIL_ON_PIPELINE_COMPILE_REQUIRED_BIT) != 0);
  CHECK(own.context->pipelines.count() == 0);
  g_cached = true;
  CHECK(nibTryCreatePlan(own.context, asOp(rows), &plan) == NIB_SUCCESS);
  nibDestroyPlan(plan);
}

TEST_CASE_FIXTURE(Gpu, "Vulkan objects come from the application's allocator") {
  struct Counter {
    std::atomic<int> live{0}, calls{0};
  } counter;
  VkAllocationCallbacks callbacks{};
  callbacks.pUserData = &counter;
  callbacks.pfnAllocation = [](void* user, size_t size, size_t alignment, VkSystemAllocationScope) -> void* {
    Counter& c = *static_cast<Counter*>(user);
    ++c.live, ++c.calls;
    return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  };
  callbacks.pfnReallocation = [](void* user, void* old, size_t size, size_t, VkSystemAllocationScope) -> void* {
    Counter& c = *static_cast<Counter*>(user);
    ++c.calls;
    if (old == nullptr) ++c.live;
    return std::realloc(old, size);
  };
  callbacks.pfnFree = [](void* user, void* memory) {
    if (memory == nullptr) return;
    --static_cast<Counter*>(user)->live;
    std::free(memory);
  };
  {
    const OwnContext own([&](NibContextDesc& desc) { desc.vulkan_allocator = &callbacks; });
    const NibMinMaxDesc rows = minmax(NIB_GRANULARITY_ROW);
    NibPlan* plan = nullptr;
    REQUIRE(nibCreatePlan(own.context, asOp(rows), &plan) == NIB_SUCCESS);
    nibDestroyPlan(plan);
    CHECK(counter.calls > 0);
  }
  CHECK(counter.live == 0);
}

namespace {

std::vector<std::string> g_names;

VKAPI_ATTR VkResult VKAPI_CALL noteName(VkDevice, const VkDebugUtilsObjectNameInfoEXT* info) {
  g_names.emplace_back(info->pObjectName);
  return VK_SUCCESS;
}

}  // namespace

TEST_CASE_FIXTURE(Gpu, "objects are named for debuggers, if the application asks") {
  const FakePipelines fake;
  const hooks::Replaced replaced(hooks::fn::vkSetDebugUtilsObjectNameEXT, &noteName);
  const NibMinMaxDesc rows = minmax(NIB_GRANULARITY_ROW);
  for (const uint32_t flags : {0u, uint32_t(NIB_CONTEXT_OBJECT_NAMES)}) {
    g_names.clear();
    const OwnContext own([flags](NibContextDesc& desc) { desc.flags = flags; });
    // A driver without the extension gets no call.
    own.context->api.vkSetDebugUtilsObjectNameEXT = &noteName;
    NibPlan* plan = nullptr;
    REQUIRE(nibCreatePlan(own.context, asOp(rows), &plan) == NIB_SUCCESS);
    const std::string kernel = nibPlanGetKernel(plan, 0);
    nibDestroyPlan(plan);
    if (flags == 0) {
      CHECK(g_names.empty());
    } else {
      REQUIRE(!g_names.empty());
      CHECK(g_names.back().rfind("nibble ", 0) == 0);
      CHECK(std::find(g_names.begin(), g_names.end(), "nibble " + kernel) != g_names.end());
    }
  }
}

TEST_CASE_FIXTURE(Gpu, "the costs of slices add up, and a budget takes as many as fit") {
  const FakePipelines fake;
  const OwnContext own;
  NibMatmulDesc d = selftest::describe<NibMatmulDesc>(NIB_OP_MATMUL);
  d.flags = NIB_PRODUCT_ONE_KERNEL;
  d.rows = 8192;
  d.cols = 4096;
  d.tokens = 16;
  NibPlan* plan = nullptr;
  REQUIRE(nibCreatePlan(own.context, reinterpret_cast<const NibOpDesc*>(&d), &plan) == NIB_SUCCESS);
  NibMemory memory{sizeof(NibMemory)};
  REQUIRE(nibPlanGetMemory(plan, &memory) == NIB_SUCCESS);
  NibRun run{sizeof(NibRun)};
  run.n = d.tokens;
  run.slice_count = UINT32_MAX;
  NibCost whole{sizeof(NibCost)};
  REQUIRE(nibGetCost(plan, &run, &whole) == NIB_SUCCESS);
  CHECK(whole.slices == memory.slice_count);
  CHECK(whole.slices > 4);
  CHECK(whole.multiply_adds == uint64_t(d.rows) * d.cols * d.tokens);
  CHECK(whole.work > whole.multiply_adds / 64);  // not less than 64 multiply-adds for a byte
  NibCost sum{};
  for (uint32_t s = 0; s < memory.slice_count; ++s) {
    run.first_slice = s;
    run.slice_count = 1;
    NibCost one{sizeof(NibCost)};
    REQUIRE(nibGetCost(plan, &run, &one) == NIB_SUCCESS);
    sum.work += one.work;
    sum.multiply_adds += one.multiply_adds;
    sum.slices += one.slices;
  }
  CHECK(sum.work == whole.work);
  CHECK(sum.slices == whole.slices);
  CHECK(std::llabs(int64_t(sum.multiply_adds) - int64_t(whole.multiply_adds)) <= int64_t(whole.slices));

  // A rate at which the run takes 1000 us: half of it is about half the slices; nothing is less than one.
  run.first_slice = 0;
  run.slice_count = UINT32_MAX;
  const double rate = double(whole.work) / 1000;
  CHECK(nibSlicesFor(plan, &run, 1e6, rate) == whole.slices);
  const uint32_t half = nibSlicesFor(plan, &run, 500, rate);
  CHECK(half >= whole.slices / 2 - 1);
  CHECK(half <= whole.slices / 2 + 1);
  CHECK(nibSlicesFor(plan, &run, 0, rate) == 1);
  CHECK(nibSlicesFor(plan, &run, 1000, 0) == 1);
  run.first_slice = whole.slices - 1;
  CHECK(nibSlicesFor(plan, &run, 1e6, rate) == 1);
  run.first_slice = whole.slices;
  CHECK(nibSlicesFor(plan, &run, 1e6, rate) == 0);
  // A budget taken again and again records every slice once.
  uint32_t submissions = 0;
  run.first_slice = 0;
  while (const uint32_t count = nibSlicesFor(plan, &run, 130, rate)) {
    run.first_slice += count;
    ++submissions;
  }
  CHECK(run.first_slice == whole.slices);
  CHECK(submissions >= 7);
  nibDestroyPlan(plan);
}

TEST_SUITE_END();
