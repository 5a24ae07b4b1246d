// What nibCmdRun does not do: allocate, lock, or call anything of Vulkan but vkCmd*.
#include <dlfcn.h>
#include <pthread.h>

#include <cstdlib>
#include <cstring>

#include "gpu/gpu_test.h"
#include "gpu/hooks.h"

using namespace nib;
using namespace nib::tests;

namespace {
thread_local bool counting = false;
thread_local uint32_t allocations = 0;
thread_local uint32_t locks = 0;
bool ours() { return counting && !hooks::insideDriver(); }
}  // namespace

// The program's own malloc and lock, in front of the C library's.
extern "C" {
void* __libc_malloc(size_t size);
void* malloc(size_t size) {
  if (ours()) ++allocations;
  return __libc_malloc(size);
}
int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  using Lock = int (*)(pthread_mutex_t*);
  static const Lock real = reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  if (ours()) ++locks;
  return real(mutex);
}
}

namespace {

struct Callbacks {
  uint32_t allocated = 0;
  uint32_t released = 0;
  uint32_t fail_at = UINT32_MAX;  // the allocation that fails
};

NibAllocator allocatorOf(Callbacks& callbacks) {
  return {[](void* user, size_t size, size_t) -> void* {
            Callbacks& c = *static_cast<Callbacks*>(user);
            if (c.allocated + 1 == c.fail_at) return nullptr;
            ++c.allocated;
            return std::malloc(size);
          },
          [](void* user, void* memory) {
            ++static_cast<Callbacks*>(user)->released;
            std::free(memory);
          },
          &callbacks};
}

NibQuantizeDesc tensorDesc() {
  NibQuantizeDesc d{};
  d.op = NIB_OP_QUANTIZE;
  d.rows = 300;
  d.cols = 4096;
  // Statistics, scales and codes: more than one phase.
  d.weights = {NIB_FORMAT_INT4, NIB_GRANULARITY_TENSOR, 0, NIB_TYPE_F16, 0};
  return d;
}

// Context, plan and binding made with these callbacks; what could not be made is NULL.
struct Made {
  NibContext* context = nullptr;
  NibPlan* plan = nullptr;
  NibBinding* binding = nullptr;
  NibResult result = NIB_SUCCESS;
  kit::Buffer buffers[NIB_ROLE_COUNT];

  explicit Made(const NibAllocator& allocator) {
    NibContextDesc desc = contextDesc();
    desc.get_instance_proc_addr = hooks::wrap(desc.get_instance_proc_addr);
    desc.allocator = &allocator;
    desc.log = nullptr;
    result = nibCreateContext(&desc, &context);
    if (result != NIB_SUCCESS) return;
    const NibQuantizeDesc op = tensorDesc();
    result = nibCreatePlan(context, reinterpret_cast<const NibOpDesc*>(&op), &plan);
    if (result != NIB_SUCCESS) return;
    NibMemory memory;
    nibPlanGetMemory(plan, &memory);
    NibBindingDesc ranges{};
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

}  // namespace

TEST_CASE("recording allocates nothing, takes no lock and calls only vkCmd*") {
  if (device().isCpu()) return;
  Callbacks callbacks;
  const NibAllocator allocator = allocatorOf(callbacks);
  {
    const Made made(allocator);
    REQUIRE(made.result == NIB_SUCCESS);
    const uint32_t before = callbacks.allocated;
    uint32_t malloc_count = 0, lock_count = 0;
    device().submit([&](VkCommandBuffer commands) {
      NibRun run{};
      run.n = 300;
      run.slice_count = UINT32_MAX;
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
    CHECK(callbacks.allocated == before);
    uint64_t recorded = 0;
    for (uint32_t f = 0; f < hooks::fn::kCount; ++f) {
      const uint64_t calls = hooks::callsOf(hooks::Function(f));
      const char* name = hooks::nameOf(hooks::Function(f));
      if (std::strncmp(name, "vkCmd", 5) == 0) {
        recorded += calls;
      } else {
        CAPTURE(name);
        CHECK(calls == 0);
      }
    }
    CHECK(recorded > 10);
    CHECK(hooks::callsOf(hooks::fn::vkCmdDispatch) >= 4);
    CHECK(hooks::callsOf(hooks::fn::vkCmdPipelineBarrier) == 3);
  }
  CHECK(callbacks.allocated == callbacks.released);
}

TEST_CASE("the counters count: an allocation and a lock between are seen") {
  allocations = locks = 0;
  counting = true;
  void* volatile memory = std::malloc(16);
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  counting = false;
  pthread_mutex_unlock(&mutex);
  std::free(memory);
  CHECK(allocations == 1);
  CHECK(locks == 1);
}

TEST_CASE("memory that runs out anywhere is reported, and nothing is lost") {
  if (device().isCpu()) return;
  uint32_t failures = 0;
  for (uint32_t at = 1; at < 200; ++at) {
    Callbacks callbacks;
    callbacks.fail_at = at;
    const NibAllocator allocator = allocatorOf(callbacks);
    NibResult result;
    {
      const Made made(allocator);
      result = made.result;
    }
    CHECK(callbacks.allocated == callbacks.released);
    if (result == NIB_SUCCESS) break;
    CHECK(result == NIB_ERROR_OUT_OF_MEMORY);
    ++failures;
  }
  CHECK(failures >= 5);
  CHECK(failures < 199);
}
