// A kernel's interface is one header that GLSL and C++ share. shaders/ops/NAME.h holds
//   #define NAME_SPEC(X) X(id, type, NAME, default) ...   specialization constants: 4-byte scalars, ids from 0 up,
//                                                         id 0 always the workgroup size WG
//   struct NamePush { NibPushHead head; uint ...; };      push constants: 4-byte scalars only, <= 128 bytes
// GLSL expands them to layout(constant_id) constants and a push_constant block, C++ to a struct whose bytes are the
// specialization data and to the push struct. A test compares both with the SPIR-V.
#ifndef NIB_COMMON_INTERFACE_H
#define NIB_COMMON_INTERFACE_H

#ifdef __cplusplus
#include <cstdint>
namespace nib {
using uint = std::uint32_t;
using nib_bool = std::uint32_t;  // as VkBool32
#define NIB_SPEC_MEMBER(id, type, name, value) type name = value;
#define NIB_SPEC_COUNT(id, type, name, value) +1
#else
#define nib_bool bool
#define NIB_SPEC_CONSTANT(id, type, name, value) layout(constant_id = id) const type name = value;
layout(local_size_x_id = 0) in;
#endif

// First in every push struct; the recorder fills it, dispatch by dispatch.
// A kernel computes word indices relative to the start of its role's range and adds delta[slot]: the distance of the
// range's start from the bound window's start, modulo 2^32.
struct NibPushHead {
  uint tile_first;  // workgroup 0 works on this tile
  uint tile_end;    // tiles from here on belong to another dispatch or do not exist
  uint rows;        // NibRun.n; of absolute tiles the row after the run's last
  uint first_row;   // NibRun.first_row: where the rows of the result begin; 0 on scratch
  uint delta0;      // words, binding 0
  uint delta1;
  uint delta2;
  uint delta3;
};

#ifdef __cplusplus
}  // namespace nib
#endif
#endif
