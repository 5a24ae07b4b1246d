// Finds the Vulkan loader of this machine. The kit neither links it nor defines names that begin with vk, so that a
// program may link it, volk, or both, besides.
#include "kit/vulkan_api.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace nib::kit::detail {
namespace {

// The libraries' names, most specific first. The library stays loaded until the program ends.
#if defined(_WIN32)
PFN_vkGetInstanceProcAddr openLoader() {
  const HMODULE library = LoadLibraryA("vulkan-1.dll");
  if (!library) return nullptr;
  // Through void*, because a compiler may warn of a cast between types of functions.
  return reinterpret_cast<PFN_vkGetInstanceProcAddr>(
      reinterpret_cast<void*>(GetProcAddress(library, "vkGetInstanceProcAddr")));
}
#else
PFN_vkGetInstanceProcAddr openLoader() {
#if defined(__APPLE__)
  constexpr const char* kNames[] = {"libvulkan.dylib", "libvulkan.1.dylib", "libMoltenVK.dylib"};
#else
  constexpr const char* kNames[] = {"libvulkan.so.1", "libvulkan.so"};
#endif
  for (const char* name : kNames) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
      return reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library, "vkGetInstanceProcAddr"));
    }
  }
  return nullptr;
}
#endif

}  // namespace

PFN_vkGetInstanceProcAddr findLoader() {
  static const PFN_vkGetInstanceProcAddr found = openLoader();
  return found;
}

}  // namespace nib::kit::detail
