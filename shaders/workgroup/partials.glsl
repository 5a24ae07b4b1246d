// The main function of combine.comp and mean.comp: merges partials to one result per row, column or tensor. Include
// after declaring the constants and push constants of common/partials.h and
//   NIB_VALUE                      type of a merged value
//   NIB_NOTHING                    the value without any partial
//   NIB_MERGE(value, index)        `value` merged with a partial
//   NIB_EXCHANGE(value)            the values of all invocations merged; called in uniform control flow
//   NIB_WRITE(index, value, count) writes the result of `count` elements
#ifndef NIB_WORKGROUP_PARTIALS_GLSL
#define NIB_WORKGROUP_PARTIALS_GLSL

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  NIB_VALUE value = NIB_NOTHING;
  if (COLUMNS) {
    uint col = tile * WG + gl_LocalInvocationIndex;
    if (col >= push.cols) return;
    uint blocks = (push.head.rows + push.chunk_elements - 1u) / push.chunk_elements;
    for (uint b = 0u; b < blocks; ++b) value = NIB_MERGE(value, b * push.cols + col);
    NIB_WRITE(col, value, push.head.rows);
    return;
  }
  if (SOLO) {
    uint row = tile * WG + gl_LocalInvocationIndex;
    if (row >= push.head.rows) return;
    for (uint p = 0u; p < push.chunks; ++p) value = NIB_MERGE(value, row * push.chunks + p);
    NIB_WRITE(row, value, push.cols);
    return;
  }
  uint count = FLATTEN ? (push.head.rows * push.cols + push.chunk_elements - 1u) / push.chunk_elements
                       : TENSOR ? push.head.rows * push.chunks : push.chunks;
  uint first = TENSOR ? 0u : tile * push.chunks;
  for (uint p = gl_LocalInvocationIndex; p < count; p += WG) value = NIB_MERGE(value, first + p);
  value = NIB_EXCHANGE(value);
  if (gl_LocalInvocationIndex == 0u) NIB_WRITE(tile, value, TENSOR ? push.head.rows * push.cols : push.cols);
}

#endif
