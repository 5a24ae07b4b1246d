// Recorded activations: matrices [tokens, channels] by name.
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
  uint64_t tokens = 0;        // all dimensions but the last
  uint32_t channels = 0;
  // Bytes offset... of the matrix. Throws.
  std::function<void(uint64_t offset, std::span<std::byte> out)> read;

  uint64_t rowBytes() const { return uint64_t(channels) * dtypeBits(dtype) / 8; }
};

// Of an .npy file (named as it is, without the ending), a .safetensors file (its tensors of fp32, fp16 and bfloat16 with two
// dimensions or more), or a folder of such files; sorted by name. Throws, also if two have one name or there is none.
std::vector<Recording> openRecordings(const std::filesystem::path& path);

// Which sequences of `length` tokens are used, ascending, each [first, first + count): all of them if there are no more
// than `samples` (0 = all), else that many, drawn without replacement by splitmix64 from the seed; the last may be short.
struct Sequence {
  uint64_t first = 0;
  uint64_t count = 0;
};
std::vector<Sequence> chooseSequences(uint64_t tokens, uint64_t length, uint64_t samples, uint64_t seed);

}  // namespace nib::model
#endif
