#include "model/archive/transposed_source.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

namespace nib::model {
namespace {

using Bytes = std::vector<std::byte>;

class TransposedSource : public TensorSource {
 public:
  TransposedSource(const Checkpoint& base, const std::function<bool(const TensorInfo&)>& chosen)
      : base_(base), transposed_(base.size()) {
    surroundings_.config_json = base.configJson();
    surroundings_.quantization_files = base.quantizationFiles();
    surroundings_.side_files = base.sideFiles();
    surroundings_.notes = base.notes();
    for (size_t i = 0; i < base.size(); ++i) transposed_[i] = chosen(base.info(i));
    indexNames();
  }

  size_t size() const override { return base_.size(); }
  std::string_view name(size_t i) const override { return base_.info(i).name; }
  TensorInfo info(size_t i) const override {
    TensorInfo info = base_.info(i);
    if (transposed_[i]) std::swap(info.shape[0], info.shape[1]);
    return info;
  }
  std::vector<std::filesystem::path> files() const override { return base_.files(); }
  Metadata metadata(uint32_t file) const override { return base_.metadata(file); }
  void fingerprint(Hasher& hasher) const override { hasher.add(std::string_view(base_.fingerprint().hex())); }

  void read(size_t i, uint64_t offset, std::span<std::byte> out) const override {
    if (!transposed_[i]) return base_.read(i, offset, out);
    const std::shared_ptr<const Bytes> whole = wholeOf(i);
    std::copy_n(whole->begin() + std::ptrdiff_t(offset), out.size(), out.begin());
  }

 private:
  Bytes load(size_t i) const {
    const TensorInfo info = base_.info(i);
    const size_t rows = size_t(info.shape[0]), cols = size_t(info.shape[1]), element = dtypeBits(info.dtype) / 8;
    Bytes stored(size_t(info.bytes)), turned(stored.size());
    base_.read(i, 0, stored);
    // Some columns at a time, so that lines of memory are used whole.
    constexpr size_t kColumns = 16;
    for (size_t begin = 0; begin < cols; begin += kColumns) {
      const size_t end = std::min(begin + kColumns, cols);
      for (size_t r = 0; r < rows; ++r) {
        for (size_t c = begin; c < end; ++c) {
          std::memcpy(&turned[(c * rows + r) * element], &stored[(r * cols + c) * element], element);
        }
      }
    }
    return turned;
  }

  // The last ones are kept, because tensors are read in pieces.
  std::shared_ptr<const Bytes> wholeOf(size_t i) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [tensor, bytes] : kept_) {
      if (tensor == i) return bytes;
    }
    constexpr size_t kKept = 4;  // several threads read a tensor each
    auto bytes = std::make_shared<const Bytes>(load(i));
    if (kept_.size() == kKept) kept_.erase(kept_.begin());
    kept_.emplace_back(i, bytes);
    return bytes;
  }

  const Checkpoint& base_;
  std::vector<bool> transposed_;
  mutable std::mutex mutex_;
  mutable std::vector<std::pair<size_t, std::shared_ptr<const Bytes>>> kept_;
};

}  // namespace

std::unique_ptr<TensorSource> transposedSource(const Checkpoint& base,
                                               const std::function<bool(const TensorInfo&)>& chosen) {
  return std::make_unique<TransposedSource>(base, chosen);
}

}  // namespace nib::model
