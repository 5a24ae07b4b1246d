// Hadamard transforms: a block per call, in fp32.
#include <atomic>

#include "ops/hadamard_shape.h"
#include "simd/fast_kernels.h"
#include "simd/rows.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

// The entries of the matrix across the first axis; NULL if it has the order 1, or if memory is lacking.
std::unique_ptr<float[]> entriesOf(const hadamard::Matrix& matrix) {
  if (matrix.order == 1) return nullptr;
  std::unique_ptr<float[]> list = allocate<float>(size_t(matrix.order) * matrix.order);
  const hadamard::Entries entries(matrix);
  for (uint32_t row = 0; list != nullptr && row < matrix.order; ++row) {
    for (uint32_t col = 0; col < matrix.order; ++col)
      list[row * size_t(matrix.order) + col] = float(entries.at(row, col));
  }
  return list;
}

Outcome runHadamard(const NibHadamardDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                    const NibParallelFor& parallel) {
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  HadamardShape shape;
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (kernels().butterflies == nullptr || run.n == 0 || makeHadamardShape(desc, Log(), &shape) != NIB_SUCCESS ||
      !isValid(op, binding, run, desc.rows) || !moveOperands(op, binding, run, &memory, &moved)) {
    return Outcome::kUnsupported;
  }
  const uint32_t size = shape.size, order = shape.matrix.order, length = size / order, blocks = desc.cols / size;
  const std::unique_ptr<float[]> entries = entriesOf(shape.matrix);
  if ((entries == nullptr && order > 1) || uint64_t(run.n) * blocks > UINT32_MAX) return Outcome::kUnsupported;
  const void* source = nib::partOf<void>(memory, moved, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  void* result = nib::partOf<void>(memory, moved, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  const uint32_t* signs = nib::partOf<uint32_t>(memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_SIGNS);
  std::atomic<bool> failed{false};
  forEach(parallel, run.n * blocks, [&](uint32_t item) {
    const uint32_t row = item / blocks, first = item % blocks * size;
    const size_t room = size + kCodeLanes;
    const std::unique_ptr<float[]> own = allocate<float>(2 * room);
    if (own == nullptr) {
      failed = true;
      return;
    }
    float *x = own.get(), *y = x + room;
    loadPiece(source, desc.source_type, uint64_t(row) * shape.source_stride + first, size, x);
    for (uint32_t i = 0; signs != nullptr && i < size; ++i) {
      x[i] = exact::floatOf(exact::bitsOf(x[i]) ^ exact::signOf(signs[first + i]));
    }
    kernels().butterflies(x, size, length);
    if (order > 1) {
      kernels().multiplySigns(entries.get(), order, x, length, y);
      std::swap(x, y);
    }
    for (uint32_t i = 0; i < size; ++i) x[i] *= shape.factor;
    kernels().canonicalize(x, size);
    storePiece(x, size, result, desc.result_type, (uint64_t(run.first_row) + row) * shape.result_stride + first);
  });
  return failed ? Outcome::kNoMemory : Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(hadamard, NIB_OP_HADAMARD, NibHadamardDesc, runHadamard)

}  // namespace nib::simd
