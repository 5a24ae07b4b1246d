// Error measures from the tiles of NIB_OP_ERRORS. Only here does the core compute square roots and logarithms.
#include <nibble/nibble.h>
#include "base/sized.h"

#include <cmath>

namespace {

// The exponents of two that a tile's sums are scaled with: see NibErrorTile.
int exponentOfErrors(const NibErrorTile& tile) { return int(tile.max_error >> 23) - 221; }
int exponentOf(float largest) { return std::ilogb(largest) - 30; }

double valueOf(const float (&sum)[2], int exponent) { return std::ldexp(double(sum[0]) + double(sum[1]), exponent); }

double errorOf(uint32_t pattern) {
  if (pattern == 0) return 0.0;
  return std::ldexp(double((pattern & 0x007fffffu) | 0x00800000u), int(pattern >> 23) - 127 - 23 - 64);
}

void addTile(NibErrorSums* sums, const NibErrorTile& tile, uint64_t first_element) {
  sums->finite_count += tile.finite_count;
  sums->nonfinite_count += tile.nonfinite_count;
  const double error = errorOf(tile.max_error);
  if (error > sums->max_error) {
    sums->max_error = error;
    sums->max_error_index = first_element + tile.max_error_index;
  }
  if (tile.max_reference > sums->max_reference) sums->max_reference = tile.max_reference;
  if (tile.max_candidate > sums->max_candidate) sums->max_candidate = tile.max_candidate;
  if (error != 0.0) {
    sums->error_squares += valueOf(tile.error_squares, 2 * exponentOfErrors(tile));
    sums->error_magnitudes += valueOf(tile.error_magnitudes, exponentOfErrors(tile));
  }
  const bool has_x = tile.max_reference != 0.0f, has_y = tile.max_candidate != 0.0f;
  const int x = has_x ? exponentOf(tile.max_reference) : 0, y = has_y ? exponentOf(tile.max_candidate) : 0;
  if (has_x) {
    sums->reference_squares += valueOf(tile.reference_squares, 2 * x);
    sums->reference_magnitudes += valueOf(tile.reference_magnitudes, x);
  }
  if (has_y) sums->candidate_squares += valueOf(tile.candidate_squares, 2 * y);
  if (has_x && has_y) sums->products += valueOf(tile.products, x + y);
}

double cosineOf(const NibErrorSums& sums) {
  if (sums.reference_squares == 0.0 || sums.candidate_squares == 0.0) {
    return sums.reference_squares == sums.candidate_squares ? 1.0 : 0.0;
  }
  // Two square roots, because the product of the sums may overflow fp64.
  const double cosine = sums.products / std::sqrt(sums.reference_squares) / std::sqrt(sums.candidate_squares);
  return cosine > 1.0 ? 1.0 : cosine < -1.0 ? -1.0 : cosine;
}

}  // namespace

extern "C" {

void nibErrorsAdd(NibErrorSums* sums, const NibErrorTile* tiles, uint64_t count, uint64_t first_element) {
  for (uint64_t i = 0; i < count; ++i) addTile(sums, tiles[i], first_element);
}

NibResult nibErrorsFinish(const NibErrorSums* sums, NibErrors* out_errors) {
  NibErrors e{};
  e.elements = sums->finite_count;
  e.nonfinite_count = sums->nonfinite_count;
  e.max_error = sums->max_error;
  e.max_error_index = sums->max_error_index;
  e.max_reference = sums->max_reference;
  if (e.elements != 0) {
    e.mse = sums->error_squares / double(e.elements);
    e.mae = sums->error_magnitudes / double(e.elements);
  }
  const bool exact = sums->max_error == 0.0, zero = sums->max_reference == 0.0;
  e.relative_error = exact ? 0.0 : zero ? HUGE_VAL : sums->error_magnitudes / sums->reference_magnitudes;
  // A difference of logarithms, because the quotient may overflow fp64.
  e.sqnr_db = exact  ? HUGE_VAL
              : zero ? -HUGE_VAL
                     : 10.0 * (std::log10(sums->reference_squares) - std::log10(sums->error_squares));
  e.cosine = cosineOf(*sums);
  return nib::writeSized(e, out_errors) ? NIB_SUCCESS : NIB_ERROR_INVALID_ARGUMENT;
}

}  // extern "C"
