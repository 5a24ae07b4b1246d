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
    CHECK(memory.range[NIB_ROLE_INPUT].size_bytes ==
          denseBytes(rows, shape.cols, strided ? padded : shape.cols, d.source_type));
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
        plus<D>(wrongWeights<D>(),
                {
                    {"flags", kInvalid, [](D& d) { d.flags = 4; }},
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
      const double error = roundedError(*l.format, d.weights, scale, x);
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
  Model m{d, c.n, source, blob};
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
}

TEST_SUITE_END();
