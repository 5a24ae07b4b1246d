// Reference of NIB_OP_APPEND.
#include "numerics/float_bits.h"
#include "reference/reference.h"

namespace nib {

void appendReference(const NibAppendDesc& desc, const AppendStrides& strides, const HostRun& run) {
  const auto part = [&](NibRole role, NibPart which) { return partOf<void>(run.memory, run.binding, role, which); };
  const uint32_t* indices = static_cast<const uint32_t*>(part(NIB_ROLE_INPUT, NIB_PART_INDICES));
  const void* source = part(NIB_ROLE_INPUT, NIB_PART_SOURCE);
  void* cache = part(NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  const uint32_t type = desc.cache.scale_type;

  auto body = [&](uint32_t token) {
    if (indices[token] >= desc.cache_rows) return;
    const uint64_t from = uint64_t(token) * strides.source, to = uint64_t(indices[token]) * strides.cache;
    for (uint32_t col = 0; col < desc.cols; ++col) {
      const uint32_t bits = loadDense(source, desc.source_type, from + col);
      storeDense(cache, type, to + col, exact::nibCanonicalBits(bits));
    }
    // The unused half of the last word is 0.
    if (type != NIB_TYPE_F32 && desc.cols % 2 != 0) storeDense(cache, type, to + desc.cols, 0);
  };
  reference::forEach(run.parallel, run.n, body);
}

}  // namespace nib
