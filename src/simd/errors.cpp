// Sums of errors: the reference's bytes. A tile's elements are brought to fp32, non-finite pairs as zeros.
#include "formats/geometry.h"
#include "simd/fast_kernels.h"
#include "simd/rows.h"
#include "simd/run.h"

#include <algorithm>

namespace nib::simd {
namespace {

static_assert(kErrorElements == NIB_ERROR_TILE);

struct Matrix {
  const void* data;
  uint32_t type;
  uint64_t stride;

  // `count` elements from `index` on, across the ends of rows, and zeros up to a multiple of kCodeLanes.
  void load(uint64_t index, uint32_t count, uint32_t cols, float* to) const {
    uint64_t row = index / cols;
    uint32_t col = uint32_t(index % cols);
    for (uint32_t done = 0; done < count; ++row, col = 0) {
      const uint32_t here = std::min(count - done, cols - col);
      loadPiece(data, type, row * stride + col, here, to + done);
      done += here;
    }
  }
};

// The largest exponent carries into the sign bit.
bool allFinite(const float* x, const float* y) {
  uint32_t any = 0;
  for (uint32_t i = 0; i < NIB_ERROR_TILE; ++i) {
    any |= exact::magnitudeOf(exact::bitsOf(x[i])) + 0x00800000u;
    any |= exact::magnitudeOf(exact::bitsOf(y[i])) + 0x00800000u;
  }
  return any >> 31 == 0;
}

void makeTile(const Matrix& reference, const Matrix& candidate, uint32_t cols, uint64_t first, uint32_t count,
              NibErrorTile* out) {
  alignas(64) float x[NIB_ERROR_TILE + kCodeLanes], y[NIB_ERROR_TILE + kCodeLanes];
  reference.load(first, count, cols, x);
  candidate.load(first, count, cols, y);
  for (uint32_t i = count; i < NIB_ERROR_TILE; ++i) x[i] = y[i] = 0.0f;
  NibErrorTile tile{};
  const bool finite = allFinite(x, y);
  for (uint32_t i = 0; !finite && i < count; ++i) {
    if (!exact::nibIsNonFinite(exact::bitsOf(x[i])) && !exact::nibIsNonFinite(exact::bitsOf(y[i]))) continue;
    ++tile.nonfinite_count;
    x[i] = y[i] = 0.0f;
  }
  tile.finite_count = count - tile.nonfinite_count;
  ErrorSums sums;
  kernels().sumErrors(x, y, &sums);
  tile.max_error = sums.max_error;
  tile.max_error_index = sums.max_error_index == UINT32_MAX ? UINT32_MAX : uint32_t(first + sums.max_error_index);
  tile.max_reference = exact::floatOf(sums.max_reference);
  tile.max_candidate = exact::floatOf(sums.max_candidate);
  float(*const to[6])[2] = {&tile.error_squares,     &tile.error_magnitudes, &tile.reference_squares,
                            &tile.candidate_squares, &tile.products,         &tile.reference_magnitudes};
  for (uint32_t s = 0; s < 6; ++s) std::copy(sums.sum[s], sums.sum[s] + 2, *to[s]);
  *out = tile;
}

Outcome runErrors(const NibErrorsDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                  const NibParallelFor& parallel) {
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  if (kernels().sumErrors == nullptr || run.n == 0 || !isValid(op, binding, run, desc.rows)) {
    return Outcome::kUnsupported;
  }
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (!moveOperands(op, binding, run, &memory, &moved)) return Outcome::kUnsupported;
  const Matrix reference{nib::partOf<void>(memory, moved, NIB_ROLE_INPUT, NIB_PART_REFERENCE), desc.reference_type,
                         desc.reference_stride != 0 ? desc.reference_stride : desc.cols};
  const Matrix candidate{nib::partOf<void>(memory, moved, NIB_ROLE_INPUT, NIB_PART_CANDIDATE), desc.candidate_type,
                         desc.candidate_stride != 0 ? desc.candidate_stride : desc.cols};
  NibErrorTile* tiles = static_cast<NibErrorTile*>(moved.range[NIB_ROLE_OUTPUT].data);
  const uint64_t elements = uint64_t(run.n) * desc.cols;
  forEach(parallel, uint32_t(ceilDiv(elements, NIB_ERROR_TILE)), [&](uint32_t index) {
    const uint64_t first = uint64_t(index) * NIB_ERROR_TILE;
    makeTile(reference, candidate, desc.cols, first, uint32_t(std::min<uint64_t>(NIB_ERROR_TILE, elements - first)),
             tiles + index);
  });
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(errors, NIB_OP_ERRORS, NibErrorsDesc, runErrors)

}  // namespace nib::simd
