// An application's shader that decodes weights with the installed headers of a format: rows of codes, one fp32 scale
// per row, no zero points. An invocation decodes four columns. consume_shader compiles it with every format, and
// tests/gpu/decode_test.cpp runs it.
#version 450
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64) in;
layout(set = 0, binding = 0, std430) readonly buffer Blob { uint blob[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Values { uint values[]; };
layout(push_constant) uniform Push {
  uint rows;
  uint cols;         // a multiple of 4
  uint row_words;    // words of a row of codes
  uint scales_word;  // where the scales begin
};
#include "format.glsl"

int codeAt(uint row, uint col) {
  uint bit = col * NIB_BITS;
  uint word = row * row_words + bit / 32u;
  uint code = blob[word] >> bit % 32u;
  // A code of 3 or 5 bits may continue in the next word.
  if (bit % 32u + NIB_BITS > 32u) code |= blob[word + 1u] << (32u - bit % 32u);
  uint unused = 32u - NIB_BITS;
  return NIB_TWOS_COMPLEMENT ? int(code << unused) >> unused : int(code << unused >> unused);
}

void main() {
  uint quads = cols / 4u;
  uint row = gl_GlobalInvocationID.x / quads;
  uint col = gl_GlobalInvocationID.x % quads * 4u;
  if (row >= rows) return;
  uint scale = nibRuledScale(nibScaleFromStored(blob[scales_word + row], NIB_F32));
  NibDecoder decoder = nibMakeDecoder(uvec4(scale), ivec4(nibZeroFromStored(0u, 0u)));
  ivec4 code = ivec4(codeAt(row, col), codeAt(row, col + 1u), codeAt(row, col + 2u), codeAt(row, col + 3u));
  uvec4 bits = nibDecode4(code, decoder);
  uint at = row * cols + col;
  values[at] = bits.x;
  values[at + 1u] = bits.y;
  values[at + 2u] = bits.z;
  values[at + 3u] = bits.w;
}
