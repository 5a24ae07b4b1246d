// Reference of NIB_OP_APPEND.
#include "numerics/float_bits.h"
#include "reference/reference.h"

namespace nib {
namespace {

// A row of a quantized cache: the blob of one row that NIB_OP_QUANTIZE makes.
void quantizeRow(const NibAppendDesc& desc, const CacheRow& row, const void* source, void* cache, uint64_t index) {
  NibQuantizeDesc quantize{NIB_OP_QUANTIZE, sizeof(NibQuantizeDesc)};
  quantize.rows = 1;
  quantize.cols = desc.cols;
  quantize.source_type = desc.source_type;
  quantize.weights = desc.cache;
  NibMemory memory{sizeof(NibMemory)};
  setPart(&memory, NIB_PART_CODES, 0, row.g.codes_bytes);
  setPart(&memory, NIB_PART_SCALES, uint64_t(row.scalesWord()) * 4, row.g.scales_bytes);
  setPart(&memory, NIB_PART_ZEROS, uint64_t(row.zerosWord()) * 4, row.g.zeros_bytes);
  NibCpuBinding binding{sizeof(NibCpuBinding)};
  binding.range[NIB_ROLE_WEIGHTS].data = cacheParts(row, cache, index).codes;
  binding.range[NIB_ROLE_INPUT].data = const_cast<void*>(source);
  quantizeReference(quantize, HostRun{memory, binding, 1, 0, nullptr});
}

}  // namespace

void appendReference(const NibAppendDesc& desc, const AppendStrides& strides, const HostRun& run) {
  const auto part = [&](NibRole role, NibPart which) { return partOf<void>(run.memory, run.binding, role, which); };
  const uint32_t* indices = static_cast<const uint32_t*>(part(NIB_ROLE_INPUT, NIB_PART_INDICES));
  const void* source = part(NIB_ROLE_INPUT, NIB_PART_SOURCE);
  void* cache = part(NIB_ROLE_OUTPUT, NIB_PART_RESULT);
  const uint32_t type = desc.cache.scale_type;

  auto body = [&](uint32_t token) {
    if (indices[token] >= desc.cache_rows) return;
    const uint64_t from = uint64_t(token) * strides.source, to = uint64_t(indices[token]) * strides.cache;
    if (desc.cache.format != NIB_FORMAT_DENSE) {
      const uint8_t* row = static_cast<const uint8_t*>(source) + from * typeBytes(desc.source_type);
      return quantizeRow(desc, strides.row, row, cache, indices[token]);
    }
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
