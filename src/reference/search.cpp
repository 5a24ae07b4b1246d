// Reference of NIB_OP_SEARCH.
#include "numerics/search_form.h"
#include "reference/row_scales.h"

namespace nib {
namespace {

constexpr uint32_t kLeastSearched = 0x2b800000u;  // 2^-40
constexpr uint32_t kSearchedEnd = 0x53800000u;    // 2^40
constexpr uint32_t kLeastNormal = 0x00800000u;    // 2^-126

struct Search {
  const NibSearchDesc& d;
  const SearchShape& shape;
  const HostRun& run;
  const ScaleErrors* errors;  // NULL: addErrors
  const void* source;
  const uint32_t* hessian;  // NULL: errors of the elements
  void* scales;
  void* zeros;  // NULL: none
  reference::StatusCounter* status;

  bool columns() const { return (d.flags & NIB_SEARCH_COLUMNS) != 0; }
  const Geometry& g() const { return shape.g; }
  // `row` counts from the input's first row.
  uint32_t load(uint32_t row, uint32_t col) const {
    return loadDense(source, d.source_type, uint64_t(row) * shape.source_stride + col);
  }

  reference::RowScales rowScales() const { return {g(), d.weights.scale_type, scales, zeros}; }

  // The scale of a group whose range is p times that of `stats`.
  StoredScale scaleOf(const GroupStats& stats, float p) const {
    const auto times = [&](uint32_t bits) { return exact::nibFlushBits(exact::bitsOf(p * exact::floatOf(bits))); };
    const GroupStats shrunk{times(stats.min_bits), times(stats.max_bits), times(stats.absmax_bits), 0};
    StoredScale scale = g().format->findScale(shrunk, d.weights);
    scale.rcp_bits = scale.scale_bits != 0u ? exact::nibDivBits(0x3f800000u, scale.scale_bits) : 0u;
    return scale;
  }

  void makeCandidates(const GroupStats& stats, uint32_t count, ScaleCandidates* candidates) const {
    candidates->count = count;
    for (uint32_t i = 0; i < count; ++i) {
      const float below = float(i) * shape.step;
      candidates->scale[i] = scaleOf(stats, 1.0f - below);
      for (uint32_t k = 0; k < kScaleSums; ++k) candidates->sum[k][i] = 0;
    }
  }

  float difference(float x, const StoredScale& scale) const {
    const uint32_t code = g().format->encode(exact::bitsOf(x), scale, d.weights, true);
    return x - exact::floatOf(g().format->decode(code, scale, d.weights));
  }

  void addErrors(const ScalePiece& piece, ScaleCandidates* candidates) const {
    for (uint32_t c = 0; c < candidates->count; ++c) {
      for (uint32_t i = 0; i < piece.count; ++i) {
        const float rest = difference(piece.x[i], candidates->scale[c]), square = rest * rest;
        if (exact::bitsOf(square) >= kLeastNormal) candidates->sum[i % 4][c] += square;
      }
    }
  }

  // Entries of H between the piece's columns i and j.
  float entry(const ScalePiece& piece, uint32_t i, uint32_t j) const {
    if (piece.hessian_exponent == 0) return i == j ? 1.0f : 0.0f;
    const uint64_t row = piece.first_col + i, col = piece.first_col + j;
    return search::entry(hessian[row * g().cols + col], piece.hessian_exponent);
  }

  void addForms(const ScalePiece& piece, ScaleCandidates* candidates) const {
    for (uint32_t c = 0; c < candidates->count; ++c) {
      float e[kScalePiece];
      for (uint32_t i = 0; i < piece.count; ++i) {
        e[i] = search::error(difference(piece.x[i], candidates->scale[c]), piece.absmax_exponent);
        float sum = 0;
        for (uint32_t j = 0; j < i; ++j) {
          const float product = entry(piece, i, j) * e[j];
          sum += product;
        }
        const float own = entry(piece, i, i) * e[i], both = sum + sum;
        const float t = both + own, term = e[i] * t;
        candidates->sum[i % kScaleSums][c] += term;
      }
    }
  }

  static float errorOf(const ScaleCandidates& candidates, uint32_t c, uint32_t sums) {
    float sum[kScaleSums];
    for (uint32_t k = 0; k < sums; ++k) sum[k] = candidates.sum[k][c];
    if (sums == 4) return (sum[0] + sum[1]) + (sum[2] + sum[3]);
    for (uint32_t half = sums / 2; half > 0; half /= 2) {
      for (uint32_t k = 0; k < half; ++k) sum[k] += sum[k + half];
    }
    return sum[0];
  }

  // The candidate of the least error for `count` elements from col on.
  StoredScale best(const GroupStats& stats, uint32_t row, uint32_t col, uint32_t count) const {
    ScaleCandidates candidates;
    makeCandidates(stats, shape.steps, &candidates);
    float x[kScalePiece];
    ScalePiece piece{x, 0, col, 0, 0};
    if (hessian != nullptr) {
      piece.absmax_exponent = exact::exponentFieldOf(stats.absmax_bits);
      // Faster functions have made the entries of H before.
      if (errors == nullptr) piece.hessian_exponent = reference::hessianExponent(hessian, g().cols, col, count);
    }
    for (uint32_t from = 0; from < count; from += kScalePiece) {
      piece.count = count - from < kScalePiece ? count - from : kScalePiece;
      piece.first_col = col + from;
      for (uint32_t i = 0; i < piece.count; ++i) x[i] = exact::floatOf(load(row, col + from + i));
      if (errors != nullptr) {
        errors->add(errors->user, piece, &candidates);
      } else if (hessian != nullptr) {
        addForms(piece, &candidates);
      } else {
        addErrors(piece, &candidates);
      }
      if (count - from <= kScalePiece) break;  // from + kScalePiece could pass 2^32
    }
    uint32_t least = 0;
    float least_error = 0;
    for (uint32_t i = 0; i < candidates.count; ++i) {
      const float error = errorOf(candidates, i, hessian != nullptr ? kScaleSums : 4);
      if (i == 0 || error < least_error) {
        least = i;
        least_error = error;
      }
    }
    return candidates.scale[least];
  }

  // row: of the input.
  void group(uint32_t row, uint32_t index) const {
    const uint32_t first = index * g().group;
    const uint32_t count = g().cols - first < g().group ? g().cols - first : g().group;
    reference::Extent extent;
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t bits = load(row, first + i);
      extent.add(bits);
      if (exact::nibIsNonFinite(bits)) status->nonFinite(uint64_t(row) * g().cols + first + i);
    }
    GroupStats stats{};
    if (extent.nonfinite == 0) stats = {extent.minBits(), extent.maxBits(), extent.absmaxBits(), 0};
    const bool searched = stats.absmax_bits >= kLeastSearched && stats.absmax_bits < kSearchedEnd;
    const StoredScale found = searched ? best(stats, row, first, count) : g().format->findScale(stats, d.weights);
    if (found.saturated) status->saturated();
    const uint32_t blob_row = columns() ? row : run.first_row + row;
    rowScales().save(blob_row * g().scale_row_stride + index, found);
    if (index + 1 == g().groups_per_row) rowScales().pad(blob_row);
  }

  void groupsOf(uint32_t row) const {
    if (!columns()) {
      for (uint32_t index = 0; index < g().groups_per_row; ++index) group(row, index);
      return;
    }
    const uint64_t end = uint64_t(run.first_row) + run.n;
    for (uint64_t index = ceilDiv(run.first_row, g().group); index * g().group < end; ++index)
      group(row, uint32_t(index));
  }
};

}  // namespace

int32_t reference::hessianExponent(const uint32_t* hessian, uint32_t cols, uint32_t first, uint32_t count) {
  uint32_t largest = 0;
  for (uint64_t col = first; col < uint64_t(first) + count; ++col) {
    const uint32_t bits = exact::magnitudeOf(hessian[col * cols + col]);
    largest = bits > largest ? bits : largest;
  }
  return search::hessianExponent(largest);
}

void searchReference(const NibSearchDesc& desc, const SearchShape& shape, const HostRun& run,
                     const ScaleErrors* errors) {
  reference::StatusCounter status(partOf<NibStatus>(run.memory, run.binding, NIB_ROLE_AUX, NIB_PART_STATUS));
  const uint32_t* hessian = reference::hessianOf(run);
  const Search op{desc,
                  shape,
                  run,
                  errors,
                  hessian != nullptr ? partOf<void>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_SOURCE)
                                     : run.binding.range[NIB_ROLE_INPUT].data,
                  hessian,
                  partOf<void>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_SCALES),
                  partOf<void>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_ZEROS),
                  &status};
  // FLAT: all groups belong to one row, so the groups are what threads share.
  if (desc.weights.flags & NIB_WEIGHTS_FLAT) {
    auto group = [&](uint32_t index) { op.group(0, index); };
    reference::forEach(run.parallel, run.n != 0 ? shape.g.groups_per_row : 0, group);
    return;
  }
  auto row = [&](uint32_t r) { op.groupsOf(r); };
  reference::forEach(run.parallel, op.columns() ? (run.n != 0 ? desc.rows : 0) : run.n, row);
}

}  // namespace nib
