// The core's own table of Vulkan functions, filled from the application's entry point. One per context, constant after
// loading: no globals, so any number of devices and loaders live side by side in one program.
//
// A pointer that is not NULL says nothing about what may be called: decide from Caps.
#ifndef NIB_VK_API_H
#define NIB_VK_API_H

#include <nibble/nibble.h>

#include "vk/compat.h"

namespace nib::vk {

struct Api {
#define NIB_VK_INSTANCE(name) PFN_##name name;
#define NIB_VK_INSTANCE_OPTIONAL(name) PFN_##name name;
#define NIB_VK_DEVICE(name) PFN_##name name;
#include "vk/api.inc"
};

// What a failed call means to the caller.
inline NibResult resultOf(VkResult result) {
  return result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY ? NIB_ERROR_OUT_OF_MEMORY
                                                                                          : NIB_ERROR_VULKAN;
}

// Fills the functions that need no device and clears the others. On failure *missing (may be NULL) is the name of the
// function that was not found; on success it is NULL.
bool loadInstanceApi(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance, Api* out_api,
                     const char** missing);

// Fills the whole table.
bool loadApi(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance, VkDevice device, Api* out_api,
             const char** missing);

}  // namespace nib::vk
#endif
