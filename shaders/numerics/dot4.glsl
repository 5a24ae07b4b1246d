// The packed 4x8 dot product of SPV_KHR_integer_dot_product, by its opcode: glslang knows the GLSL extension only since
// 15.2, spirv_instruction since long before. Signed times signed; add to an accumulator with +.
#ifndef NIBBLE_NUMERICS_DOT4_GLSL
#define NIBBLE_NUMERICS_DOT4_GLSL

// The last operand is the packed vector format, 0 = four 8-bit lanes.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int nibDot4Packed(int a, int b, spirv_literal int packing);

int nibDot4(int a, int b) {
  return nibDot4Packed(a, b, 0);
}

#endif
