#include "model/transform/edits.h"

#include "model/archive/error.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace nib::model {
namespace {

void checkSize(uint64_t is, uint64_t wanted, const char* what) {
  if (is != wanted) {
    throw Error(std::string("a transform for ") + std::to_string(wanted) + " " + what + " met a tensor of " +
                std::to_string(is));
  }
}

class ScaleColumns : public Edit {
 public:
  ScaleColumns(std::vector<double> factors, double offset) : factors_(std::move(factors)), offset_(offset) {}
  void apply(std::vector<double>& values, uint64_t, uint64_t rows, uint64_t cols) const override {
    checkSize(cols, factors_.size(), "columns");
    for (uint64_t r = 0; r < rows; ++r) {
      for (uint64_t c = 0; c < cols; ++c) {
        double& value = values[r * cols + c];
        value = (value + offset_) * factors_[c] - offset_;
      }
    }
  }

 private:
  std::vector<double> factors_;
  double offset_;
};

class ScaleRows : public Edit {
 public:
  explicit ScaleRows(std::vector<double> factors) : factors_(std::move(factors)) {}
  void apply(std::vector<double>& values, uint64_t first, uint64_t rows, uint64_t cols) const override {
    if (first + rows > factors_.size()) checkSize(first + rows, factors_.size(), "rows");
    for (uint64_t r = 0; r < rows; ++r) {
      for (uint64_t c = 0; c < cols; ++c) values[r * cols + c] *= factors_[first + r];
    }
  }

 private:
  std::vector<double> factors_;
};

class SetAll : public Edit {
 public:
  explicit SetAll(double value) : value_(value) {}
  void apply(std::vector<double>& values, uint64_t, uint64_t rows, uint64_t cols) const override {
    for (uint64_t i = 0; i < rows * cols; ++i) values[i] = value_;
  }

 private:
  double value_;
};

class AddToColumns : public Edit {
 public:
  explicit AddToColumns(std::vector<double> addends) : addends_(std::move(addends)) {}
  void apply(std::vector<double>& values, uint64_t, uint64_t rows, uint64_t cols) const override {
    checkSize(cols, addends_.size(), "columns");
    for (uint64_t i = 0; i < rows * cols; ++i) values[i] += addends_[i % cols];
  }

 private:
  std::vector<double> addends_;
};

class ClampGroups : public Edit {
 public:
  ClampGroups(uint64_t group, double percentile) : group_(group), percentile_(percentile) {}
  void apply(std::vector<double>& values, uint64_t, uint64_t rows, uint64_t cols) const override {
    std::vector<double> sorted;
    for (uint64_t r = 0; r < rows; ++r) {
      for (uint64_t c = 0; c < cols; c += group_) {
        double* const begin = &values[r * cols + c];
        double* const end = begin + std::min(group_, cols - c);
        sorted.assign(begin, end);
        for (double& x : sorted) x = std::fabs(x);
        std::sort(sorted.begin(), sorted.end());
        // Linear between the two nearest ranks.
        const double rank = percentile_ / 100 * double(sorted.size() - 1);
        const size_t below = size_t(rank), above = std::min(below + 1, sorted.size() - 1);
        const double limit = sorted[below] + (rank - double(below)) * (sorted[above] - sorted[below]);
        for (double* x = begin; x != end; ++x) *x = std::clamp(*x, -limit, limit);
      }
    }
  }

 private:
  uint64_t group_;
  double percentile_;
};

class TakeRows : public Edit {
 public:
  explicit TakeRows(std::vector<uint64_t> rows) : rows_(std::move(rows)) {}
  bool needsAllRows() const override { return true; }
  void reshape(uint64_t& rows, uint64_t&) const override { rows = rows_.size(); }
  void apply(std::vector<double>& values, uint64_t, uint64_t, uint64_t cols) const override {
    std::vector<double> taken;
    taken.reserve(rows_.size() * cols);
    for (const uint64_t row : rows_) {
      const auto begin = values.begin() + std::ptrdiff_t(row * cols);
      taken.insert(taken.end(), begin, begin + std::ptrdiff_t(cols));
    }
    values = std::move(taken);
  }

 private:
  std::vector<uint64_t> rows_;
};

class TakeColumns : public Edit {
 public:
  TakeColumns(std::vector<uint64_t> columns, std::vector<double> factors)
      : columns_(std::move(columns)), factors_(std::move(factors)) {}
  bool needsAllRows() const override { return true; }
  void reshape(uint64_t&, uint64_t& cols) const override { cols = columns_.size(); }
  void apply(std::vector<double>& values, uint64_t, uint64_t rows, uint64_t cols) const override {
    std::vector<double> taken(rows * columns_.size());
    for (uint64_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < columns_.size(); ++c) {
        taken[r * columns_.size() + c] = values[r * cols + columns_[c]] * factors_[c];
      }
    }
    values = std::move(taken);
  }

 private:
  std::vector<uint64_t> columns_;
  std::vector<double> factors_;
};

class RotateColumns : public Edit {
 public:
  explicit RotateColumns(std::shared_ptr<const Rotation> rotation) : rotation_(std::move(rotation)) {}
  void apply(std::vector<double>& values, uint64_t, uint64_t rows, uint64_t cols) const override {
    checkSize(cols % rotation_->size, 0, "columns beyond whole rotations");
    for (uint64_t i = 0; i < rows * cols; i += rotation_->size) rotation_->apply(&values[i]);
  }

 private:
  std::shared_ptr<const Rotation> rotation_;
};

class RotateRows : public Edit {
 public:
  RotateRows(std::shared_ptr<const Rotation> rotation, uint64_t first)
      : rotation_(std::move(rotation)), first_(first) {}
  bool needsAllRows() const override { return true; }
  void apply(std::vector<double>& values, uint64_t, uint64_t rows, uint64_t cols) const override {
    if (rows < first_) checkSize(rows, first_, "rows and more");
    checkSize((rows - first_) % rotation_->size, 0, "rows beyond whole rotations");
    // Some columns at a time, so that lines of memory are used whole.
    constexpr uint64_t kColumns = 8;
    const uint64_t size = rotation_->size;
    std::vector<double> column(size * kColumns);
    for (uint64_t row = first_; row < rows; row += size) {
      for (uint64_t c = 0; c < cols; c += kColumns) {
        const uint64_t count = std::min(kColumns, cols - c);
        for (uint64_t r = 0; r < size; ++r) {
          for (uint64_t k = 0; k < count; ++k) column[k * size + r] = values[(row + r) * cols + c + k];
        }
        for (uint64_t k = 0; k < count; ++k) rotation_->apply(&column[k * size]);
        for (uint64_t r = 0; r < size; ++r) {
          for (uint64_t k = 0; k < count; ++k) values[(row + r) * cols + c + k] = column[k * size + r];
        }
      }
    }
  }

 private:
  std::shared_ptr<const Rotation> rotation_;
  uint64_t first_;
};

}  // namespace

EditPtr scaleColumns(std::vector<double> factors, double offset) {
  return std::make_shared<ScaleColumns>(std::move(factors), offset);
}
EditPtr scaleRows(std::vector<double> factors) { return std::make_shared<ScaleRows>(std::move(factors)); }
EditPtr setAll(double value) { return std::make_shared<SetAll>(value); }
EditPtr addToColumns(std::vector<double> addends) { return std::make_shared<AddToColumns>(std::move(addends)); }
EditPtr clampGroups(uint64_t group, double percentile) { return std::make_shared<ClampGroups>(group, percentile); }
EditPtr takeRows(std::vector<uint64_t> rows) { return std::make_shared<TakeRows>(std::move(rows)); }
EditPtr takeColumns(std::vector<uint64_t> columns, std::vector<double> factors) {
  return std::make_shared<TakeColumns>(std::move(columns), std::move(factors));
}
EditPtr rotateColumns(std::shared_ptr<const Rotation> rotation) {
  return std::make_shared<RotateColumns>(std::move(rotation));
}
EditPtr rotateRows(std::shared_ptr<const Rotation> rotation, uint64_t first) {
  return std::make_shared<RotateRows>(std::move(rotation), first);
}

}  // namespace nib::model
