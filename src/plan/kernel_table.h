// The kernel table, which the build generates from shaders/kernels.list.
#ifndef NIB_PLAN_KERNEL_TABLE_H
#define NIB_PLAN_KERNEL_TABLE_H

#include <cstdint>

#include "packing/unpack.h"

namespace nib {

struct KernelRow {
  const char* module;     // "quantize_row_int4_subgroup": unique
  const char* name;       // "quantize_row"
  uint32_t format;        // NibFormat, 0 = the kernel is independent of the format
  const char* variant;    // "subgroup", "" = none
  uint32_t features;      // NIB_FEATURE_* the module needs
  const uint32_t* spirv;  // the module as it is, NULL if it is packed
  uint32_t spirv_words;   // 0 if this build has no such module
  const packing::PackedModule* packed;
};

// Rows in the order of kernels.list, formats in ascending id within a line.
extern const KernelRow kKernelTable[];
extern const uint32_t kKernelCount;

}  // namespace nib
#endif
