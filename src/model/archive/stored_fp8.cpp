// FP8 matrices, and stacks of them, as other programs store them: E4M3 or E5M2 codes, each of which stands for its
// value times a scale. Scales are one per tensor, per row, per group of a row or per block of rows and columns
// (DeepSeek, Qwen). Codes without a scale are values.
#include "model/archive/checkpoint.h"

#include <nibble/formats.h>

#include "model/archive/container.h"
#include "model/archive/error.h"
#include "model/archive/quantization_config.h"
#include "model/archive/scale_names.h"

#include <algorithm>

namespace nib::model {
namespace {

using Block = std::pair<uint64_t, uint64_t>;

constexpr Block kUsualBlock = {128, 128};

std::string shapeText(const std::vector<uint64_t>& shape) {
  std::string text;
  for (const uint64_t side : shape) text += (text.empty() ? "" : ", ") + std::to_string(side);
  return "[" + text + "]";
}

uint64_t ceilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

// The largest group size of FP8 that divides a block's columns; 0 = there is none.
uint32_t groupWithin(uint64_t block_cols) {
  const NibFormatInfo& info = *nibFormatById(NIB_FORMAT_FP8);
  for (uint32_t size = info.group_max; size >= info.group_multiple; size -= info.group_multiple) {
    if (block_cols % size == 0) return size;
  }
  return 0;
}

bool isOne(const std::vector<uint64_t>& shape) {
  return std::all_of(shape.begin(), shape.end(), [](uint64_t side) { return side == 1; });
}

// The rows and columns that share a scale, from the shape of the scales of a matrix; none if it fits nothing. stated:
// of the configuration.
std::optional<Block> blockOf(std::vector<uint64_t> scales, uint64_t rows, uint64_t cols,
                             const std::optional<Block>& stated) {
  if (isOne(scales)) return Block{rows, cols};
  if (scales == std::vector<uint64_t>{rows}) return Block{1, cols};
  // ModelOpt writes blocks as [rows, 1, cols, 1].
  if (scales.size() == 4 && scales[1] == 1 && scales[3] == 1) scales = {scales[0], scales[2]};
  if (scales.size() != 2 || scales[0] == 0 || scales[1] == 0) return std::nullopt;
  const auto fits = [&](const Block& b) {
    return scales[0] == ceilDiv(rows, b.first) && scales[1] == ceilDiv(cols, b.second);
  };
  if (scales[0] == rows && scales[1] == 1) return Block{1, cols};
  if (stated && fits(*stated)) return stated;
  if (!stated && fits(kUsualBlock)) return kUsualBlock;
  if (scales[0] == rows && cols % scales[1] == 0) return Block{1, cols / scales[1]};
  return std::nullopt;
}

class StoredFp8 : public Container {
 public:
  const char* name() const override { return "fp8"; }
  std::string refuses(const WeightSpec&, Activations) const override { return "this form of fp8 is only read"; }
  NibLayout layout(const WeightSpec&, Activations) const override { return NIB_LAYOUT_ROWS; }
  std::string quantizationConfig(const ConfigFacts&) const override { return ""; }

  // The codes. The scales are FoundWeight::grid.
  std::vector<WeightPart> parts(const WeightSpec& w, Activations) const override {
    const Dtype dtype = w.weights.format == NIB_FORMAT_FP8 ? Dtype::kF8E4M3 : Dtype::kF8E5M2;
    return {{{w.name, dtype, {w.rows, w.cols}}, PartFrom::kCodes}};
  }

  std::vector<FoundWeight> find(const Checkpoint& checkpoint) const override {
    std::vector<FoundWeight> found;
    std::optional<Stated> stated;
    for (size_t i = 0; i < checkpoint.size(); ++i) {
      const TensorInfo info = checkpoint.info(i);
      if ((info.dtype != Dtype::kF8E5M2 && info.dtype != Dtype::kF8E4M3) || info.bytes == 0) continue;
      const std::optional<size_t> scale = findWeightScale(checkpoint, info.name);
      // Tensors of any shape may be values, but not the scales of other formats, nor ComfyUI's mark.
      if (!scale && (info.shape.empty() || info.name.find("scale") != std::string_view::npos)) continue;
      if (scale && info.shape.size() != 2 && info.shape.size() != 3) continue;
      if (scale && isOfCompressedTensors(info, checkpoint.info(*scale))) continue;
      if (scale && !stated) stated = {statedBlock(statedQuantization(checkpoint)), statedDtype(checkpoint)};
      found.push_back(describe(checkpoint, i, scale, stated.value_or(Stated{})));
    }
    return found;
  }

 private:
  struct Stated {
    std::optional<Block> block;
    std::optional<Dtype> dtype;
  };

  FoundWeight describe(const Checkpoint& checkpoint, size_t codes, std::optional<size_t> scale,
                       const Stated& stated) const {
    const TensorInfo info = checkpoint.info(codes);
    FoundWeight weight;
    WeightSpec& w = weight.spec;
    w.name = std::string(info.name);
    const uint64_t cols = info.shape.back(), all_rows = info.bytes / cols;
    const uint64_t stack = scale && info.shape.size() == 3 ? info.shape[0] : 1;
    if (all_rows > UINT32_MAX || cols > UINT32_MAX) throw Error(quoteText(w.name) + ": is too large");
    w.rows = uint32_t(all_rows);
    w.cols = uint32_t(cols);
    w.source = Dtype::kF16;  // represents every finite value of E4M3 and E5M2 exactly
    w.weights = {uint32_t(info.dtype == Dtype::kF8E5M2 ? NIB_FORMAT_FP8_E5M2 : NIB_FORMAT_FP8), NIB_GRANULARITY_TENSOR,
                 0, NIB_TYPE_F32, 0};
    weight.tensors = {codes};
    weight.shape = info.shape;
    if (scale) addScales(checkpoint.info(*scale), *scale, {stack, all_rows / stack, cols}, stated, weight);
    return weight;
  }

  struct Shape {
    uint64_t stack, rows, cols;
  };

  void addScales(const TensorInfo& scales, size_t index, const Shape& shape, const Stated& stated,
                 FoundWeight& weight) const {
    const auto refuse = [&](const std::string& what) { return Error(quoteText(scales.name) + ": " + what); };
    const bool exponents = scales.dtype == Dtype::kF8E8M0 || scales.dtype == Dtype::kU8;
    if (!exponents && scales.dtype != Dtype::kF32 && scales.dtype != Dtype::kF16 && scales.dtype != Dtype::kBF16) {
      throw refuse("scales of FP8 codes have the type " + std::string(dtypeName(scales.dtype)) +
                   ", nibble reads F32, F16, BF16 and F8_E8M0");
    }
    // One scale holds for a whole stack. Otherwise every matrix has its own.
    const Shape whole = isOne(scales.shape) ? Shape{1, shape.stack * shape.rows, shape.cols} : shape;
    std::vector<uint64_t> sides = scales.shape;
    std::optional<Block> block;
    if (whole.stack == 1 || (!sides.empty() && sides[0] == whole.stack)) {
      if (whole.stack > 1) sides.erase(sides.begin());
      block = blockOf(sides, whole.rows, whole.cols, stated.block);
    }
    if (!block) {
      throw refuse("has the shape " + shapeText(scales.shape) + ", which fits neither one scale per tensor, row or " +
                   "group nor blocks of " +
                   (stated.block ? std::to_string(stated.block->first) + " x " + std::to_string(stated.block->second) +
                                       " (weight_block_size)"
                                 : "128 x 128") +
                   " of " + quoteText(weight.spec.name));
    }
    // Bytes are exponents in MX formats only.
    if (scales.dtype == Dtype::kU8 && *block != Block{1, 32}) {
      throw refuse("scales of FP8 codes have the type U8, which nibble reads for groups of 32 only");
    }
    WeightSpec& w = weight.spec;
    NibWeights& weights = w.weights;
    weight.grid = {index,
                   exponents ? Dtype::kF8E8M0 : scales.dtype,
                   whole.rows,
                   block->first,
                   block->second,
                   ceilDiv(whole.rows, block->first),
                   ceilDiv(whole.cols, block->second)};
    if (isOne(scales.shape)) {
      weights.granularity = NIB_GRANULARITY_TENSOR;
    } else if (block->second >= whole.cols) {
      weights.granularity = NIB_GRANULARITY_ROW;
    } else {
      weights.granularity = NIB_GRANULARITY_GROUP;
      weights.group_size = groupWithin(block->second);
      if (weights.group_size == 0) {
        throw refuse("has a scale for every " + std::to_string(block->second) + " columns, nibble reads multiples of " +
                     std::to_string(nibFormatById(NIB_FORMAT_FP8)->group_multiple));
      }
    }
    w.source = stated.dtype.value_or(scales.dtype == Dtype::kF16 ? Dtype::kF16 : Dtype::kBF16);
    weight.tensors.push_back(index);
  }
};

}  // namespace

const Container& storedFp8() {
  static const StoredFp8 kContainer;
  return kContainer;
}

}  // namespace nib::model
