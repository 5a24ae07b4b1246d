// Which results of a product a workgroup's tile has, and how four of them end. For shaders whose push constants are
// ProductPush, `push`.
#ifndef NIBBLE_PRODUCTS_PRODUCT_TILE_GLSL
#define NIBBLE_PRODUCTS_PRODUCT_TILE_GLSL

#include "memory/params.glsl"
#include "products/product_result.glsl"

struct NibProductTile {
  uint row_block;  // of the matrix
  uint matrix;
  uint first_token;
};

// tokens: of a tile. Tiles go along a matrix's rows first, then from matrix to matrix, then to the next tokens.
NibProductTile nibProductTile(uint tile, uint tokens) {
  uint block = tile / push.row_blocks;
  uint token_block = block / push.batch;
  return NibProductTile(tile - block * push.row_blocks, block - token_block * push.batch, token_block * tokens);
}

// Of four rows, counted through all matrices.
vec4 nibBiasOf(uvec4 rows) {
  if (!BIAS) return vec4(0.0);
  uvec4 at = rows + (push.bias_word + push.head.delta1);
  return uintBitsToFloat(uvec4(params[at.x], params[at.y], params[at.z], params[at.w]));
}

// Rows `row` and the three behind it of a matrix, of a token whose results begin at element row_start.
void nibStoreFour(vec4 sums, vec4 bias, uint row_start, uint row) {
  nibStoreProducts(sums.xy, bias.xy, row_start, row, push.matrix_rows, push.head.delta2);
  nibStoreProducts(sums.zw, bias.zw, row_start, row + 2u, push.matrix_rows, push.head.delta2);
}

#endif
