// nibCmdRun allocates nothing, takes no lock and calls only vkCmd* functions. Failures of host memory or of Vulkan
// objects at any point are reported. A separate program, because it replaces the C library's malloc.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <nibble/graph.h>

#include "gpu/fake_pipelines.h"
#include "plan/plan.h"

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define NIB_TESTS_INTERPOSE 1
#include <dlfcn.h>
#include <pthread.h>

#include <cerrno>
#endif

using namespace nib;
using namespace nib::tests;

namespace {
thread_local bool counting = false;
thread_local uint32_t allocations = 0;  // including releases
thread_local uint32_t locks = 0;
[[maybe_unused]] bool ours() { return counting && !hooks::insideDriver(); }
}  // namespace

#if defined(NIB_TESTS_INTERPOSE)
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
void __libc_free(void* memory);

void* malloc(size_t size) {
  if (ours()) ++allocations;
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  if (ours()) ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
  if (ours()) ++allocations;
  return __libc_realloc(memory, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  if (ours()) ++allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, size_t alignment, size_t size) {
  if (ours()) ++allocations;
  *memory = __libc_memalign(alignment, size);
  return *memory != nullptr ? 0 : ENOMEM;
}
void free(void* memory) {
  if (ours()) ++allocations;
  __libc_free(memory);
}
int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  using Lock = int (*)(pthread_mutex_t*);
  static const Lock real = reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  if (ours()) ++locks;
  return real(mutex);
}
}
#endif

namespace {

// Counts allocations, and fails from the nth call on, or only at the nth.
struct Callbacks {
  uint32_t calls = 0;
  uint32_t allocated = 0;
  uint32_t released = 0;
  uint32_t fail_at = UINT32_MAX;
  bool once = false;

  NibAllocator allocator() {
    return {[](void* user, size_t size, size_t) -> void* {
              Callbacks& c = *static_cast<Callbacks*>(user);
              ++c.calls;
              if (c.once ? c.calls == c.fail_at : c.calls >= c.fail_at) return nullptr;
              ++c.allocated;
              return std::malloc(size);
            },
            [](void* user, void* memory) {
              ++static_cast<Callbacks*>(user)->released;
              std::free(memory);
            },
            this};
  }
};

// An op with every kind of phase: statistics, scales and codes.
NibQuantizeDesc tensorDesc() {
  NibQuantizeDesc d = selftest::describe<NibQuantizeDesc>(NIB_OP_QUANTIZE);
  d.rows = 300;
  d.cols = 4096;
  d.weights = selftest::weightsOf(nibFormatAt(0)->format, NIB_GRANULARITY_TENSOR, 0, 0, NIB_TYPE_F16);
  return d;
}

// Context, plan and binding; each is NULL if it could not be created.
struct Made {
  NibContext* context = nullptr;
  NibPlan* plan = nullptr;
  NibBinding* binding = nullptr;
  NibResult result = NIB_SUCCESS;
  kit::Buffer buffers[NIB_ROLE_COUNT];

  explicit Made(const NibAllocator& allocator) {
    NibContextDesc desc = contextDesc();
    desc.get_instance_proc_addr = hooks::wrap(device().getInstanceProcAddr());
    desc.allocator = &allocator;
    result = nibCreateContext(&desc, &context);
    if (result != NIB_SUCCESS) return;
    const NibQuantizeDesc op = tensorDesc();
    result = nibCreatePlan(context, reinterpret_cast<const NibOpDesc*>(&op), &plan);
    if (result != NIB_SUCCESS) return;
    NibMemory memory{sizeof(NibMemory)};
    nibPlanGetMemory(plan, &memory);
    NibBindingDesc ranges{sizeof(NibBindingDesc)};
    for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
      if (memory.range[role].size_bytes == 0) continue;
      buffers[role] = kit::Buffer(device(), memory.range[role].size_bytes);
      ranges.range[role] = buffers[role].range();
    }
    result = nibCreateBinding(plan, &ranges, &binding);
  }
  ~Made() {
    nibDestroyBinding(binding);
    nibDestroyPlan(plan);
    nibDestroyContext(context);
  }
  Made(const Made&) = delete;
  Made& operator=(const Made&) = delete;
};

// The self-test of a plan up to its verdict, with made-up pipeline handles.
NibResult verify(const Made& made) {
  const hooks::Replaced bind(
      hooks::fn::vkCmdBindPipeline, +[](VkCommandBuffer, VkPipelineBindPoint, VkPipeline) {});
  const hooks::Replaced dispatch(
      hooks::fn::vkCmdDispatch, +[](VkCommandBuffer, uint32_t, uint32_t, uint32_t) {});
  NibMemoryRange range{};
  NibResult result = nibVerifyGetMemory(made.plan, &range);
  if (result != NIB_SUCCESS) return result;
  const kit::Buffer memory(device(), range.size_bytes, kit::Memory::kHost);
  const NibBufferRange bound = memory.range();
  NibVerify* object = nullptr;
  device().submit([&](VkCommandBuffer commands) { result = nibVerifyPlan(made.plan, commands, &bound, &object); });
  if (result != NIB_SUCCESS) return result;
  uint32_t passed = 0;
  return nibVerifyRead(object, memory.mapped(), &passed);
}

constexpr struct {
  hooks::Function create, destroy;
} kPairs[] = {{hooks::fn::vkCreateShaderModule, hooks::fn::vkDestroyShaderModule},
              {hooks::fn::vkCreateComputePipelines, hooks::fn::vkDestroyPipeline},
              {hooks::fn::vkCreatePipelineLayout, hooks::fn::vkDestroyPipelineLayout},
              {hooks::fn::vkCreateDescriptorSetLayout, hooks::fn::vkDestroyDescriptorSetLayout},
              {hooks::fn::vkCreateDescriptorPool, hooks::fn::vkDestroyDescriptorPool},
              {hooks::fn::vkAllocateDescriptorSets, hooks::fn::vkFreeDescriptorSets}};

}  // namespace

TEST_SUITE_BEGIN("record");

TEST_CASE_FIXTURE(Gpu, "recording allocates nothing, takes no lock and calls only vkCmd*") {
  Callbacks callbacks;
  const NibAllocator allocator = callbacks.allocator();
  {
    const Made made(allocator);
    REQUIRE(made.result == NIB_SUCCESS);
    const uint32_t calls_before = callbacks.calls;
    uint32_t malloc_count = 0, lock_count = 0;
    NibRun run{sizeof(NibRun)};
    run.n = 300;
    run.slice_count = UINT32_MAX;
    device().submit([&](VkCommandBuffer commands) {
      hooks::resetCalls();
      allocations = locks = 0;
      counting = true;
      nibCmdRun(commands, made.plan, made.binding, &run);
      counting = false;
      malloc_count = allocations;
      lock_count = locks;
    });
    CHECK(malloc_count == 0);
    CHECK(lock_count == 0);
    CHECK(callbacks.calls == calls_before);
    uint64_t recorded = 0;
    for (uint32_t f = 0; f < hooks::fn::kCount; ++f) {
      const uint64_t calls = hooks::callsOf(hooks::Function(f));
      const std::string name = hooks::nameOf(hooks::Function(f));
      if (name.rfind("vkCmd", 0) == 0) {
        recorded += calls;
      } else {
        CHECK_MESSAGE(calls == 0, name);
      }
    }
    CHECK(recorded > 10);
    CHECK(hooks::callsOf(hooks::fn::vkCmdDispatch) >= made.plan->phase_count);
    CHECK(hooks::callsOf(hooks::fn::vkCmdPipelineBarrier) == hooks::callsOf(hooks::fn::vkCmdDispatch) - 1);
  }
  CHECK(callbacks.allocated == callbacks.released);
}

TEST_CASE_FIXTURE(Gpu, "barriers separate the dispatches of a run that the workgroup limit splits") {
  kit::AdoptDesc desc = adoption();
  NibRestrict restriction{sizeof(NibRestrict)};
  restriction.features_mask = NIB_FEATURE_ALL;
  restriction.max_workgroup_count = 1;
  desc.get_instance_proc_addr = hooks::wrap(device().getInstanceProcAddr());
  desc.restriction = &restriction;
  const kit::Device on = kit::Device::adopt(desc);
  NibQuantizeDesc d = tensorDesc();
  d.weights = selftest::weightsOf(nibFormatAt(0)->format, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16);
  const kit::Plan plan(on, d);
  const kit::Buffer weights(on, plan.sizeBytes(NIB_ROLE_WEIGHTS)), input(on, plan.sizeBytes(NIB_ROLE_INPUT));
  const kit::Buffer aux(on, std::max<uint64_t>(plan.sizeBytes(NIB_ROLE_AUX), 4));
  const kit::Binding binding(plan, {.weights = weights, .input = input, .output = {}, .aux = aux});
  on.submit([&](VkCommandBuffer commands) {
    hooks::resetCalls();
    kit::RunOptions options;
    options.n = d.rows;
    binding.record(commands, options);
    const uint64_t dispatches = hooks::callsOf(hooks::fn::vkCmdDispatch);
    CHECK(dispatches > plan.handle()->phase_count);
    CHECK(hooks::callsOf(hooks::fn::vkCmdPipelineBarrier) == dispatches - 1);
  });
}

// A network whose steps have weights, a state, a cache, and inputs that are copied.
graph::Graph smallNetwork() {
  using namespace graph;
  Graph network(2);
  const ValueId numbers = network.state("numbers", ids()), positions = network.input("positions", ids());
  const ValueId rows = network.input("rows", ids()), visible = network.input("visible", ids(4));
  const ValueId x = embed(network, numbers, "embedding", {.rows = 40, .cols = 32});
  const ValueId h = norm(network, x, "norm", {});
  const ValueId q = rope(network, linear(network, h, "q", {.rows = 32}), positions, "q_rope",
                         {.heads = 2, .head_size = 16, .positions = 8});
  const ValueId k = linear(network, h, "k", {.rows = 32}), v = linear(network, h, "v", {.rows = 32});
  const ValueId a = attention(network, {q, k, v, rows, visible}, "attention",
                              {.heads = 2, .key_heads = 2, .head_size = 16, .cache_rows = 8});
  const ValueId y = linear(network, a, "o", {.rows = 32, .add_to = x});
  select(network, linear(network, y, "head", {.rows = 40}), "select", 1, numbers);
  return network;
}

TEST_CASE_FIXTURE(Gpu, "recording a step of a program allocates nothing, takes no lock and calls only vkCmd*") {
  const NibContextDesc own = contextDesc();
  kit::AdoptDesc adopt;
  adopt.get_instance_proc_addr = hooks::wrap(device().getInstanceProcAddr());
  adopt.instance = own.instance;
  adopt.physical_device = own.physical_device;
  adopt.device = own.device;
  adopt.api_version = own.api_version;
  adopt.features = own.features;
  adopt.queue = device().queue();
  adopt.queue_family = device().queueFamily();
  const kit::Device adopted = kit::Device::adopt(adopt);
  const graph::Graph network = smallNetwork();
  std::vector<kit::Buffer> buffers;
  std::vector<graph::Memory> memory;
  for (const graph::Value& value : network.values()) {
    if (value.storage != graph::Storage::kMemory) continue;
    buffers.emplace_back(adopted, value.size_bytes);
    adopted.fill(buffers.back(), 0, 0, value.size_bytes);
  }
  for (size_t at = 0; const graph::Value& value : network.values()) {
    if (value.storage == graph::Storage::kMemory) memory.push_back({value.name, buffers[at++]});
  }
  const graph::Program program(adopted, network, memory);
  const kit::Buffer inputs(adopted, program.inputBytes(), kit::Memory::kHost);
  std::memset(inputs.mapped(), 0, size_t(program.inputBytes()));
  const kit::Range numbers = program.range("numbers");
  adopted.fill(*numbers.buffer, 0, numbers.offset_bytes, 8);
  uint32_t malloc_count = 0, lock_count = 0;
  device().submit([&](VkCommandBuffer commands) {
    hooks::resetCalls();
    allocations = locks = 0;
    counting = true;
    program.record(commands, 2, inputs.handle(), 0);
    counting = false;
    malloc_count = allocations;
    lock_count = locks;
  });
  CHECK(malloc_count == 0);
  CHECK(lock_count == 0);
  for (uint32_t f = 0; f < hooks::fn::kCount; ++f) {
    const std::string name = hooks::nameOf(hooks::Function(f));
    if (name.rfind("vkCmd", 0) != 0) CHECK_MESSAGE(hooks::callsOf(hooks::Function(f)) == 0, name);
  }
  CHECK(hooks::callsOf(hooks::fn::vkCmdDispatch) >= program.nodeCount());
}

#if defined(NIB_TESTS_INTERPOSE)
TEST_CASE("the counters detect allocations and a lock") {
  allocations = locks = 0;
  counting = true;
  void* volatile memory = std::malloc(16);
  std::free(memory);
  int* volatile object = new int(1);
  delete object;
  std::mutex mutex;
  mutex.lock();
  counting = false;
  mutex.unlock();
  CHECK(allocations == 4);
  CHECK(locks == 1);
}
#else
TEST_CASE("the counters detect allocations and a lock") {
  MESSAGE("SKIPPED: malloc cannot be replaced with this C library or sanitizer; only the callbacks were counted");
}
#endif

TEST_CASE_FIXTURE(Gpu, "a failed host allocation at any point is reported, and nothing leaks") {
  const FakePipelines fake;
  for (const bool once : {false, true}) {
    uint32_t failures = 0;
    for (uint32_t at = 1; at < 500; ++at) {
      Callbacks callbacks;
      callbacks.fail_at = at;
      callbacks.once = once;
      const NibAllocator allocator = callbacks.allocator();
      NibResult result;
      {
        const Made made(allocator);
        result = made.result;
        if (result == NIB_SUCCESS) result = verify(made);
      }
      CHECK(callbacks.allocated == callbacks.released);
      if (callbacks.calls < at) {
        CHECK(result == NIB_SUCCESS);
        break;  // there is no nth allocation
      }
      CHECK_MESSAGE(result == NIB_ERROR_OUT_OF_MEMORY, "allocation " << at << ": " << int(result));
      ++failures;
    }
    MESSAGE(failures << " allocations from context to verdict");
    CHECK(failures >= 10);
    CHECK(failures < 499);
  }
}

TEST_CASE_FIXTURE(Gpu, "a Vulkan object that cannot be created is reported, and all others are destroyed") {
  const FakePipelines fake;
  for (const auto& failing : kPairs) {
    CAPTURE(std::string(hooks::nameOf(failing.create)));
    Callbacks callbacks;
    const NibAllocator allocator = callbacks.allocator();
    hooks::resetCalls();
    hooks::failWith(failing.create, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    {
      const Made made(allocator);
      CHECK(made.result == NIB_ERROR_OUT_OF_MEMORY);
    }
    hooks::failWith(failing.create, VK_SUCCESS);
    CHECK(callbacks.allocated == callbacks.released);
    for (const auto& pair : kPairs) {
      // The failed call created nothing; destroying a null handle does not count.
      const uint64_t made = hooks::callsOf(pair.create) - (pair.create == failing.create ? 1 : 0);
      CHECK_MESSAGE(hooks::callsOf(pair.destroy) >= made, std::string(hooks::nameOf(pair.create)));
    }
  }
}

TEST_CASE_FIXTURE(Gpu, "every Vulkan object is destroyed once") {
  const FakePipelines fake;
  Callbacks callbacks;
  const NibAllocator allocator = callbacks.allocator();
  hooks::resetCalls();
  {
    const Made made(allocator);
    REQUIRE(made.result == NIB_SUCCESS);
    CHECK(verify(made) == NIB_SUCCESS);
  }
  for (const auto& pair : kPairs) {
    CHECK(hooks::callsOf(pair.create) > 0);
    CHECK_MESSAGE(hooks::callsOf(pair.create) == hooks::callsOf(pair.destroy), std::string(hooks::nameOf(pair.create)));
  }
  CHECK(callbacks.allocated == callbacks.released);
}

TEST_SUITE_END();
