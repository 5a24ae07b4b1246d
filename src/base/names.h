// The names of roles, parts, types, granularities and features in messages, test cases and rows of the benchmark.
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

// NibPart: "codes". No default: the compiler warns about a part without a name.
constexpr const char* partName(NibPart part) {
  switch (part) {
    case NIB_PART_CODES: return "codes";
    case NIB_PART_SCALES: return "scales";
    case NIB_PART_ZEROS: return "zeros";
    case NIB_PART_STATUS: return "status";
    case NIB_PART_SCRATCH: return "scratch";
    case NIB_PART_NESTED: return "nested scales";
    case NIB_PART_PACKED_CODES: return "packed codes";
    case NIB_PART_PACKED_ZEROS: return "packed zeros";
    case NIB_PART_REFERENCE: return "reference";
    case NIB_PART_CANDIDATE: return "candidate";
    case NIB_PART_BIAS: return "bias";
    case NIB_PART_INPUT_SCALES: return "input scales";
    case NIB_PART_INPUT_ZEROS: return "input zeros";
    case NIB_PART_TABLE: return "table";
    case NIB_PART_HEADS: return "heads";
    case NIB_PART_COUNTS: return "counts";
    case NIB_PART_ORDER: return "order";
    case NIB_PART_INPUT_CODES: return "input codes";
    case NIB_PART_SOURCE: return "source";
    case NIB_PART_RESIDUAL_IN: return "residual in";
    case NIB_PART_RESULT: return "result";
    case NIB_PART_RESIDUAL_OUT: return "residual out";
    case NIB_PART_RESULT_SCALES: return "result scales";
    case NIB_PART_GAIN: return "gain";
    case NIB_PART_SECOND: return "second";
    case NIB_PART_INDICES: return "indices";
    case NIB_PART_KEYS: return "keys";
    case NIB_PART_VALUES: return "values";
    case NIB_PART_RESULT_INDICES: return "result indices";
    case NIB_PART_ERROR: return "error";
    case NIB_PART_MASK: return "mask";
    case NIB_PART_LOG_SUM: return "log sum";
    case NIB_PART_FACTOR_INFO: return "factor info";
    case NIB_PART_DIAGONAL: return "diagonal";
    case NIB_PART_FACTOR: return "factor";
    case NIB_PART_LOSS: return "loss";
    case NIB_PART_IMPORTANCE: return "importance";
    case NIB_PART_HESSIAN: return "hessian";
    case NIB_PART_SIGNS: return "signs";
    case NIB_PART_COUNT: break;
  }
  return "?";
}

// NibType or NibInt8Result: "f32"
constexpr const char* typeName(uint32_t type) {
  switch (type) {
    case NIB_TYPE_F32: return "f32";
    case NIB_TYPE_F16: return "f16";
    case NIB_TYPE_BF16: return "bf16";
    case NIB_TYPE_E8M0: return "e8m0";
    case NIB_TYPE_BYTE: return "byte";
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
