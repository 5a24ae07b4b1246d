// Reference of NIB_OP_GPTQ.
#include <cstring>

#include "reference/gptq_rows.h"

namespace nib {
namespace {

struct Gptq : reference::GptqRows {
  using GptqRows::GptqRows;

  // ---------------------------------------------------------------------------------------------- LOAD
  void load(uint32_t i) const {
    uint32_t* to = rowOf(run.first_row + i);
    for (uint32_t p = 0; p < d.cols; ++p) {
      const uint32_t c = columnAt(p);
      to[p] = 0;
      if (c >= d.cols) continue;
      if (diagonal != nullptr && exact::exponentFieldOf(diagonal[c]) == 0) continue;
      const uint32_t x = loadDense(source, d.source_type, uint64_t(i) * shape.source_stride + c);
      if (gptq::isBeyond(x)) {
        status->nonFinite(uint64_t(i) * d.cols + c);
        continue;
      }
      to[p] = gptq::weightBits(x);
    }
  }

  // --------------------------------------------------------------------------------------------- STORE
  void store(uint32_t i) const {
    const uint32_t row = run.first_row + i, bits = shape.g.format->info.bits;
    const uint32_t* from = rowOf(row);
    uint32_t* words = codes + uint64_t(row) * shape.g.row_words;
    std::memset(words, 0, size_t(shape.g.row_words) * 4u);
    for (uint32_t p = 0; p < d.cols; ++p) {
      const uint32_t c = storedAt(p);
      if (c >= d.cols) continue;
      const uint64_t code = from[p] & ((1u << bits) - 1u), bit = uint64_t(c) * bits;
      words[bit / 32u] |= uint32_t(code << (bit % 32u));
      if (bit % 32u + bits > 32u) words[bit / 32u + 1u] |= uint32_t(code >> (32u - bit % 32u));
    }
  }

  // ------------------------------------------------------------------------------------------- COLUMNS
  void columns(uint32_t row) const {
    const uint32_t first = run.first_row, last = first + run.n;
    uint32_t* x = rowOf(row);
    if (finds() && has(NIB_GPTQ_PARITY)) {
      for (uint32_t p = first; p < last; ++p) {
        if (p % shape.g.group == 0) findScale(row, p);
      }
    }
    float sum = first == 0 ? 0.0f : loss[row];
    for (uint32_t p = first; p < last; ++p) {
      if (finds() && !has(NIB_GPTQ_PARITY) && p % shape.g.group == 0) findScale(row, p);
      const uint32_t* u = factor + uint64_t(p) * d.cols;
      const uint32_t difference = roundAt(x, p, shape.measures() ? StoredScale{} : scaleAt(row, p));
      const uint32_t bits = gptq::errorBits(difference, gptq::factorBits(u[p]));
      const float e = exact::floatOf(bits);
      if (shape.measures()) x[p] = bits;
      errors[uint64_t(p - first) * shape.errors_stride + row] = e;
      const float square = e * e;
      sum += square;
      for (uint32_t j = p + 1; j < d.cols; ++j) {
        const float product = e * exact::floatOf(gptq::factorBits(u[j]));
        x[j] = exact::bitsOf(exact::floatOf(x[j]) - product);
      }
    }
    loss[row] = sum;
  }
};

}  // namespace

void gptqReference(const NibGptqDesc& desc, const GptqShape& shape, const HostRun& run) {
  reference::StatusCounter status(partOf<NibStatus>(run.memory, run.binding, NIB_ROLE_AUX, NIB_PART_STATUS));
  const Gptq op(desc, shape, run, &status);
  auto load = [&](uint32_t i) { op.load(i); };
  auto store = [&](uint32_t i) { op.store(i); };
  auto columns = [&](uint32_t row) { op.columns(row); };
  switch (desc.stage) {
    case NIB_GPTQ_LOAD: reference::forEach(run.parallel, run.n, load); break;
    case NIB_GPTQ_STORE: reference::forEach(run.parallel, run.n, store); break;
    default: reference::forEach(run.parallel, desc.rows, columns); break;
  }
}

}  // namespace nib
