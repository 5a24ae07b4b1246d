#include "model/archive/error.h"
#include "model/archive/npy.h"
#include "readers.h"

namespace nib::fuzz {

void npy(Input input) {
  for (const model::NpyUse use : {model::NpyUse::kActivations, model::NpyUse::kTokenIds}) {
    try {
      const auto bytes = std::as_bytes(std::span(input.data(), input.size()));
      const auto start = bytes.first(std::min<size_t>(bytes.size(), model::kMaxNpyHeaderBytes));
      const model::NpyHeader header = model::readNpyHeader(start, input.size(), "f", use);
      require(header.data_at + header.bytes == input.size(), "data that is not the rest of the file");
      require(model::tensorBytes(header.dtype, header.shape) == header.bytes, "a shape that does not fit its data");
    } catch (const model::Error& error) {
      requireLine(error.what());
    }
  }
}

}  // namespace nib::fuzz
