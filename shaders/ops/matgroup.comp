#version 450
// Sorts the results of a run by matrix, so that up to TOKENS results of a matrix share its weights. One workgroup
// counts the results of each matrix, adds up groups, and puts the number of each result into a record. The order within
// a matrix may differ from run to run; results do not depend on it. Reads a choice (4 bytes) twice, writes 4 bytes per
// result and 8 per group.
#extension GL_GOOGLE_include_directive : require
#include "ops/matgroup.h"
MATGROUP_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { MatgroupPush push; };
layout(set = 0, binding = 0, std430) readonly buffer Choices { uint choices[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Records { uint records[]; };
#include "common/fault.glsl"

shared uint placed[NIB_MATGROUP_MATRICES];       // results that have a place
shared uint first_group[NIB_MATGROUP_MATRICES];  // first the number of results
shared uint sums[WG];

const uint kRecord = 2u + TOKENS;

uint matrixOf(uint i) { return min(choices[push.indices_word + push.head.delta0 + i], push.matrices - 1u); }

uint groupsOf(uint results) { return (results + TOKENS - 1u) / TOKENS; }

void main() {
  uint me = gl_LocalInvocationIndex;
  uint results = push.head.rows * push.choices;
  for (uint m = me; m < push.matrices; m += WG) placed[m] = first_group[m] = 0u;
  barrier();
  for (uint i = me; i < results; i += WG) atomicAdd(first_group[matrixOf(i)], 1u);
  barrier();
  // An invocation has neighbouring matrices.
  uint each = (push.matrices + WG - 1u) / WG;
  uint from = min(me * each, push.matrices), end = min(from + each, push.matrices);
  uint sum = 0u;
  for (uint m = from; m < end; ++m) sum += groupsOf(first_group[m]);
  sums[me] = sum;
  barrier();
  uint group = 0u;
  for (uint i = 0u; i < me; ++i) group += sums[i];
  uint records_begin = push.head.delta2;
  for (uint m = from; m < end; ++m) {
    uint count = first_group[m];
    first_group[m] = group;
    for (uint left = count; left > 0u; left -= min(left, TOKENS)) {
      records[records_begin + group * kRecord] = m;
      records[records_begin + group * kRecord + 1u] = min(left, TOKENS);
      ++group;
    }
  }
  if (me == WG - 1u) {
    for (; group < push.groups; ++group) records[records_begin + group * kRecord + 1u] = 0u;
  }
  barrier();
  for (uint i = me; i < results; i += WG) {
    uint m = matrixOf(i), place = atomicAdd(placed[m], 1u);
    uint word = (first_group[m] + place / TOKENS) * kRecord + 2u + place % TOKENS;
    records[records_begin + word] = kFault != 0u ? i & ~1u : i;
  }
}
