// GPTQ against its definition in double precision, byte for byte; against the published loop in fp64; whole matrices in
// blocks of any size; and against quantize, where the factor is the identity.
#include <nibble/formats.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"
#include "selftest/inputs.h"

using namespace nib;
using namespace nib::tests;

namespace {

using Floats = std::vector<float>;
using Words = std::vector<uint32_t>;

NibGptqDesc gptqDesc(uint32_t rows, uint32_t cols, const NibWeights& w, uint32_t flags = 0,
                     uint32_t stage = NIB_GPTQ_COLUMNS) {
  NibGptqDesc d = selftest::describe<NibGptqDesc>(NIB_OP_GPTQ);
  d.flags = flags;
  d.stage = stage;
  d.rows = rows;
  d.cols = cols;
  d.weights = w;
  return d;
}

bool has(const NibGptqDesc& d, uint32_t flag) { return (d.flags & flag) != 0; }

bool takes(const NibWeights& w) {
  const NibFormatInfo& info = *nibFormatById(w.format);
  const bool rows = w.granularity == NIB_GRANULARITY_ROW || w.granularity == NIB_GRANULARITY_GROUP;
  return rows && (w.flags & NIB_WEIGHTS_FLAT) == 0 && (info.flags & NIB_FORMAT_OWN_SCALES) == 0;
}

// The group size that was asked for; 0 = whole rows.
uint32_t groupOf(const NibWeights& w) {
  if (w.granularity != NIB_GRANULARITY_GROUP || w.group_size == UINT32_MAX) return 0;
  return w.group_size != 0 ? w.group_size : nibFormatById(w.format)->default_group_size;
}

uint32_t blockOf(const NibGptqDesc& d) {
  if (d.block != 0) return d.block;
  const uint32_t group = has(d, NIB_GPTQ_MEASURE) ? 0 : groupOf(d.weights);
  return group == 0 ? 128 : group > 128 ? group / 2 : 128 - 128 % group;
}

// -------------------------------------------------------------------------------------- memory and refusals
void checkParts(const NibGptqDesc& d) {
  const NibMemory memory = memoryOf(d);
  const uint64_t rows = d.rows, cols = d.cols, columns = cols * 4;
  uint64_t end = checkNext(memory, NIB_PART_SOURCE, 0,
                           denseBytes(rows, cols, d.source_stride != 0 ? d.source_stride : cols, d.source_type));
  end = checkNext(memory, NIB_PART_FACTOR, end, cols * columns);
  end = checkNext(memory, NIB_PART_ORDER, end, has(d, NIB_GPTQ_ORDER) ? columns : 0);
  end = checkNext(memory, NIB_PART_DIAGONAL, end, has(d, NIB_GPTQ_DEAD) ? columns : 0);
  CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == end);
  end = checkNext(memory, NIB_PART_RESULT, 0, rows * columns);
  end = checkNext(memory, NIB_PART_LOSS, end, rows * 4);
  CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == end);
  checkAux(memory, true);
  const uint64_t errors = (rows + 3) / 4 * 4 * blockOf(d) * 4;
  const uint64_t order = has(d, NIB_GPTQ_ORDER) ? (columns + 255) / 256 * 256 : 0;
  CHECK(memory.part[NIB_PART_SCRATCH].size_bytes == order + errors);
}

void checkMemory() {
  forEachWeights([](const NibWeights& w, const Extents& shape, uint64_t count) {
    if (!takes(w) || uint64_t(shape.cols) * shape.cols > kMostElements) return;
    uint32_t flags = count % 3 == 0 ? NIB_GPTQ_ORDER | NIB_GPTQ_GIVEN_SCALES : 0;
    if (count % 4 == 1) flags |= NIB_GPTQ_DEAD;
    NibGptqDesc d = gptqDesc(shape.rows, shape.cols, w, flags, uint32_t(count % 3));
    d.source_type = uint32_t(count % 5 % 3);
    const uint64_t padded = uint64_t(shape.cols) + 3;
    if (count % 7 == 2 && padded * shape.rows <= kMostElements) d.source_stride = uint32_t(padded);
    checkParts(d);
    checkWeights(memoryOf(d), model::layoutOf(shape.rows, shape.cols, w));
  });
  for (const Extents& shape : kExtents) {
    if (uint64_t(shape.cols) * shape.cols > kMostElements || uint64_t(shape.cols) * shape.rows > kMostElements)
      continue;
    const NibGptqDesc d = gptqDesc(shape.rows, shape.cols, {}, NIB_GPTQ_MEASURE);
    checkParts(d);
    CHECK(memoryOf(d).range[NIB_ROLE_WEIGHTS].size_bytes == 0);
  }
}

void checkRefusals() {
  using D = NibGptqDesc;
  for (const NibFormatInfo* info : scaledFormats()) {
    D right = gptqDesc(4, 64, weights(info->format, NIB_GRANULARITY_GROUP, 32));
    right.source_stride = 66;
    expectEachRefused(
        right, "gptq",
        plus<D>(
            wrongWeights<D>(),
            {
                {"stage", kInvalid, [](D& d) { d.stage = 3; }},
                {"flags", kInvalid, [](D& d) { d.flags = 1u << 6; }},
                {"flags", kInvalid, [](D& d) { d.flags = NIB_GPTQ_KEEP_ORDER; }},
                {"flags", kInvalid, [](D& d) { d.flags = NIB_GPTQ_PARITY | NIB_GPTQ_GIVEN_SCALES; }},
                {"flags", kInvalid, [](D& d) { d.flags = NIB_GPTQ_ORDER; }},
                {"flags", kInvalid, [](D& d) { d.flags = NIB_GPTQ_MEASURE | NIB_GPTQ_PARITY; }},
                {"flags", kInvalid, [](D& d) { d.flags = NIB_GPTQ_MEASURE | NIB_GPTQ_GIVEN_SCALES; }},
                {"weights", kInvalid, [](D& d) { d.flags = NIB_GPTQ_MEASURE; }},
                {"stage", kInvalid, [](D& d) { d.flags = NIB_GPTQ_MEASURE, d.stage = NIB_GPTQ_STORE, d.weights = {}; }},
                {"weights.granularity", kUnsupported,
                 [](D& d) { d.weights.granularity = NIB_GRANULARITY_TENSOR, d.weights.group_size = 0; }},
                {"weights.granularity", kUnsupported,
                 [](D& d) { d.weights.granularity = NIB_GRANULARITY_COLUMN, d.weights.group_size = 0; }},
                {"weights.flags", kUnsupported, [](D& d) { d.weights.flags = NIB_WEIGHTS_FLAT; }},
                {"source_type", kInvalid, [](D& d) { d.source_type = 3; }},
                {"source_stride", kInvalid, [](D& d) { d.source_stride = 63; }},
                {"block", kInvalid, [](D& d) { d.block = 12; }},
                {"block", kInvalid, [](D& d) { d.block = 136; }},
                {"block", kInvalid, [](D& d) { d.block = 24; }},
                {"block", kInvalid, [](D& d) { d.block = 48; }},
                {"cols", kInvalid, [](D& d) { d.rows = 1, d.cols = 65536, d.source_stride = 0; }},
            }));
  }
  for (uint32_t i = 0; const NibFormatInfo* info = nibFormatAt(i); ++i) {
    if ((info->flags & NIB_FORMAT_OWN_SCALES) == 0) continue;
    const NibWeights w = weights(info->format, NIB_GRANULARITY_GROUP, 32, 0, NIB_TYPE_F16);
    expectRefused(asOp(gptqDesc(4, 64, w)), kUnsupported, "gptq", info->name);
  }
}

// ---------------------------------------------------------------------------------------------- the model
// The blob's layout; rows of ALIGNED scales are whole words.
model::Layout layoutOf(const NibGptqDesc& d) {
  model::Layout l = model::layoutOf(d.rows, d.cols, d.weights);
  if (d.weights.flags & NIB_WEIGHTS_ALIGNED) {
    const bool zeros = (d.weights.flags & NIB_WEIGHTS_ASYMMETRIC) != 0;
    const uint32_t bytes = model::sizeOf(d.weights.scale_type);
    l.scales_per_row = model::roundUp(l.scales_per_row, zeros ? 4 : 4 / bytes);
    l.scale_count = l.rows * l.scales_per_row;
    l.scales_bytes = l.scale_count * bytes;
    l.zeros_bytes = zeros ? l.scale_count : 0;
    l.zeros_offset = model::roundUp(l.scales_offset + l.scales_bytes, 256);
    l.blob_bytes = zeros ? l.zeros_offset + l.zeros_bytes : l.scales_offset + l.scales_bytes;
  }
  return l;
}

double entryOf(double u) {
  if (!std::isfinite(u) || std::fabs(u) < 0x1p-40) return 0;
  return std::copysign(std::fmin(std::fabs(u), 0x1p40), u);
}

// A run on copies of the ranges.
struct Model {
  const NibGptqDesc& d;
  const NibMemory& memory;
  uint32_t n, first;
  model::Bytes role[NIB_ROLE_COUNT];

  uint8_t* part(NibPart p) {
    const NibMemoryPart& at = memory.part[p];
    return at.size_bytes != 0 ? role[at.role].data() + at.offset_bytes : nullptr;
  }
  uint32_t word(NibPart p, uint64_t i) { return model::loadBits(part(p) + i * 4, 4); }
  void setWord(NibPart p, uint64_t i, uint32_t bits) { model::storeBits(part(p) + i * 4, 4, bits); }
  double number(NibPart p, uint64_t i) { return model::valueOf(NIB_TYPE_F32, word(p, i)); }
  void setNumber(NibPart p, uint64_t i, double v) { setWord(p, i, model::bitsOfFloat(float(v))); }
  uint32_t columnAt(uint32_t p) { return has(d, NIB_GPTQ_ORDER) ? word(NIB_PART_ORDER, p) : p; }
  uint32_t storedAt(uint32_t p) { return has(d, NIB_GPTQ_KEEP_ORDER) ? p : columnAt(p); }
  void count(uint32_t which) { setWord(NIB_PART_STATUS, which, word(NIB_PART_STATUS, which) + 1); }

  void load() {
    const uint64_t stride = d.source_stride != 0 ? d.source_stride : d.cols;
    for (uint32_t i = 0; i < n; ++i) {
      for (uint32_t p = 0; p < d.cols; ++p) {
        const uint32_t c = columnAt(p);
        double x = 0;
        if (!has(d, NIB_GPTQ_DEAD) || number(NIB_PART_DIAGONAL, c) != 0)
          x = model::load(part(NIB_PART_SOURCE), d.source_type, i * stride + c);
        if (!(std::fabs(x) < 0x1p100)) {
          count(0);
          const uint32_t inverted = ~(i * d.cols + c);
          setWord(NIB_PART_STATUS, 2, std::max(word(NIB_PART_STATUS, 2), inverted));
          x = 0;
        }
        setNumber(NIB_PART_RESULT, uint64_t(first + i) * d.cols + p, std::fabs(x) < 0x1p-60 ? 0.0 : x);
      }
    }
  }

  void store() {
    const model::Layout l = layoutOf(d);
    for (uint32_t row = first; row < first + n; ++row) {
      std::fill_n(&role[NIB_ROLE_WEIGHTS][size_t(row * l.row_bytes)], l.row_bytes, uint8_t(0));
      for (uint32_t p = 0; p < d.cols; ++p)
        model::putCode(l, role[NIB_ROLE_WEIGHTS], row, storedAt(p), word(NIB_PART_RESULT, uint64_t(row) * d.cols + p));
    }
  }

  void findScale(const model::Layout& l, uint32_t row, uint32_t p) {
    const uint32_t end = uint32_t(std::min<uint64_t>(p + l.group, d.cols));
    model::Extent extent;
    for (uint32_t j = p; j < end; ++j) extent.add(number(NIB_PART_RESULT, uint64_t(row) * d.cols + j));
    for (uint32_t j = p; l.format->mean() && j < end; ++j)
      extent.addMagnitude(number(NIB_PART_RESULT, uint64_t(row) * d.cols + j));
    const model::Scale scale = model::findScale(*l.format, d.weights, extent);
    if (scale.saturated != 0) count(1);
    model::Bytes& blob = role[NIB_ROLE_WEIGHTS];
    const uint32_t bytes = model::sizeOf(d.weights.scale_type);
    const uint64_t index = row * l.scales_per_row + p / l.group;
    const auto set = [&](uint64_t i, uint32_t stored, uint32_t zero) {
      if (i * bytes < l.scales_bytes) model::storeBits(&blob[size_t(l.scales_offset + i * bytes)], bytes, stored);
      if (i < l.zeros_bytes) blob[size_t(l.zeros_offset + i)] = uint8_t(zero);
    };
    set(index, model::bitsOf(d.weights.scale_type, scale.value), l.format->stored(uint32_t(scale.zero)));
    if (end < d.cols) return;
    const uint64_t behind = row + 1 == d.rows ? l.scale_count + 4 : (row + 1) * l.scales_per_row;
    for (uint64_t i = index + 1; i < behind; ++i) set(i, 0, 0);
  }

  void columns() {
    const bool measures = has(d, NIB_GPTQ_MEASURE), finds = !measures && !has(d, NIB_GPTQ_GIVEN_SCALES);
    const model::Layout l = measures ? model::Layout{} : layoutOf(d);
    for (uint32_t row = 0; row < d.rows; ++row) {
      const uint64_t start = uint64_t(row) * d.cols;
      for (uint32_t p = first; finds && has(d, NIB_GPTQ_PARITY) && p < first + n; ++p) {
        if (p % l.group == 0) findScale(l, row, p);
      }
      double loss = first == 0 ? 0.0 : number(NIB_PART_LOSS, row);
      for (uint32_t p = first; p < first + n; ++p) {
        if (finds && !has(d, NIB_GPTQ_PARITY) && p % l.group == 0) findScale(l, row, p);
        const double w = number(NIB_PART_RESULT, start + p);
        double q = 0;
        if (!measures) {
          const model::Scale scale = model::scaleAt(l, d.weights, role[NIB_ROLE_WEIGHTS].data(),
                                                    row * l.scales_per_row + storedAt(p) / l.group);
          const uint32_t code = model::encode(*l.format, d.weights, scale, w);
          q = model::decode(*l.format, scale, code);
          setWord(NIB_PART_RESULT, start + p, l.format->stored(code));
        }
        const double u = entryOf(number(NIB_PART_FACTOR, uint64_t(p) * d.cols + p));
        double e = u == 0 ? 0.0 : model::quotient(model::flushed(model::fp32(w - q)), u);
        e = std::fabs(e) < 0x1p-60 ? 0.0 : std::copysign(std::fmin(std::fabs(e), 0x1p50), e);
        if (measures) setNumber(NIB_PART_RESULT, start + p, e);
        loss = model::fp32(loss + model::fp32(e * e));
        for (uint32_t j = p + 1; j < d.cols; ++j) {
          const double product = model::fp32(e * entryOf(number(NIB_PART_FACTOR, uint64_t(p) * d.cols + j)));
          setNumber(NIB_PART_RESULT, start + j, model::fp32(number(NIB_PART_RESULT, start + j) - product));
        }
      }
      setNumber(NIB_PART_LOSS, row, loss);
    }
  }
};

std::string compareWithModel(const selftest::Case& c) {
  const NibGptqDesc& d = c.as<NibGptqDesc>();
  Ranges ranges(c.desc());
  if (!ranges.valid()) return "refused";
  prepare(c, ranges);
  if (has(d, NIB_GPTQ_GIVEN_SCALES) && d.weights.scale_type != NIB_TYPE_E8M0) fillEdgeScales(c, ranges);
  ranges.clearStatus();
  Model m{d, ranges.memory, c.n, 0, {}};
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) m.role[role] = ranges.copy(role);
  if (d.stage == NIB_GPTQ_LOAD) m.load();
  if (d.stage == NIB_GPTQ_COLUMNS) m.columns();
  if (d.stage == NIB_GPTQ_STORE) m.store();
  if (ranges.run(c.n) != NIB_SUCCESS) return "failed";
  if (!ranges.guardsHold()) return "wrote outside its ranges";
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const size_t size = role == NIB_ROLE_AUX ? sizeof(NibStatus) : ranges.size(role);
    const std::string difference = firstDifference(ranges.bytes(role), m.role[role].data(), size);
    if (!difference.empty()) return "role " + std::to_string(role) + ": " + difference;
  }
  return {};
}

// -------------------------------------------------------------------------------------------- whole matrices
struct Matrix {
  uint32_t rows, cols;
  Floats source, factor;
  Words order;      // empty: none
  Floats diagonal;  // empty: none
  Floats scales;    // given
};

struct Quantized {
  model::Bytes blob;
  Floats loss;
  Words result;
};

// All three stages, COLUMNS in runs of a block; LOAD and STORE in two runs.
Quantized quantizeMatrix(const Matrix& m, const NibWeights& w, uint32_t flags, uint32_t block) {
  NibGptqDesc d = gptqDesc(m.rows, m.cols, w, flags, NIB_GPTQ_LOAD);
  d.block = block;
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  ranges.clearStatus();
  const auto write = [&](NibPart part, const auto& values) {
    if (values.empty()) return;
    REQUIRE(ranges.memory.part[part].size_bytes == values.size() * 4);
    std::memcpy(ranges.part(NIB_ROLE_INPUT, part), values.data(), values.size() * 4);
  };
  write(NIB_PART_SOURCE, m.source);
  write(NIB_PART_FACTOR, m.factor);
  write(NIB_PART_ORDER, m.order);
  write(NIB_PART_DIAGONAL, m.diagonal);
  if (!m.scales.empty()) std::memcpy(ranges.scales(), m.scales.data(), m.scales.size() * 4);
  const auto run = [&](uint32_t stage, uint32_t first, uint32_t n) {
    d.stage = stage;
    NibCpuBinding binding = ranges.binding;
    if (stage == NIB_GPTQ_LOAD) {
      // A dense input begins with the run's first row.
      std::memmove(ranges.part(NIB_ROLE_INPUT, NIB_PART_SOURCE), m.source.data() + size_t(first) * m.cols,
                   size_t(m.rows - first) * m.cols * 4);
    }
    const NibRun r{sizeof(NibRun), n, first, 0, UINT32_MAX, {}};
    REQUIRE(nibCpuRun(asOp(d), &binding, &r, nullptr, nullptr) == NIB_SUCCESS);
  };
  const uint32_t half = m.rows / 2, step = blockOf(d);
  run(NIB_GPTQ_LOAD, half, m.rows - half);
  if (half != 0) run(NIB_GPTQ_LOAD, 0, half);
  for (uint32_t first = 0; first < m.cols; first += step) run(NIB_GPTQ_COLUMNS, first, std::min(step, m.cols - first));
  if ((flags & NIB_GPTQ_MEASURE) == 0) {
    if (half != 0) run(NIB_GPTQ_STORE, 0, half);
    run(NIB_GPTQ_STORE, half, m.rows - half);
  }
  CHECK(ranges.guardsHold());
  return {ranges.copy(NIB_ROLE_WEIGHTS),
          ranges.read<float>(NIB_ROLE_OUTPUT, ranges.memory.part[NIB_PART_LOSS].offset_bytes, m.rows),
          ranges.words(NIB_ROLE_OUTPUT, 0, size_t(m.rows) * m.cols)};
}

Floats normal(size_t count, uint64_t seed, double size) {
  Floats values(count);
  selftest::Random random(seed);
  for (float& v : values) {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += random.unit();
    v = float(sum * size);
  }
  return values;
}

Floats identity(uint32_t cols) {
  Floats u(size_t(cols) * cols, 0.0f);
  for (uint32_t i = 0; i < cols; ++i) u[size_t(i) * (cols + 1)] = 1.0f;
  return u;
}

// A damped Hessian of correlated activations, and U with H^-1 = U^T U, in fp64.
struct Hessian {
  std::vector<double> h, u;
};

Hessian makeHessian(uint32_t cols, uint64_t seed) {
  const uint32_t tokens = cols * 2;
  const Floats noise = normal(size_t(tokens) * cols, seed, 1);
  const size_t k = cols;
  Hessian made{std::vector<double>(k * k, 0.0), std::vector<double>(k * k, 0.0)};
  for (uint32_t t = 0; t < tokens; ++t) {
    std::vector<double> x(k);
    for (size_t i = 0; i < k; ++i) {
      x[i] = double(noise[t * k + i]) + (i > 0 ? 0.7 * x[i - 1] : 0.0);
    }
    for (size_t i = 0; i < k; ++i) {
      for (size_t j = 0; j < k; ++j) made.h[i * k + j] += x[i] * x[j] / tokens;
    }
  }
  double mean = 0;
  for (size_t i = 0; i < k; ++i) mean += made.h[i * k + i] / double(k);
  for (size_t i = 0; i < k; ++i) made.h[i * k + i] += 0.01 * mean;
  // H = M M^T with M upper, from the last column to the first; U = M^-1.
  std::vector<double> m(k * k, 0.0);
  for (size_t j = k; j-- > 0;) {
    for (size_t i = j + 1; i-- > 0;) {
      double sum = made.h[i * k + j];
      for (size_t p = j + 1; p < k; ++p) sum -= m[i * k + p] * m[j * k + p];
      m[i * k + j] = i == j ? std::sqrt(sum) : sum / m[j * k + j];
    }
  }
  for (size_t j = 0; j < k; ++j) {
    made.u[j * k + j] = 1 / m[j * k + j];
    for (size_t i = j; i-- > 0;) {
      double sum = 0;
      for (size_t p = i + 1; p <= j; ++p) sum += m[i * k + p] * made.u[p * k + j];
      made.u[i * k + j] = -sum / m[i * k + i];
    }
  }
  return made;
}

Floats toFloats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

bool haveInt4() {
  if (nibFormatById(NIB_FORMAT_INT4) != nullptr) return true;
  MESSAGE("skipped: format int4 is not in this build");
  return false;
}

// int4 codes of a row: values from -8 to 7.
int codeOf(const model::Bytes& blob, uint64_t row_bytes, uint32_t row, uint32_t col) {
  return int(blob[size_t(row * row_bytes + col / 2)] >> (col % 2 * 4) & 15) - 8;
}

// Follows the published loop in fp64 with the codes that were found: every code is the nearest to its weight, but for
// rounding, and every scale that of its group. The loop is that of gptq.py, which corrects the columns beyond a block
// of 128 at its end, and finds scales from weights that lack the corrections of the group's own block (parity).
void checkPublished(const Matrix& m, const Hessian& hessian, const NibWeights& w, bool parity, const Quantized& got) {
  const model::Layout l = model::layoutOf(m.rows, m.cols, w);
  const size_t k = m.cols, block = 128;
  double worst_code = 0, worst_scale = 0;
  for (uint32_t row = 0; row < m.rows; ++row) {
    std::vector<double> x(m.source.begin() + std::ptrdiff_t(row * k), m.source.begin() + std::ptrdiff_t((row + 1) * k));
    std::vector<double> q(k);
    double loss = 0;
    for (size_t begin = 0; begin < k; begin += block) {
      const size_t end = std::min(begin + block, k);
      std::vector<double> local(x.begin() + std::ptrdiff_t(begin), x.begin() + std::ptrdiff_t(end)), errors;
      for (size_t p = begin; p < end; ++p) {
        const double scale = model::scaleAt(l, w, got.blob.data(), row * l.scales_per_row + p / l.group).value;
        if (p % l.group == 0) {
          double most = 0;
          for (size_t j = p; j < std::min<size_t>(p + l.group, k); ++j)
            most = std::fmax(most, std::fabs(parity || j >= end ? x[j] : local[j - begin]));
          worst_scale = std::fmax(worst_scale, std::fabs(scale / (most / 7.5) - 1));
        }
        const int code = codeOf(got.blob, l.row_bytes, row, uint32_t(p));
        const double v = local[p - begin] / scale;
        worst_code = std::fmax(worst_code, std::fabs(std::fmax(std::fmin(v, 7.0), -8.0) - code) - 0.5);
        q[p] = code * scale;
        const double e = (local[p - begin] - q[p]) / hessian.u[p * k + p];
        loss += e * e;
        errors.push_back(e);
        for (size_t j = p; j < end; ++j) local[j - begin] -= e * hessian.u[p * k + j];
      }
      for (size_t p = begin; p < end; ++p) {
        for (size_t j = end; j < k; ++j) x[j] -= errors[p - begin] * hessian.u[p * k + j];
      }
    }
    CHECK(double(got.loss[row]) == doctest::Approx(loss).epsilon(1e-4));
    // The sum of squared errors is the trace of (W - Q) H (W - Q)^T.
    double trace = 0;
    for (size_t i = 0; i < k; ++i) {
      for (size_t j = 0; j < k; ++j) {
        trace += (double(m.source[row * k + i]) - q[i]) * hessian.h[i * k + j] * (double(m.source[row * k + j]) - q[j]);
      }
    }
    CHECK(double(got.loss[row]) == doctest::Approx(trace).epsilon(1e-3));
  }
  CHECK(worst_code < 1e-3);
  CHECK(worst_scale < 1e-4);
}

}  // namespace

NIB_DEFINE_OP_TEST(gptq, checkMemory, checkRefusals)

TEST_SUITE_BEGIN("gptq");

TEST_CASE("gptq gives the model's bytes for every case of the shared list") {
  std::vector<uint32_t> formats = {0};
  for (const model::Format& format : model::formats()) formats.push_back(format.id);
  for (const uint32_t format : formats) {
    for (const selftest::Case& c : selftest::casesOf(NIB_OP_GPTQ, format, selftest::Extent::kFull)) {
      const std::string difference = compareWithModel(c);
      if (difference.empty()) continue;
      INFO(c.name());
      CHECK(difference == "");
    }
  }
}

TEST_CASE("with the identity as factor gptq is quantize") {
  for (uint32_t i = 0; const NibFormatInfo* info = nibFormatAt(i); ++i) {
    for (const NibWeights& w : allWeights(*info)) {
      if (!takes(w)) continue;
      INFO(info->name, " granularity ", w.granularity, " group ", w.group_size, " flags ", w.flags, " scales ",
           w.scale_type);
      const Matrix m{5, 150, normal(5 * 150, i + 3, 0.02), identity(150), {}, {}, {}};
      NibQuantizeDesc d = quantizeDesc(m.rows, m.cols, w);
      Ranges ranges(asOp(d));
      REQUIRE(ranges.valid());
      ranges.write(NIB_ROLE_INPUT, m.source);
      REQUIRE(ranges.run(m.rows) == NIB_SUCCESS);
      const model::Bytes expected = ranges.copy(NIB_ROLE_WEIGHTS);
      // Gaps between parts are not written.
      for (const uint32_t flags : {0u, uint32_t(NIB_GPTQ_PARITY)}) {
        const Quantized got = quantizeMatrix(m, w, flags, 0);
        for (const NibPart p : {NIB_PART_CODES, NIB_PART_SCALES, NIB_PART_ZEROS}) {
          const NibMemoryPart& part = ranges.memory.part[p];
          CHECK(firstDifference(got.blob.data() + part.offset_bytes, expected.data() + part.offset_bytes,
                                size_t(part.size_bytes)) == "");
        }
      }
    }
  }
}

TEST_CASE("blocks of any size give the same bytes") {
  constexpr uint32_t kRows = 6, kCols = 200;
  const Hessian hessian = makeHessian(kCols, 5);
  Matrix m{kRows, kCols, normal(kRows * kCols, 9, 0.02), toFloats(hessian.u), Words(kCols), {}, {}};
  std::iota(m.order.begin(), m.order.end(), 0u);
  std::reverse(m.order.begin(), m.order.end());
  std::swap(m.order[7], m.order[100]);
  for (const model::Format& format : model::scaledFormats()) {
    INFO(nibFormatById(format.id)->name);
    for (const uint32_t group : {32u, 128u, 256u, UINT32_MAX}) {
      const NibWeights w = weights(format.id, NIB_GRANULARITY_GROUP, group, 0, NIB_TYPE_F16);
      const uint32_t flags = NIB_GPTQ_ORDER | NIB_GPTQ_KEEP_ORDER;
      const Quantized one = quantizeMatrix(m, w, flags, 0);
      for (const uint32_t block : {8u, 16u, 32u, 64u, 128u, 40u, 120u}) {
        if (group <= 256 && block % group != 0 && group % block != 0) continue;
        const Quantized other = quantizeMatrix(m, w, flags, block);
        INFO("group ", group, " block ", block);
        CHECK(other.blob == one.blob);
        CHECK(other.loss == one.loss);
        CHECK(other.result == one.result);
      }
    }
  }
}

TEST_CASE("the codes are those of the published loop in fp64") {
  if (!haveInt4()) return;
  for (const uint32_t cols : {64u, 160u, 384u}) {
    const Hessian hessian = makeHessian(cols, cols);
    const Matrix m{4, cols, normal(size_t(4) * cols, cols + 1, 0.02), toFloats(hessian.u), {}, {}, {}};
    for (const uint32_t group : {32u, 128u, UINT32_MAX}) {
      const NibWeights w = weights(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, group);
      for (const bool parity : {false, true}) {
        INFO(cols, " columns, group ", group, parity ? ", parity" : "");
        checkPublished(m, hessian, w, parity, quantizeMatrix(m, w, parity ? uint32_t(NIB_GPTQ_PARITY) : 0u, 0));
      }
    }
    // The loss is less than that of rounding to nearest, which the difference measures.
    const NibWeights w = weights(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32);
    const Quantized found = quantizeMatrix(m, w, 0, 0);
    Matrix nearest = m;
    nearest.factor = identity(cols);
    const Quantized rounded = quantizeMatrix(nearest, w, 0, 0);
    const auto lossOf = [&](const Quantized& q) {
      const model::Layout l = model::layoutOf(m.rows, cols, w);
      Matrix difference = m;
      for (uint32_t row = 0; row < m.rows; ++row) {
        for (uint32_t c = 0; c < cols; ++c) {
          const double scale = model::scaleAt(l, w, q.blob.data(), row * l.scales_per_row + c / l.group).value;
          float& x = difference.source[size_t(row) * cols + c];
          x = float(double(x) - codeOf(q.blob, l.row_bytes, row, c) * scale);
        }
      }
      const Quantized measured = quantizeMatrix(difference, {}, NIB_GPTQ_MEASURE, 64);
      return std::accumulate(measured.loss.begin(), measured.loss.end(), 0.0);
    };
    const double sum = std::accumulate(found.loss.begin(), found.loss.end(), 0.0);
    CHECK(lossOf(found) == doctest::Approx(sum).epsilon(1e-3));
    CHECK(lossOf(rounded) > 1.2 * sum);
  }
}

TEST_CASE("codes in the order of the columns are those of a matrix with its columns in that order") {
  if (!haveInt4()) return;
  constexpr uint32_t kRows = 3, kCols = 96;
  const Hessian hessian = makeHessian(kCols, 7);
  Matrix m{kRows, kCols, normal(kRows * kCols, 4, 0.02), toFloats(hessian.u), Words(kCols), {}, {}};
  for (uint32_t p = 0; p < kCols; ++p) m.order[p] = p * 37 % kCols;
  Matrix sorted = m;
  sorted.order.clear();
  for (uint32_t row = 0; row < kRows; ++row) {
    for (uint32_t p = 0; p < kCols; ++p) sorted.source[row * kCols + p] = m.source[row * kCols + m.order[p]];
  }
  const NibWeights w = weights(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32);
  const Quantized expected = quantizeMatrix(sorted, w, 0, 0);
  const Quantized kept = quantizeMatrix(m, w, NIB_GPTQ_ORDER | NIB_GPTQ_KEEP_ORDER, 0);
  CHECK(kept.blob == expected.blob);
  CHECK(kept.loss == expected.loss);

  // With one scale per row the same codes, each at its own column.
  const NibWeights rows = weights(NIB_FORMAT_INT4, NIB_GRANULARITY_ROW, 0);
  const Quantized in_order = quantizeMatrix(sorted, rows, 0, 0), back = quantizeMatrix(m, rows, NIB_GPTQ_ORDER, 0);
  for (uint32_t row = 0; row < kRows; ++row) {
    for (uint32_t p = 0; p < kCols; ++p)
      CHECK(codeOf(back.blob, kCols / 2, row, m.order[p]) == codeOf(in_order.blob, kCols / 2, row, p));
  }
  // Given scales belong to the columns, wherever these are in the order.
  Matrix given = m;
  given.scales.resize(kRows * 3);
  for (uint32_t i = 0; i < kRows * 3; ++i) given.scales[i] = std::ldexp(1.0f, -8 + int(i % 3) * 2);
  given.factor = identity(kCols);
  const Quantized scattered = quantizeMatrix(given, w, NIB_GPTQ_ORDER | NIB_GPTQ_GIVEN_SCALES, 0);
  given.order.clear();
  const Quantized plain = quantizeMatrix(given, w, NIB_GPTQ_GIVEN_SCALES, 0);
  CHECK(scattered.blob == plain.blob);
}

// One row: w = (1, 0.3), U = ((2, 1), (0, 0.5)), scale 0.5 given. Code of 1 is 2, e = 0. Then w = (0.9, 0.3): code 2,
// e = -0.1 / 2 = -0.05, w1 = 0.35, code 1, e = -0.15 / 0.5 = -0.3, loss 0.0925.
TEST_CASE("gptq by hand") {
  if (!haveInt4()) return;
  const NibWeights w = weights(NIB_FORMAT_INT4, NIB_GRANULARITY_ROW, 0);
  Matrix m{1, 2, {1.0f, 0.3f}, {2, 1, 0, 0.5f}, {}, {}, {0.5f}};
  Quantized got = quantizeMatrix(m, w, NIB_GPTQ_GIVEN_SCALES, 0);
  CHECK(got.result == Words{10, 9});
  CHECK(double(got.loss[0]) == doctest::Approx(0.16).epsilon(1e-5));
  m.source = {0.9f, 0.3f};
  got = quantizeMatrix(m, w, NIB_GPTQ_GIVEN_SCALES, 0);
  CHECK(got.result == Words{10, 9});
  CHECK(double(got.loss[0]) == doctest::Approx(0.0925).epsilon(1e-5));
  CHECK(got.blob[0] == 0x9a);
  // A dead column becomes 0, and so do NaN and infinities.
  m.diagonal = {0, 1};
  got = quantizeMatrix(m, w, NIB_GPTQ_GIVEN_SCALES | NIB_GPTQ_DEAD, 0);
  CHECK(got.result == Words{8, 9});
  m.diagonal.clear();
  m.source = {NAN, INFINITY};
  got = quantizeMatrix(m, w, NIB_GPTQ_GIVEN_SCALES, 0);
  CHECK(got.result == Words{8, 8});
  CHECK(got.loss[0] == 0.0f);
}

TEST_CASE("runs of COLUMNS begin at a multiple of the block and stay within it") {
  if (!haveInt4()) return;
  NibGptqDesc d = gptqDesc(2, 96, weights(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32));
  d.block = 32;
  Ranges ranges(asOp(d));
  std::memset(ranges.bytes(NIB_ROLE_INPUT), 0, ranges.size(NIB_ROLE_INPUT));
  std::memset(ranges.bytes(NIB_ROLE_OUTPUT), 0, ranges.size(NIB_ROLE_OUTPUT));
  const auto resultOf = [&](uint32_t first, uint32_t n) {
    const NibRun run{sizeof(NibRun), n, first, 0, UINT32_MAX, {}};
    return nibCpuRun(asOp(d), &ranges.binding, &run, nullptr, nullptr);
  };
  CHECK(resultOf(0, 32) == NIB_SUCCESS);
  CHECK(resultOf(32, 7) == NIB_SUCCESS);
  CHECK(resultOf(64, 32) == NIB_SUCCESS);
  CHECK(resultOf(0, 33) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(resultOf(8, 8) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(resultOf(96, 32) == NIB_ERROR_INVALID_ARGUMENT);
}

TEST_SUITE_END();
