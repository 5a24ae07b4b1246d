// Recorded activations: named matrices [tokens, channels].
#ifndef NIB_MODEL_CALIBRATE_RECORDING_H
#define NIB_MODEL_CALIBRATE_RECORDING_H

#include "model/archive/dtype.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

struct Recording {
  std::string name;
  Dtype dtype = Dtype::kF32;  // kF32, kF16 or kBF16
  uint64_t tokens = 0;        // product of all dimensions but the last
  uint32_t channels = 0;
  // Reads out.size() bytes of the row-major matrix from byte `offset`. Throws.
  std::function<void(uint64_t offset, std::span<std::byte> out)> read;

  uint64_t rowBytes() const { return uint64_t(channels) * dtypeBits(dtype) / 8; }
};

// Opens an .npy file (one recording, named as the file without its extension), a .safetensors file (one recording per
// fp32, fp16 or bfloat16 tensor of at least two dimensions), or a folder of such files. Sorted by name. Throws; also if
// there is no recording, or if two have the same name.
std::vector<Recording> openRecordings(const std::filesystem::path& path);

// Tokens [first, first + count) of a recording.
struct Sequence {
  uint64_t first = 0;
  uint64_t count = 0;
};
// Splits a recording into sequences of `length` tokens (the last may be shorter) and chooses `samples` of them without
// replacement, by splitmix64 from the seed; all of them if samples is 0 or not below their number. In ascending order.
std::vector<Sequence> chooseSequences(uint64_t tokens, uint64_t length, uint64_t samples, uint64_t seed);

}  // namespace nib::model
#endif
