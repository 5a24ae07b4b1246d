// The part of a product that a tile covers. Include after declaring a push block with row_blocks and batch.
#ifndef NIB_PRODUCTS_TILE_GLSL
#define NIB_PRODUCTS_TILE_GLSL

struct NibProductTile {
  uint row_block;  // of the matrix
  uint matrix;
  uint first_token;
};

// tokens: of a tile. Tiles are numbered along a matrix's rows first, then by matrix, then by tokens.
NibProductTile nibProductTile(uint tile, uint tokens) {
  uint block = tile / push.row_blocks;
  uint token_block = block / push.batch;
  return NibProductTile(tile - block * push.row_blocks, block - token_block * push.batch, token_block * tokens);
}

#endif
