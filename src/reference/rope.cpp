// Reference of NIB_OP_ROPE.
#include "numerics/float_bits.h"
#include "reference/reference.h"

namespace nib {
namespace {

struct Rope {
  const NibRopeDesc& desc;
  const RopeSizes& sizes;
  const uint32_t* table;
  const void* source;
  void* result;

  uint32_t load(uint64_t at) const { return exact::nibCanonicalBits(loadDense(source, desc.source_type, at)); }
  void store(uint64_t at, uint32_t bits) const { storeDense(result, desc.result_type, at, bits); }

  // The head whose elements begin at `from` and `to`, at a row of the table.
  void rotateHead(uint64_t from, uint64_t to, const uint32_t* row) const {
    const bool interleaved = (desc.flags & NIB_ROPE_INTERLEAVED) != 0;
    for (uint32_t pair = 0; pair < sizes.rotary / 2; ++pair) {
      const uint32_t first = interleaved ? pair * 2 : pair;
      const uint32_t second = interleaved ? first + 1 : pair + sizes.rotary / 2;
      const uint32_t x = load(from + first), y = load(from + second);
      const uint32_t c = exact::nibCanonicalBits(row[pair * 2]), s = exact::nibCanonicalBits(row[pair * 2 + 1]);
      const uint32_t taken = exact::nibProductBits(y, s) ^ exact::kSignBit;
      store(to + first, exact::nibSumBits(exact::nibProductBits(x, c), taken));
      store(to + second, exact::nibSumBits(exact::nibProductBits(y, c), exact::nibProductBits(x, s)));
    }
    for (uint32_t i = sizes.rotary; i < desc.head_size; ++i) store(to + i, load(from + i));
  }
};

}  // namespace

void ropeReference(const NibRopeDesc& desc, const RopeSizes& sizes, const HostRun& run) {
  const auto part = [&](NibRole role, NibPart which) { return partOf<void>(run.memory, run.binding, role, which); };
  const uint32_t* indices = static_cast<const uint32_t*>(part(NIB_ROLE_INPUT, NIB_PART_INDICES));
  const Rope rope{desc, sizes, static_cast<const uint32_t*>(part(NIB_ROLE_WEIGHTS, NIB_PART_TABLE)),
                  part(NIB_ROLE_INPUT, NIB_PART_SOURCE), part(NIB_ROLE_OUTPUT, NIB_PART_RESULT)};
  auto body = [&](uint32_t token) {
    const uint32_t position = indices[token] < desc.positions ? indices[token] : desc.positions - 1;
    const uint64_t from = uint64_t(token) * sizes.source, to = uint64_t(run.first_row + token) * sizes.result;
    for (uint32_t head = 0; head < desc.heads; ++head) {
      const uint64_t begin = uint64_t(head) * desc.head_size;
      rope.rotateHead(from + begin, to + begin, rope.table + uint64_t(position) * sizes.rotary);
    }
  };
  reference::forEach(run.parallel, run.n, body);
}

}  // namespace nib
