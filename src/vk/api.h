// The core's own table of Vulkan functions, filled from the application's entry point. One per context and constant
// after loading. There are no globals, so that a program may use several devices and loaders.
//
// A pointer that is not NULL does not mean that the function may be called: Caps decides that.
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

// Fills the functions that need no device and sets the others to NULL. missing may be NULL; *missing is the name of the
// first function that was not found, or NULL on success.
bool loadInstanceApi(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance, Api* out_api,
                     const char** missing);

// Fills the whole table. missing as above.
bool loadApi(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance, VkDevice device, Api* out_api,
             const char** missing);

}  // namespace nib::vk
#endif
