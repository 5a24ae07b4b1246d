// The chunk of a row whose partial result an invocation (SOLO) or a workgroup makes, in runs of 16 elements. Include
// after declaring WG, STEPS, SOLO, FLATTEN and a push block with cols and chunks.
#ifndef NIB_WORKGROUP_ROW_CHUNK_GLSL
#define NIB_WORKGROUP_ROW_CHUNK_GLSL

struct NibRowChunk {
  uint index;      // of the partial
  uint row;
  uint cols;       // of the row
  uint from, end;  // columns of the invocation: a run of 16 from `from` on, and every WG-th after it without SOLO
  bool live;       // the chunk exists
};

NibRowChunk nibRowChunk(uint tile) {
  NibRowChunk c;
  c.index = SOLO ? tile * WG + gl_LocalInvocationIndex : tile;
  c.row = c.index / push.chunks;
  uint chunk = c.index - c.row * push.chunks;
  c.cols = FLATTEN ? push.cols * push.head.rows : push.cols;
  c.live = !SOLO || (FLATTEN ? c.index * STEPS * 16u < c.cols : c.row < push.head.rows);
  uint chunk_size = STEPS * (SOLO ? 16u : WG * 16u);
  c.from = chunk * chunk_size + (SOLO ? 0u : gl_LocalInvocationIndex * 16u);
  c.end = c.live ? min(c.cols, (chunk + 1u) * chunk_size) : 0u;
  return c;
}

#endif
