// Interface of attention.comp: few queries at a time. Other constants are in common/attention.h.
//   LANES  invocations that share the product of a query and a key: 1 or 4
//   KEYS   keys of a step: a multiple of WG / LANES
// WG is a power of two, at least TOKENS * HEADS and HEAD_SIZE / 8.
#ifndef NIB_OPS_ATTENTION_SHADER_H
#define NIB_OPS_ATTENTION_SHADER_H

#include "common/attention.h"

#define ATTENTION_SPEC(X) \
  NIB_ATTENTION_SPEC(X)   \
  X(13, uint, LANES, 1u)  \
  X(14, uint, KEYS, 128u)

#endif
