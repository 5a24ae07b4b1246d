// Scale search: the reference, with the errors of sixteen candidates computed at a time. An element is quantized by the
// format's operations in the reference's order, so the bytes are the same.
#include "ops/search_shape.h"
#include "simd/fast_kernels.h"
#include "simd/kernels.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

constexpr uint32_t kMostSteps = NIB_SEARCH_MAX_STEPS;
constexpr uint32_t kOne = 0x3f800000u, kLeastKey = 0x36000000u, kMostKey = 0xca000000u;  // keys beyond -2^20 and 2^20
static_assert(kMostSteps % kScaleLanes == 0);

struct Codes {
  const Geometry& g;
  const NibWeights& weights;
  enum { kNone, kIntegers, kFloats, kTable } kind = kNone;
  FloatCodes floats{};
  static constexpr uint32_t kMostValues = 16;
  float bound[kMostValues], value[kMostValues];
  uint32_t values = 0;

  Codes(const Geometry& geometry, const NibWeights& w) : g(geometry), weights(w) {
    const NibFormatInfo& info = g.format->info;
    if (info.weights_flags & NIB_WEIGHTS_ASYMMETRIC) {
      kind = kIntegers;
    } else if (info.bits == 8) {
      makeFloats();
    } else if (info.bits <= 4) {
      makeTable();
    }
  }

  // Values in units of the scale.
  static constexpr StoredScale kUnit{kOne, 0, false, kOne};
  float valueOf(uint32_t code) const { return exact::floatOf(g.format->decode(code, kUnit, weights)); }
  // The value of a quotient's code.
  float valueAt(uint32_t key) const { return valueOf(g.format->encode(exact::nibUnkey(key), kUnit, weights, true)); }

  // Code 1 is the smallest denormal number. The ulp doubles after the first 2^(m + 1) codes, with m bits of mantissa.
  void makeFloats() {
    const float ulp = valueOf(1);
    uint32_t m = 1;
    while (m < 7 && valueOf((2u << m) + 1u) == float((2u << m) + 1u) * ulp) ++m;
    if (m == 7) return;
    kind = kFloats;
    floats = {23 - m, float(1u << m) * ulp, 0x1p23f * ulp, valueAt(kMostKey)};
  }

  // Values rise with the quotient. Bounds are the last quotients of each value.
  void makeTable() {
    uint32_t at = kLeastKey;
    for (values = 0; values < kMostValues; ++values) {
      value[values] = valueAt(at);
      uint32_t same = at, end = kMostKey;  // the last key known to have the value, and one before which it ends
      while (end - same > 1) {
        const uint32_t middle = same + (end - same) / 2;
        (valueAt(middle) == value[values] ? same : end) = middle;
      }
      if (end == kMostKey) {
        ++values;
        kind = kTable;
        return;
      }
      bound[values] = exact::floatOf(exact::nibUnkey(same));
      at = end;
    }
  }

  void add(const float* x, uint32_t count, ScaleCandidates* candidates) const {
    float padded[kScalePiece] = {};
    for (uint32_t i = 0; i < count; ++i) padded[i] = x[i];
    const uint32_t quads = (count + 3) / 4 * 4;  // zeros have no error
    // Scales after the last one are 0; their sums are ignored.
    float scale[kMostSteps], reciprocal[kMostSteps];
    const uint32_t lanes = (candidates->count + kScaleLanes - 1) / kScaleLanes * kScaleLanes;
    for (uint32_t c = 0; c < lanes; ++c) {
      scale[c] = c < candidates->count ? exact::floatOf(candidates->scale[c].scale_bits) : 0.0f;
      reciprocal[c] = c < candidates->count ? exact::floatOf(candidates->scale[c].rcp_bits) : 0.0f;
      for (uint32_t k = 0; c >= candidates->count && k < 4; ++k) candidates->sum[k][c] = 0;
    }
    const ScaleTrials trials{
        lanes, scale, reciprocal, {candidates->sum[0], candidates->sum[1], candidates->sum[2], candidates->sum[3]}};
    if (kind == kFloats) return kernels().tryFloats(padded, quads, floats, trials);
    if (kind == kTable) return kernels().tryTable(padded, quads, {values - 1, bound, value}, trials);
    float low[kMostSteps], high[kMostSteps];
    const bool narrow = (weights.flags & (NIB_WEIGHTS_NARROW | NIB_WEIGHTS_ASYMMETRIC)) == NIB_WEIGHTS_NARROW;
    const float levels = float((1u << g.format->info.bits) - 1u);
    for (uint32_t c = 0; c < lanes; ++c) {
      const float zero = c < candidates->count ? float(candidates->scale[c].zero) : 0.0f;
      low[c] = (narrow ? 1.0f : 0.0f) - zero;
      high[c] = levels - zero;
    }
    kernels().tryIntegers(padded, quads, {low, high}, trials);
  }
};

Outcome runSearch(const NibSearchDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                  const NibParallelFor& parallel) {
  SearchShape shape;
  if (run.n == 0 || makeSearchShape(desc, Log(), &shape) != NIB_SUCCESS) return Outcome::kUnsupported;
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  const uint32_t all = (desc.flags & NIB_SEARCH_COLUMNS) != 0 ? desc.cols : desc.rows;
  const bool flat = (desc.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  if (run.n > shape.most || (flat && run.n != all) || !isValid(op, binding, run, all)) return Outcome::kUnsupported;
  const Codes codes(shape.g, desc.weights);
  if (codes.kind == Codes::kNone) return Outcome::kUnsupported;
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (!moveOperands(op, binding, run, &memory, &moved)) return Outcome::kUnsupported;
  const HostRun host{memory, moved, run.n, run.first_row, &parallel};
  const ScaleErrors errors{[](const void* user, const float* x, uint32_t count, ScaleCandidates* candidates) {
                             static_cast<const Codes*>(user)->add(x, count, candidates);
                           },
                           &codes};
  searchReference(desc, shape, host, &errors);
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(search, NIB_OP_SEARCH, NibSearchDesc, runSearch)

}  // namespace nib::simd
