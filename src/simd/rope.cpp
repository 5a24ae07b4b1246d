// Rotary embedding: the reference's bytes. Pieces with products that floats round otherwise are left to its arithmetic.
#include <algorithm>

#include "formats/geometry.h"
#include "numerics/float_bits.h"
#include "simd/fast_kernels.h"
#include "simd/rows.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

constexpr uint32_t kMostPairs = 256;

// One head; pairs are separate arrays of a multiple of kCodeLanes elements. Results are other arrays.
void rotate(const float* x, const float* y, const float* cosine, const float* sine, uint32_t count, float* first,
            float* second) {
  if (kernels().rotatePairs(x, y, cosine, sine, count, first, second)) return;
  const auto product = [](float a, float b) { return exact::nibProductBits(exact::bitsOf(a), exact::bitsOf(b)); };
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t taken = product(y[i], sine[i]) ^ exact::kSignBit;
    first[i] = exact::floatOf(exact::nibSumBits(product(x[i], cosine[i]), taken));
    second[i] = exact::floatOf(exact::nibSumBits(product(y[i], cosine[i]), product(x[i], sine[i])));
  }
}

Outcome runRope(const NibRopeDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                const NibParallelFor& parallel) {
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  const uint32_t rotary = desc.rotary_size != 0 ? desc.rotary_size : desc.head_size, pairs = rotary / 2;
  NibMemory memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (kernels().rotatePairs == nullptr || run.n == 0 || pairs > kMostPairs || desc.head_size > kPiece ||
      !isValid(op, binding, run, desc.tokens) || !moveOperands(op, binding, run, &memory, &moved)) {
    return Outcome::kUnsupported;
  }
  const uint32_t cols = desc.heads * desc.head_size;
  const uint64_t source_stride = desc.source_stride != 0 ? desc.source_stride : cols;
  const uint64_t result_stride = desc.result_stride != 0 ? desc.result_stride : cols;
  const void* source = nib::partOf<void>(memory, moved, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  const uint32_t* indices = nib::partOf<uint32_t>(memory, moved, NIB_ROLE_INPUT, NIB_PART_INDICES);
  const float* table = nib::partOf<float>(memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_TABLE);
  void* result = nib::partOf<void>(memory, moved, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  const bool interleaved = (desc.flags & NIB_ROPE_INTERLEAVED) != 0;
  const uint32_t lanes = uint32_t(alignUp(pairs, kCodeLanes));
  forEach(parallel, run.n, [&](uint32_t token) {
    alignas(64) float cosine[kMostPairs] = {}, sine[kMostPairs] = {}, x[kMostPairs] = {}, y[kMostPairs] = {};
    alignas(64) float first[kMostPairs], second[kMostPairs];
    alignas(64) float head[kPiece + kCodeLanes];
    const float* row = table + uint64_t(std::min(indices[token], desc.positions - 1)) * rotary;
    for (uint32_t i = 0; i < pairs; ++i) {
      cosine[i] = row[2 * i];
      sine[i] = row[2 * i + 1];
    }
    kernels().canonicalize(cosine, pairs);
    kernels().canonicalize(sine, pairs);
    for (uint32_t h = 0; h < desc.heads; ++h) {
      const uint64_t from = token * source_stride + uint64_t(h) * desc.head_size;
      const uint64_t to = (uint64_t(run.first_row) + token) * result_stride + uint64_t(h) * desc.head_size;
      loadPiece(source, desc.source_type, from, desc.head_size, head);
      kernels().canonicalize(head, desc.head_size);
      const uint32_t step = interleaved ? 2 : 1, apart = interleaved ? 1 : pairs;
      for (uint32_t i = 0; i < pairs; ++i) {
        x[i] = head[i * step];
        y[i] = head[i * step + apart];
      }
      rotate(x, y, cosine, sine, lanes, first, second);
      for (uint32_t i = 0; i < pairs; ++i) {
        head[i * step] = first[i];
        head[i * step + apart] = second[i];
      }
      storePiece(head, desc.head_size, result, desc.result_type, to);
    }
  });
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(rope, NIB_OP_ROPE, NibRopeDesc, runRope)

}  // namespace nib::simd
