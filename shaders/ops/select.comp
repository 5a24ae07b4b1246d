#version 450
// Finds the largest elements of rows. A workgroup has a row, with PIECES a piece of one, an invocation every WG-th run
// of its eight neighbouring elements, which it keeps in registers or reads again in every pass. MERGE: a workgroup has
// the candidates of a row's pieces.
//
// Elements are ranked by key, equal ones by column. The threshold, the rank of the last element that is selected, is
// found digit by digit: the elements that may be it are counted by their next eight bits. Digits begin below the
// largest difference of keys, and elements below the least of the invocations' largest do not count. Elements that
// reach the threshold are listed in any order; an element's position in the result is the number of elements in the
// list that rank before it.
//
// Reads every element (2 or 4 bytes) once, with MORE up to 11 times; writes 8 bytes per element selected.
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "ops/select.h"
SELECT_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { SelectPush push; };

const bool FULL = false;
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#include "common/fault.glsl"
#include "numerics/exp_log.glsl"
#include "workgroup/reduce.glsl"
#include "workgroup/extent.glsl"
#include "workgroup/pair_sum.glsl"
#include "numerics/logits.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer LogSums { uint log_sums[]; };
layout(set = 0, binding = 1, std430) readonly buffer Candidates { uint candidates[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Results { uint results[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Columns { uint columns[]; };

const uint kNan = 0x7fc00000u;
const uint kNoColumn = 0xffffffffu;
const uint kDigitBits = 8u;
const uint kDigits = 1u << kDigitBits;
const uint kSums = 16u;  // of neighbouring digits' counts

// Without PIECES; {key, column}.
shared uvec2 list[LIST];
shared uint listed;
shared uint counts[kDigits];
shared uint sums[kSums];

// Keys and columns of eight elements. Those after the end have the key 0 and kNoColumn, which ranks them last.
struct Octet {
  uvec4 key0, key1, col0, col1;
};

Octet kept[KEEP];

// The workgroup's row, and its columns, or with MERGE its candidates.
uint row, from, end;

Octet loadCandidates(uint step) {
  Octet x = Octet(uvec4(0u), uvec4(0u), uvec4(kNoColumn), uvec4(kNoColumn));
  uint at = push.scratch_word + push.head.delta1 + row * push.scratch_stride;
  for (uint i = 0u; i < 8u; ++i) {
    uint candidate = (step * 8u + i) * WG + gl_LocalInvocationIndex;
    if (candidate >= end) break;
    uint key = candidates[at + 2u * candidate], col = candidates[at + 2u * candidate + 1u];
    // Writes every component, because a variable index would keep the vectors out of registers.
    bvec4 here0 = equal(uvec4(i), uvec4(0u, 1u, 2u, 3u)), here1 = equal(uvec4(i), uvec4(4u, 5u, 6u, 7u));
    x.key0 = mix(x.key0, uvec4(key), here0);
    x.key1 = mix(x.key1, uvec4(key), here1);
    x.col0 = mix(x.col0, uvec4(col), here0);
    x.col1 = mix(x.col1, uvec4(col), here1);
  }
  return x;
}

uint colOf(uint step) { return from + (step * WG + gl_LocalInvocationIndex) * 8u; }

// Bits of a run's elements.
void loadBits(uint col, out uvec4 x0, out uvec4 x1) {
  nibLoadPair(row * push.stride, col, push.cols, push.source_word + push.head.delta1, x0, x1);
  x0 = nibLogitBits(SOURCE_TYPE, x0);
  x1 = nibLogitBits(SOURCE_TYPE, x1);
}

Octet loadOctet(uint step) {
  if (MERGE) return loadCandidates(step);
  uint col = colOf(step);
  if (col >= end) return Octet(uvec4(0u), uvec4(0u), uvec4(kNoColumn), uvec4(kNoColumn));
  uvec4 x0, x1;
  loadBits(col, x0, x1);
  uvec4 inside0 = nibInside(col, end), inside1 = nibInside(col + 4u, end);
  return Octet(nibLogitKeys(x0) & inside0, nibLogitKeys(x1) & inside1, (col + uvec4(0u, 1u, 2u, 3u)) | ~inside0,
               (col + uvec4(4u, 5u, 6u, 7u)) | ~inside1);
}

uint stepsOf() {
  if (!MORE) return KEEP;
  return (end - from + WG * 8u - 1u) / (WG * 8u);
}

Octet octetOf(uint step) {
  if (MORE) return loadOctet(step);
  return kept[step];
}

// All elements, by component.
#define NIB_EACH_ELEMENT(x, DO) \
  DO(x.key0.x, x.col0.x) \
  DO(x.key0.y, x.col0.y) \
  DO(x.key0.z, x.col0.z) \
  DO(x.key0.w, x.col0.w) \
  DO(x.key1.x, x.col1.x) \
  DO(x.key1.y, x.col1.y) \
  DO(x.key1.z, x.col1.z) \
  DO(x.key1.w, x.col1.w)

// --------------------------------------------------------------------------------------------- exponentials
vec4 valuesOf(uvec4 keys) {
  // As nibUnkey.
  return nibLogits(keys ^ (uvec4(ivec4(~keys) >> 31) | 0x80000000u));
}

float valueOf(uint key) {
  return valuesOf(uvec4(key)).x;
}

vec4 exponentials(uvec4 keys, uvec4 cols, float largest) {
  precise vec4 x = valuesOf(keys) - largest;
  return mix(nibExp4(x), vec4(0.0), equal(cols, uvec4(kNoColumn)));
}

// The sum of e^(x - largest) over the workgroup's elements.
vec2 sumOf(float largest) {
  NibPair4 sum = NibPair4(vec4(0.0), vec4(0.0));
  for (uint step = 0u; step < stepsOf(); ++step) {
    Octet x = octetOf(step);
    sum = nibPairAdd(sum, exponentials(x.key0, x.col0, largest));
    sum = nibPairAdd(sum, exponentials(x.key1, x.col1, largest));
  }
  return nibWorkgroupPairSum(nibPairFold(sum));
}

// The same of the row from the sums of its pieces.
vec2 sumOfPieces(float largest, out uint nan) {
  vec2 sum = vec2(0.0);
  nan = 0u;
  uint at = push.scratch_word + push.head.delta1 + row * push.scratch_stride + 2u * push.pieces * push.count;
  for (uint piece = gl_LocalInvocationIndex; piece < push.pieces; piece += WG) {
    uint word = at + 4u * piece;
    precise float distance = valueOf(candidates[word]) - largest;
    float factor = nibExp(distance);
    sum = nibPairAdd(sum, vec2(uintBitsToFloat(candidates[word + 1u]) * factor,
                               uintBitsToFloat(candidates[word + 2u]) * factor));
    nan |= candidates[word + 3u];
  }
  nan = nibWorkgroupReduce(NibReduced(0u, nan, 0u)).high;
  return nibWorkgroupPairSum(sum);
}

void storeLogSum(float largest, float sum, uint nan) {
  if (gl_LocalInvocationIndex != 0u) return;
  precise float lse = largest + nibLog(sum);
  log_sums[push.log_sum_word + push.head.delta0 + row] = nan != 0u ? kNan : floatBitsToUint(lse);
}

// --------------------------------------------------------------------------------------------- threshold
// The word by which elements are ranked, or 0 for those that are excluded: first the key, from `least` on; then, for
// elements with the key `least`, the column, the first one highest.
struct Level {
  bool by_col;
  uint least;  // key
};

bool isIn(Level level, uint key) { return level.by_col ? key == level.least : key >= level.least; }

uint wordOf(Level level, uint key, uint col) {
  // Wraps for elements after the end, to a value above the columns of the row.
  return level.by_col ? push.cols - 1u - col : key - level.least;
}

// Finds the word of the needed-th element from the top, of words below 2^bits: the largest prefix of it, with zeros
// after, that tells it from the others. needed becomes the number of elements needed of those that share the word.
// Returns whether they are all needed. Call in uniform control flow.
bool findWord(Level level, uint bits, inout uint needed, out uint found) {
  found = 0u;
  bool all = false;
  uint top = bits;  // bits of the word that are not found yet
  while (top > 0u && !all) {
    uint shift = top - min(top, kDigitBits);
    barrier();  // readers of the counts before are done
    for (uint i = gl_LocalInvocationIndex; i < kDigits; i += WG) counts[i] = 0u;
    barrier();
    for (uint step = 0u; step < stepsOf(); ++step) {
      Octet x = octetOf(step);
#define NIB_COUNT(key, col) \
  { \
    uint word = wordOf(level, key, col); \
    bool same = top >= 32u || (word >> min(top, 31u)) == (found >> min(top, 31u)); \
    if (isIn(level, key) && col != kNoColumn && same) atomicAdd(counts[(word >> shift) & (kDigits - 1u)], 1u); \
  }
      NIB_EACH_ELEMENT(x, NIB_COUNT)
    }
    barrier();
    const uint kEach = kDigits / kSums;
    if (gl_LocalInvocationIndex < kSums) {
      uint sum = 0u;
      for (uint i = 0u; i < kEach; ++i) sum += counts[gl_LocalInvocationIndex * kEach + i];
      sums[gl_LocalInvocationIndex] = sum;
    }
    barrier();
    // The digit of the needed-th element: fewer than `needed` elements have a larger one.
    uint part = kSums - 1u;
    while (part > 0u && sums[part] < needed) needed -= sums[part--];
    uint digit = part * kEach + kEach - 1u;
    while (digit > part * kEach && counts[digit] < needed) needed -= counts[digit--];
    all = counts[digit] == needed;
    found |= digit << shift;
    top = shift;
  }
  return all;
}

uint bitsOf(uint word) { return uint(findMSB(word) + 1); }

// --------------------------------------------------------------------------------------------- result
void store(uint place, uint key, uint col) {
  uint at = row * push.count + place;
  uint bits = key == 0u ? kNan : nibUnkey(key);
  results[push.result_word + push.head.delta2 + at] = bits ^ kFault;
  columns[push.indices_word + push.head.delta3 + at] = col;
}

void storeCandidate(uint piece, uint place, uint key, uint col) {
  uint at = push.scratch_word + push.head.delta2 + row * push.scratch_stride + 2u * (piece * push.count + place);
  results[at] = key;
  results[at + 1u] = col;
}

void storePiece(uint piece, uint key, vec2 sum, uint nan) {
  if (gl_LocalInvocationIndex != 0u) return;
  uint at = push.scratch_word + push.head.delta2 + row * push.scratch_stride + 2u * push.pieces * push.count +
            4u * piece;
  results[at] = key;
  results[at + 1u] = floatBitsToUint(sum.x);
  results[at + 2u] = floatBitsToUint(sum.y);
  results[at + 3u] = nan;
}

// Writes the elements of the list in the order of their ranks.
void storeList() {
  for (uint i = gl_LocalInvocationIndex; i < push.count; i += WG) {
    uvec2 mine = list[i];
    uint place = 0u;
    for (uint j = 0u; j < push.count; ++j) {
      uvec2 other = list[j];
      place += other.x > mine.x || (other.x == mine.x && other.y < mine.y) ? 1u : 0u;
    }
    store(place, mine.x, mine.y);
  }
}

// Lists or stores the elements from the threshold on.
void gather(uint piece, uint key_threshold, uint col_threshold) {
  for (uint step = 0u; step < stepsOf(); ++step) {
    Octet x = octetOf(step);
#define NIB_GATHER(key, col) \
  if (key > key_threshold || (key == key_threshold && col <= col_threshold)) { \
    uint place = atomicAdd(listed, 1u); \
    if (PIECES) { \
      storeCandidate(piece, place, key, col); \
    } else { \
      list[place] = uvec2(key, col); \
    } \
  }
    NIB_EACH_ELEMENT(x, NIB_GATHER)
  }
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  uint piece = 0u;
  row = tile;
  from = 0u;
  end = MERGE ? push.pieces * push.count : push.cols;
  if (PIECES) {
    row = tile / push.pieces;
    piece = tile - row * push.pieces;
    from = piece * push.piece_cols;
    end = min(end, from + push.piece_cols);
  }
  if (gl_LocalInvocationIndex == 0u) listed = 0u;

  // The largest of this invocation, and whether it has a NaN.
  uvec4 most = uvec4(0u);
  uint nan = 0u;
  for (uint step = 0u; step < stepsOf(); ++step) {
    Octet x = loadOctet(step);
    if (!MORE) kept[step] = x;
    most = max(most, max(x.key0, x.key1));
    bvec4 nan0 = equal(x.key0 | uvec4(equal(x.col0, uvec4(kNoColumn))), uvec4(0u));
    bvec4 nan1 = equal(x.key1 | uvec4(equal(x.col1, uvec4(kNoColumn))), uvec4(0u));
    nan |= any(nan0) || any(nan1) ? 1u : 0u;
  }
  uint mine = max(max(most.x, most.y), max(most.z, most.w));
  NibReduced range = nibWorkgroupReduce(NibReduced(mine, mine, nan));
  nan = range.count;

  float largest = valueOf(range.high);
  if (MERGE) {
    vec2 sum = sumOfPieces(largest, nan);
    storeLogSum(largest, sum.x, nan);
  } else {
    vec2 sum = sumOf(largest);
    if (PIECES) {
      storePiece(piece, range.high, sum, nan);
    } else {
      storeLogSum(largest, sum.x, nan);
    }
  }

  if (ONE) {
    uint col = kNoColumn;
    for (uint step = 0u; step < stepsOf(); ++step) {
      Octet x = octetOf(step);
#define NIB_FIRST(key, at) if (key == range.high) col = min(col, at);
      NIB_EACH_ELEMENT(x, NIB_FIRST)
    }
    col = nibWorkgroupReduce(NibReduced(col, 0u, 0u)).low;
    if (gl_LocalInvocationIndex != 0u) return;
    if (PIECES) {
      storeCandidate(piece, 0u, range.high, col);
    } else {
      store(0u, range.high, col);
    }
    return;
  }

  // Every invocation has an element from range.low on, so that as many are enough.
  uint needed = push.count;
  Level level = Level(false, needed <= WG ? range.low : 0u);
  uint word, col_threshold = kNoColumn - 1u;
  bool all = findWord(level, bitsOf(range.high - level.least), needed, word);
  uint key_threshold = level.least + word;
  if (!all) {
    level = Level(true, key_threshold);
    findWord(level, bitsOf(push.cols - 1u), needed, word);
    col_threshold = push.cols - 1u - word;
  }
  barrier();
  gather(piece, key_threshold, col_threshold);
  if (PIECES) return;
  barrier();
  storeList();
}
