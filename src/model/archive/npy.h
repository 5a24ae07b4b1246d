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
#include <string>
#include <vector>

namespace nib::model {

enum class NpyUse : uint8_t {
  kActivations,  // fp32, fp16
  kTokenIds      // uint16, uint32, int32, int64
};

struct NpyHeader {
  Dtype dtype = Dtype::kF32;
  std::vector<uint64_t> shape;
  uint64_t data_at = 0;
  uint64_t bytes = 0;  // of the data
};

// The header of an array of fp32 in C order.
std::string npyHeader(std::span<const uint64_t> shape);

// The most that a header takes, from the start of the file.
inline constexpr uint64_t kMaxNpyHeaderBytes = 12 + (1u << 16);

// start: the first kMaxNpyHeaderBytes of the file, or all of a shorter one. `where` begins every message. Throws Error;
// also if the use does not allow the type.
NpyHeader readNpyHeader(std::span<const std::byte> start, uint64_t file_bytes, const std::string& where, NpyUse use);

class NpyFile {
 public:
  // Reads and checks the header, but no data. Throws.
  explicit NpyFile(const std::filesystem::path& path, NpyUse use = NpyUse::kActivations);

  Dtype dtype() const { return header_.dtype; }
  const std::vector<uint64_t>& shape() const { return header_.shape; }
  uint64_t bytes() const { return header_.bytes; }
  // Reads out.size() bytes of the data from byte `offset`. Throws; also if that exceeds the data.
  void read(uint64_t offset, std::span<std::byte> out) const;

 private:
  File file_;
  NpyHeader header_;
};

}  // namespace nib::model
#endif
