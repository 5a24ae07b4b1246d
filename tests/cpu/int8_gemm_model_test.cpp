// Int8 products against the definition: sums in 64-bit integers, scales and what follows in double precision, rounded to
// 24 bits after every step. Nothing of it is the reference's or the shaders' code.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "model_ops.h"
#include "prepare.h"

using namespace nib;
using namespace nib::tests;

namespace {

// A product or sum, both exact in double or rounded innocuously: to 24 bits whatever the exponent, none below 2^-126, and
// 2^127 or more is the number before it.
double settled(double v) {
  if (!std::isfinite(v) || v == 0) return 0.0;
  int exponent = 0;
  const double fraction = std::frexp(v, &exponent);
  const double rounded = std::ldexp(model::halfEven(std::ldexp(fraction, 24)), exponent - 24);
  if (std::fabs(rounded) < 0x1p-126) return 0.0;
  if (std::fabs(rounded) >= 0x1p127) return std::copysign(0x1.fffffep126, rounded);
  return rounded;
}

// What a program hands over: no number counts as 0, as does a denormal.
double given(double v) { return std::isfinite(v) && std::fabs(v) >= 0x1p-126 ? settled(v) : 0.0; }

// One side's blob.
struct Side {
  const NibWeights& w;
  const uint8_t* codes;
  const uint8_t* scales;
  const uint8_t* zeros;
  uint64_t row_bytes;
  uint32_t cols;

  bool isSigned() const { return w.format == NIB_FORMAT_INT8; }
  bool isNibble() const { return w.format == NIB_FORMAT_INT4 || w.format == NIB_FORMAT_UINT4; }
  uint32_t group() const { return w.granularity == NIB_GRANULARITY_GROUP && w.group_size < cols ? w.group_size : cols; }
  uint64_t index(uint64_t row, uint32_t col) const {
    if (w.granularity == NIB_GRANULARITY_TENSOR) return 0;
    if (w.granularity == NIB_GRANULARITY_ROW) return row;
    return row * ((cols + group() - 1) / group()) + col / group();
  }
  int64_t value(uint8_t byte) const { return isSigned() && byte >= 128 ? int64_t(byte) - 256 : int64_t(byte); }
  int64_t code(uint64_t row, uint32_t col) const {
    if (isNibble()) return codes[row * row_bytes + col / 2] >> (col % 2 * 4) & 15;
    return value(codes[row * row_bytes + col]);
  }
  int64_t zero(uint64_t row, uint32_t col) const {
    if ((w.flags & NIB_WEIGHTS_ASYMMETRIC) == 0) return isSigned() ? 0 : isNibble() ? 8 : 128;
    return isNibble() ? zeros[index(row, col)] & 15 : value(zeros[index(row, col)]);
  }
  double scale(uint64_t row, uint32_t col) const {
    const double v = model::load(scales, w.scale_type, index(row, col));
    return std::isfinite(v) && v >= 0x1p-120 ? v : 0.0;
  }
};

int64_t codeOf(double y, float scale, int32_t zero, int64_t first, int64_t last) {
  const double steps = settled(y * model::quotient(1.0, double(scale)));
  const double code = model::halfEven(std::fmax(-1e6, std::fmin(1e6, steps))) + zero;
  return int64_t(std::fmax(double(first), std::fmin(double(last), code)));
}

// An element of a token that is multiplied in fp32.
struct Outlier {
  uint32_t col;
  double x;
};

struct Model {
  const NibInt8GemmDesc& d;
  Side w, x;
  const uint8_t* bias;
  const uint8_t* table;
  std::vector<std::vector<Outlier>> outliers = {};  // by token

  bool toCode() const { return d.result_type == NIB_INT8_RESULT_I8 || d.result_type == NIB_INT8_RESULT_U8; }
  int64_t firstCode() const { return d.result_type == NIB_INT8_RESULT_I8 ? -128 : 0; }

  int64_t sum(uint64_t w_row, uint64_t x_row, uint32_t col) const {
    return (x.code(x_row, col) - x.zero(x_row, col)) * (w.code(w_row, col) - w.zero(w_row, col));
  }

  double scaledSums(uint64_t w_row, uint64_t x_row) const {
    double y = 0;
    int64_t piece = 0;
    for (uint32_t col = 0; col < d.cols; ++col) {
      piece += sum(w_row, x_row, col);
      // The greatest common divisor of two sizes divides a column only if each size's multiples may meet there: a piece
      // ends at every multiple of it.
      uint32_t a = w.group(), b = x.group();
      if (a >= d.cols) a = 0;
      if (b >= d.cols) b = 0;
      while (b != 0) {
        const uint32_t rest = a % b;
        a = b;
        b = rest;
      }
      if (col + 1 != d.cols && (a == 0 || (col + 1) % a != 0)) continue;
      y = settled(y + settled(settled(double(float(piece)) * x.scale(x_row, col)) * w.scale(w_row, col)));
      piece = 0;
    }
    return y;
  }

  double activated(double y) const {
    if (d.activation == NIB_ACTIVATION_NONE) return y;
    if (d.activation == NIB_ACTIVATION_RELU) return std::fmax(y, 0.0);
    if (d.activation == NIB_ACTIVATION_RELU6) return std::fmin(std::fmax(y, 0.0), 6.0);
    return given(model::load(table, NIB_TYPE_F32, uint64_t(codeOf(y, d.table_scale, d.table_zero, 0, 255))));
  }

  // The element's bits, from those it held.
  uint32_t element(uint64_t w_row, uint64_t x_row, uint32_t held) const {
    if (d.result_type == NIB_INT8_RESULT_I32) {
      int64_t all = 0;
      for (uint32_t col = 0; col < d.cols; ++col) all += sum(w_row, x_row, col);
      CHECK(std::llabs(all) < int64_t(1) << 31);
      return uint32_t(all);
    }
    double y = scaledSums(w_row, x_row);
    if (!outliers.empty()) {
      for (const Outlier& outlier : outliers[size_t(x_row)]) {
        const double value = settled(double(w.code(w_row, outlier.col) - w.zero(w_row, outlier.col)) * w.scale(w_row, outlier.col));
        y = settled(y + settled(value * outlier.x));
      }
    }
    if (d.flags & NIB_PRODUCT_BIAS) y = settled(y + given(model::load(bias, NIB_TYPE_F32, w_row)));
    y = activated(y);
    if (d.flags & NIB_PRODUCT_RESIDUAL) {
      const int64_t code = firstCode() < 0 && held >= 128 ? int64_t(held) - 256 : int64_t(held);
      const double before = toCode() ? settled(double(code - d.result_zero) * double(d.result_scale))
                                     : model::valueOf(d.result_type, held);
      // What is no number stays, a NaN of 16 bits as the quiet one.
      if (std::isnan(before) && d.result_type != NIB_TYPE_F32) {
        const uint32_t sign = held & 0x8000u;
        return sign | (d.result_type == NIB_TYPE_F16 ? 0x7e00u : 0x7fc0u);
      }
      if (!std::isfinite(before)) return held;
      y = settled(y + given(before));
    }
    if (toCode()) return uint32_t(codeOf(y, d.result_scale, d.result_zero, firstCode(), firstCode() + 255)) & 0xffu;
    return model::bitsOf(d.result_type, model::roundTo(d.result_type, y));
  }
};

std::string compareWithModel(const cases::Case& c) {
  const NibInt8GemmDesc& d = c.desc.int8_gemm;
  Ranges ranges(&c.desc.op);
  if (!ranges.valid()) return "refused";
  const cases::Images images = cases::makeImages(c, ranges.memory);
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    if (ranges.size(role) != 0) std::memcpy(ranges.bytes(role), images.role[role].data(), ranges.size(role));
  }
  const model::Bytes weights = ranges.copy(NIB_ROLE_WEIGHTS), input = ranges.copy(NIB_ROLE_INPUT);
  model::Bytes result = ranges.copy(NIB_ROLE_OUTPUT);

  const uint32_t batch = d.batch != 0 ? d.batch : 1;
  const auto at = [&](const model::Bytes& blob, NibPart part) { return blob.data() + ranges.memory.part[part].offset_bytes; };
  const uint64_t row_bytes = model::roundUp(d.cols, 4);
  const Model m{d,
                {d.weights, weights.data(), at(weights, NIB_PART_SCALES), at(weights, NIB_PART_ZEROS), row_bytes, d.cols},
                {d.input, input.data(), at(input, NIB_PART_INPUT_SCALES), at(input, NIB_PART_INPUT_ZEROS),
                 d.input_stride != 0 ? d.input_stride : row_bytes, d.cols},
                at(weights, NIB_PART_BIAS),
                at(weights, NIB_PART_TABLE)};
  const uint32_t size = m.toCode() ? 1 : d.result_type == NIB_TYPE_F16 || d.result_type == NIB_TYPE_BF16 ? 2 : 4;
  const uint64_t stride = d.result_stride != 0 ? d.result_stride : model::roundUp(d.rows, 4 / size);
  for (uint32_t b = 0; b < batch; ++b) {
    for (uint32_t t = 0; t < c.n; ++t) {
      uint8_t* row = &result[size_t((uint64_t(b) * d.tokens + t) * stride * size)];
      for (uint32_t r = 0; r < d.rows; ++r) {
        const uint32_t held = model::loadBits(row + r * size, size);
        model::storeBits(row + r * size, size, m.element(uint64_t(b) * d.rows + r, uint64_t(b) * d.tokens + t, held));
      }
      // A shared last word is whole.
      for (uint32_t i = d.rows * size; i % 4 != 0; ++i) row[i] = 0;
    }
  }
  if (ranges.run(c.n) != NIB_SUCCESS) return "failed";
  if (!ranges.guardsHold()) return "wrote beside its ranges";
  if (ranges.copy(NIB_ROLE_WEIGHTS) != weights || ranges.copy(NIB_ROLE_INPUT) != input) return "wrote what it reads";
  return firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), result.data(), result.size());
}

// Of each token the first elements that reach the threshold, in ascending columns, which become zeros in `source`.
std::vector<std::vector<Outlier>> takeOutliers(const NibDynamicGemmDesc& d, uint32_t n, model::Bytes& source, uint32_t* count) {
  std::vector<std::vector<Outlier>> outliers(n);
  if (d.outlier_threshold == 0) return {};
  const uint32_t most = d.max_outliers != 0 ? d.max_outliers : d.cols;
  const uint64_t stride = d.source_stride != 0 ? d.source_stride : d.cols, size = model::sizeOf(d.source_type);
  for (uint32_t t = 0; t < n; ++t) {
    bool finite = true;
    for (uint32_t col = 0; col < d.cols; ++col) finite &= std::isfinite(model::load(source.data(), d.source_type, t * stride + col));
    for (uint32_t col = 0; finite && col < d.cols && outliers[t].size() < most; ++col) {
      const double x = model::load(source.data(), d.source_type, t * stride + col);
      if (std::fabs(x) < double(d.outlier_threshold)) continue;
      outliers[t].push_back({col, x});
      std::memset(&source[size_t((t * stride + col) * size)], 0, size_t(size));
    }
    *count += uint32_t(outliers[t].size());
  }
  return outliers;
}

// The same for a product that quantizes: the model's codes of the tokens, and the model's product of those.
std::string compareDynamic(const cases::Case& c) {
  const NibDynamicGemmDesc& d = c.desc.dynamic_gemm;
  Ranges ranges(&c.desc.op);
  if (!ranges.valid()) return "refused";
  const cases::Images images = cases::makeImages(c, ranges.memory);
  for (uint32_t role = 0; role < NIB_ROLE_AUX; ++role) {
    if (ranges.size(role) != 0) std::memcpy(ranges.bytes(role), images.role[role].data(), ranges.size(role));
  }
  const model::Bytes weights = ranges.copy(NIB_ROLE_WEIGHTS), source = ranges.copy(NIB_ROLE_INPUT);
  model::Bytes result = ranges.copy(NIB_ROLE_OUTPUT);
  if (d.flags & NIB_PRODUCT_STATUS) std::memset(ranges.bytes(NIB_ROLE_AUX), 0, sizeof(NibStatus));
  model::Bytes rest = source;  // without the outliers
  NibStatus status{};
  const std::vector<std::vector<Outlier>> outliers = takeOutliers(d, c.n, rest, &status.outlier_count);

  const NibQuantizeDesc q{NIB_OP_QUANTIZE, 0, d.tokens, d.cols, d.source_type, d.source_stride,
                          {NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, d.input_flags}};
  const model::Layout layout = model::layoutOf(d.tokens, d.cols, q.weights);
  model::Bytes input(size_t(layout.blob_bytes));
  model::quantize(q, rest.data(), c.n, input, &status);

  NibInt8GemmDesc p{};
  p.op = NIB_OP_INT8_GEMM;
  p.flags = d.flags;
  p.rows = d.rows;
  p.cols = d.cols;
  p.tokens = d.tokens;
  p.result_type = d.result_type;
  p.activation = d.activation;
  p.weights = d.weights;
  p.input = q.weights;
  const auto at = [&](NibPart part) { return weights.data() + ranges.memory.part[part].offset_bytes; };
  const bool nibbles = d.weights.format == NIB_FORMAT_INT4 || d.weights.format == NIB_FORMAT_UINT4;
  const Model m{p,
                {p.weights, weights.data(), at(NIB_PART_SCALES), at(NIB_PART_ZEROS),
                 nibbles ? model::roundUp(d.cols, 8) / 2 : model::roundUp(d.cols, 4), d.cols},
                {p.input, input.data(), input.data() + layout.scales_offset, input.data() + layout.zeros_offset,
                 layout.row_bytes, d.cols},
                at(NIB_PART_BIAS),
                nullptr,
                outliers};
  const uint32_t size = model::sizeOf(d.result_type);
  const uint64_t stride = d.result_stride != 0 ? d.result_stride : model::roundUp(d.rows, 4 / size);
  for (uint32_t t = 0; t < c.n; ++t) {
    uint8_t* row = &result[size_t(t * stride * size)];
    for (uint32_t r = 0; r < d.rows; ++r) {
      model::storeBits(row + r * size, size, m.element(r, t, model::loadBits(row + r * size, size)));
    }
    for (uint32_t i = d.rows * size; i % 4 != 0; ++i) row[i] = 0;
  }
  if (ranges.run(c.n) != NIB_SUCCESS) return "failed";
  if (!ranges.guardsHold()) return "wrote beside its ranges";
  if (ranges.copy(NIB_ROLE_WEIGHTS) != weights || ranges.copy(NIB_ROLE_INPUT) != source) return "wrote what it reads";
  if ((d.flags & NIB_PRODUCT_STATUS) && std::memcmp(ranges.bytes(NIB_ROLE_AUX), &status, sizeof status) != 0) return "status";
  return firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), result.data(), result.size());
}

// A description of one token and one channel.
NibInt8GemmDesc one(uint32_t cols, uint32_t result_type) {
  NibInt8GemmDesc d{};
  d.op = NIB_OP_INT8_GEMM;
  d.rows = d.tokens = 1;
  d.cols = cols;
  d.result_type = result_type;
  d.weights = d.input = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0);
  return d;
}

}  // namespace

TEST_CASE("int8_gemm gives the model's bytes for every case of the shared list") {
  const std::vector<cases::Case> list = cases::casesOf(NIB_OP_INT8_GEMM, 0, cases::Extent::kFull);
  CHECK(list.size() >= 200);
  uint32_t bounded = 0;
  for (const cases::Case& c : list) {
    const NibInt8GemmDesc& d = c.desc.int8_gemm;
    if (d.activation >= NIB_ACTIVATION_GELU && d.result_type <= NIB_TYPE_BF16) {
      ++bounded;  // not a matter of bytes
      continue;
    }
    const std::string difference = compareWithModel(c);
    if (!difference.empty()) {
      INFO(c.name());
      CHECK(difference == "");
    }
  }
  CHECK(bounded < list.size() / 4);
}

TEST_CASE("dynamic_gemm gives the model's bytes for every case of the shared list") {
  for (const uint32_t format : {NIB_FORMAT_INT8, NIB_FORMAT_UINT8, NIB_FORMAT_INT4, NIB_FORMAT_UINT4}) {
    const std::vector<cases::Case> list = cases::casesOf(NIB_OP_DYNAMIC_GEMM, format, cases::Extent::kFull);
    CHECK(list.size() >= 90);
    for (const cases::Case& c : list) {
      const NibDynamicGemmDesc& d = c.desc.dynamic_gemm;
      if (d.activation >= NIB_ACTIVATION_GELU) continue;  // not a matter of bytes
      const std::string difference = compareDynamic(c);
      if (!difference.empty()) {
        INFO(c.name());
        CHECK(difference == "");
      }
    }
  }
}

// Codes 64 (from 63.5), 0, -127 and 32 of 2/127 each; 64 * 1 + -127 * 3 + 32 * 4 = -189. The outlier is 8 * (2 * 0.5).
TEST_CASE("dynamic_gemm multiplies outliers in fp32 and keeps them out of the scale") {
  NibDynamicGemmDesc d{NIB_OP_DYNAMIC_GEMM, NIB_PRODUCT_STATUS, 1, 4, 1, NIB_TYPE_F32, 0, NIB_TYPE_F32, 0, 0, NIB_WEIGHTS_NARROW,
                       weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0), 6, 0};
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  const float x[4] = {1, 8, -2, 0.5f}, scale = 0.5f;
  const int8_t w[4] = {1, 2, 3, 4};
  std::memcpy(ranges.bytes(NIB_ROLE_INPUT), x, sizeof x);
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), w, sizeof w);
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS) + ranges.memory.part[NIB_PART_SCALES].offset_bytes, &scale, sizeof scale);
  std::memset(ranges.bytes(NIB_ROLE_AUX), 0, sizeof(NibStatus));
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  float y;
  std::memcpy(&y, ranges.bytes(NIB_ROLE_OUTPUT), sizeof y);
  CHECK(double(y) == doctest::Approx(-189 * (2.0 / 127) * 0.5 + 8).epsilon(1e-6));
  NibStatus status;
  std::memcpy(&status, ranges.bytes(NIB_ROLE_AUX), sizeof status);
  CHECK(status.outlier_count == 1);
  CHECK(status.nonfinite_count == 0);
}

TEST_CASE("a token's result does not depend on its neighbours, outliers or not") {
  constexpr uint32_t kRows = 9, kCols = 70, kTokens = 6;
  for (const uint32_t most : {0u, 2u}) {
    NibDynamicGemmDesc d{NIB_OP_DYNAMIC_GEMM, 0, kRows, kCols, kTokens, NIB_TYPE_F32, 0, NIB_TYPE_F32, 0, 0, 0,
                         weights(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32), 6, most};
    Ranges all(asOp(d));
    REQUIRE(all.valid());
    cases::Case c;
    c.desc.dynamic_gemm = d;
    c.seed = 3;
    c.recipe = cases::Recipe::kNormal;
    c.n = kTokens;
    const cases::Images images = cases::makeImages(c, all.memory);
    std::memcpy(all.bytes(NIB_ROLE_WEIGHTS), images.role[NIB_ROLE_WEIGHTS].data(), all.size(NIB_ROLE_WEIGHTS));
    std::vector<float> x(kTokens * kCols);
    std::memcpy(x.data(), images.role[NIB_ROLE_INPUT].data(), x.size() * 4);
    x[2 * kCols + 7] = 20, x[2 * kCols + 69] = -9, x[4 * kCols] = 7, x[4 * kCols + 7] = 6, x[4 * kCols + 8] = 60;
    std::memcpy(all.bytes(NIB_ROLE_INPUT), x.data(), x.size() * 4);
    REQUIRE(all.run(kTokens) == NIB_SUCCESS);
    d.tokens = 1;
    for (uint32_t t = 0; t < kTokens; ++t) {
      Ranges one(asOp(d));
      REQUIRE(one.valid());
      std::memcpy(one.bytes(NIB_ROLE_WEIGHTS), images.role[NIB_ROLE_WEIGHTS].data(), one.size(NIB_ROLE_WEIGHTS));
      std::memcpy(one.bytes(NIB_ROLE_INPUT), &x[t * kCols], kCols * 4);
      REQUIRE(one.run(1) == NIB_SUCCESS);
      CHECK(firstDifference(one.bytes(NIB_ROLE_OUTPUT), all.bytes(NIB_ROLE_OUTPUT) + t * kRows * 4, kRows * 4) == "");
    }
  }
}

// (1 - 3) (7 - 5) + (2 - 3) (-8 - 5) + (-128 - 3) (127 - 5) = -4 + 13 - 15982.
TEST_CASE("int8_gemm subtracts zero points exactly") {
  NibInt8GemmDesc d = one(3, NIB_INT8_RESULT_I32);
  d.weights.flags = d.input.flags = NIB_WEIGHTS_ASYMMETRIC;
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  const int8_t x[4] = {1, 2, -128, 99}, w[4] = {7, -8, 127, 99};  // the fourth is padding
  std::memcpy(ranges.bytes(NIB_ROLE_INPUT), x, 4);
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), w, 4);
  *ranges.part(NIB_ROLE_INPUT, NIB_PART_INPUT_ZEROS) = 3;
  *ranges.zeros() = 5;
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  CHECK(int32_t(ranges.words(NIB_ROLE_OUTPUT, 0, 1)[0]) == -4 + 13 - 15982);
}

TEST_CASE("int8_gemm adds up to the largest sum that is allowed and refuses a longer row") {
  // 131071 products of (-128)^2 are 2^31 - 2^14.
  NibInt8GemmDesc d = one(131071, NIB_INT8_RESULT_I32);
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  std::memset(ranges.bytes(NIB_ROLE_INPUT), 0x80, 131071);
  std::memset(ranges.bytes(NIB_ROLE_WEIGHTS), 0x80, 131071);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  CHECK(ranges.words(NIB_ROLE_OUTPUT, 0, 1)[0] == 0x80000000u - 16384u);
  const auto refused = [](NibInt8GemmDesc desc) {
    NibMemory memory;
    return nibGetMemory(asOp(desc), nullptr, &memory) == NIB_ERROR_UNSUPPORTED;
  };
  d.cols = 131072;
  CHECK(refused(d));
  d.input.flags = NIB_WEIGHTS_NARROW;  // 127 * 128
  CHECK(!refused(d));
  d.cols = 132105;
  CHECK(refused(d));
  d.weights.flags = d.input.flags = NIB_WEIGHTS_ASYMMETRIC;  // 255 * 255
  d.cols = 33025;
  CHECK(!refused(d));
  d.cols = 33026;
  CHECK(refused(d));
  d.result_type = NIB_TYPE_F32;
  d.weights.granularity = NIB_GRANULARITY_GROUP;
  d.weights.group_size = 128;
  CHECK(!refused(d));
}

TEST_CASE("the table of an activation holds its values at the codes") {
  NibInt8GemmDesc d = one(4, NIB_INT8_RESULT_U8);
  d.activation = NIB_ACTIVATION_SILU;
  d.result_scale = 1;
  d.table_scale = 0.5f;
  d.table_zero = 100;
  float table[256];
  REQUIRE(nibFillActivationTable(&d, table) == NIB_SUCCESS);
  CHECK(table[100] == 0);
  CHECK(table[102] == doctest::Approx(1 / (1 + std::exp(-1.0))));
  CHECK(table[0] == doctest::Approx(-50 / (1 + std::exp(50.0))));
  d.activation = NIB_ACTIVATION_RELU;
  CHECK(nibFillActivationTable(&d, table) == NIB_ERROR_INVALID_ARGUMENT);
  d.activation = NIB_ACTIVATION_GELU;
  d.result_type = NIB_TYPE_F32;
  CHECK(nibFillActivationTable(&d, table) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibFillActivationTable(&d, nullptr) == NIB_ERROR_INVALID_ARGUMENT);
}
