// Reference of NIB_OP_GPTQ.
#include "numerics/gptq.h"

#include <cstring>

#include "numerics/mean.h"
#include "reference/reference.h"

namespace nib {
namespace {

struct Gptq {
  const NibGptqDesc& d;
  const GptqShape& shape;
  const HostRun& run;
  const void* source;
  const uint32_t* factor;
  const uint32_t* order;     // NULL: none
  const uint32_t* diagonal;  // NULL: none
  uint32_t* result;
  float* loss;
  uint32_t* codes;
  void* scales;
  void* zeros;  // NULL: none
  float* errors;
  reference::StatusCounter* status;

  Gptq(const NibGptqDesc& desc, const GptqShape& s, const HostRun& r, reference::StatusCounter* counter)
      : d(desc), shape(s), run(r), status(counter) {
    const auto part = [&](NibRole role, NibPart which) { return partOf<uint32_t>(r.memory, r.binding, role, which); };
    source = part(NIB_ROLE_INPUT, NIB_PART_SOURCE);
    factor = part(NIB_ROLE_INPUT, NIB_PART_FACTOR);
    order = part(NIB_ROLE_INPUT, NIB_PART_ORDER);
    diagonal = part(NIB_ROLE_INPUT, NIB_PART_DIAGONAL);
    result = part(NIB_ROLE_OUTPUT, NIB_PART_RESULT);
    loss = reinterpret_cast<float*>(part(NIB_ROLE_OUTPUT, NIB_PART_LOSS));
    codes = part(NIB_ROLE_WEIGHTS, NIB_PART_CODES);
    scales = part(NIB_ROLE_WEIGHTS, NIB_PART_SCALES);
    zeros = part(NIB_ROLE_WEIGHTS, NIB_PART_ZEROS);
    uint8_t* aux = static_cast<uint8_t*>(r.binding.range[NIB_ROLE_AUX].data);
    errors = reinterpret_cast<float*>(aux + s.errors_offset);
  }

  bool has(uint32_t flag) const { return (d.flags & flag) != 0; }
  uint32_t* rowOf(uint32_t row) const { return result + uint64_t(row) * d.cols; }
  // The column of W at a position.
  uint32_t columnAt(uint32_t p) const { return order != nullptr ? order[p] : p; }
  // The column of the blob.
  uint32_t storedAt(uint32_t p) const { return has(NIB_GPTQ_KEEP_ORDER) ? p : columnAt(p); }

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
  void saveScale(uint32_t index, const StoredScale& scale) const {
    saveStored(scales, scaleBytes(d.weights.scale_type), index, scaleToStored(scale.scale_bits, d.weights.scale_type));
    if (zeros != nullptr) saveStored(zeros, 1, index, shape.g.format->zeroToStored(scale.zero));
  }

  // Zeroes the padding behind the last scale of a row: of every row if ALIGNED, else of the blob's last row.
  void padScales(uint32_t row) const {
    const Geometry& g = shape.g;
    const uint32_t first = row * g.scale_row_stride + g.groups_per_row, end = (row + 1) * g.scale_row_stride;
    const auto pad = [&](void* to, uint32_t bytes) {
      for (uint32_t i = first; i < end || (row + 1 == g.rows && uint64_t(i) * bytes % 4 != 0); ++i)
        saveStored(to, bytes, i, 0);
    };
    pad(scales, scaleBytes(d.weights.scale_type));
    if (zeros != nullptr) pad(zeros, 1);
  }

  // Finds and stores the scale of the group that begins at position p.
  void findScale(uint32_t row, uint32_t p) const {
    const Geometry& g = shape.g;
    const uint32_t count = d.cols - p < g.group ? d.cols - p : g.group;
    const uint32_t* x = rowOf(row) + p;
    reference::Extent extent;
    for (uint32_t i = 0; i < count; ++i) extent.add(x[i]);
    GroupStats stats{extent.minBits(), extent.maxBits(), extent.absmaxBits(), 0};
    if (isMeanScale(*g.format, d.weights)) {
      Mean mean{stats.absmax_bits};
      for (uint32_t i = 0; i < count; ++i) mean.add(exact::magnitudeOf(x[i]));
      stats.mean_bits = mean.bits(count);
    }
    const StoredScale found = g.format->findScale(stats, d.weights);
    if (found.saturated) status->saturated();
    saveScale(row * g.scale_row_stride + p / g.group, found);
    if (p / g.group + 1 == g.groups_per_row) padScales(row);
  }

  StoredScale scaleAt(uint32_t row, uint32_t p) const {
    const uint32_t c = storedAt(p) < d.cols ? storedAt(p) : d.cols - 1;
    StoredScale scale = reference::loadScale(*shape.g.format, d.weights, scales, zeros, nullptr,
                                             row * shape.g.scale_row_stride + c / shape.g.group);
    scale.rcp_bits = scale.scale_bits != 0u ? exact::nibDivBits(0x3f800000u, scale.scale_bits) : 0u;
    return scale;
  }

  // Columns of a row. `end`: those from here on are not updated.
  void columns(uint32_t row, uint32_t end) const {
    const bool finds = !shape.measures() && !has(NIB_GPTQ_GIVEN_SCALES);
    const uint32_t first = run.first_row, last = first + run.n;
    uint32_t* x = rowOf(row);
    if (finds && has(NIB_GPTQ_PARITY)) {
      for (uint32_t p = first; p < last; ++p) {
        if (p % shape.g.group == 0) findScale(row, p);
      }
    }
    float sum = first == 0 ? 0.0f : loss[row];
    for (uint32_t p = first; p < last; ++p) {
      if (finds && !has(NIB_GPTQ_PARITY) && p % shape.g.group == 0) findScale(row, p);
      const float w = exact::floatOf(x[p]);
      float q = 0;
      if (!shape.measures()) {
        const StoredScale scale = scaleAt(row, p);
        const uint32_t code = shape.g.format->encode(x[p], scale, d.weights, true);
        q = exact::floatOf(shape.g.format->decode(code, scale, d.weights));
        x[p] = code;
      }
      const uint32_t* u = factor + uint64_t(p) * d.cols;
      const uint32_t bits = gptq::errorBits(exact::bitsOf(w - q), gptq::factorBits(u[p]));
      const float e = exact::floatOf(bits);
      if (shape.measures()) x[p] = bits;
      errors[uint64_t(p - first) * shape.errors_stride + row] = e;
      const float square = e * e;
      sum += square;
      for (uint32_t j = p + 1; j < end; ++j) {
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
  auto columns = [&](uint32_t row) { op.columns(row, desc.cols); };
  switch (desc.stage) {
    case NIB_GPTQ_LOAD: reference::forEach(run.parallel, run.n, load); break;
    case NIB_GPTQ_STORE: reference::forEach(run.parallel, run.n, store); break;
    default: reference::forEach(run.parallel, desc.rows, columns); break;
  }
}

void gptqBlockReference(const NibGptqDesc& desc, const GptqShape& shape, const HostRun& run) {
  reference::StatusCounter status(partOf<NibStatus>(run.memory, run.binding, NIB_ROLE_AUX, NIB_PART_STATUS));
  const Gptq op(desc, shape, run, &status);
  const uint32_t end = desc.cols - run.first_row < shape.block ? desc.cols : run.first_row + shape.block;
  auto columns = [&](uint32_t row) { op.columns(row, end); };
  reference::forEach(run.parallel, desc.rows, columns);
}

}  // namespace nib
