// Reads NumPy .npy files, versions 1 to 3 (specified in numpy/lib/format.py): arrays in C order of the types
// that a use allows.
#ifndef NIB_MODEL_ARCHIVE_NPY_H
#define NIB_MODEL_ARCHIVE_NPY_H

#include "model/archive/dtype.h"
#include "model/archive/posix_file.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace nib::model {

enum class NpyUse : uint8_t {
  kActivations,  // fp32, fp16
  kTokenIds      // uint16, uint32, int32, int64
};

class NpyFile {
 public:
  // Reads and checks the header, but no data. Throws; also if the use does not allow the type.
  explicit NpyFile(const std::filesystem::path& path, NpyUse use = NpyUse::kActivations);

  Dtype dtype() const { return dtype_; }
  const std::vector<uint64_t>& shape() const { return shape_; }
  uint64_t bytes() const { return bytes_; }
  // Reads out.size() bytes of the data from byte `offset`. Throws; also if that exceeds the data.
  void read(uint64_t offset, std::span<std::byte> out) const;

 private:
  File file_;
  Dtype dtype_ = Dtype::kF32;
  std::vector<uint64_t> shape_;
  uint64_t data_at_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace nib::model
#endif
