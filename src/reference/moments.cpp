// Reference of NIB_OP_MOMENTS. The order of the sums defines the result; shaders/ops/moments.comp describes it.
#include <cstring>

#include "numerics/pairs.h"
#include "reference/reference.h"

namespace nib {
namespace {

using exact::Pair;

constexpr uint32_t kLeaf = 8, kPartialSums = 4, kNode = 64;

// x * 2^shift; results below 2^-40 become zero.
float scaled(uint32_t bits, int shift) {
  const uint32_t magnitude = exact::magnitudeOf(bits);
  const int exponent = int(magnitude >> 23) + shift;
  if (magnitude == 0 || exponent < 127 - 40) return 0.0f;
  return exact::floatOf(exact::signOf(bits) | uint32_t(exponent) << 23 | (magnitude & 0x007fffffu));
}

Pair leafSum(const Pair (&terms)[kLeaf]) {
  Pair part[kPartialSums];
  for (uint32_t i = 0; i < kPartialSums; ++i) part[i] = exact::pairAdd(terms[i], terms[i + kPartialSums]);
  return exact::normalized(exact::pairAdd(exact::pairAdd(part[0], part[1]), exact::pairAdd(part[2], part[3])));
}

// first: sum is empty.
void addTo(Pair& sum, Pair more, bool first) { sum = first ? more : exact::normalized(exact::pairAdd(sum, more)); }

// Not every device keeps the sign of zero, so zero is stored as +0.
void store(float (&to)[2], Pair sum) {
  to[0] = sum.high == 0.0f ? 0.0f : sum.high;
  to[1] = sum.low == 0.0f ? 0.0f : sum.low;
}

// element(i) returns the fp32 bits of the tile's element i < count.
template <class Element>
NibMomentTile makeTile(uint32_t count, Element&& element) {
  uint32_t finite[NIB_MOMENT_TILE] = {};  // non-finite elements and denormals as zero
  NibMomentTile tile{};
  uint32_t largest = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t bits = element(i);
    if (exact::nibIsNonFinite(bits)) {
      ++tile.nonfinite_count;
      continue;
    }
    ++tile.finite_count;
    finite[i] = exact::nibFlushBits(bits);
    if (exact::magnitudeOf(finite[i]) > largest) largest = exact::magnitudeOf(finite[i]);
  }
  tile.absmax = exact::floatOf(largest);
  const int shift = 157 - int(largest >> 23);  // brings the largest into [2^30, 2^31)
  Pair values, squares;
  for (uint32_t node = 0; node < count; node += kNode) {
    Pair node_values, node_squares;
    for (uint32_t leaf = node; leaf < node + kNode && leaf < count; leaf += kLeaf) {
      Pair leaf_values[kLeaf], leaf_squares[kLeaf];
      for (uint32_t i = 0; i < kLeaf; ++i) {
        const float x = scaled(finite[leaf + i], shift);
        leaf_values[i] = {x, 0.0f};
        leaf_squares[i] = exact::pairProduct(x, x);
      }
      addTo(node_values, leafSum(leaf_values), leaf == node);
      addTo(node_squares, leafSum(leaf_squares), leaf == node);
    }
    addTo(values, node_values, node == 0);
    addTo(squares, node_squares, node == 0);
  }
  store(tile.sum, values);
  store(tile.squares, squares);
  return tile;
}

}  // namespace

void momentsReference(const NibMomentsDesc& desc, const HostRun& run) {
  const void* source = run.binding.range[NIB_ROLE_INPUT].data;
  auto* out = static_cast<NibMomentTile*>(run.binding.range[NIB_ROLE_OUTPUT].data);
  const uint64_t stride = desc.source_stride != 0 ? desc.source_stride : desc.cols;
  const auto at = [&](uint64_t row, uint64_t col) { return loadDense(source, desc.source_type, row * stride + col); };
  if (desc.granularity == NIB_GRANULARITY_COLUMN) {
    auto body = [&](uint32_t block) {
      const uint32_t first = block * NIB_MOMENT_ROWS, left = run.n - first;
      const uint32_t count = left < NIB_MOMENT_ROWS ? left : uint32_t(NIB_MOMENT_ROWS);
      for (uint32_t col = 0; col < desc.cols; ++col) {
        out[uint64_t(block) * desc.cols + col] = makeTile(count, [&](uint32_t i) { return at(first + i, col); });
      }
    };
    reference::forEach(run.parallel, uint32_t(ceilDiv(run.n, NIB_MOMENT_ROWS)), body);
    return;
  }
  const uint64_t total = uint64_t(run.n) * desc.cols;
  auto body = [&](uint32_t tile) {
    const uint64_t first = uint64_t(tile) * NIB_MOMENT_TILE, left = total - first;
    const uint32_t count = left < NIB_MOMENT_TILE ? uint32_t(left) : uint32_t(NIB_MOMENT_TILE);
    out[tile] = makeTile(count, [&](uint32_t i) { return at((first + i) / desc.cols, (first + i) % desc.cols); });
  };
  reference::forEach(run.parallel, uint32_t(ceilDiv(total, NIB_MOMENT_TILE)), body);
}

}  // namespace nib
