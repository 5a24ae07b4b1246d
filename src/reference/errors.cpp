// Reference of NIB_OP_ERRORS. The order of the sums defines the result; shaders/ops/errors.comp describes it.
#include <cstring>

#include "numerics/pairs.h"
#include "reference/reference.h"

namespace nib {
namespace {

using exact::Pair;

constexpr uint32_t kLeafElements = 8;
constexpr uint32_t kPartialSums = 4;  // of a leaf: elements i and i + 4
constexpr uint32_t kLeavesOfNode = 8;
constexpr uint32_t kNodes = NIB_ERROR_TILE / kLeafElements / kLeavesOfNode;

enum Sum {
  kErrorSquares,
  kErrorMagnitudes,
  kReferenceSquares,
  kCandidateSquares,
  kProducts,
  kReferenceMagnitudes,
  kSums
};

// A pair x, y of finite values. All zeros if a value is not finite, or past the end of the matrix.
struct Element {
  uint32_t x = 0, y = 0;    // magnitudes
  bool opposite = false;    // x and y have different signs
  uint32_t difference = 0;  // |x - y| * 2^64 rounded to 24 bits, with 9 exponent bits
  uint32_t rest = 0;        // magnitude of the rounding error, likewise
  bool rest_negative = false;
};

// The pattern with `shift` added to its exponent. Zero stays zero; results below the exponent field `least` become
// zero.
uint32_t shifted(uint32_t bits, int shift, int least) {
  const int exponent = int(bits >> 23) + shift;
  if (bits == 0 || exponent < least) return 0;
  return uint32_t(exponent) << 23 | (bits & 0x007fffffu);
}

void findDifference(Element& element) {
  uint32_t large = element.x > element.y ? element.x : element.y;
  uint32_t small = element.x > element.y ? element.y : element.x;
  // Scaled so that the difference and its rounding error are normal numbers.
  const bool upper = large >= exact::bitsOf(1.0f);
  const int scale = upper ? -2 : 64;
  const float a = exact::floatOf(shifted(large, scale, 1)), b = exact::floatOf(shifted(small, scale, 1));
  const float addend = element.opposite ? b : -b;
  const float sum = a + addend;
  const float rest = addend - (sum - a);
  const int unit = upper ? 66 : 0;
  element.difference = shifted(exact::magnitudeOf(exact::bitsOf(sum)), unit, 1);
  element.rest = shifted(exact::magnitudeOf(exact::bitsOf(rest)), unit, 1);
  element.rest_negative = rest < 0.0f;
}

struct Operand {
  const void* data;
  uint32_t type, stride;
  uint32_t at(uint64_t row, uint64_t col) const { return loadDense(data, type, row * stride + col); }
};

// Shifts of exponents that bring the tile's largest values into [2^30, 2^31).
struct Scaling {
  int difference, x, y;
};

// An element's term in each sum, scaled.
void termsOf(const Element& element, const Scaling& scaling, Pair (&terms)[kSums]) {
  constexpr int kLeast = 127 - 40, kLeastRest = 127 - 63;
  const float difference = exact::floatOf(shifted(element.difference, scaling.difference, kLeast));
  float rest = exact::floatOf(shifted(element.rest, scaling.difference, kLeastRest));
  if (difference == 0.0f) rest = 0.0f;
  if (element.rest_negative) rest = -rest;
  const float x = exact::floatOf(shifted(element.x, scaling.x, kLeast));
  const float y = exact::floatOf(shifted(element.y, scaling.y, kLeast));
  terms[kErrorSquares] = exact::pairProduct(difference, difference);
  terms[kErrorSquares].low += (difference + difference) * rest;
  terms[kErrorMagnitudes] = {difference, rest};
  terms[kReferenceSquares] = exact::pairProduct(x, x);
  terms[kCandidateSquares] = exact::pairProduct(y, y);
  terms[kProducts] = exact::pairProduct(x, element.opposite ? -y : y);
  terms[kReferenceMagnitudes] = {x, 0.0f};
}

void leafSums(const Element* elements, const Scaling& scaling, Pair (&sums)[kSums]) {
  Pair terms[kLeafElements][kSums];
  for (uint32_t i = 0; i < kLeafElements; ++i) termsOf(elements[i], scaling, terms[i]);
  for (uint32_t s = 0; s < kSums; ++s) {
    Pair part[kPartialSums];
    for (uint32_t i = 0; i < kPartialSums; ++i) part[i] = exact::pairAdd(terms[i][s], terms[i + kPartialSums][s]);
    sums[s] = exact::normalized(exact::pairAdd(exact::pairAdd(part[0], part[1]), exact::pairAdd(part[2], part[3])));
  }
}

// first: sums is empty.
void addSums(Pair (&sums)[kSums], const Pair (&more)[kSums], bool first) {
  for (uint32_t s = 0; s < kSums; ++s) sums[s] = first ? more[s] : exact::normalized(exact::pairAdd(sums[s], more[s]));
}

// Not every device keeps the sign of zero, so zero is stored as +0.
void store(float (&to)[2], Pair sum) {
  to[0] = sum.high == 0.0f ? 0.0f : sum.high;
  to[1] = sum.low == 0.0f ? 0.0f : sum.low;
}

void makeTile(const Operand& reference, const Operand& candidate, uint32_t cols, uint64_t first, uint64_t end,
              NibErrorTile* out) {
  Element elements[NIB_ERROR_TILE];
  NibErrorTile tile{};
  tile.max_error_index = UINT32_MAX;
  uint32_t largest_x = 0, largest_y = 0;
  for (uint64_t index = first; index < end; ++index) {
    const uint32_t x = reference.at(index / cols, index % cols), y = candidate.at(index / cols, index % cols);
    if (exact::nibIsNonFinite(x) || exact::nibIsNonFinite(y)) {
      ++tile.nonfinite_count;
      continue;
    }
    ++tile.finite_count;
    Element& e = elements[index - first];
    e.x = exact::magnitudeOf(exact::nibFlushBits(x));
    e.y = exact::magnitudeOf(exact::nibFlushBits(y));
    e.opposite = exact::signOf(x) != exact::signOf(y);
    findDifference(e);
    if (e.difference > tile.max_error) {
      tile.max_error = e.difference;
      tile.max_error_index = uint32_t(index);
    }
    if (e.x > largest_x) largest_x = e.x;
    if (e.y > largest_y) largest_y = e.y;
  }
  tile.max_reference = exact::floatOf(largest_x);
  tile.max_candidate = exact::floatOf(largest_y);

  // 157 is the exponent field of 2^30.
  const Scaling scaling{157 - int(tile.max_error >> 23), 157 - int(largest_x >> 23), 157 - int(largest_y >> 23)};
  Pair total[kSums];
  for (uint32_t node = 0; node < kNodes; ++node) {
    Pair node_sums[kSums];
    for (uint32_t leaf = 0; leaf < kLeavesOfNode; ++leaf) {
      Pair leaf_sums[kSums];
      leafSums(elements + (node * kLeavesOfNode + leaf) * kLeafElements, scaling, leaf_sums);
      addSums(node_sums, leaf_sums, leaf == 0);
    }
    addSums(total, node_sums, node == 0);
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
  const Operand reference{partOf<void>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_REFERENCE),
                          desc.reference_type, desc.reference_stride != 0 ? desc.reference_stride : desc.cols};
  const Operand candidate{partOf<void>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_CANDIDATE),
                          desc.candidate_type, desc.candidate_stride != 0 ? desc.candidate_stride : desc.cols};
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
