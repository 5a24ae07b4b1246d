// Reference of NIB_OP_ERRORS. The order of the sums is the result's definition: shaders/ops/errors.comp tells it.
#include <cstring>

#include "reference/reference.h"
#include "numerics/pairs.h"

namespace nib {
namespace {

using exact::Pair;

constexpr uint32_t kLeafElements = 8;
constexpr uint32_t kStrands = 4;
constexpr uint32_t kLeavesOfNode = 8;
constexpr uint32_t kNodes = NIB_ERROR_TILE / kLeafElements / kLeavesOfNode;

enum Sum { kErrorSquares, kErrorMagnitudes, kReferenceSquares, kCandidateSquares, kProducts, kReferenceMagnitudes, kSums };

// A pair of finite values. Zeros stand for what is left out.
struct Met {
  uint32_t x = 0, y = 0;     // magnitudes
  bool opposite = false;     // in sign
  uint32_t difference = 0;   // |x - y| * 2^64 rounded to 24 bits, with 9 exponent bits
  uint32_t rest = 0;         // magnitude of what that left, likewise
  bool rest_negative = false;
};

// The pattern with `add` more in its exponent field; 0 stays 0, and what falls below the field `least` becomes it.
uint32_t shifted(uint32_t bits, int add, int least) {
  const int exponent = int(bits >> 23) + add;
  if (bits == 0 || exponent < least) return 0;
  return uint32_t(exponent) << 23 | (bits & 0x007fffffu);
}

void findDifference(Met& met) {
  uint32_t large = met.x > met.y ? met.x : met.y;
  uint32_t small = met.x > met.y ? met.y : met.x;
  // Scaled so that neither the difference nor what it leaves is denormal or infinite.
  const bool upper = large >= exact::bitsOf(1.0f);
  const int scale = upper ? -2 : 64;
  const float a = exact::floatOf(shifted(large, scale, 1)), b = exact::floatOf(shifted(small, scale, 1));
  const float addend = met.opposite ? b : -b;
  const float sum = a + addend;
  const float rest = addend - (sum - a);
  const int unit = upper ? 66 : 0;
  met.difference = shifted(exact::magnitudeOf(exact::bitsOf(sum)), unit, 1);
  met.rest = shifted(exact::magnitudeOf(exact::bitsOf(rest)), unit, 1);
  met.rest_negative = rest < 0.0f;
}

struct Operand {
  const void* data;
  uint32_t type, stride;
  uint32_t at(uint64_t row, uint64_t col) const { return loadDense(data, type, row * stride + col); }
};

// What an element adds to each sum, scaled by the tile's largest values.
struct Scaling {
  int difference, x, y;  // added to exponent fields
};

void termsOf(const Met& met, const Scaling& scaling, Pair (&terms)[kSums]) {
  constexpr int kLeast = 127 - 40, kLeastRest = 127 - 63;
  const float difference = exact::floatOf(shifted(met.difference, scaling.difference, kLeast));
  float rest = exact::floatOf(shifted(met.rest, scaling.difference, kLeastRest));
  if (difference == 0.0f) rest = 0.0f;
  if (met.rest_negative) rest = -rest;
  const float x = exact::floatOf(shifted(met.x, scaling.x, kLeast));
  const float y = exact::floatOf(shifted(met.y, scaling.y, kLeast));
  terms[kErrorSquares] = exact::pairProduct(difference, difference);
  terms[kErrorSquares].low += (difference + difference) * rest;
  terms[kErrorMagnitudes] = {difference, rest};
  terms[kReferenceSquares] = exact::pairProduct(x, x);
  terms[kCandidateSquares] = exact::pairProduct(y, y);
  terms[kProducts] = exact::pairProduct(x, met.opposite ? -y : y);
  terms[kReferenceMagnitudes] = {x, 0.0f};
}

void leafSums(const Met* met, const Scaling& scaling, Pair (&sums)[kSums]) {
  Pair terms[kLeafElements][kSums];
  for (uint32_t i = 0; i < kLeafElements; ++i) termsOf(met[i], scaling, terms[i]);
  for (uint32_t s = 0; s < kSums; ++s) {
    Pair strand[kStrands];
    for (uint32_t i = 0; i < kStrands; ++i) strand[i] = exact::pairAdd(terms[i][s], terms[i + kStrands][s]);
    sums[s] = exact::normalized(
        exact::pairAdd(exact::pairAdd(strand[0], strand[1]), exact::pairAdd(strand[2], strand[3])));
  }
}

void addTo(Pair (&into)[kSums], const Pair (&more)[kSums], bool first) {
  for (uint32_t s = 0; s < kSums; ++s) into[s] = first ? more[s] : exact::normalized(exact::pairAdd(into[s], more[s]));
}

// Zeros are stored without a sign.
void store(float (&to)[2], Pair sum) {
  to[0] = sum.high == 0.0f ? 0.0f : sum.high;
  to[1] = sum.low == 0.0f ? 0.0f : sum.low;
}

void makeTile(const Operand& reference, const Operand& candidate, uint32_t cols, uint64_t first, uint64_t end,
              NibErrorTile* out) {
  Met met[NIB_ERROR_TILE];
  NibErrorTile tile{};
  tile.max_error_index = UINT32_MAX;
  uint32_t largest_x = 0, largest_y = 0;
  for (uint64_t element = first; element < end; ++element) {
    const uint32_t x = reference.at(element / cols, element % cols), y = candidate.at(element / cols, element % cols);
    if (exact::nibIsNonFinite(x) || exact::nibIsNonFinite(y)) {
      ++tile.nonfinite_count;
      continue;
    }
    ++tile.finite_count;
    Met& m = met[element - first];
    m.x = exact::magnitudeOf(exact::nibFlushBits(x));
    m.y = exact::magnitudeOf(exact::nibFlushBits(y));
    m.opposite = exact::signOf(x) != exact::signOf(y);
    findDifference(m);
    if (m.difference > tile.max_error) {
      tile.max_error = m.difference;
      tile.max_error_index = uint32_t(element);
    }
    if (m.x > largest_x) largest_x = m.x;
    if (m.y > largest_y) largest_y = m.y;
  }
  tile.max_reference = exact::floatOf(largest_x);
  tile.max_candidate = exact::floatOf(largest_y);

  // The largest values come to the exponent field of 2^30.
  const Scaling scaling{157 - int(tile.max_error >> 23), 157 - int(largest_x >> 23), 157 - int(largest_y >> 23)};
  Pair total[kSums];
  for (uint32_t node = 0; node < kNodes; ++node) {
    Pair of_node[kSums];
    for (uint32_t leaf = 0; leaf < kLeavesOfNode; ++leaf) {
      Pair of_leaf[kSums];
      leafSums(met + (node * kLeavesOfNode + leaf) * kLeafElements, scaling, of_leaf);
      addTo(of_node, of_leaf, leaf == 0);
    }
    addTo(total, of_node, node == 0);
  }
  store(tile.error_squares, total[kErrorSquares]);
  store(tile.error_magnitudes, total[kErrorMagnitudes]);
  store(tile.reference_squares, total[kReferenceSquares]);
  store(tile.candidate_squares, total[kCandidateSquares]);
  store(tile.products, total[kProducts]);
  store(tile.reference_magnitudes, total[kReferenceMagnitudes]);
  *out = tile;
}

}  // namespace

void errorsReference(const NibErrorsDesc& desc, const HostRun& run) {
  const Operand reference{partOf<void>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_REFERENCE), desc.reference_type,
                          desc.reference_stride != 0 ? desc.reference_stride : desc.cols};
  const Operand candidate{partOf<void>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_CANDIDATE), desc.candidate_type,
                          desc.candidate_stride != 0 ? desc.candidate_stride : desc.cols};
  NibErrorTile* tiles = static_cast<NibErrorTile*>(run.binding.range[NIB_ROLE_OUTPUT].data);
  const uint64_t elements = uint64_t(run.n) * desc.cols;
  auto body = [&](uint32_t index) {
    const uint64_t first = uint64_t(index) * NIB_ERROR_TILE;
    const uint64_t end = first + NIB_ERROR_TILE < elements ? first + NIB_ERROR_TILE : elements;
    makeTile(reference, candidate, desc.cols, first, end, tiles + index);
  };
  reference::forEach(run.parallel, uint32_t(ceilDiv(elements, NIB_ERROR_TILE)), body);
}

}  // namespace nib
