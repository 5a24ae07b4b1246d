// Cases of matmul: exact sums, which every path must give to the byte, and every fourth case ordinary numbers, judged
// by the bound.
#include <nibble/formats.h>

#include <algorithm>
#include <cmath>

#include "plan/probe_exact.h"
#include "selftest/bounds.h"
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibMatmulDesc;

uint32_t batchOf(const Desc& d) { return std::max(d.batch, 1u); }
uint64_t inputStride(const Desc& d) { return d.input_stride != 0 ? d.input_stride : d.cols; }
uint64_t resultStride(const Desc& d) {
  const bool even = d.result_type != NIB_TYPE_F32 && uint64_t(d.tokens) * batchOf(d) > 1;
  return d.result_stride != 0 ? d.result_stride : even ? (uint64_t(d.rows) + 1) / 2 * 2 : d.rows;
}

// --------------------------------------------------------------------------------------------- lists
void addPlain(const NibFormatInfo* info, Extent extent, std::vector<Case>& list) {
  struct Product {
    uint32_t rows, cols, tokens;
  };
  // One of everything; tails in every side; numbers of tokens around those that kernels take at a time; few rows, which
  // devices other than CPUs share out by columns, and many, which CPUs do not share out.
  constexpr Product kProducts[] = {{33, 132, 1},  {64, 256, 1},  {1, 1, 1},      {37, 1, 2},
                                   {1, 5, 3},     {5, 1000, 4},  {7, 2064, 5},   {300, 512, 8},
                                   {130, 22, 9},  {3, 1057, 1},  {301, 515, 33}, {72, 336, 67},
                                   {259, 272, 4}, {6, 20000, 1}, {385, 97, 1},   {260, 68, 3}};
  const std::vector<const Sharing*> sharings = sharingsOf(info);
  const uint32_t first = info != nullptr ? info->format : 0;
  Counter counter;
  counter.i = first;
  uint32_t number = 0;
  for (const Product& product : kProducts) {
    ++number;
    for (size_t s = 0; s < sharings.size(); ++s) {
      ++counter.i;
      // A quick list has each product, or every other one and those that take a path alone, with one of the sharings.
      const bool whole_rows = product.rows == 260;
      const bool alone = product.cols == 132 || product.tokens >= 33 || product.cols == 20000 || whole_rows;
      // With these token counts flat groups are not used: their columns are many enough for wide loads.
      const size_t variant = product.tokens == 9 || product.tokens == 33 ? 0 : (number * 3 + first) % sharings.size();
      const bool chosen = s == variant && (alone || (number + first) % 2 == 0);
      if (extent == Extent::kQuick && !chosen) continue;
      const Sharing& sharing = *sharings[s];
      Case c;
      c.seed = counter.i;
      c.recipe = counter.i % 4 == 1 || product.cols > 4096 ? Recipe::kNormal : Recipe::kExact;
      Desc& d = c.describe<Desc>(NIB_OP_MATMUL);
      d.flags = counter.pick(4) | uint32_t(NIB_PRODUCT_ONE_KERNEL);
      d.rows = product.rows;
      d.cols = (sharing.flags & NIB_WEIGHTS_FLAT) != 0 ? flatCols(product.cols) : product.cols;
      d.tokens = product.tokens;
      d.batch = counter.i % 5 == 3 && product.cols < 2000 ? 1 + counter.pick(3) : 0;
      d.input_type = uint32_t(counter.i % 3);
      // fp16 activations without conversion, for matrix units.
      const bool halves = product.tokens == 67;
      if (halves) d.input_type = NIB_TYPE_F16;
      d.result_type = uint32_t(counter.i / 2 % 3);
      d.activation = counter.i % 3 == 0 ? counter.pick(6) : 0u;
      if (info != nullptr) {
        const uint32_t mode = counter.i % 2 == 0 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) & info->weights_flags : 0u;
        d.weights = weightsLike(*info, sharing, mode, counter.i / 5);
      } else {
        d.weights = denseWeights(uint32_t(counter.i / 4 % 3));
      }
      if (counter.i % 7 == 3 && d.tokens > 1 && !halves && !whole_rows) d.input_stride = d.cols + 1 + counter.pick(5);
      if (counter.i % 8 == 5) d.result_stride = (d.rows + 3) / 2 * 2 + 2 * counter.pick(3);
      c.n = rowsOfRun(counter, d.tokens);
      list.push_back(c);
    }
  }
}

// Columns in an order of their own, and activations as codes, apart and together: few tokens and many, whole quads and
// broken ones, batches. A quick list has the first two, and of the next two those of few or those of many tokens.
void addOrdered(const NibFormatInfo* info, Extent extent, std::vector<Case>& list) {
  struct Product {
    uint32_t rows, cols, tokens, batch;
    bool order, codes;
  };
  constexpr Product kProducts[] = {
      {37, 208, 3, 0, true, false},  {70, 336, 19, 2, true, true},  {33, 132, 4, 0, false, true},
      {66, 258, 21, 3, false, true}, {130, 22, 9, 0, true, false},  {5, 1000, 1, 2, true, true},
      {72, 336, 67, 0, true, true},  {72, 320, 67, 0, false, true}, {6, 20000, 1, 0, true, true},
      {3, 1057, 8, 0, true, true},   {1, 1, 1, 0, true, true},      {261, 272, 70, 0, true, false}};
  constexpr Sharing kInputs[] = {{NIB_GRANULARITY_ROW, 0, 0},
                                 {NIB_GRANULARITY_GROUP, 128, 0},
                                 {NIB_GRANULARITY_TENSOR, 0, 0},
                                 {NIB_GRANULARITY_GROUP, 48, 0}};
  const NibFormatInfo* codes[] = {nibFormatById(NIB_FORMAT_FP8), nibFormatById(NIB_FORMAT_FP8_E5M2)};
  const std::vector<const Sharing*> sharings = sharingsOf(info);
  const uint32_t first = info != nullptr ? info->format : 0;
  Counter counter;
  counter.i = 1000 + first * 5;
  uint32_t number = 0;
  for (const Product& product : kProducts) {
    ++number;
    ++counter.i;
    if (extent == Extent::kQuick && number > 2 && number != 3 + first / 2 % 2) continue;
    const Sharing& sharing = *sharings[counter.i % sharings.size()];
    const NibFormatInfo* code = codes[(first + number / 3) % 2];
    if (product.codes && code == nullptr) continue;
    Case c;
    c.seed = counter.i;
    c.recipe = counter.i % 4 == 1 || product.cols > 4096 ? Recipe::kNormal : Recipe::kExact;
    Desc& d = c.describe<Desc>(NIB_OP_MATMUL);
    d.flags = NIB_PRODUCT_ONE_KERNEL | counter.pick(4) | (product.order ? uint32_t(NIB_PRODUCT_ORDER) : 0u);
    d.rows = product.rows;
    d.cols = (sharing.flags & NIB_WEIGHTS_FLAT) != 0 ? flatCols(product.cols) : product.cols;
    d.tokens = product.tokens;
    d.batch = product.batch;
    d.input_type = product.tokens == 67 ? uint32_t(NIB_TYPE_F16) : uint32_t((counter.i + number) % 3);
    d.result_type = uint32_t(counter.i / 2 % 3);
    d.activation = counter.i % 3 == 0 ? counter.pick(6) : 0u;
    if (info != nullptr) {
      const uint32_t mode = counter.i % 2 == 0 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) & info->weights_flags : 0u;
      d.weights = weightsLike(*info, sharing, mode, counter.i / 5);
    } else {
      d.weights = denseWeights(uint32_t(counter.i % 3));
    }
    if (product.codes) d.input = weightsLike(*code, kInputs[counter.pick(4)], 0, counter.i / 3);
    if (!product.codes && counter.i % 3 == 0 && d.tokens > 1) d.input_stride = d.cols + 1 + counter.pick(5);
    c.n = counter.i % 3 != 2 ? d.tokens : (d.tokens + 1) / 2;
    list.push_back(c);
  }
}

// Matrices that tokens choose: one token, and about one, two, four and more results of a matrix. A quick list has two.
void addChoices(const NibFormatInfo* info, Extent extent, std::vector<Case>& list) {
  struct Product {
    uint32_t rows, cols, tokens, matrices, choices;
    bool each;
  };
  constexpr Product kProducts[] = {{33, 132, 1, 4, 2, false},   {70, 96, 40, 4, 2, true},  {64, 256, 1, 5, 3, true},
                                   {37, 208, 5, 3, 2, false},   {130, 22, 9, 8, 1, false}, {5, 1000, 6, 5, 2, true},
                                   {261, 64, 70, 8, 2, false},  {1, 1, 1, 1, 1, false},    {66, 320, 33, 67, 8, true},
                                   {18, 2064, 300, 2, 1, false}};
  const uint32_t first = info != nullptr ? info->format : 0;
  std::vector<const Sharing*> sharings = sharingsOf(info);
  std::erase_if(sharings, [](const Sharing* s) {
    return s->granularity == NIB_GRANULARITY_COLUMN || (s->flags & (NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED)) != 0;
  });
  Counter counter;
  counter.i = 2000 + first * 3;
  uint32_t number = 0;
  for (const Product& product : kProducts) {
    ++counter.i;
    const bool chosen = number == 1 || number % 5 == first % 5;
    ++number;
    if (extent == Extent::kQuick && !chosen) continue;
    const Sharing& sharing = *sharings[counter.i % sharings.size()];
    Case c;
    c.seed = counter.i;
    c.recipe = counter.i % 3 == 1 ? Recipe::kNormal : Recipe::kExact;
    Desc& d = c.describe<Desc>(NIB_OP_MATMUL);
    d.flags = NIB_PRODUCT_ONE_KERNEL | (counter.pick(2) != 0 ? uint32_t(NIB_PRODUCT_BIAS) : 0u) |
              (product.each ? uint32_t(NIB_PRODUCT_EACH_INPUT) : 0u);
    d.rows = product.rows;
    d.cols = product.cols;
    d.tokens = product.tokens;
    d.batch = product.matrices;
    d.choices = product.choices;
    d.input_type = uint32_t(counter.i % 3);
    d.activation = counter.i % 4 == 0 ? counter.pick(6) : 0u;
    if (info != nullptr) {
      const uint32_t mode = counter.i % 2 == 0 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) & info->weights_flags : 0u;
      d.weights = weightsLike(*info, sharing, mode, counter.i / 5);
    } else {
      d.weights = denseWeights(uint32_t(counter.i % 3));
    }
    if (counter.i % 4 == 3) d.input_stride = d.cols + 1 + counter.pick(5);
    if (counter.i % 5 == 2) d.result_stride = d.rows + 3;
    c.n = rowsOfRun(counter, d.tokens);
    list.push_back(c);
  }
}

void list(const NibFormatInfo* format, Extent extent, std::vector<Case>& list) {
  addPlain(format, extent, list);
  addOrdered(format, extent, list);
  addChoices(format, extent, list);
}

std::string name(const Case& c, const Desc& d) {
  const bool dense = d.weights.format == NIB_FORMAT_DENSE;
  std::string text = " " + (dense ? std::string("dense ") + typeName(d.weights.scale_type) : weightsName(d.weights));
  if (d.flags & NIB_PRODUCT_ORDER) text += " in order";
  text += " x " + (d.input.format != 0 ? weightsName(d.input) + " as " : std::string());
  text += std::string(typeName(d.input_type)) + " -> " + typeName(d.result_type) + activationName(d.activation);
  if (d.flags & NIB_PRODUCT_BIAS) text += " bias";
  if (d.flags & NIB_PRODUCT_RESIDUAL) text += " residual";
  if (d.choices != 0) {
    text += " " + std::to_string(d.choices) + " of " + std::to_string(d.batch) + " matrices";
    if (d.flags & NIB_PRODUCT_EACH_INPUT) text += " each";
  } else if (d.batch > 1) {
    text += " batch " + std::to_string(d.batch);
  }
  if (d.result_stride != 0) text += " result stride " + std::to_string(d.result_stride);
  text += ", " + std::to_string(d.tokens) + " tokens";
  return text + dimsName(d.rows, d.cols, d.input_stride, c.n) + dataName(c);
}

uint64_t kind(const Desc& d) {
  const uint64_t many_rows = d.rows >= 256 && d.cols % 4 == 0 && d.input_stride == 0;
  return (d.tokens > 64 ? 2u : d.tokens > 8) | many_rows << 2 | (d.flags & NIB_PRODUCT_ORDER) << 4 |
         uint64_t(d.choices != 0) << 7 | uint64_t(d.input.format) << 8 |
         // Results share matrices.
         uint64_t(d.choices != 0 && uint64_t(d.tokens) * d.choices >= 2 * uint64_t(d.batch)) << 40;
}

// --------------------------------------------------------------------------------------------- data
// A random order. Sometimes columns repeat or are out of range, also by one.
Words makeOrder(uint32_t cols, uint64_t seed) {
  Random random(seed ^ 0x09de9);
  Words order(cols);
  for (uint32_t k = 0; k < cols; ++k) {
    const uint32_t other = random.below(k + 1);
    order[k] = order[other];
    order[other] = k;
  }
  if (seed % 2 != 0 && cols > 3) {
    order[1] = order[0];
    order[cols / 2] = cols;
    order[cols - 1] = UINT32_MAX;
  }
  return order;
}

// Activations: numbers, or codes.
Words makeInput(const Case& c, const Desc& d, const NibMemory& memory) {
  const uint64_t bytes = memory.range[NIB_ROLE_INPUT].size_bytes;
  if (d.input.format == 0) return makeNumbers(c.recipe, d.input_type, bytes, c.seed);
  if (c.recipe != Recipe::kExact) return quantizedNormal(d.tokens * batchOf(d), d.cols, d.input, c.seed + 6);
  Words words(wordsOf(bytes));
  probe::fillExactInput(d.input, words.data(), words.size() * 4, memory.part[NIB_PART_INPUT_SCALES]);
  return words;
}

// Weights, bias, order and residual: with exact sums, or quantized from ordinary numbers.
void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  const Recipe recipe = c.recipe == Recipe::kExact ? Recipe::kExact : Recipe::kNormal;
  if (role == NIB_ROLE_INPUT && d.choices != 0) {
    const NibMemoryPart& source = memory.part[NIB_PART_SOURCE];
    fillPart(range, source, makeNumbers(c.recipe, d.input_type, source.size_bytes, c.seed));
    Random random(c.seed ^ 0xc401ce);
    Words numbers(size_t(d.tokens) * d.choices);
    // Some are beyond the last matrix.
    for (uint32_t& number : numbers) number = random.below(d.batch + 1);
    fillPart(range, memory.part[NIB_PART_INDICES], numbers);
  } else if (role == NIB_ROLE_INPUT) {
    range = makeInput(c, d, memory);
  }
  if (role == NIB_ROLE_OUTPUT && (d.flags & NIB_PRODUCT_RESIDUAL)) {
    range =
        makeDense(recipe, NibType(d.result_type), range.size() * (d.result_type == NIB_TYPE_F32 ? 1 : 2), c.seed + 4);
  }
  if (role != NIB_ROLE_WEIGHTS) return;
  const NibMemoryPart& codes = memory.part[NIB_PART_CODES];
  if (recipe == Recipe::kExact) {
    NibCpuBinding binding{sizeof(NibCpuBinding)};
    binding.range[role] = {range.data(), memory.range[role].size_bytes};
    probe::fillExactWeights(d.weights, memory, binding);
  } else if (d.weights.format == NIB_FORMAT_DENSE) {
    fillPart(range, codes, makeNumbers(recipe, d.weights.scale_type, codes.size_bytes, c.seed + 2));
  } else {
    const Words blob = quantizedNormal(d.rows * batchOf(d), d.cols, d.weights, c.seed + 2);
    std::copy(blob.begin(), blob.end(), range.begin());
  }
  const NibMemoryPart& bias = memory.part[NIB_PART_BIAS];
  fillPart(range, bias, makeNumbers(recipe, NIB_TYPE_F32, bias.size_bytes, c.seed + 3));
  if (d.flags & NIB_PRODUCT_ORDER) fillPart(range, memory.part[NIB_PART_ORDER], makeOrder(d.cols, c.seed));
}

Lines lines(const Desc& d, const NibMemory& memory, NibRole role, NibPart part) {
  if (role == NIB_ROLE_WEIGHTS) return linesOfWeights(d.weights, d.rows * batchOf(d), memory, part);
  if (role == NIB_ROLE_OUTPUT) return linesOfDense(d.result_type, resultStride(d));
  if (role != NIB_ROLE_INPUT || d.input.format != 0) return {0, 8};
  Lines lines = linesOfDense(d.input_type, inputStride(d));
  // A row is a token's.
  if (part == NIB_PART_INDICES) return {uint64_t(d.choices) * 32, 32};
  if (d.flags & NIB_PRODUCT_EACH_INPUT) lines.row_bits *= d.choices;
  return lines;
}

// --------------------------------------------------------------------------------------------- bound
// Activations of token `row`, counted over all matrices, in the order of the weights' columns.
std::vector<double> activationsOf(const Desc& d, uint64_t row, const void* input, const uint32_t* order) {
  std::vector<double> x(d.cols), met(d.cols);
  const NibWeights& w = d.input;
  // Rows of codes are whole words; scales follow at a multiple of 256 bytes.
  const uint64_t row_bytes = (uint64_t(d.cols) + 3) / 4 * 4;
  const uint8_t* codes = static_cast<const uint8_t*>(input);
  const uint8_t* scales = codes + (row_bytes * d.tokens * batchOf(d) + 255) / 256 * 256;
  const uint64_t group = std::min(w.granularity == NIB_GRANULARITY_GROUP ? w.group_size : d.cols, d.cols);
  const uint64_t scale_stride = w.granularity == NIB_GRANULARITY_TENSOR ? 0 : (d.cols + group - 1) / group;
  for (uint32_t c = 0; c < d.cols; ++c) {
    if (w.format == NIB_FORMAT_DENSE) {
      x[c] = elementOf(input, d.input_type, row * inputStride(d) + c);
      continue;
    }
    const double scale = elementOf(scales, w.scale_type, row * scale_stride + c / group);
    const double value = scale < 0x1p-120 ? 0 : double(float(fp8Of(codes[row * row_bytes + c], w.format) * scale));
    x[c] = roundedTo(d.input_type, value);
  }
  if (order == nullptr) return x;
  for (uint32_t c = 0; c < d.cols; ++c) met[c] = order[c] < d.cols ? x[order[c]] : 0;
  return met;
}

// Rows `numbers` of the weights as dequantizing gives them, fp32.
std::vector<float> weightRows(const Desc& d, const Words& numbers, const NibMemory& memory, const uint32_t* blob) {
  std::vector<float> values(numbers.size() * d.cols);
  if (d.weights.format == NIB_FORMAT_DENSE) {
    const uint64_t stride = d.weights.scale_type == NIB_TYPE_F32 ? d.cols : (uint64_t(d.cols) + 1) / 2 * 2;
    for (size_t i = 0; i < numbers.size(); ++i) {
      for (uint32_t c = 0; c < d.cols; ++c) {
        values[i * d.cols + c] = float(elementOf(blob, d.weights.scale_type, numbers[i] * stride + c));
      }
    }
    return values;
  }
  NibGatherDesc gather = describe<NibGatherDesc>(NIB_OP_GATHER);
  gather.rows = d.rows * batchOf(d);
  gather.cols = d.cols;
  gather.count = uint32_t(numbers.size());
  gather.weights = d.weights;
  NibCpuBinding binding{sizeof(NibCpuBinding)};
  // The reference reads only the ranges that are bound here.
  binding.range[NIB_ROLE_WEIGHTS] = {const_cast<uint32_t*>(blob), memory.range[NIB_ROLE_WEIGHTS].size_bytes};
  binding.range[NIB_ROLE_INPUT] = {const_cast<uint32_t*>(numbers.data()), numbers.size() * 4};
  binding.range[NIB_ROLE_OUTPUT] = {values.data(), values.size() * 4};
  runOnHost(reinterpret_cast<const NibOpDesc*>(&gather), binding, gather.count,
            "the weights of a product cannot be dequantized");
  return values;
}

// The codes' lowest byte if weights are (code - zero) * scale, whose zero a kernel may take from sums; -1 if they are
// not.
int lowestByte(uint32_t format) {
  switch (format) {
    case NIB_FORMAT_INT8:
    case NIB_FORMAT_Q8_0: return 0x80;
    case NIB_FORMAT_INT4:
    case NIB_FORMAT_UINT8:
    case NIB_FORMAT_UINT4:
    case NIB_FORMAT_INT3:
    case NIB_FORMAT_INT2:
    case NIB_FORMAT_TERNARY:
    case NIB_FORMAT_Q4_0:
    case NIB_FORMAT_Q5_0: return 0;
    default: return -1;
  }
}

// The values of the lowest code in rows `numbers`, -zero * scale; nothing if the bound does not depend on them.
std::vector<float> lowestRows(const Desc& d, const Words& numbers, const NibMemory& memory, const uint32_t* blob) {
  const int byte = lowestByte(d.weights.format);
  if (byte < 0) return {};
  Words lowest(blob, blob + wordsOf(memory.range[NIB_ROLE_WEIGHTS].size_bytes));
  const NibMemoryPart& codes = memory.part[NIB_PART_CODES];
  std::memset(reinterpret_cast<uint8_t*>(lowest.data()) + codes.offset_bytes, byte, codes.size_bytes);
  return weightRows(d, numbers, memory, lowest.data());
}

// `count` numbers spread over [0, of), both ends included.
Words spread(uint32_t of, uint64_t count) {
  Words numbers;
  if (count >= of || of < 2) {
    for (uint32_t i = 0; i < of; ++i) numbers.push_back(i);
    return numbers;
  }
  count = std::max<uint64_t>(count, 2);
  for (uint64_t i = 0; i < count; ++i) numbers.push_back(uint32_t(i * (of - 1) / (count - 1)));
  return numbers;
}

// A row of activations, and the row of the result that it makes.
struct RowPair {
  uint64_t input, output;
};

Farthest farthest(const Desc& d, const Judged& judged) {
  const uint32_t batch = batchOf(d), n = judged.n;
  const NibMemory& memory = judged.memory;
  const uint64_t most = std::max<uint64_t>(judged.most_products / d.cols / batch, 16);
  const Words tokens = spread(n, uint64_t(d.rows) * n <= most ? n : std::max<uint64_t>(2, most / 64));
  const Words rows = spread(d.rows, most / std::max<size_t>(tokens.size(), 1));
  const uint8_t* blob = reinterpret_cast<const uint8_t*>(judged.before[NIB_ROLE_WEIGHTS]);
  const bool ordered = (d.flags & NIB_PRODUCT_ORDER) != 0;
  const uint32_t* order =
      ordered ? judged.before[NIB_ROLE_WEIGHTS] + memory.part[NIB_PART_ORDER].offset_bytes / 4 : nullptr;
  // Slopes of the activations are below 1.13.
  const double slope = isSmooth(d.activation) ? 1.13 : 1;
  const double exp_error = isSmooth(d.activation) ? 0x1p-19 : 0;
  const double half_ulp = d.result_type == NIB_TYPE_F32 ? 0 : halfUlp(d.result_type);
  // Decoded weights may be rounded to halves.
  const double weight_error = d.input_type == NIB_TYPE_F16 && d.tokens > 8 && d.choices == 0 ? 0x1p-11 : 0;
  const auto inputsOf = [&](uint32_t b) {
    std::vector<RowPair> pairs;
    if (d.choices == 0) {
      for (const uint32_t t : tokens) pairs.push_back({uint64_t(b) * d.tokens + t, uint64_t(b) * d.tokens + t});
      return pairs;
    }
    const uint32_t* chosen = judged.before[NIB_ROLE_INPUT] + memory.part[NIB_PART_INDICES].offset_bytes / 4;
    const bool each = (d.flags & NIB_PRODUCT_EACH_INPUT) != 0;
    for (uint64_t i = 0; i < uint64_t(n) * d.choices; ++i) {
      if (std::min(chosen[i], d.batch - 1) == b) pairs.push_back({each ? i : i / d.choices, i});
    }
    return pairs;
  };
  FarthestSoFar farthest(1e30);
  for (uint32_t b = 0; b < batch; ++b) {
    Words numbers = rows;
    for (uint32_t& number : numbers) number += b * d.rows;
    const std::vector<float> weights = weightRows(d, numbers, memory, judged.before[NIB_ROLE_WEIGHTS]);
    const std::vector<float> lowest = lowestRows(d, numbers, memory, judged.before[NIB_ROLE_WEIGHTS]);
    for (const RowPair& pair : inputsOf(b)) {
      const std::vector<double> x = activationsOf(d, pair.input, judged.before[NIB_ROLE_INPUT], order);
      for (size_t i = 0; i < rows.size(); ++i) {
        const uint32_t r = rows[i];
        const float* w = &weights[i * d.cols];
        double sum = 0, magnitude = 0, zeros = 0;
        for (uint32_t c = 0; c < d.cols; ++c) {
          sum += double(w[c]) * x[c];
          magnitude += std::abs(double(w[c]) * x[c]);
          if (!lowest.empty()) zeros += std::abs(double(lowest[i * d.cols + c]) * x[c]);
        }
        if (d.flags & NIB_PRODUCT_BIAS) {
          float bias;
          std::memcpy(&bias, blob + memory.part[NIB_PART_BIAS].offset_bytes + (uint64_t(b) * d.rows + r) * 4,
                      sizeof bias);
          sum += double(bias);
          magnitude += std::abs(double(bias));
        }
        double y = activated(d.activation, sum);
        const uint64_t at = pair.output * resultStride(d) + r;
        double residual = 0;
        if (d.flags & NIB_PRODUCT_RESIDUAL) residual = elementOf(judged.before[NIB_ROLE_OUTPUT], d.result_type, at);
        y += residual;
        magnitude += std::abs(residual);
        const double rounding = (d.cols + 2.0) * 0x1p-23;
        const double bound = slope * ((rounding + weight_error) * magnitude + rounding * zeros) +
                             exp_error * std::abs(sum) + half_ulp * std::abs(y) + leastOf(d.result_type);
        farthest.add(at, elementOf(judged.output, d.result_type, at), y, bound);
      }
    }
  }
  return farthest.result();
}

// --------------------------------------------------------------------------------------------- other sizes
Case exact(uint32_t rows, uint32_t cols, uint32_t tokens, const NibWeights& weights, uint32_t flags = 0) {
  Case c;
  c.recipe = Recipe::kExact;
  c.seed = 900 + rows;
  c.n = tokens;
  Desc& d = c.describe<Desc>(NIB_OP_MATMUL);
  d.flags = flags | uint32_t(NIB_PRODUCT_ONE_KERNEL);
  d.rows = rows;
  d.cols = cols;
  d.tokens = tokens;
  d.weights = weights;
  return c;
}

// Tokens that start within a word are copied before the product. Their stride is so large that they exceed a window
// and the copy does not.
Case unaligned(uint32_t rows, uint32_t tokens, uint32_t cols) {
  Case c = exact(rows, cols, tokens, denseWeights(NIB_TYPE_F32));
  c.as<Desc>().input_type = NIB_TYPE_F16;
  c.as<Desc>().input_stride = 5 * cols + 1;
  return c;
}

// Activations are codes, which are decoded first. The copy gathers columns from the whole token.
Case ordered(uint32_t rows, uint32_t tokens, uint32_t cols) {
  Case c = exact(rows, cols, tokens, denseWeights(NIB_TYPE_F32), NIB_PRODUCT_ORDER);
  c.as<Desc>().input_type = NIB_TYPE_F16;
  c.as<Desc>().input = weightsOf(NIB_FORMAT_FP8, NIB_GRANULARITY_ROW);
  return c;
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  const auto chosen = [](uint32_t rows, uint32_t cols, uint32_t tokens, const NibWeights& weights) {
    Case c = exact(rows, cols, tokens, weights, NIB_PRODUCT_BIAS);
    c.as<Desc>().batch = 5;
    c.as<Desc>().choices = 2;
    return c;
  };
  if (purpose == Large::kNarrowWindows && format == nullptr) {
    // Windows end within matrices.
    for (const uint32_t tokens : {1u, 40u}) list.push_back(chosen(77, 260, tokens, denseWeights(NIB_TYPE_F32)));
    list.push_back(unaligned(16, 37, 258));
    list.push_back(ordered(16, 137, 258));
  }
  if (purpose != Large::kSlices || format == nullptr || format->format != NIB_FORMAT_INT4 || options.slow) return;
  const NibWeights int4 = weightsOf(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32, 0, NIB_TYPE_F16);
  // Few tokens and several blocks of them; activations that are copied first.
  for (const uint32_t tokens : {2u, 21u}) {
    list.push_back(exact(4099, 1026, tokens, int4, NIB_PRODUCT_BIAS | NIB_PRODUCT_RESIDUAL));
  }
  for (const uint32_t tokens : {2u, 40u}) list.push_back(chosen(1029, 1026, tokens, int4));
  // Activations are decoded and their columns reordered first.
  Case c = exact(67, 1040, 515, int4, NIB_PRODUCT_ORDER);
  c.as<Desc>().batch = 3;
  c.as<Desc>().input = weightsOf(NIB_FORMAT_FP8, NIB_GRANULARITY_ROW);
  list.push_back(c);
}

// --------------------------------------------------------------------------------------------- bench
// One plan for up to 512 tokens, beside plans made for the number of tokens that is run.
void addCounts(const BenchRequest& request, BenchList& rows) {
  const NibFormatInfo* int4 = nibFormatById(NIB_FORMAT_INT4);
  if (int4 == nullptr) return;
  constexpr uint32_t kMost = 512;
  for (const uint32_t n : {1u, 2u, 4u, 8u, 16u, 33u, kMost}) {
    for (const bool own_plan : {true, false}) {
      Case c;
      Desc& d = c.describe<Desc>(NIB_OP_MATMUL);
      d.flags = own_plan ? uint32_t(NIB_PRODUCT_ONE_KERNEL) : 0u;
      d.rows = request.shape.m;
      d.cols = request.shape.k;
      d.tokens = own_plan ? n : kMost;
      d.weights = benchWeights(*int4, usualSharing(*int4));
      rows.add(kReadsProducts, {request.shape.m, n, request.shape.k}, c, n);
    }
  }
}

// Dense weights first, because the others are compared with them. The first shape of a suite has every format; the
// others have one format for each common number of bits.
void listBench(const BenchRequest& request, BenchList& rows) {
  const auto add = [&](const NibWeights& weights, NibType activations) {
    Case c;
    Desc& d = c.describe<Desc>(NIB_OP_MATMUL);
    d.flags = NIB_PRODUCT_ONE_KERNEL;
    d.rows = request.shape.m;
    d.cols = request.shape.k;
    d.tokens = request.shape.n;
    d.input_type = activations;
    d.result_type = activations;
    d.weights = weights;
    rows.add(kReadsProducts, request.shape, c, request.shape.n);
  };
  const auto products = [&](NibType activations, bool every_format) {
    for (const NibType dense : {NIB_TYPE_F32, NIB_TYPE_F16}) add(denseWeights(dense), activations);
    for (uint32_t i = 0; i < nibFormatCount(); ++i) {
      const NibFormatInfo& info = *nibFormatAt(i);
      const bool usual_one = info.format == NIB_FORMAT_INT8 || info.format == NIB_FORMAT_INT4 ||
                             info.format == NIB_FORMAT_NF4 || info.format == NIB_FORMAT_Q4_0 ||
                             info.format == NIB_FORMAT_Q8_0;
      if (every_format || usual_one) add(benchWeights(info, usualSharing(info)), activations);
    }
  };
  if (request.part == BenchPart::kQuick) products(NIB_TYPE_F32, true);
  if (request.part == BenchPart::kSquares) add(denseWeights(NIB_TYPE_F32), NIB_TYPE_F32);
  if (request.part != BenchPart::kProducts) return;
  if (request.suite == Suite::kGemv) {
    products(NIB_TYPE_F32, request.first);
    if (request.first) products(NIB_TYPE_F16, false);
    if (request.first && !request.given) addCounts(request, rows);
  } else {
    products(NIB_TYPE_F32, request.given);
    products(NIB_TYPE_F16, request.first && !request.given);
  }
}

void nameBench(const Case& c, const Desc& d, RowNames& names) {
  names.describe(d.weights);
  if ((d.flags & NIB_PRODUCT_ONE_KERNEL) == 0) names.modes.push_back("plan of " + std::to_string(d.tokens));
  names.source = typeName(d.input_type);
  names.result = typeName(d.result_type);
  names.m = d.rows;
  names.n = c.n;
  names.k = d.cols;
}

RowData benchData(const Case& c, const Desc& d, NibRole role) {
  if (role == NIB_ROLE_INPUT) return RowData::dense(c, d.input_type);
  if (role == NIB_ROLE_OUTPUT) return RowData::marks();
  if (d.weights.format != NIB_FORMAT_DENSE) return RowData::quantized(d.rows, d.cols, d.weights);
  RowData data = RowData::dense(c, d.weights.scale_type);
  data.recipe = Recipe::kNormal;
  data.seed = c.seed + 1;
  return data;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_MATMUL,
    .list = list,
    .name = name,
    .kind = kind,
    .fill = fill,
    .weights = [](Desc& d) { return &d.weights; },
    .lines = lines,
    .bounded = [](const Case& c, const Desc& d) { return c.recipe != Recipe::kExact || isSmooth(d.activation); },
    .farthest = farthest,
    .large = addLarge,
    .bench = {.list = listBench,
              .names = nameBench,
              .data = benchData,
              .multiplyAdds =
                  [](const Desc& d, uint32_t n) {
                    return double(d.rows) * d.cols * n * (d.choices != 0 ? d.choices : batchOf(d));
                  },
              .arithmetic =
                  [](const Desc& d) { return d.input_type == NIB_TYPE_F16 ? Arithmetic::kHalf : Arithmetic::kFloat; },
              .isDenseCounterpart =
                  [](const Desc& d) {
                    return d.weights.format == NIB_FORMAT_DENSE && d.weights.scale_type == NIB_TYPE_F32;
                  },
              .peer = "mul_mat"},
};

}  // namespace

NIB_DEFINE_CASES(matmul, NibMatmulDesc, kCases)

}  // namespace nib::selftest
