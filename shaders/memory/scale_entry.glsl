// Stores of single scales and zero points, from any invocation: entries of other invocations in the same word keep
// their bits, because a word is changed by atomics. Include memory/params.glsl first, with an access that allows both.
#ifndef NIB_MEMORY_SCALE_ENTRY_GLSL
#define NIB_MEMORY_SCALE_ENTRY_GLSL

// Entry `index` of entries of 32 >> shift bits. base: their first word.
void nibStoreEntry(uint base, uint shift, uint index, uint value) {
  uint at = base + (index >> shift);
  if (shift == 0u) {
    params[at] = value;
    return;
  }
  uint bits = 32u >> shift;
  uint low = (index & ((1u << shift) - 1u)) * bits;
  atomicAnd(params[at], ~(((1u << bits) - 1u) << low));
  if (value != 0u) atomicOr(params[at], value << low);
}

// The scale of group `group` of a row, or its zero point, and after the row's last one its padding: of every row if
// ALIGNED, else of the last row of the blob.
void nibStoreEntries(uint base, uint shift, uint row, uint group, uint value) {
  uint index = row * push.scale_row_stride + group;
  nibStoreEntry(base, shift, index, value);
  if (group + 1u < push.groups_per_row) return;
  uint end = (row + 1u) * push.scale_row_stride;
  if (row + 1u == push.rows) end = ((end + (1u << shift) - 1u) >> shift) << shift;
  for (uint i = index + 1u; i < end; ++i) nibStoreEntry(base, shift, i, 0u);
}

// A found scale. SCALE_TYPE and FLAGS are specialization constants of the including shader.
void nibStoreFound(uint row, uint group, NibFound found, uint delta) {
  const uint shift = SCALE_TYPE == NIB_F32 ? 0u : SCALE_TYPE == NIB_E8M0 ? 2u : 1u;
  nibStoreEntries(push.scales_word + delta, shift, row, group, found.stored);
  if ((FLAGS & NIB_ASYMMETRIC) != 0u) {
    nibStoreEntries(push.zeros_word + delta, 2u, row, group, nibZeroToStored(found.zero));
  }
}

#endif
