// Which of the kernels that can do a job runs on a device.
#ifndef NIB_PLAN_CHOOSE_H
#define NIB_PLAN_CHOOSE_H

#include "plan/kernel_table.h"
#include "vk/caps.h"

namespace nib::vk {

// What one pipeline would take; 0 = nothing.
struct KernelLimits {
  uint32_t workgroup_invocations;
  uint32_t shared_bytes;
  uint32_t push_bytes;
};

// Why rows were passed over: "quantize_row_int4_subgroup: needs subgroup; ...", cut with "..." when it does not fit.
struct ChooseReport {
  char text[512];
  uint32_t rejected;  // rows of the name and format that were passed over
};

// The first row with this name and format that is built, needs no feature or limit beyond caps, and is not switched off
// (NULL = none is); NULL if there is none. Pure. why may be NULL.
const KernelRow* chooseKernel(const KernelRow* table, uint32_t count, const char* name, uint32_t format,
                              const Caps& caps, const KernelLimits& need,
                              bool (*switched_off)(const void* user, const KernelRow& row), const void* user,
                              ChooseReport* why);

}  // namespace nib::vk
#endif
