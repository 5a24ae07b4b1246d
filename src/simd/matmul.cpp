// Products of many tokens: a panel of weight rows is decoded to fp32 and multiplied by a library.
#include "simd/twins.h"

// A run has threads of its own.
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>

namespace nib::simd {
namespace {

using Matrix =
    Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>, 0, Eigen::OuterStride<>>;
using Result = Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

constexpr uint32_t kPanelRows = 128;  // weight rows of a task
constexpr uint32_t kTokens = 128;     // multiplied at a time
constexpr uint32_t kFewTokens = 4;    // fewer are not worth decoding a panel

template <class T>
std::unique_ptr<T[]> allocate(size_t count) {
  return std::unique_ptr<T[]>(new (std::nothrow) T[count]);
}

bool canRun(const NibMatmulDesc& d, const NibRun& run) {
  return run.n >= kFewTokens && d.batch <= 1 && d.input_type == NIB_TYPE_F32 && d.result_type == NIB_TYPE_F32 &&
         d.input.format == NIB_FORMAT_DENSE && d.activation == NIB_ACTIVATION_NONE &&
         (d.flags & ~uint32_t(NIB_PRODUCT_BIAS | NIB_PRODUCT_RESIDUAL)) == 0;
}

class Product {
 public:
  Product(const NibMatmulDesc& desc, const NibMemory& memory, const NibCpuBinding& binding, const NibRun& run)
      : desc_(desc), run_(run), weights_(binding) {
    input_ = static_cast<const float*>(binding.range[NIB_ROLE_INPUT].data) + run.offset_bytes[NIB_ROLE_INPUT] / 4;
    output_ = static_cast<float*>(binding.range[NIB_ROLE_OUTPUT].data) + run.offset_bytes[NIB_ROLE_OUTPUT] / 4;
    if ((desc.flags & NIB_PRODUCT_BIAS) != 0) {
      const uint64_t moved = binding.part_offset_bytes[NIB_PART_BIAS];
      const uint64_t offset =
          (moved != 0 ? moved : memory.part[NIB_PART_BIAS].offset_bytes) + run.offset_bytes[NIB_ROLE_WEIGHTS];
      bias_ = reinterpret_cast<const float*>(static_cast<const char*>(binding.range[NIB_ROLE_WEIGHTS].data) + offset);
    }
    gather_.op = NIB_OP_GATHER;
    gather_.desc_bytes = sizeof gather_;
    gather_.rows = desc.rows;
    gather_.cols = desc.cols;
    gather_.count = kPanelRows;
    gather_.result_type = NIB_TYPE_F32;
    gather_.weights = desc.weights;
  }

  // Whether the weights can be decoded in panels.
  bool canDecode() const {
    NibMemory memory{sizeof(NibMemory)};
    return nibGetMemory(reinterpret_cast<const NibOpDesc*>(&gather_), nullptr, &memory) == NIB_SUCCESS;
  }

  // Rows [first, first + kPanelRows) of the weights, for all tokens. False if memory is lacking.
  bool runPanel(uint32_t first) const {
    const uint32_t rows = std::min(desc_.rows - first, kPanelRows);
    const std::unique_ptr<float[]> panel = allocate<float>(size_t(kPanelRows) * desc_.cols);
    const std::unique_ptr<float[]> sums = allocate<float>(size_t(kTokens) * kPanelRows);
    if (!panel || !sums || !decode(first, rows, panel.get())) return false;
    const Matrix weights(panel.get(), rows, desc_.cols, Eigen::OuterStride<>(desc_.cols));
    const uint64_t input_stride = desc_.input_stride != 0 ? desc_.input_stride : desc_.cols;
    for (uint32_t token = 0; token < run_.n; token += kTokens) {
      const uint32_t tokens = std::min(run_.n - token, kTokens);
      const Matrix input(input_ + token * input_stride, tokens, desc_.cols,
                         Eigen::OuterStride<>(Eigen::Index(input_stride)));
      Result result(sums.get(), tokens, rows);
      result.noalias() = input * weights.transpose();
      for (uint32_t t = 0; t < tokens; ++t) store(token + t, first, rows, sums.get() + size_t(t) * rows);
    }
    return true;
  }

 private:
  bool decode(uint32_t first, uint32_t rows, float* to) const {
    uint32_t numbers[kPanelRows];
    for (uint32_t i = 0; i < rows; ++i) numbers[i] = first + i;
    NibCpuBinding binding = weights_;
    std::fill(std::begin(binding.part_offset_bytes), std::end(binding.part_offset_bytes), 0);
    for (const NibPart part : {NIB_PART_CODES, NIB_PART_SCALES, NIB_PART_ZEROS, NIB_PART_NESTED}) {
      binding.part_offset_bytes[part] = weights_.part_offset_bytes[part];
    }
    binding.range[NIB_ROLE_INPUT] = {numbers, sizeof numbers};
    binding.range[NIB_ROLE_OUTPUT] = {to, uint64_t(kPanelRows) * desc_.cols * sizeof(float)};
    binding.range[NIB_ROLE_AUX] = {};
    NibRun run{sizeof(NibRun)};
    run.n = rows;
    run.slice_count = UINT32_MAX;
    run.offset_bytes[NIB_ROLE_WEIGHTS] = run_.offset_bytes[NIB_ROLE_WEIGHTS];
    return nibCpuRun(reinterpret_cast<const NibOpDesc*>(&gather_), &binding, &run, nullptr, nullptr) == NIB_SUCCESS;
  }

  void store(uint32_t token, uint32_t first, uint32_t rows, const float* sums) const {
    const uint64_t stride = desc_.result_stride != 0 ? desc_.result_stride : desc_.rows;
    float* to = output_ + (uint64_t(run_.first_row) + token) * stride + first;
    const bool residual = (desc_.flags & NIB_PRODUCT_RESIDUAL) != 0;
    for (uint32_t i = 0; i < rows; ++i) {
      const float y = bias_ != nullptr ? sums[i] + bias_[first + i] : sums[i];
      to[i] = residual ? y + to[i] : y;
    }
  }

  const NibMatmulDesc& desc_;
  const NibRun& run_;
  const NibCpuBinding& weights_;
  NibGatherDesc gather_{};
  const float* input_ = nullptr;
  const float* bias_ = nullptr;
  float* output_ = nullptr;
};

}  // namespace

Outcome runMatmul(const NibMatmulDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                  const NibParallelFor& parallel) {
  if (!canRun(desc, run)) return Outcome::kNoTwin;
  // A run of no tokens checks ranges and strides. The reference reports what is wrong.
  NibRun none = run;
  none.n = 0;
  const NibOpDesc* op = reinterpret_cast<const NibOpDesc*>(&desc);
  if (run.first_row > desc.tokens || run.n > desc.tokens - run.first_row ||
      nibCpuRun(op, &binding, &none, nullptr, nullptr) != NIB_SUCCESS) {
    return Outcome::kNoTwin;
  }
  NibMemory memory{sizeof(NibMemory)};
  if (nibGetMemory(op, nullptr, &memory) != NIB_SUCCESS) {
    return Outcome::kNoTwin;
  }
  struct Work {
    Product product;
    std::atomic<bool> failed{false};
  } work{{desc, memory, binding, run}};
  if (!work.product.canDecode()) return Outcome::kNoTwin;
  const auto body = [](void* user, uint32_t index) {
    Work& w = *static_cast<Work*>(user);
    if (!w.product.runPanel(index * kPanelRows)) w.failed = true;
  };
  parallel.run(parallel.parallel_user, (desc.rows + kPanelRows - 1) / kPanelRows, body, &work);
  return work.failed ? Outcome::kNoMemory : Outcome::kDone;
}

}  // namespace nib::simd
