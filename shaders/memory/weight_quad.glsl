// Four neighbouring columns of a row of weights as floats, scaled. Include after memory/weight_run.glsl. COLUMN is a
// specialization constant of the including shader.
#ifndef NIB_MEMORY_WEIGHT_QUAD_GLSL
#define NIB_MEMORY_WEIGHT_QUAD_GLSL

vec4 nibWeightQuad(uint row, uint col) {
#ifdef NIB_FORMAT
  ivec4 code = nibUnpack4(nibLoadQuadCodes(row, min(col, (push.cols - 1u) & ~3u)));
  if (COLUMN) return uintBitsToFloat(nibDecode4(code, nibColumnDecoder(col)));
  NibPart part = nibBeginRun(row, min(col, push.cols - 1u)).part;
  return part.scale == 0.0 ? vec4(0.0) : nibPart4(code, part) * part.scale;
#else
  return nibDenseQuad(row * push.row_words + push.head.delta0, col);
#endif
}

#endif
