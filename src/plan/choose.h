// Chooses the kernel that runs on a device, among the variants of one kernel.
#ifndef NIB_PLAN_CHOOSE_H
#define NIB_PLAN_CHOOSE_H

#include "plan/kernel_table.h"
#include "vk/caps.h"

namespace nib::vk {

// Limits that one pipeline needs; 0 = none.
struct KernelLimits {
  uint32_t workgroup_invocations;
  uint32_t shared_bytes;
  uint32_t push_bytes;
};

// Why rows were rejected: "quantize_row_int4_subgroup: needs subgroup; ...". Text that is too long ends in "...".
struct ChooseReport {
  char text[512];
  uint32_t rejected;  // rejected rows with this name and format
};

// The first row with this name and format that is in this build, needs no feature or limit beyond caps, and for which
// switched_off returns false (NULL = none is switched off). NULL if there is no such row. Pure. why may be NULL.
const KernelRow* chooseKernel(const KernelRow* table, uint32_t count, const char* name, uint32_t format,
                              const Caps& caps, const KernelLimits& need,
                              bool (*switched_off)(const void* user, const KernelRow& row), const void* user,
                              ChooseReport* why);

}  // namespace nib::vk
#endif
