// Groups of a row, their extents and the candidates for their scales: shared by the kernels of NIB_OP_SEARCH, which
// have declared push, COLUMNS, FLAGS, SCALE_TYPE, STATUS and WG, and included format.glsl, memory/dense.glsl,
// memory/scale_entry.glsl, workgroup/extent.glsl and memory/status.glsl.
#ifndef NIB_PRODUCTS_SCALE_TRIALS_GLSL
#define NIB_PRODUCTS_SCALE_TRIALS_GLSL

const uint kLeastSearched = 0x2b800000u;  // 2^-40
const uint kSearchedEnd = 0x53800000u;    // 2^40
const uint kNone = 0xffffffffu;

// The group of a workgroup, on which it alone works.
struct Group {
  bool live;      // false: the group is not of this run
  uint blob_row;
  uint index;     // in its row
  uint first;     // column
  uint count;
  uint start;     // element of the source
  uint element;   // row * cols + first, as a status counts
};

Group locateGroup(uint item) {
  Group g;
  uint row = item / push.run_groups;
  g.index = item - row * push.run_groups;
  g.blob_row = row;
  if (COLUMNS) {
    uint before = push.head.first_row / push.group;
    g.index += before * push.group == push.head.first_row ? before : before + 1u;
    uint end = push.head.first_row + push.head.rows;
    g.live = row < push.rows && g.index < push.groups_per_row && g.index * push.group < end;
  } else {
    g.blob_row += push.head.first_row;
    g.live = row < push.head.rows;
  }
  g.first = g.index * push.group;
  g.count = g.live ? min(push.group, push.cols - g.first) : 0u;
  g.start = row * push.stride + g.first;
  g.element = row * push.cols + g.first;
  return g;
}

// fp32 bits of p * the value of `bits`; below 2^-126 they are 0.
uint shrunk(float p, uint bits) {
  precise float product = p * uintBitsToFloat(bits);
  return nibFlushBits(floatBitsToUint(product));
}

// The scale of candidate `index` for a group of this extent: {min, max, absmax}.
NibFound candidate(uvec3 extent, uint index) {
  precise float below = float(index) * push.step;
  precise float p = 1.0 - below;
  return nibFindScale(shrunk(p, extent.x), shrunk(p, extent.y), shrunk(p, extent.z), FLAGS, SCALE_TYPE);
}

// Four codes, each with a scale of its own.
struct Trial {
  NibEncoder encoder;
  uvec4 bound;
  NibDecoder decoder;
};

Trial makeTrial(uvec4 rcp_bits, uvec4 scale_bits, ivec4 zero) {
  Trial t;
  t.encoder = nibMakeEncoder(rcp_bits, zero, FLAGS);
  t.bound = nibEncoderBound(rcp_bits);
  t.decoder = nibMakeDecoder(scale_bits, zero);
  return t;
}

// x - q.
vec4 differences(vec4 x, Trial t) {
  ivec4 code = nibEncode4(nibBounded(x, t.bound), t.encoder);
  precise vec4 rest = x - uintBitsToFloat(nibDecode4(code, t.decoder));
  return rest;
}

// fp32 bits {min, max, absmax} of the group; zeros if an element is not finite.
uvec3 groupExtent(Group g) {
  NibReduced extent = nibEmptyExtent();
  uint first = kNone;
  for (uint i = gl_LocalInvocationIndex; i < g.count; i += WG) {
    uint bits = nibLoadOne(g.start + i, push.head.delta1);
    if (nibIsBeyond(bits)) {
      ++extent.count;
      first = min(first, i);
    } else {
      uint key = nibKey(bits);
      extent.low = min(extent.low, key);
      extent.high = max(extent.high, key);
    }
  }
  if (STATUS && extent.count != 0u) nibCountNonFinite(extent.count, g.element + first);
  extent = nibWorkgroupReduce(extent);
  return extent.count == 0u ? nibExtentBits(extent) : uvec3(0u);
}

// Stores the scale of the invocation whose `least` is the smallest, of several the one with the smallest `best`.
void storeBest(Group g, uint least, uint best, NibFound found) {
  NibReduced all = nibWorkgroupReduce(NibReduced(least, 0u, 0u));
  NibReduced winner = nibWorkgroupReduce(NibReduced(least == all.low ? best : kNone, 0u, 0u));
  if (best != winner.low) return;
  if (STATUS && found.saturated) nibCountSaturated();
  found.stored ^= kFault;
  nibStoreFound(g.blob_row, g.index, found, push.head.delta0);
}

#endif
