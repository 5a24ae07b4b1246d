// Reference of NIB_OP_HADAMARD.
#include "numerics/hadamard.h"

#include "reference/reference.h"

namespace nib {
namespace {

void butterflies(float* x, uint32_t size, uint32_t length) {
  for (uint32_t gap = 1; gap < length; gap *= 2) {
    for (uint32_t i = 0; i < size; ++i) {
      if (i & gap) continue;
      const float a = x[i], b = x[i + gap];
      x[i] = a + b;
      x[i + gap] = a - b;
    }
  }
}

// Across the first axis of x as [order, length].
void multiply(float* x, const hadamard::Entries& entries, uint32_t order, uint32_t length) {
  for (uint32_t col = 0; col < length; ++col) {
    float column[hadamard::kMostOrder];
    for (uint32_t j = 0; j < order; ++j) column[j] = x[j * size_t(length) + col];
    for (uint32_t k = 0; k < order; ++k) {
      float sum = 0;
      for (uint32_t j = 0; j < order; ++j) sum += float(entries.at(k, j)) * column[j];
      x[k * size_t(length) + col] = sum;
    }
  }
}

}  // namespace

void hadamardReference(const NibHadamardDesc& desc, const HadamardShape& shape, const HostRun& run) {
  const void* source = partOf<void>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  void* result = partOf<void>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  const uint32_t* signs = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_WEIGHTS, NIB_PART_SIGNS);
  float* scratch = partOf<float>(run.memory, run.binding, NIB_ROLE_AUX, NIB_PART_SCRATCH);
  const hadamard::Entries entries(shape.matrix);
  const uint32_t order = shape.matrix.order, length = shape.size / order;
  auto transformRow = [&](uint32_t row) {
    float kept[kHadamardKept];
    const uint64_t to = (uint64_t(run.first_row) + row) * shape.result_stride;
    for (uint32_t first = 0; first < desc.cols; first += shape.size) {
      float* x = shape.size <= kHadamardKept ? kept : scratch + uint64_t(row) * desc.cols + first;
      for (uint32_t i = 0; i < shape.size; ++i) {
        const uint32_t bits = loadDense(source, desc.source_type, uint64_t(row) * shape.source_stride + first + i);
        x[i] = exact::floatOf(signs != nullptr ? bits ^ exact::signOf(signs[first + i]) : bits);
      }
      butterflies(x, shape.size, length);
      if (order > 1) multiply(x, entries, order, length);
      for (uint32_t i = 0; i < shape.size; ++i) {
        const uint32_t bits = exact::nibFlushBits(exact::bitsOf(x[i] * shape.factor));
        storeDense(result, desc.result_type, to + first + i, bits);
      }
    }
  };
  reference::forEach(run.parallel, run.n, transformRow);
}

}  // namespace nib
