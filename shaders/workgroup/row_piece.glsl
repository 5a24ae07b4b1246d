// The piece of a row whose partial result an invocation (SOLO) or a workgroup makes, in runs of 16 elements. Include
// after declaring WG, STEPS, SOLO, FLATTEN and a push block with cols and chunks.
#ifndef NIB_WORKGROUP_ROW_PIECE_GLSL
#define NIB_WORKGROUP_ROW_PIECE_GLSL

struct NibRowPiece {
  uint index;      // of the partial
  uint row;
  uint cols;       // of the row
  uint from, end;  // columns of the invocation: a run of 16 from `from` on, and every WG-th after it without SOLO
  bool live;       // the piece exists
};

NibRowPiece nibRowPiece(uint tile) {
  NibRowPiece p;
  p.index = SOLO ? tile * WG + gl_LocalInvocationIndex : tile;
  p.row = p.index / push.chunks;
  uint chunk = p.index - p.row * push.chunks;
  p.cols = FLATTEN ? push.cols * push.head.rows : push.cols;
  p.live = !SOLO || (FLATTEN ? p.index * STEPS * 16u < p.cols : p.row < push.head.rows);
  uint chunk_size = STEPS * (SOLO ? 16u : WG * 16u);
  p.from = chunk * chunk_size + (SOLO ? 0u : gl_LocalInvocationIndex * 16u);
  p.end = p.live ? min(p.cols, (chunk + 1u) * chunk_size) : 0u;
  return p;
}

#endif
