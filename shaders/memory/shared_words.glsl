// Words of scales and zero points at the ends of a run, which rows outside the run may share. Include params.glsl
// first, with an access that allows reading.
#ifndef NIB_MEMORY_SHARED_WORDS_GLSL
#define NIB_MEMORY_SHARED_WORDS_GLSL

// Stores the bits of `word` that are set in `mask` and keeps the others. One invocation owns the word.
void nibStoreShared(uint at, uint word, uint mask) {
  params[at] = mask == ~0u ? word : (params[at] & ~mask) | (word & mask);
}

// Whether the run writes the bits of item `i`. Its items are [lead, end), counted from the first one's word. Bits
// after the last row of the blob are padding, which is written as 0.
bool nibOwnsItem(uint i, uint lead, uint end, bool last_rows) {
  return i >= lead && (i < end || last_rows);
}

#endif
