// Float products. Many tokens: a panel of weight rows is decoded to fp32 and multiplied by a matrix library. Few
// tokens: pieces of a row are decoded, and multiplied while they are in the nearest cache.
#include "simd/fast_kernels.h"
#include "simd/kernels.h"
#include "simd/packed_rows.h"
#include "simd/row_decoder.h"
#include "simd/run.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <optional>
#include <span>

namespace nib::simd {
namespace {

constexpr uint32_t kPanelRows = 128;  // weight rows of a task
constexpr uint32_t kTokens = 128;     // multiplied at a time
constexpr uint32_t kDecoded = 512;    // tokens of coded activations that are decoded at a time
constexpr uint32_t kFewTokens = 4;

bool canRun(const NibMatmulDesc& d, const NibRun& run) {
  const uint32_t flags = NIB_PRODUCT_BIAS | NIB_PRODUCT_RESIDUAL | NIB_PRODUCT_ONE_KERNEL | NIB_PRODUCT_EACH_INPUT;
  return run.n != 0 && (d.batch <= 1 || d.choices != 0) && d.input_type == NIB_TYPE_F32 &&
         d.result_type == NIB_TYPE_F32 && (d.flags & ~flags) == 0;
}

const NibOpDesc* asOp(const NibGatherDesc& desc) { return reinterpret_cast<const NibOpDesc*>(&desc); }

// Decodes rows of a blob to fp32.
class Decoder {
 public:
  Decoder(const NibWeights& weights, uint32_t rows, uint32_t cols, const NibCpuRange& blob) {
    gather_.op = NIB_OP_GATHER;
    gather_.desc_bytes = sizeof gather_;
    gather_.rows = rows;
    gather_.cols = cols;
    gather_.count = kPanelRows;
    gather_.result_type = NIB_TYPE_F32;
    gather_.weights = weights;
    binding_.range[NIB_ROLE_WEIGHTS] = blob;
  }
  void setPart(NibPart part, uint64_t offset_bytes) { binding_.part_offset_bytes[part] = offset_bytes; }
  // Moves the whole blob, as NibRun does.
  void setOffset(uint64_t offset_bytes) { offset_bytes_ = offset_bytes; }

  bool canDecode() const {
    NibMemory memory{sizeof(NibMemory)};
    return nibGetMemory(asOp(gather_), nullptr, &memory) == NIB_SUCCESS;
  }
  // Up to kPanelRows rows. False if memory is lacking.
  bool decode(uint32_t first, uint32_t rows, float* to) const {
    uint32_t numbers[kPanelRows];
    for (uint32_t i = 0; i < rows; ++i) numbers[i] = first + i;
    NibCpuBinding binding = binding_;
    binding.range[NIB_ROLE_INPUT] = {numbers, sizeof numbers};
    binding.range[NIB_ROLE_OUTPUT] = {to, uint64_t(kPanelRows) * gather_.cols * sizeof(float)};
    NibRun run{sizeof(NibRun)};
    run.n = rows;
    run.slice_count = UINT32_MAX;
    run.offset_bytes[NIB_ROLE_WEIGHTS] = offset_bytes_;
    // A panel belongs to one thread.
    const NibParallelFor serial{[](void*, uint32_t count, void (*body)(void*, uint32_t), void* user) {
                                  for (uint32_t i = 0; i < count; ++i) body(user, i);
                                },
                                nullptr};
    if (runFastKernel(asOp(gather_), binding, run, serial) == Outcome::kDone) return true;
    return nibCpuRun(asOp(gather_), &binding, &run, nullptr, nullptr) == NIB_SUCCESS;
  }

 private:
  NibGatherDesc gather_{};
  NibCpuBinding binding_{sizeof(NibCpuBinding)};
  uint64_t offset_bytes_ = 0;
};

class Product {
 public:
  // moved_memory and moved: the same as references take them.
  Product(const NibMatmulDesc& desc, const NibMemory& memory, const NibCpuBinding& binding, const NibRun& run,
          const NibMemory& moved_memory, const NibCpuBinding& moved)
      : desc_(desc),
        run_(run),
        weights_(desc.weights, desc.rows, desc.cols, binding.range[NIB_ROLE_WEIGHTS]),
        codes_(desc.input, desc.tokens, desc.cols, binding.range[NIB_ROLE_INPUT]) {
    const auto placeOf = [&](NibPart part) {
      const uint64_t moved = binding.part_offset_bytes[part];
      return moved != 0 ? moved : memory.part[part].offset_bytes;
    };
    for (const NibPart part : {NIB_PART_CODES, NIB_PART_SCALES, NIB_PART_ZEROS, NIB_PART_NESTED}) {
      weights_.setPart(part, binding.part_offset_bytes[part]);
    }
    weights_.setOffset(run.offset_bytes[NIB_ROLE_WEIGHTS]);
    codes_.setPart(NIB_PART_CODES, placeOf(NIB_PART_INPUT_CODES));
    codes_.setPart(NIB_PART_SCALES, placeOf(NIB_PART_INPUT_SCALES));
    codes_.setOffset(run.offset_bytes[NIB_ROLE_INPUT]);
    input_ = static_cast<const float*>(binding.range[NIB_ROLE_INPUT].data) + run.offset_bytes[NIB_ROLE_INPUT] / 4;
    input_stride_ = desc.input_stride != 0 ? desc.input_stride : desc.cols;
    output_ = static_cast<float*>(binding.range[NIB_ROLE_OUTPUT].data) + run.offset_bytes[NIB_ROLE_OUTPUT] / 4;
    if ((desc.flags & NIB_PRODUCT_BIAS) != 0) {
      const uint64_t offset = placeOf(NIB_PART_BIAS) + run.offset_bytes[NIB_ROLE_WEIGHTS];
      bias_ = reinterpret_cast<const float*>(static_cast<const char*>(binding.range[NIB_ROLE_WEIGHTS].data) + offset);
    }
    const NibWeights& w = desc.weights;
    if (w.format == NIB_FORMAT_DENSE) {
      makeDenseGeometry("matmul", "weights", desc.rows, desc.cols, w, Log(), &g_);
      elements_ = nib::partOf<void>(moved_memory, moved, NIB_ROLE_WEIGHTS, NIB_PART_CODES);
    } else if (makeGeometry("matmul", "weights", desc.rows, desc.cols, w, Log(), &g_) == NIB_SUCCESS &&
               RowDecoder::canDecode(w) && (w.flags & NIB_WEIGHTS_FLAT) == 0) {
      rows_.emplace(w, g_, moved_memory, moved);
      packed_.emplace(w, g_, moved_memory, moved);
      if (!packed_->fits()) packed_.reset();
    }
  }
  Product(const Product&) = delete;

  bool coded() const { return desc_.input.format != NIB_FORMAT_DENSE; }
  // Whether weights and activations can be decoded in panels.
  bool canDecode() const { return weights_.canDecode() && (!coded() || codes_.canDecode()); }

  // Chooses the tokens [first, first + count) of the run. False if memory is lacking.
  bool chooseTokens(uint32_t first, uint32_t count) {
    first_token_ = first;
    token_count_ = count;
    if (!setFewTokens()) return false;
    if (!coded() || decoded_) return true;
    decoded_ = allocate<float>(size_t(alignedTokens(count)) * desc_.cols);
    input_ = decoded_.get();
    input_stride_ = desc_.cols;
    return decoded_ != nullptr;
  }
  // The rows of `input`, one after the other, take the place of tokens. The results of row t are row numbers[t] of the
  // output, whose first column is that of weight row `base`.
  bool chooseRows(const float* input, std::span<const uint32_t> numbers, uint32_t base) {
    input_ = input;
    input_stride_ = desc_.cols;
    first_token_ = 0;
    token_count_ = uint32_t(numbers.size());
    numbers_ = numbers.data();
    base_ = base;
    return setFewTokens();
  }
  uint32_t inputPanels() const { return coded() ? (token_count_ + kPanelRows - 1) / kPanelRows : 0; }
  bool decodeInput(uint32_t panel) const {
    const uint32_t first = panel * kPanelRows;
    return codes_.decode(run_.first_row + first_token_ + first, std::min(token_count_ - first, kPanelRows),
                         decoded_.get() + size_t(first) * desc_.cols);
  }

  // Rows of the weights from `first` on, kPanelRows or up to `end`, for the chosen tokens. False if memory is lacking.
  bool runPanel(uint32_t first, uint32_t end) const {
    const uint32_t rows = std::min(end - first, kPanelRows);
    if (token_count_ <= kFewTokens && (rows_ || elements_ != nullptr)) {
      runRows(first, rows);
      return true;
    }
    const std::unique_ptr<float[]> panel = allocate<float>(size_t(kPanelRows) * desc_.cols);
    const std::unique_ptr<float[]> sums = allocate<float>(size_t(kTokens) * kPanelRows);
    if (!panel || !sums || !weights_.decode(first, rows, panel.get())) return false;
    for (uint32_t i = 0; i < token_count_; i += kTokens) {
      const uint32_t tokens = std::min(token_count_ - i, kTokens);
      kernels().multiply({tokenAt(i), size_t(input_stride_)}, {panel.get(), desc_.cols, true}, sums.get(), rows, tokens,
                         rows, desc_.cols, false);
      for (uint32_t t = 0; t < tokens; ++t) {
        store(first_token_ + i + t, first, rows, sums.get() + size_t(t) * rows);
      }
    }
    return true;
  }

 private:
  bool setFewTokens() {
    has_tokens_ = false;
    if (!packed_ || coded() || token_count_ > kFewTokens) return true;
    const float* tokens[kFewTokens];
    for (uint32_t t = 0; t < token_count_; ++t) tokens[t] = tokenAt(t);
    has_tokens_ = packed_->setTokens(tokens, token_count_);
    return has_tokens_;
  }
  const float* tokenAt(uint32_t i) const { return input_ + uint64_t(coded() ? i : first_token_ + i) * input_stride_; }

  void runRows(uint32_t first, uint32_t rows) const {
    alignas(64) float w[kPiece];
    float sums[kFewTokens][kPanelRows] = {};
    for (uint32_t r = 0; r < rows; ++r) {
      float packed[kFewTokens];
      if (has_tokens_ && packed_->multiply(first + r, token_count_, packed)) {
        for (uint32_t t = 0; t < token_count_; ++t) sums[t][r] = packed[t];
        continue;
      }
      for (uint32_t col = 0; col < desc_.cols; col += kPiece) {
        const uint32_t count = std::min(kPiece, desc_.cols - col);
        if (rows_) {
          rows_->decode(first + r, col, count, w);
        } else {
          const uint64_t stride = uint64_t(g_.row_words) * 4 / typeBytes(desc_.weights.scale_type);
          loadPiece(elements_, desc_.weights.scale_type, (first + r) * stride + col, count, w);
        }
        for (uint32_t t = 0; t < token_count_; ++t) sums[t][r] += kernels().dot(w, tokenAt(t) + col, count);
      }
    }
    for (uint32_t t = 0; t < token_count_; ++t) store(first_token_ + t, first, rows, sums[t]);
  }

  static uint32_t alignedTokens(uint32_t count) { return (count + kPanelRows - 1) / kPanelRows * kPanelRows; }

  void store(uint32_t token, uint32_t first, uint32_t rows, const float* sums) const {
    const uint64_t stride = desc_.result_stride != 0 ? desc_.result_stride : desc_.rows;
    const uint64_t row = numbers_ != nullptr ? numbers_[token] : uint64_t(run_.first_row) + token;
    float* to = output_ + row * stride + (first - base_);
    const bool residual = (desc_.flags & NIB_PRODUCT_RESIDUAL) != 0;
    float activated[kPanelRows];
    if (desc_.activation != NIB_ACTIVATION_NONE) {
      float ones[kPanelRows];
      for (uint32_t i = 0; i < rows; ++i) {
        activated[i] = bias_ != nullptr ? sums[i] + bias_[first + i] : sums[i];
        ones[i] = 1;
      }
      kernels().gateElements(desc_.activation, activated, ones, rows, activated);
    }
    for (uint32_t i = 0; i < rows; ++i) {
      const float y = desc_.activation != NIB_ACTIVATION_NONE ? activated[i]
                      : bias_ != nullptr                      ? sums[i] + bias_[first + i]
                                                              : sums[i];
      to[i] = residual ? y + to[i] : y;
    }
  }

  const NibMatmulDesc& desc_;
  const NibRun& run_;
  Decoder weights_, codes_;
  Geometry g_{};
  std::optional<RowDecoder> rows_;    // of coded weights
  std::optional<PackedRows> packed_;  // the same, if their codes can be multiplied
  bool has_tokens_ = false;           // packed_ has the chosen tokens
  const void* elements_ = nullptr;    // of dense weights
  std::unique_ptr<float[]> decoded_;
  const float* input_ = nullptr;
  uint64_t input_stride_ = 0;
  const float* bias_ = nullptr;
  float* output_ = nullptr;
  uint32_t first_token_ = 0, token_count_ = 0;
  const uint32_t* numbers_ = nullptr;
  uint32_t base_ = 0;
};

// Products with matrices that tokens choose: matrix by matrix, for all results of it.
Outcome runChoices(const NibMatmulDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                   const NibMemory& moved_memory, const NibCpuBinding& moved, const NibParallelFor& parallel) {
  NibMatmulDesc stack = desc;
  stack.rows = desc.rows * desc.batch;
  stack.result_stride = desc.result_stride != 0 ? desc.result_stride : desc.rows;
  stack.batch = stack.choices = 0;
  struct Work {
    Product product;
    uint32_t first = 0, end = 0;
    std::atomic<bool> failed{false};
  } work{{stack, moved_memory, binding, run, moved_memory, moved}};
  if (!work.product.canDecode()) return Outcome::kUnsupported;
  const uint32_t* chosen = nib::partOf<uint32_t>(moved_memory, moved, NIB_ROLE_INPUT, NIB_PART_INDICES);
  const float* source = nib::partOf<float>(moved_memory, moved, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  const uint64_t source_stride = desc.input_stride != 0 ? desc.input_stride : desc.cols;
  const bool each = (desc.flags & NIB_PRODUCT_EACH_INPUT) != 0;
  const uint32_t count = run.n * desc.choices;
  const std::unique_ptr<uint32_t[]> numbers = allocate<uint32_t>(count);
  const std::unique_ptr<float[]> rows = allocate<float>(size_t(count) * desc.cols);
  if (!numbers || !rows) return Outcome::kNoMemory;
  for (uint32_t matrix = 0; matrix < desc.batch; ++matrix) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; ++i) {
      if (std::min(chosen[i], desc.batch - 1) != matrix) continue;
      const float* from = source + uint64_t(each ? i : i / desc.choices) * source_stride;
      std::copy(from, from + desc.cols, rows.get() + size_t(found) * desc.cols);
      numbers[found++] = run.first_row * desc.choices + i;
    }
    if (found == 0) continue;
    work.first = matrix * desc.rows;
    work.end = work.first + desc.rows;
    if (!work.product.chooseRows(rows.get(), {numbers.get(), found}, work.first)) return Outcome::kNoMemory;
    const auto runPanel = [](void* user, uint32_t index) {
      Work& w = *static_cast<Work*>(user);
      if (!w.product.runPanel(w.first + index * kPanelRows, w.end)) w.failed = true;
    };
    parallel.run(parallel.parallel_user, (desc.rows + kPanelRows - 1) / kPanelRows, runPanel, &work);
    if (work.failed) return Outcome::kNoMemory;
  }
  return Outcome::kDone;
}

Outcome runMatmul(const NibMatmulDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                  const NibParallelFor& parallel) {
  if (!canRun(desc, run)) return Outcome::kUnsupported;
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  if (!isValid(op, binding, run, desc.tokens)) return Outcome::kUnsupported;
  NibMemory memory{sizeof(NibMemory)};
  if (nibGetMemory(op, nullptr, &memory) != NIB_SUCCESS) {
    return Outcome::kUnsupported;
  }
  NibMemory moved_memory{sizeof(NibMemory)};
  NibCpuBinding moved;
  if (!moveOperands(op, binding, run, &moved_memory, &moved)) return Outcome::kUnsupported;
  if (desc.choices != 0) return runChoices(desc, binding, run, moved_memory, moved, parallel);
  struct Work {
    Product product;
    uint32_t rows;
    std::atomic<bool> failed{false};
  } work{{desc, memory, binding, run, moved_memory, moved}, desc.rows};
  if (!work.product.canDecode()) return Outcome::kUnsupported;
  const auto decodeInput = [](void* user, uint32_t index) {
    Work& w = *static_cast<Work*>(user);
    if (!w.product.decodeInput(index)) w.failed = true;
  };
  const auto runPanel = [](void* user, uint32_t index) {
    Work& w = *static_cast<Work*>(user);
    if (!w.product.runPanel(index * kPanelRows, w.rows)) w.failed = true;
  };
  const uint32_t step = work.product.coded() ? std::min(run.n, kDecoded) : run.n;
  for (uint32_t token = 0; token < run.n; token += step) {
    if (!work.product.chooseTokens(token, std::min(run.n - token, step))) return Outcome::kNoMemory;
    const uint32_t inputs = work.product.inputPanels();
    if (inputs != 0) parallel.run(parallel.parallel_user, inputs, decodeInput, &work);
    parallel.run(parallel.parallel_user, (desc.rows + kPanelRows - 1) / kPanelRows, runPanel, &work);
    if (work.failed) return Outcome::kNoMemory;
  }
  return Outcome::kDone;
}

}  // namespace

NIB_DEFINE_FAST_KERNEL(matmul, NIB_OP_MATMUL, NibMatmulDesc, runMatmul)

}  // namespace nib::simd
