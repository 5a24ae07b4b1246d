// Declares a function that loads a leaf, eight elements of one bound matrix in row-major order. Included once for every
// matrix of a kernel, after defining these macros, which the end of this file undefines:
//   NIB_LEAF         name of the function
//   NIB_LEAF_ONE     name of the function that loads one element
//   NIB_LEAF_WORDS   uint[] of the binding
//   NIB_LEAF_QUADS   uvec4[] of the binding
//   NIB_LEAF_TYPE    NibType of the elements
//   NIB_LEAF_LAYOUT  kAnyLayout, kWholeLeaves or kOneRow
// The including shader has declared push.cols and included numerics/exact.glsl, numerics/halves.glsl and
// numerics/scale_store.glsl.

#ifndef NIB_MEMORY_LEAF_GLSL
#define NIB_MEMORY_LEAF_GLSL
const uint kAnyLayout = 0u;
const uint kWholeLeaves = 1u;  // eight elements are eight neighbours from a multiple of eight on
const uint kOneRow = 2u;       // the same, and all rows are one
#endif

uint NIB_LEAF_ONE(uint element, uint word) {
  if (NIB_LEAF_TYPE == NIB_F32) return NIB_LEAF_WORDS[element + word];
  uint half_word = (NIB_LEAF_WORDS[(element >> 1) + word] >> ((element & 1u) * 16u)) & 0xffffu;
  return NIB_LEAF_TYPE == NIB_BF16 ? half_word << 16 : nibHalfToF32Bits(half_word);
}

// fp32 bits of elements first..first+7, those from `count` on zero. word: first word of the matrix in the binding.
void NIB_LEAF(uint first, uint count, uint stride, uint word, out uvec4 x0, out uvec4 x1) {
  uint row = NIB_LEAF_LAYOUT == kOneRow ? 0u : first / push.cols;
  uint col = first - row * push.cols;
  if (NIB_LEAF_LAYOUT != kAnyLayout && count == 8u) {
    uint element = row * stride + col;
    if (NIB_LEAF_TYPE == NIB_F32) {
      x0 = NIB_LEAF_QUADS[(element + word) >> 2];
      x1 = NIB_LEAF_QUADS[((element + word) >> 2) + 1u];
    } else {
      uvec4 words = NIB_LEAF_QUADS[((element >> 1) + word) >> 2];
      x0 = nibWidenWords(words.xy, NIB_LEAF_TYPE == NIB_BF16);
      x1 = nibWidenWords(words.zw, NIB_LEAF_TYPE == NIB_BF16);
    }
    return;
  }
  x0 = uvec4(0u);
  x1 = uvec4(0u);
  for (uint i = 0u; i < count; ++i) {
    uint x = NIB_LEAF_ONE(row * stride + col, word);
    // Writes every component, because a variable index would keep the vectors out of registers.
    x0 = mix(x0, uvec4(x), equal(uvec4(i), uvec4(0u, 1u, 2u, 3u)));
    x1 = mix(x1, uvec4(x), equal(uvec4(i), uvec4(4u, 5u, 6u, 7u)));
    ++col;
    bool over = NIB_LEAF_LAYOUT != kOneRow && col == push.cols;
    col = over ? 0u : col;
    row += uint(over);
  }
}

#undef NIB_LEAF
#undef NIB_LEAF_ONE
#undef NIB_LEAF_WORDS
#undef NIB_LEAF_QUADS
#undef NIB_LEAF_TYPE
#undef NIB_LEAF_LAYOUT
