// The common part of products in floats, y = x W': the format of the weights if they have one, their scales and bias,
// the tile and the result. Include after declaring ProductPush push and the specialization constants of
// NIB_FLOAT_PRODUCT_SPEC; with NIB_ACTIVATIONS it includes memory/activations.glsl too.
#ifndef NIB_PRODUCTS_FLOAT_PRODUCT_GLSL
#define NIB_PRODUCTS_FLOAT_PRODUCT_GLSL

#ifdef NIB_FORMAT
#include "format.glsl"
#include "memory/codes.glsl"
#else
int nibZeroFromStored(uint stored, uint flags) {
  return 0;
}
#endif
#ifdef NIB_ACTIVATIONS
#include "memory/activations.glsl"
#endif
#define NIB_PARAMS_BINDING 1
#define NIB_PARAMS_ACCESS readonly
#define NIB_PARAMS_NESTED
#include "memory/params.glsl"
#include "products/result.glsl"
#include "products/tile.glsl"

// Bias of four rows, which are counted through all matrices.
vec4 nibBiasOf(uvec4 rows) {
  if (!BIAS) return vec4(0.0);
  uvec4 at = rows + (push.bias_word + push.head.delta1);
  return uintBitsToFloat(uvec4(params[at.x], params[at.y], params[at.z], params[at.w]));
}

// Finishes and writes rows row..row+3 of a matrix, for a token whose results begin at element row_start.
void nibStoreFour(vec4 sums, vec4 bias, uint row_start, uint row) {
  nibStoreProducts(sums.xy, bias.xy, row_start, row, push.matrix_rows, push.head.delta2);
  nibStoreProducts(sums.zw, bias.zw, row_start, row + 2u, push.matrix_rows, push.head.delta2);
}

#endif
