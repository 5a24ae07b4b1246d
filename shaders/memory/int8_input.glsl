// The inputs of int8 products as codes at binding 1, with their scales and zero points. products/int8_epilogue.glsl
// includes this or memory/staged_input.glsl.
#ifndef NIB_MEMORY_INT8_INPUT_GLSL
#define NIB_MEMORY_INT8_INPUT_GLSL

layout(set = 0, binding = 1, std430) readonly buffer Input1 { uint input1[]; };
layout(set = 0, binding = 1, std430) readonly buffer Input4 { uvec4 input4[]; };

// The counterparts of nibWeightWord and nibWeightWords.
uint nibInputWord(uint row, uint k) { return nibMasked(nibCenter(input1[row + k + push.head.delta1], X_CODES), k); }
uvec4 nibInputWords(uint row, uint k) {
  return nibMasked4(nibCenter4(input4[(row + k + push.head.delta1) >> 2], X_CODES), k);
}
// A run's tokens begin at first_row of the blob. Windows over the codes alone bring them to 0.
uint nibInputRow(uint token) { return (X_SEPARATE ? token : token + push.head.first_row) * push.x_row_words; }

uint nibInputParameter(uint word) {
  return X_SEPARATE ? separate[word + push.head.delta3] : input1[word + push.head.delta1];
}
uint nibInputIndex(uint token, uint col) {
  return (token + push.head.first_row) * push.x_scale_stride + (GROUPED ? col / push.x_group : 0u);
}
uint nibInputScale(uint index) {
  return nibScaleOf(nibInputParameter(push.x_scales_word + (X_SCALE == NIB_F32 ? index : index >> 1)), index, X_SCALE);
}
int nibInputZero(uint index) {
  return X_ASYM ? nibZeroOf(nibInputParameter(push.x_zeros_word + (index >> 2)), index, X_CODES) : 0;
}

#endif
