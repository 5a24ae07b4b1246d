// The names of roles, types, granularities and features in messages, test cases and rows of the benchmark.
#ifndef NIB_BASE_NAMES_H
#define NIB_BASE_NAMES_H

#include <nibble/nibble.h>

#include <cstdint>

namespace nib {

// NibRole: "weights"
constexpr const char* roleName(uint32_t role) {
  switch (role) {
    case NIB_ROLE_WEIGHTS: return "weights";
    case NIB_ROLE_INPUT: return "input";
    case NIB_ROLE_OUTPUT: return "output";
    case NIB_ROLE_AUX: return "aux";
    default: return "?";
  }
}

// NibType or NibInt8Result: "f32"
constexpr const char* typeName(uint32_t type) {
  switch (type) {
    case NIB_TYPE_F32: return "f32";
    case NIB_TYPE_F16: return "f16";
    case NIB_TYPE_BF16: return "bf16";
    case NIB_TYPE_E8M0: return "e8m0";
    case NIB_INT8_RESULT_I32: return "i32";
    case NIB_INT8_RESULT_I8: return "i8";
    case NIB_INT8_RESULT_U8: return "u8";
    default: return "?";
  }
}

// NibGranularity: "tensor"
constexpr const char* granularityName(uint32_t granularity) {
  switch (granularity) {
    case NIB_GRANULARITY_TENSOR: return "tensor";
    case NIB_GRANULARITY_ROW: return "row";
    case NIB_GRANULARITY_COLUMN: return "column";
    case NIB_GRANULARITY_GROUP: return "group";
    default: return "?";
  }
}

#if !defined(NIB_NO_VULKAN)
// One NIB_FEATURE_* bit, as in shaders/kernels.list: "dot4"
constexpr const char* featureName(uint32_t feature_bit) {
  switch (feature_bit) {
    case NIB_FEATURE_SUBGROUP: return "subgroup";
    case NIB_FEATURE_STORAGE16: return "storage16";
    case NIB_FEATURE_F16: return "f16";
    case NIB_FEATURE_DOT4: return "dot4";
    case NIB_FEATURE_COOPMAT: return "coopmat";
    case NIB_FEATURE_SUBGROUP_SIZE: return "subgroup_size";
    case NIB_FEATURE_ROBUSTNESS: return "robustness";
    case NIB_FEATURE_ROUND_EVEN: return "round_even";
    default: return "unknown feature";
  }
}
#endif

}  // namespace nib
#endif
