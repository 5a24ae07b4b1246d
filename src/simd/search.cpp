// Scale search: the reference, with the errors of sixteen candidates computed at a time. An element is quantized by the
// format's operations in the reference's order, so the bytes are the same.
#include "numerics/search_form.h"
#include "ops/search_shape.h"
#include "simd/fast_kernels.h"
#include "simd/kernels.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

constexpr uint32_t kMostSteps = NIB_SEARCH_MAX_STEPS;
constexpr uint32_t kOne = 0x3f800000u, kLeastKey = 0x36000000u, kMostKey = 0xca000000u;  // keys beyond -2^20 and 2^20
static_assert(kMostSteps % kScaleLanes == 0 && kFormSums == kScaleSums);

// H as candidates take it: for each column from `first` on, the entries from the start of its piece on.
struct Entries {
  uint32_t first = 0, end = 0;
  uint32_t span = 0;
  std::unique_ptr<float[]> values;

  const float* of(uint32_t col) const { return values.get() + size_t(col - first) * span; }
};

// The columns of the groups that a run searches.
bool makeEntries(const NibSearchDesc& d, const SearchShape& shape, const HostRun& run, Entries* out) {
  const Geometry& g = shape.g;
  const uint32_t* hessian = reference::hessianOf(run);
  if (hessian == nullptr) return true;
  out->end = g.cols;
  if (d.flags & NIB_SEARCH_COLUMNS) {
    const uint64_t first = ceilDiv(run.first_row, g.group) * g.group;
    const uint64_t end = ceilDiv(uint64_t(run.first_row) + run.n, g.group) * g.group;
    out->first = first < g.cols ? uint32_t(first) : g.cols;
    out->end = end < g.cols ? uint32_t(end) : g.cols;
  }
  if (out->first >= out->end) return true;
  out->span = g.group < kScalePiece ? g.group : kScalePiece;
  out->values = allocate<float>(size_t(out->end - out->first) * out->span);
  if (out->values == nullptr) return false;
  auto fill = [&](uint32_t index) {
    const uint32_t from = out->first + index * g.group;
    const uint32_t count = out->end - from < g.group ? out->end - from : g.group;
    const int32_t exponent = reference::hessianExponent(hessian, g.cols, from, count);
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t piece = i / kScalePiece * kScalePiece;
      float* to = out->values.get() + size_t(from + i - out->first) * out->span;
      const uint32_t* row = hessian + uint64_t(from + i) * g.cols + from + piece;
      for (uint32_t j = 0; j <= i - piece; ++j) {
        to[j] = exponent == 0 ? (j == i - piece ? 1.0f : 0.0f) : search::entry(row[j], exponent);
      }
    }
  };
  forEach(*run.parallel, uint32_t(ceilDiv(out->end - out->first, g.group)), fill);
  return true;
}

struct Codes {
  const Geometry& g;
  const NibWeights& weights;
  enum { kNone, kIntegers, kFloats, kTable } kind = kNone;
  FloatCodes floats{};
  static constexpr uint32_t kMostValues = 16;
  float bound[kMostValues], value[kMostValues];
  uint32_t values = 0;
  Entries entries;

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

  void add(const ScalePiece& piece, ScaleCandidates* candidates) const {
    if (entries.span == 0) return tryAll(piece, candidates, nullptr);
    float rests[kScalePiece * kMostSteps];
    tryAll(piece, candidates, rests);
    const uint32_t lanes = (candidates->count + kScaleLanes - 1) / kScaleLanes * kScaleLanes;
    const float unit = exact::floatOf(uint32_t(254 - piece.absmax_exponent) << 23);
    const float least = exact::floatOf(uint32_t(piece.absmax_exponent + search::kLeastError) << 23);
    FormTrials forms{piece.count, lanes, rests, least, unit, entries.of(piece.first_col), entries.span, {}};
    for (uint32_t k = 0; k < kFormSums; ++k) forms.sum[k] = candidates->sum[k];
    kernels().addForms(forms);
  }

  // Adds squared errors, or writes differences.
  void tryAll(const ScalePiece& piece, ScaleCandidates* candidates, float* rests) const {
    float padded[kScalePiece] = {};
    for (uint32_t i = 0; i < piece.count; ++i) padded[i] = piece.x[i];
    const uint32_t quads = (piece.count + 3) / 4 * 4;  // zeros have no error
    // Scales after the last one are 0; their sums are ignored.
    float scale[kMostSteps], reciprocal[kMostSteps];
    const uint32_t lanes = (candidates->count + kScaleLanes - 1) / kScaleLanes * kScaleLanes;
    for (uint32_t c = 0; c < lanes; ++c) {
      scale[c] = c < candidates->count ? exact::floatOf(candidates->scale[c].scale_bits) : 0.0f;
      reciprocal[c] = c < candidates->count ? exact::floatOf(candidates->scale[c].rcp_bits) : 0.0f;
      for (uint32_t k = 0; c >= candidates->count && k < kScaleSums; ++k) candidates->sum[k][c] = 0;
    }
    const ScaleTrials trials{lanes,
                             scale,
                             reciprocal,
                             {candidates->sum[0], candidates->sum[1], candidates->sum[2], candidates->sum[3]},
                             rests};
    if (kind == kFloats) return kernels().tryFloats(padded, quads, floats, trials);
    if (kind == kTable) return kernels().tryTable(padded, quads, {values - 1, bound, value}, trials);
    float low[kMostSteps], high[kMostSteps];
    const bool narrow = (weights.flags & (NIB_WEIGHTS_NARROW | NIB_WEIGHTS_ASYMMETRIC)) == NIB_WEIGHTS_NARROW;
    const bool four = (weights.flags & NIB_WEIGHTS_FOUR_BITS) != 0;
    const float first = (four ? 120.0f : 0.0f) + (narrow ? 1.0f : 0.0f);
    const float last = four ? 135.0f : float((1u << g.format->info.bits) - 1u);
    for (uint32_t c = 0; c < lanes; ++c) {
      const float zero = c < candidates->count ? float(candidates->scale[c].zero) : 0.0f;
      low[c] = first - zero;
      high[c] = last - zero;
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
  Codes codes(shape.g, desc.weights);
  if (codes.kind == Codes::kNone) return Outcome::kUnsupported;
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (!moveOperands(op, binding, run, &memory, &moved)) return Outcome::kUnsupported;
  const HostRun host{memory, moved, run.n, run.first_row, &parallel};
  if (!makeEntries(desc, shape, host, &codes.entries)) return Outcome::kUnsupported;
  const ScaleErrors errors{[](const void* user, const ScalePiece& piece, ScaleCandidates* candidates) {
                             static_cast<const Codes*>(user)->add(piece, candidates);
                           },
                           &codes};
  searchReference(desc, shape, host, &errors);
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(search, NIB_OP_SEARCH, NibSearchDesc, runSearch)

}  // namespace nib::simd
