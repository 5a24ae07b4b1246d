#include "gpu/hooks.h"

#include <atomic>
#include <cstring>
#include <type_traits>

namespace nib::hooks {
namespace {

std::atomic<uint64_t> g_calls[fn::kCount];
std::atomic<PFN_vkVoidFunction> g_real[fn::kCount];
std::atomic<PFN_vkVoidFunction> g_replacement[fn::kCount];
std::atomic<VkResult> g_failure[fn::kCount];
std::atomic<PFN_vkGetInstanceProcAddr> g_get;
thread_local int t_depth = 0;

struct Depth {
  Depth() { ++t_depth; }
  ~Depth() { --t_depth; }
};

// A function of F's signature that counts its calls and forwards them.
template <uint32_t kFunction, class F>
struct Counted;
template <uint32_t kFunction, class Result, class... Arguments>
struct Counted<kFunction, Result(VKAPI_PTR*)(Arguments...)> {
  static VKAPI_ATTR Result VKAPI_CALL call(Arguments... arguments) {
    g_calls[kFunction].fetch_add(1, std::memory_order_relaxed);
    if constexpr (std::is_same_v<Result, VkResult>) {
      if (const VkResult failure = g_failure[kFunction].load(); failure != VK_SUCCESS) return failure;
    }
    const Depth depth;
    PFN_vkVoidFunction target = g_replacement[kFunction].load();
    if (target == nullptr) target = g_real[kFunction].load();
    return reinterpret_cast<Result(VKAPI_PTR*)(Arguments...)>(target)(arguments...);
  }
};

struct Row {
  const char* name;
  PFN_vkVoidFunction counted;
};
const Row kRows[] = {
#define NIB_HOOK_ROW(name) {#name, reinterpret_cast<PFN_vkVoidFunction>(&Counted<fn::name, PFN_##name>::call)},
#define NIB_VK_INSTANCE(name) NIB_HOOK_ROW(name)
#define NIB_VK_INSTANCE_OPTIONAL(name) NIB_HOOK_ROW(name)
#define NIB_VK_DEVICE(name) NIB_HOOK_ROW(name)
#include "vk/api.inc"
};

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL deviceProcAddr(VkDevice device, const char* name);

// The counted version of the function `name`, whose address is `found`; `found` itself if it is not counted.
PFN_vkVoidFunction countedVersion(const char* name, PFN_vkVoidFunction found) {
  if (found == nullptr) return nullptr;
  if (std::strcmp(name, "vkGetDeviceProcAddr") == 0) {
    g_real[fn::vkGetDeviceProcAddr] = found;
    return reinterpret_cast<PFN_vkVoidFunction>(&deviceProcAddr);
  }
  for (uint32_t i = 0; i < fn::kCount; ++i) {
    if (std::strcmp(name, kRows[i].name) != 0) continue;
    g_real[i] = found;
    return kRows[i].counted;
  }
  return found;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL deviceProcAddr(VkDevice device, const char* name) {
  const auto get = reinterpret_cast<PFN_vkGetDeviceProcAddr>(g_real[fn::vkGetDeviceProcAddr].load());
  return countedVersion(name, get(device, name));
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instanceProcAddr(VkInstance instance, const char* name) {
  return countedVersion(name, g_get.load()(instance, name));
}

}  // namespace

const char* nameOf(Function function) { return kRows[function].name; }

PFN_vkGetInstanceProcAddr wrap(PFN_vkGetInstanceProcAddr get) {
  if (get != &instanceProcAddr) g_get = get;
  return &instanceProcAddr;
}

void resetCalls() {
  for (std::atomic<uint64_t>& calls : g_calls) calls = 0;
}
uint64_t callsOf(Function function) { return g_calls[function]; }

bool insideDriver() { return t_depth > 0; }

void replace(Function function, PFN_vkVoidFunction replacement) { g_replacement[function] = replacement; }
PFN_vkVoidFunction replaced(Function function) { return g_replacement[function]; }
void failWith(Function function, VkResult result) { g_failure[function] = result; }
PFN_vkVoidFunction real(Function function) { return g_real[function]; }

}  // namespace nib::hooks
