#include "model/transform/edited_source.h"

#include "model/arch/config.h"
#include "model/archive/container.h"
#include "model/archive/error.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace nib::model {
namespace {

class EditedSource : public TensorSource {
 public:
  EditedSource(const Checkpoint& base, Edits edits) : base_(base), edits_(std::move(edits)) {
    surroundings_.config_json = base.configJson();
    surroundings_.quantization_files = base.quantizationFiles();
    surroundings_.side_files = base.sideFiles();
    surroundings_.notes = base.notes();
    for (size_t i = 0; i < base.size(); ++i) entries_.push_back({i, {}});
    if (!edits_.untied_head.empty()) {
      entries_.push_back({indexOf(edits_.embedding), {}});
    }
    if (edits_.unties && base.configJson()) {
      surroundings_.config_json = configWith(*base.configJson(), "", "", true);
    }
    if (!edits_.config.empty() && surroundings_.config_json) {
      surroundings_.config_json = configWithNumbers(*surroundings_.config_json, edits_.config,
                                                    edits_.own_network ? kOwnNetwork : std::string_view());
    }
    indexNames();
    for (const auto& [tensor, edits] : edits_.by_tensor) {
      const std::optional<size_t> found = find(tensor);
      if (!found) throw Error("a transform needs the tensor " + quoteText(tensor) + ", which the model lacks");
      Entry& entry = entries_[*found];
      entry.edits = edits;
      const TensorInfo info = base.info(entry.base);
      const bool is_float = info.dtype == Dtype::kF32 || info.dtype == Dtype::kF16 || info.dtype == Dtype::kBF16;
      if (!is_float || info.blocks != 0) {
        throw Error(quoteText(tensor) +
                    ": transforms change values of F32, F16 and BF16 alone: make the model dense "
                    "with `nibble quantize IN -o OUT --format safetensors --type F16` first");
      }
    }
  }

  size_t size() const override { return entries_.size(); }
  std::string_view name(size_t i) const override {
    return i < base_.size() ? base_.info(i).name : std::string_view(edits_.untied_head);
  }
  TensorInfo info(size_t i) const override {
    TensorInfo info = base_.info(entries_[i].base);
    if (i >= base_.size()) info.name = edits_.untied_head;
    if (entries_[i].edits.empty()) return info;
    info.declared = info.declared.value_or(info.dtype);
    info.dtype = Dtype::kF32;
    const Matrix before = matrixOf(info.shape);
    Matrix after = before;
    for (const EditPtr& edit : entries_[i].edits) edit->reshape(after.rows, after.cols);
    // Only matrices change their shape.
    if (info.shape.size() == 2) info.shape = {after.rows, after.cols};
    if (info.shape.size() == 1) info.shape = {after.cols};
    info.bytes = *tensorBytes(info.dtype, info.shape);
    return info;
  }
  std::vector<std::filesystem::path> files() const override { return base_.files(); }
  Metadata metadata(uint32_t file) const override { return base_.metadata(file); }
  void fingerprint(Hasher& hasher) const override { hasher.add(std::string_view(base_.fingerprint().hex())); }

  void read(size_t i, uint64_t offset, std::span<std::byte> out) const override {
    const Entry& entry = entries_[i];
    if (entry.edits.empty()) return base_.read(entry.base, offset, out);
    const Matrix matrix = matrixOf(base_.info(entry.base).shape);
    const bool whole =
        std::any_of(entry.edits.begin(), entry.edits.end(), [](const EditPtr& edit) { return edit->needsAllRows(); });
    const uint64_t row_bytes = matrix.cols * sizeof(float);
    if (whole) {
      const std::shared_ptr<const std::vector<float>> values = wholeOf(i, matrix);
      std::copy_n(reinterpret_cast<const std::byte*>(values->data()) + offset, out.size(), out.begin());
      return;
    }
    // Some rows at a time.
    const uint64_t most = std::max<uint64_t>((4u << 20) / row_bytes, 1);
    for (uint64_t done = 0; done < out.size();) {
      const uint64_t at = offset + done, first = at / row_bytes;
      const uint64_t rows = std::min(most, (offset + out.size() - first * row_bytes + row_bytes - 1) / row_bytes);
      const std::vector<float> values = edited(entry, matrix, first, rows);
      const uint64_t skip = at - first * row_bytes;
      const uint64_t count = std::min<uint64_t>(rows * row_bytes - skip, out.size() - done);
      std::copy_n(reinterpret_cast<const std::byte*>(values.data()) + skip, count, out.begin() + std::ptrdiff_t(done));
      done += count;
    }
  }

 private:
  struct Entry {
    size_t base;
    std::vector<EditPtr> edits;
  };
  struct Matrix {
    uint64_t rows = 1, cols = 1;
  };

  size_t indexOf(const std::string& tensor) const {
    const std::optional<size_t> found = base_.find(tensor);
    if (!found) throw Error("a transform needs the tensor " + quoteText(tensor) + ", which the model lacks");
    return *found;
  }

  static Matrix matrixOf(const std::vector<uint64_t>& shape) {
    Matrix matrix;
    for (size_t d = 0; d < shape.size(); ++d) (d + 1 == shape.size() ? matrix.cols : matrix.rows) *= shape[d];
    return matrix;
  }

  std::vector<float> edited(const Entry& entry, const Matrix& matrix, uint64_t first, uint64_t rows) const {
    const TensorInfo info = base_.info(entry.base);
    const uint64_t element = dtypeBits(info.dtype) / 8, count = rows * matrix.cols;
    std::vector<std::byte> stored(size_t(count * element));
    base_.read(entry.base, first * matrix.cols * element, stored);
    std::vector<double> values(stored.size() / size_t(element));
    for (size_t k = 0; k < values.size(); ++k) values[k] = double(floatValue(info.dtype, &stored[k * size_t(element)]));
    uint64_t now_rows = rows, now_cols = matrix.cols;
    for (const EditPtr& edit : entry.edits) {
      edit->apply(values, first, now_rows, now_cols);
      edit->reshape(now_rows, now_cols);
    }
    return std::vector<float>(values.begin(), values.end());
  }

  // The whole tensor. The last one is kept, because tensors are read in pieces.
  std::shared_ptr<const std::vector<float>> wholeOf(size_t i, const Matrix& matrix) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [tensor, values] : kept_) {
      if (tensor == i) return values;
    }
    constexpr size_t kKept = 4;  // several threads read a tensor each
    auto values = std::make_shared<const std::vector<float>>(edited(entries_[i], matrix, 0, matrix.rows));
    if (kept_.size() == kKept) kept_.erase(kept_.begin());
    kept_.emplace_back(i, values);
    return values;
  }

  const Checkpoint& base_;
  Edits edits_;
  std::vector<Entry> entries_;
  mutable std::mutex mutex_;
  mutable std::vector<std::pair<size_t, std::shared_ptr<const std::vector<float>>>> kept_;
};

}  // namespace

std::unique_ptr<TensorSource> editedSource(const Checkpoint& base, Edits edits) {
  return std::make_unique<EditedSource>(base, std::move(edits));
}

}  // namespace nib::model
