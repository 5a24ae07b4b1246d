// Scale searches against their definition in double precision, byte for byte; against a brute force in exact
// arithmetic; with quantize and dequantize, which must give the values that were tried; and in pieces.
#include <nibble/formats.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
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

NibSearchDesc searchDesc(uint32_t rows, uint32_t cols, const NibWeights& w, uint32_t flags = 0) {
  NibSearchDesc d = selftest::describe<NibSearchDesc>(NIB_OP_SEARCH);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.weights = w;
  return d;
}

bool byColumns(const NibSearchDesc& d) { return (d.flags & NIB_SEARCH_COLUMNS) != 0; }
bool hasHessian(const NibSearchDesc& d) { return (d.flags & NIB_SEARCH_HESSIAN) != 0; }

bool takes(const NibWeights& w) {
  const NibFormatInfo& info = *nibFormatById(w.format);
  const bool rows = w.granularity == NIB_GRANULARITY_ROW || w.granularity == NIB_GRANULARITY_GROUP;
  return rows && (w.flags & NIB_WEIGHTS_NESTED) == 0 &&
         (info.flags & (NIB_FORMAT_OWN_SCALES | NIB_FORMAT_MEAN_SCALE)) == 0;
}

// Formats whose scales can be searched.
std::vector<model::Format> searchedFormats() {
  std::vector<model::Format> list;
  for (const model::Format& format : model::formats()) {
    if ((nibFormatById(format.id)->flags & (NIB_FORMAT_OWN_SCALES | NIB_FORMAT_MEAN_SCALE)) == 0)
      list.push_back(format);
  }
  return list;
}

// -------------------------------------------------------------------------------------- memory and refusals
void checkMemory() {
  forEachWeights([](const NibWeights& w, const Extents& shape, uint64_t count) {
    if (!takes(w)) return;
    const bool flat = (w.flags & NIB_WEIGHTS_FLAT) != 0, status = count % 2 == 0;
    NibSearchDesc d = searchDesc(shape.rows, shape.cols, w, status ? NIB_SEARCH_STATUS : 0);
    if (!flat && count % 3 == 1) d.flags |= NIB_SEARCH_COLUMNS;
    d.source_type = uint32_t(count % 5 % 3);
    const uint64_t padded = uint64_t(shape.cols) + 3;
    const bool strided = !flat && count % 7 == 2 && padded * shape.rows <= kMostElements;
    if (strided) d.source_stride = uint32_t(padded);
    uint64_t rows = shape.rows;
    if (!flat && count % 4 == 1) {
      d.run_rows = byColumns(d) ? (shape.cols + 1) / 2 : (shape.rows + 1) / 2;
      if (!byColumns(d)) rows = d.run_rows;
    }
    const NibMemory memory = memoryOf(d);
    checkWeights(memory, model::layoutOf(shape.rows, shape.cols, w));
    checkAux(memory, status);
    const uint64_t source_bytes = denseBytes(rows, shape.cols, strided ? padded : shape.cols, d.source_type);
    CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == source_bytes);
    if (!flat && uint64_t(shape.cols) * shape.cols <= kMostElements) {
      d.flags |= NIB_SEARCH_HESSIAN;
      const NibMemory more = memoryOf(d);
      uint64_t end = checkNext(more, NIB_PART_SOURCE, 0, source_bytes);
      end = checkNext(more, NIB_PART_HESSIAN, end, uint64_t(shape.cols) * shape.cols * 4);
      CHECK(more.range[NIB_ROLE_INPUT].size_bytes == end);
      CHECK(more.part[NIB_PART_HESSIAN].role == uint32_t(NIB_ROLE_INPUT));
    }
    CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 0);
  });
}

void checkRefusals() {
  using D = NibSearchDesc;
  for (const NibFormatInfo* info : scaledFormats()) {
    D right = searchDesc(4, 64, weights(info->format, NIB_GRANULARITY_GROUP, 32));
    if (!takes(right.weights)) {
      expectRefused(asOp(right), kUnsupported, "search", "weights.format");
      continue;
    }
    right.source_stride = 66;
    expectEachRefused(
        right, "search",
        plus<D>(
            wrongWeights<D>(),
            {
                {"flags", kInvalid, [](D& d) { d.flags = 8; }},
                {"flags: HESSIAN", kInvalid,
                 [](D& d) { d.weights.flags = NIB_WEIGHTS_FLAT, d.source_stride = 0, d.flags = NIB_SEARCH_HESSIAN; }},
                {"cols", kInvalid, [](D& d) { d.cols = 65536, d.source_stride = 0, d.flags = NIB_SEARCH_HESSIAN; }},
                {"weights.granularity", kUnsupported,
                 [](D& d) { d.weights.granularity = NIB_GRANULARITY_TENSOR, d.weights.group_size = 0; }},
                {"weights.granularity", kUnsupported,
                 [](D& d) { d.weights.granularity = NIB_GRANULARITY_COLUMN, d.weights.group_size = 0; }},
                {"source_type", kInvalid, [](D& d) { d.source_type = 3; }},
                {"source_stride", kInvalid, [](D& d) { d.source_stride = 63; }},
                {"source_stride", kInvalid, [](D& d) { d.weights.flags = NIB_WEIGHTS_FLAT; }},
                {"flags", kInvalid, [](D& d) { d.weights.flags = NIB_WEIGHTS_FLAT, d.flags = NIB_SEARCH_COLUMNS; }},
                {"run_rows", kInvalid, [](D& d) { d.run_rows = 5; }},
                {"run_rows", kInvalid, [](D& d) { d.run_rows = 65, d.flags = NIB_SEARCH_COLUMNS; }},
                {"run_rows", kInvalid,
                 [](D& d) { d.run_rows = 2, d.weights.flags = NIB_WEIGHTS_FLAT, d.source_stride = 0; }},
                {"steps", kInvalid, [](D& d) { d.steps = NIB_SEARCH_MAX_STEPS + 1; }},
                {"least", kInvalid, [](D& d) { d.least = 0.06f; }},
                {"least", kInvalid, [](D& d) { d.least = -0.5f; }},
                {"least", kInvalid, [](D& d) { d.least = 1.001f; }},
                {"least", kInvalid, [](D& d) { d.least = NAN; }},
            }));
  }
  for (uint32_t i = 0; const NibFormatInfo* info = nibFormatAt(i); ++i) {
    if (info->flags & NIB_FORMAT_OWN_SCALES) {
      const NibWeights w = weights(info->format, NIB_GRANULARITY_GROUP, 32, 0, NIB_TYPE_F16);
      expectRefused(asOp(searchDesc(4, 64, w)), kUnsupported, "search", info->name);
    }
    if (info->weights_flags & NIB_WEIGHTS_NESTED) {
      const NibWeights w = weights(info->format, NIB_GRANULARITY_GROUP, 32, NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED);
      expectRefused(asOp(searchDesc(4, 64, w)), kUnsupported, "search", "weights.flags: NESTED");
    }
  }
}

// ---------------------------------------------------------------------------------------------- the model
struct Grid {
  double step;
  uint32_t steps;
};

Grid gridOf(const NibSearchDesc& d) {
  Grid grid{};
  grid.steps = d.steps != 0 ? d.steps : 80;
  const double least = d.least != 0 ? double(d.least) : double(0.2f);
  grid.step = model::quotient(model::fp32(1 - least), grid.steps);
  return grid;
}

model::Scale candidate(const model::Format& format, const NibWeights& w, const model::Extent& extent, const Grid& grid,
                       uint32_t i) {
  const double p = model::fp32(1 - model::fp32(i * grid.step));
  model::Extent shrunk = extent;
  const auto times = [&](double v) {
    const double product = model::fp32(p * v);
    return std::fabs(product) < 0x1p-126 ? 0.0 : product;
  };
  if (!extent.empty()) {
    shrunk.min = times(extent.min);
    shrunk.max = times(extent.max);
  }
  return model::findScale(format, w, shrunk);
}

bool isSearched(const model::Extent& extent) {
  return extent.nonfinite == 0 && !extent.empty() && extent.absmax() >= 0x1p-40 && extent.absmax() < 0x1p40;
}

double valueOf(const model::Format& format, const NibWeights& w, const model::Scale& scale, double x) {
  return model::decode(format, scale, model::encode(format, w, scale, x));
}

double roundedError(const model::Format& format, const NibWeights& w, const model::Scale& scale,
                    const std::vector<double>& x) {
  double sum[4] = {};
  for (size_t i = 0; i < x.size(); ++i) {
    const double rest = model::fp32(x[i] - valueOf(format, w, scale, x[i]));
    const double square = model::fp32(rest * rest);
    if (square >= 0x1p-126) sum[i % 4] = model::fp32(sum[i % 4] + square);
  }
  return model::fp32(model::fp32(sum[0] + sum[1]) + model::fp32(sum[2] + sum[3]));
}

// The power of two at or below a positive number.
double unitOf(double value) { return std::exp2(std::floor(std::log2(value))); }

// Entries of H as the op takes them, from those of fp32.
double entryOf(const float* hessian, uint64_t cols, uint64_t i, uint64_t j, double unit) {
  if (unit == 0) return i == j ? 1 : 0;
  const double entry = double(hessian[i * cols + j]) / unit;
  return std::isfinite(entry) && std::fabs(entry) >= 0x1p-32 && std::fabs(entry) < 4 ? entry : 0;
}

double hessianUnit(const float* hessian, uint64_t cols, uint64_t first, uint64_t end) {
  double largest = 0;
  for (uint64_t i = first; i < end; ++i) {
    const double entry = std::fabs(double(hessian[i * cols + i]));
    if (!std::isfinite(entry)) return 0;
    largest = std::fmax(largest, entry);
  }
  return largest >= 0x1p-126 ? unitOf(largest) : 0;
}

double roundedForm(const model::Format& format, const NibWeights& w, const model::Scale& scale,
                   const std::vector<double>& x, double absmax, const float* hessian, uint64_t cols, uint64_t first) {
  const double unit = hessianUnit(hessian, cols, first, first + x.size());
  std::vector<double> e(x.size());
  double sum[16] = {};
  for (size_t i = 0; i < x.size(); ++i) {
    e[i] = model::fp32(x[i] - valueOf(format, w, scale, x[i])) / unitOf(absmax);
    if (std::fabs(e[i]) < 0x1p-24) e[i] = 0;
    double t = 0;
    for (size_t j = i / 256 * 256; j < i; ++j) {
      t = model::fp32(t + model::fp32(entryOf(hessian, cols, first + i, first + j, unit) * e[j]));
    }
    t = model::fp32(2 * t + model::fp32(entryOf(hessian, cols, first + i, first + i, unit) * e[i]));
    sum[i % 16] = model::fp32(sum[i % 16] + model::fp32(e[i] * t));
  }
  for (size_t half = 8; half > 0; half /= 2) {
    for (size_t k = 0; k < half; ++k) sum[k] = model::fp32(sum[k] + sum[k + half]);
  }
  return sum[0];
}

double exactError(const model::Format& format, const NibWeights& w, const model::Scale& scale,
                  const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) {
    const double rest = v - valueOf(format, w, scale, v);
    sum += rest * rest;
  }
  return sum;
}

// The blob's layout; rows of ALIGNED scales are whole words.
model::Layout layoutOf(const NibSearchDesc& d) {
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

// A run from row or column 0 on copies of the ranges.
struct Model {
  const NibSearchDesc& d;
  uint32_t n;
  const model::Bytes& source;
  const float* hessian;
  model::Bytes& blob;
  NibStatus status{};
  uint32_t chosen_after_first = 0;  // groups whose candidate is not the first

  void set(const model::Layout& l, uint64_t i, uint32_t stored, uint32_t zero) {
    const uint32_t bytes = model::sizeOf(d.weights.scale_type);
    if (i * bytes < l.scales_bytes) model::storeBits(&blob[size_t(l.scales_offset + i * bytes)], bytes, stored);
    if (i < l.zeros_bytes) blob[size_t(l.zeros_offset + i)] = uint8_t(zero);
  }

  void group(const model::Layout& l, uint64_t row, uint64_t first, uint64_t stride) {
    const uint64_t end = std::min<uint64_t>(first + l.group, l.cols);
    std::vector<double> x;
    model::Extent extent;
    for (uint64_t col = first; col < end; ++col) {
      x.push_back(model::load(source.data(), d.source_type, row * stride + col));
      extent.add(x.back());
      if (std::isfinite(x.back())) continue;
      ++status.nonfinite_count;
      status.first_nonfinite_not = std::max(status.first_nonfinite_not, ~uint32_t(row * l.cols + col));
    }
    const Grid grid = gridOf(d);
    model::Scale best = model::findScale(*l.format, d.weights, extent);
    double least = 0;
    uint32_t chosen = 0;
    for (uint32_t i = 0; isSearched(extent) && i < grid.steps; ++i) {
      const model::Scale scale = candidate(*l.format, d.weights, extent, grid, i);
      const double error = hessian != nullptr
                               ? roundedForm(*l.format, d.weights, scale, x, extent.absmax(), hessian, l.cols, first)
                               : roundedError(*l.format, d.weights, scale, x);
      if (i != 0 && error >= least) continue;
      least = error;
      best = scale;
      chosen = i;
    }
    chosen_after_first += chosen != 0;
    status.saturated_count += best.saturated;
    const uint64_t index = row * l.scales_per_row + first / l.group;
    set(l, index, model::bitsOf(d.weights.scale_type, best.value), l.format->stored(uint32_t(best.zero)));
    if (end < l.cols) return;
    const uint64_t behind = row + 1 == l.rows ? l.scale_count + 4 : (row + 1) * l.scales_per_row;
    for (uint64_t i = index + 1; i < behind; ++i) set(l, i, 0, 0);
  }

  void run() {
    const model::Layout l = layoutOf(d);
    const bool flat = (d.weights.flags & NIB_WEIGHTS_FLAT) != 0;
    const uint64_t rows = flat ? 1 : byColumns(d) ? d.rows : n, cols = byColumns(d) ? n : l.cols;
    const uint64_t stride = flat ? l.cols : d.source_stride != 0 ? d.source_stride : d.cols;
    for (uint64_t row = 0; row < rows; ++row) {
      for (uint64_t first = 0; first < cols; first += l.group) group(l, row, first, stride);
    }
  }
};

std::string compareWithModel(const selftest::Case& c, uint32_t* chosen_after_first) {
  const NibSearchDesc& d = c.as<NibSearchDesc>();
  Ranges ranges(c.desc());
  if (!ranges.valid()) return "refused";
  prepare(c, ranges);
  model::Bytes blob = ranges.copy(NIB_ROLE_WEIGHTS);
  const model::Bytes source = ranges.copy(NIB_ROLE_INPUT);
  const float* hessian =
      hasHessian(d) ? reinterpret_cast<const float*>(&source[size_t(ranges.memory.part[NIB_PART_HESSIAN].offset_bytes)])
                    : nullptr;
  Model m{d, c.n, source, hessian, blob};
  m.run();
  *chosen_after_first += m.chosen_after_first;
  if (ranges.run(c.n) != NIB_SUCCESS) return "failed";
  if (!ranges.guardsHold()) return "wrote outside its ranges";
  if (ranges.copy(NIB_ROLE_INPUT) != source) return "wrote its input";
  const std::string difference = firstDifference(ranges.bytes(NIB_ROLE_WEIGHTS), blob.data(), blob.size());
  if (!difference.empty()) return difference;
  if (d.flags & NIB_SEARCH_STATUS) {
    const NibStatus found = ranges.status();
    if (std::memcmp(&found, &m.status, sizeof found) != 0) {
      return "status " + std::to_string(found.nonfinite_count) + ", " + std::to_string(found.saturated_count) +
             ", must be " + std::to_string(m.status.nonfinite_count) + ", " + std::to_string(m.status.saturated_count);
    }
  }
  return {};
}

// --------------------------------------------------------------------------------------------- whole weights
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

// The blob's scales, found by a search; codes are not written.
model::Bytes searched(const NibSearchDesc& d, const Floats& x) {
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  ranges.write(NIB_ROLE_INPUT, x);
  REQUIRE(ranges.run(byColumns(d) ? d.cols : d.rows) == NIB_SUCCESS);
  return ranges.copy(NIB_ROLE_WEIGHTS);
}

bool haveFormat(uint32_t format, const char* name) {
  if (nibFormatById(format) != nullptr) return true;
  MESSAGE("skipped: format ", name, " is not in this build");
  return false;
}

}  // namespace

NIB_DEFINE_OP_TEST(search, checkMemory, checkRefusals)

TEST_SUITE_BEGIN("search");

TEST_CASE("search gives the model's bytes for every case of the shared list") {
  for (const model::Format& format : searchedFormats()) {
    INFO(nibFormatById(format.id)->name);
    uint32_t chosen_after_first = 0;
    const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_SEARCH, format.id, selftest::Extent::kFull);
    CHECK(list.size() >= (nibFormatById(format.id)->granularities == 1u << NIB_GRANULARITY_GROUP ? 8 : 50));
    for (const selftest::Case& c : list) {
      const std::string difference = compareWithModel(c, &chosen_after_first);
      if (difference.empty()) continue;
      INFO(c.name());
      CHECK(difference == "");
    }
    // Searches that always choose the first candidate would prove little.
    CHECK(chosen_after_first > 30);
  }
}

TEST_CASE("search finds the least squared error of a brute force in exact arithmetic") {
  constexpr uint32_t kRows = 12, kCols = 300;
  const Floats x = normal(size_t(kRows) * kCols, 5, 0.02);
  for (const model::Format& format : searchedFormats()) {
    const NibFormatInfo& info = *nibFormatById(format.id);
    INFO(info.name);
    const uint32_t group = info.group_multiple == info.group_max ? info.group_max : 64;
    for (const uint32_t mode : {0u, uint32_t(NIB_WEIGHTS_ASYMMETRIC), uint32_t(NIB_WEIGHTS_NARROW)}) {
      if ((mode & ~info.weights_flags) != 0) continue;
      uint32_t type = NIB_TYPE_F16;
      if (!(info.scale_types >> type & 1u)) type = NIB_TYPE_E8M0;
      const NibWeights w = weights(format.id, NIB_GRANULARITY_GROUP, group, mode, NibType(type));
      const NibSearchDesc d = searchDesc(kRows, kCols, w);
      const model::Layout l = layoutOf(d);
      const model::Bytes blob = searched(d, x);
      const Grid grid = gridOf(d);
      double found_total = 0, absmax_total = 0;
      for (uint64_t row = 0; row < kRows; ++row) {
        for (uint64_t first = 0; first < kCols; first += group) {
          std::vector<double> elements;
          model::Extent extent;
          for (uint64_t col = first; col < std::min<uint64_t>(first + group, kCols); ++col) {
            elements.push_back(double(x[size_t(row * kCols + col)]));
            extent.add(elements.back());
          }
          double least = INFINITY;
          for (uint32_t i = 0; i < grid.steps; ++i) {
            const double error = exactError(format, w, candidate(format, w, extent, grid, i), elements);
            least = std::fmin(least, error);
            if (i == 0) absmax_total += error;
          }
          const model::Scale scale = model::scaleAt(l, w, blob.data(), row * l.scales_per_row + first / group);
          const double found = exactError(format, w, scale, elements);
          // A sum of n squares, each rounded three times, has an error below (n + 3) * 2^-24 of itself; so does the
          // least sum.
          CHECK(found <= least * (1 + 2 * double(elements.size() + 3) * 0x1p-24));
          found_total += found;
        }
      }
      // Fine codes, and powers of two that saturate already, leave little to gain.
      INFO("mode ", mode, ": ", found_total, " instead of ", absmax_total);
      CHECK(found_total <= (info.bits == 8 || type == NIB_TYPE_E8M0 ? 1.0 : 0.97) * absmax_total);
    }
  }
}

// Correlated inputs of some tokens, a few of them large in a few columns, and the sum of their outer products.
struct Inputs {
  uint32_t tokens, cols;
  Floats x;

  Inputs(uint32_t t, uint32_t c, uint64_t seed) : tokens(t), cols(c), x(normal(size_t(t) * c, seed, 1)) {
    for (uint32_t token = 0; token < t; ++token) {
      for (uint32_t col = 1; col < c; ++col) {
        float& v = x[size_t(token) * c + col];
        v = 0.6f * x[size_t(token) * c + col - 1] + v;
      }
    }
    for (uint32_t token = 0; token < t; ++token) {
      for (uint32_t col = 5; col < c; col += 37) x[size_t(token) * c + col] *= 20;
    }
  }
  Floats hessian() const {
    Floats h(size_t(cols) * cols, NAN);
    for (uint32_t i = 0; i < cols; ++i) {
      for (uint32_t j = 0; j <= i; ++j) {
        double sum = 0;
        for (uint32_t t = 0; t < tokens; ++t) sum += double(at(t, i)) * double(at(t, j));
        h[size_t(i) * cols + j] = float(sum);
      }
    }
    return h;
  }
  float at(uint32_t token, uint32_t col) const { return x[size_t(token) * cols + col]; }
  // The sum over tokens of (e . x)^2, and of (|e| . |x|)^2.
  double outputError(const std::vector<double>& e, uint32_t first, double* most) const {
    double sum = 0;
    *most = 0;
    for (uint32_t t = 0; t < tokens; ++t) {
      double y = 0, magnitude = 0;
      for (size_t i = 0; i < e.size(); ++i) {
        y += e[i] * double(at(t, first + uint32_t(i)));
        magnitude += std::fabs(e[i] * double(at(t, first + uint32_t(i))));
      }
      sum += y * y;
      *most += magnitude * magnitude;
    }
    return sum;
  }
};

model::Bytes searchedByOutput(NibSearchDesc d, const Floats& x, const Floats& hessian) {
  d.flags |= NIB_SEARCH_HESSIAN;
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  ranges.write(NIB_ROLE_INPUT, x);
  std::memcpy(ranges.bytes(NIB_ROLE_INPUT) + ranges.memory.part[NIB_PART_HESSIAN].offset_bytes, hessian.data(),
              hessian.size() * 4);
  REQUIRE(ranges.run(byColumns(d) ? d.cols : d.rows) == NIB_SUCCESS);
  return ranges.copy(NIB_ROLE_WEIGHTS);
}

TEST_CASE("with a Hessian, search finds the least error of the outputs of the tokens, counted in double precision") {
  constexpr uint32_t kRows = 6, kCols = 300, kTokens = 400;
  const Floats x = normal(size_t(kRows) * kCols, 5, 0.02);
  const Inputs inputs(kTokens, kCols, 77);
  const Floats hessian = inputs.hessian();
  for (const model::Format& format : searchedFormats()) {
    const NibFormatInfo& info = *nibFormatById(format.id);
    INFO(info.name);
    const uint32_t group = info.group_multiple == info.group_max ? info.group_max : 128;
    for (const uint32_t mode : {0u, uint32_t(NIB_WEIGHTS_ASYMMETRIC), uint32_t(NIB_WEIGHTS_NARROW)}) {
      if ((mode & ~info.weights_flags) != 0) continue;
      uint32_t type = NIB_TYPE_F16;
      if (!(info.scale_types >> type & 1u)) type = NIB_TYPE_E8M0;
      const NibWeights w = weights(format.id, NIB_GRANULARITY_GROUP, group, mode, NibType(type));
      NibSearchDesc d = searchDesc(kRows, kCols, w);
      d.steps = 20;
      d.least = 0.5f;
      const model::Layout l = layoutOf(d);
      const model::Bytes plain = searched(d, x), blob = searchedByOutput(d, x, hessian);
      const Grid grid = gridOf(d);
      double found_total = 0, plain_total = 0;
      for (uint64_t row = 0; row < kRows; ++row) {
        for (uint64_t first = 0; first < kCols; first += group) {
          std::vector<double> elements;
          model::Extent extent;
          for (uint64_t col = first; col < std::min<uint64_t>(first + group, kCols); ++col) {
            elements.push_back(double(x[size_t(row * kCols + col)]));
            extent.add(elements.back());
          }
          const auto errorWith = [&](const model::Scale& scale, double* most) {
            std::vector<double> e;
            for (const double v : elements) e.push_back(v - valueOf(format, w, scale, v));
            return inputs.outputError(e, uint32_t(first), most);
          };
          double least = INFINITY, most = 0;
          for (uint32_t i = 0; i < grid.steps; ++i) {
            double magnitude;
            least = std::fmin(least, errorWith(candidate(format, w, extent, grid, i), &magnitude));
            most = std::fmax(most, magnitude);
          }
          const uint64_t index = row * l.scales_per_row + first / group;
          double magnitude;
          const double found = errorWith(model::scaleAt(l, w, blob.data(), index), &magnitude);
          // A chain of n products and sums, each rounded, is off by less than (n + 3) * 2^-24 of its magnitudes; H and
          // e were rounded too.
          CHECK(found <= least + 2 * double(elements.size() + 8) * 0x1p-24 * most);
          found_total += found;
          plain_total += errorWith(model::scaleAt(l, w, plain.data(), index), &magnitude);
        }
      }
      INFO("mode ", mode, ": ", found_total, " instead of ", plain_total);
      CHECK(found_total <= (info.bits == 8 || type == NIB_TYPE_E8M0 ? 1.0 : 0.97) * plain_total);
    }
  }
}

TEST_CASE("a Hessian whose diagonal is the same everywhere finds the scales of least squared error") {
  if (!haveFormat(NIB_FORMAT_INT4, "int4")) return;
  constexpr uint32_t kRows = 5, kCols = 96;
  const Floats x = normal(size_t(kRows) * kCols, 21, 0.02);
  const NibSearchDesc d = searchDesc(kRows, kCols, weights(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32));
  const model::Bytes plain = searched(d, x);
  // No inputs at all, inputs that are not finite, and uncorrelated ones of one size.
  for (const float diagonal : {0.0f, INFINITY, 1e-40f, 3e-7f, 1.0f, 5e20f}) {
    Floats h(size_t(kCols) * kCols, 0.0f);
    for (uint32_t i = 0; i < kCols; ++i) h[size_t(i) * kCols + i] = diagonal;
    INFO(diagonal);
    CHECK(searchedByOutput(d, x, h) == plain);
  }
}

TEST_CASE("quantize with searched scales loses no more than with the scales it finds") {
  constexpr uint32_t kRows = 9, kCols = 272;
  const Floats x = normal(size_t(kRows) * kCols, 11, 0.5);
  const auto errorOf = [&](const NibWeights& w, const model::Bytes* given) {
    const NibQuantizeDesc q =
        quantizeDesc(kRows, kCols, w, NIB_TYPE_F32, given != nullptr ? NIB_QUANTIZE_GIVEN_SCALES : 0);
    Ranges blob(asOp(q));
    REQUIRE(blob.valid());
    blob.clearStatus();
    blob.write(NIB_ROLE_INPUT, x);
    if (given != nullptr) blob.write(NIB_ROLE_WEIGHTS, *given);
    REQUIRE(blob.run(kRows) == NIB_SUCCESS);
    const NibDequantizeDesc d = dequantizeDesc(kRows, kCols, w);
    Ranges values(asOp(d));
    REQUIRE(values.valid());
    values.write(NIB_ROLE_WEIGHTS, blob.copy(NIB_ROLE_WEIGHTS));
    REQUIRE(values.run(kRows) == NIB_SUCCESS);
    const Floats y = values.read<float>(NIB_ROLE_OUTPUT, 0, x.size());
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) sum += (double(x[i]) - double(y[i])) * (double(x[i]) - double(y[i]));
    return sum;
  };
  uint32_t ways = 0;
  for (const model::Format& format : searchedFormats()) {
    for (const NibWeights& w : allWeights(*nibFormatById(format.id))) {
      if (!takes(w)) continue;
      INFO(nibFormatById(format.id)->name, " granularity ", w.granularity, " group ", w.group_size, " flags ", w.flags,
           " scales ", w.scale_type);
      const model::Bytes found = searched(searchDesc(kRows, kCols, w), x);
      const double least = errorOf(w, &found), absmax = errorOf(w, nullptr);
      CHECK(least <= absmax * (1 + 2 * double(x.size()) * 0x1p-24));
      ++ways;
    }
  }
  CHECK(ways >= 100);
}

TEST_CASE("runs of columns and of rows give the bytes of one run") {
  constexpr uint32_t kRows = 7, kCols = 200, kPiece = 40;
  const Floats x = normal(size_t(kRows) * kCols, 3, 0.02);
  for (const model::Format& format : searchedFormats()) {
    const NibFormatInfo& info = *nibFormatById(format.id);
    INFO(info.name);
    for (const uint32_t group : {16u, 32u, 64u, 256u}) {
      if (group % info.group_multiple != 0 || group > info.group_max) continue;
      const uint32_t mode = uint32_t(NIB_WEIGHTS_ASYMMETRIC) & info.weights_flags;
      const uint32_t type = info.scale_types >> NIB_TYPE_F16 & 1u ? NIB_TYPE_F16 : NIB_TYPE_E8M0;
      const NibWeights w = weights(format.id, NIB_GRANULARITY_GROUP, group, mode, NibType(type));
      NibSearchDesc d = searchDesc(kRows, kCols, w);
      d.steps = 20;
      const model::Bytes whole = searched(d, x);

      d.flags = NIB_SEARCH_COLUMNS;
      CHECK(searched(d, x) == whole);
      d.run_rows = kPiece;
      Ranges columns(asOp(d));
      REQUIRE(columns.valid());
      columns.write(NIB_ROLE_INPUT, x);
      for (uint32_t first = 0; first < kCols; first += kPiece) {
        const NibRun run{sizeof(NibRun), kPiece, first, 0, UINT32_MAX, {}};
        REQUIRE(nibCpuRun(asOp(d), &columns.binding, &run, nullptr, nullptr) == NIB_SUCCESS);
      }
      CHECK(columns.copy(NIB_ROLE_WEIGHTS) == whole);

      d.flags = 0;
      d.run_rows = 3;
      Ranges rows(asOp(d));
      REQUIRE(rows.valid());
      for (uint32_t first = 0; first < kRows; first += 3) {
        const uint32_t count = std::min(3u, kRows - first);
        std::memcpy(rows.bytes(NIB_ROLE_INPUT), &x[size_t(first) * kCols], size_t(count) * kCols * 4);
        const NibRun run{sizeof(NibRun), count, first, 0, UINT32_MAX, {}};
        REQUIRE(nibCpuRun(asOp(d), &rows.binding, &run, nullptr, nullptr) == NIB_SUCCESS);
      }
      CHECK(rows.copy(NIB_ROLE_WEIGHTS) == whole);
      CHECK(rows.guardsHold());
      CHECK(columns.guardsHold());
    }
  }
}

TEST_CASE("groups that are too small, too large or not finite have the scale that quantize finds") {
  if (!haveFormat(NIB_FORMAT_INT4, "int4")) return;
  const NibWeights w = weights(NIB_FORMAT_INT4, NIB_GRANULARITY_ROW, 0);
  const Floats base = normal(64, 8, 1);
  const auto scaleOf = [&](double factor, float first) {
    Floats x(64);
    for (size_t i = 0; i < x.size(); ++i) x[i] = float(double(base[i]) * factor);
    if (first != 0) x[0] = first;
    const model::Bytes found = searched(searchDesc(1, 64, w), x);
    const NibQuantizeDesc q = quantizeDesc(1, 64, w);
    Ranges quantize(asOp(q));
    REQUIRE(quantize.valid());
    quantize.clearStatus();
    quantize.write(NIB_ROLE_INPUT, x);
    REQUIRE(quantize.run(1) == NIB_SUCCESS);
    float ours, theirs;
    std::memcpy(&ours, &found[size_t(quantize.memory.part[NIB_PART_SCALES].offset_bytes)], 4);
    std::memcpy(&theirs, quantize.scales(), 4);
    return std::pair(ours, theirs);
  };
  for (const double factor : {0x1p-44, 0x1p40, 0x1p100}) {
    const auto [ours, theirs] = scaleOf(factor, 0);
    INFO(factor);
    CHECK(ours == theirs);
    CHECK(theirs > 0);
  }
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    const auto [ours, theirs] = scaleOf(1, bad);
    CHECK(ours == 0);
    CHECK(theirs == 0);
  }
  // In between it is a smaller one.
  for (const double factor : {0x1p-38, 1.0, 0x1p36}) {
    const auto [ours, theirs] = scaleOf(factor, 0);
    INFO(factor);
    CHECK(ours < theirs);
  }
}

TEST_CASE("a group of int2 has the scale worked out by hand") {
  if (!haveFormat(NIB_FORMAT_INT2, "int2")) return;
  // Codes -2 to 1 in steps of p / 1.5, p = 1 or 1 - (15/16) / 2 = 17/32. The elements are 1 and fifteen 1/4s: p = 1
  // makes 2/3 and zeros, with the error (1/3)^2 + 15/16 = 1.05; p = 17/32 makes sixteen 17/48s: (31/48)^2 + 15 *
  // (5/48)^2 = 0.58.
  NibSearchDesc d = searchDesc(1, 16, weights(NIB_FORMAT_INT2, NIB_GRANULARITY_ROW, 0));
  d.steps = 2;
  d.least = 0.0625f;
  Floats x(16, 0.25f);
  x[0] = 1;
  const model::Bytes blob = searched(d, x);
  NibMemory memory{sizeof(NibMemory)};
  REQUIRE(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
  float scale;
  std::memcpy(&scale, &blob[size_t(memory.part[NIB_PART_SCALES].offset_bytes)], 4);
  CHECK(scale == doctest::Approx(17.0 / 48));

  // With inputs: p = 1 has the errors 1/3 and fifteen 1/4s, p = 17/32 has 31/48 and fifteen -5/48s.
  const auto scaleWith = [&](float first, float between) {
    Floats h(16 * 16, 0.0f);
    for (uint32_t i = 0; i < 16; ++i) h[i * 16 + i] = i == 0 ? first : 1.0f;
    for (uint32_t i = 1; i < 16; ++i) h[i * 16] = between;
    const model::Bytes found = searchedByOutput(d, x, h);
    float value;
    std::memcpy(&value, &found[size_t(memory.part[NIB_PART_SCALES].offset_bytes)], 4);
    return value;
  };
  CHECK(scaleWith(1, 0) == doctest::Approx(17.0 / 48));
  // 9 * (1/3)^2 + 15/16 = 1.94 against 9 * (31/48)^2 + 0.16 = 3.92.
  CHECK(scaleWith(9, 0) == doctest::Approx(2.0 / 3));
  // The first input goes against the others: 2 * -0.5 * 15 * (1/3 * 1/4) = -1.25 for p = 1, 2 * -0.5 * 15 * (31/48 *
  // -5/48) = 1.01 for p = 17/32; so 1.05 - 1.25 against 0.58 + 1.01.
  CHECK(scaleWith(1, -0.5f) == doctest::Approx(2.0 / 3));
}

TEST_SUITE_END();
