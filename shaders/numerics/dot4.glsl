// The packed 4x8 dot product of SPV_KHR_integer_dot_product, signed times signed, by its opcode: glslang knows the GLSL
// extension only since 15.2, spirv_instruction since long before. It has no accumulator operand: add with +.
#ifndef NIB_NUMERICS_DOT4_GLSL
#define NIB_NUMERICS_DOT4_GLSL

// The last operand is the packed vector format, 0 = four 8-bit lanes.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int nibDot4Packed(int a, int b, spirv_literal int packing);

int nibDot4(int a, int b) {
  return nibDot4Packed(a, b, 0);
}

#endif
