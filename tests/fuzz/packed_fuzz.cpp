// Any model of GPTQ or AWQ: its configuration in the first line of the input, the header of its tensors in the second,
// then their bytes. It is refused with one line, or all of its weights are decoded.
#include "model/archive/error.h"
#include "model/decode.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "readers.h"

namespace nib::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostElements = 1u << 20;

// A folder of this process, which is removed at its end.
struct Scratch {
  Scratch() {
    std::string name = (fs::temp_directory_path() / "nibble_fuzz_XXXXXX").string();
    require(mkdtemp(name.data()) != nullptr, "no folder for the model");
    folder = name;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
  fs::path folder;
};

std::string_view takeLine(Input& input) {
  const std::string_view line = input.substr(0, input.find('\n'));
  input.remove_prefix(std::min(input.size(), line.size() + 1));
  return line;
}

}  // namespace

void packed(Input input) {
  using namespace nib::model;
  static const Scratch kScratch;
  static const kit::Device kDevice = kit::Device::cpu();
  const std::string_view config = takeLine(input), header = takeLine(input);
  std::ofstream(kScratch.folder / "config.json", std::ios::binary) << config;
  char length[8];
  const uint64_t size = header.size();
  std::memcpy(length, &size, sizeof length);
  std::ofstream file(kScratch.folder / "model.safetensors", std::ios::binary);
  file.write(length, sizeof length) << header << input;
  file.close();
  try {
    const Checkpoint checkpoint(kScratch.folder);
    const ModelView view(checkpoint);
    Decoder decoder(TimedDevice(kDevice), view);
    for (const ModelView::Tensor& tensor : view.tensors()) {
      if (tensor.weight == nullptr || tensor.elements() > kMostElements) continue;
      const kit::Buffer values(kDevice, tensor.elements() * sizeof(float));
      decoder.decode(tensor, 0, tensor.elements(), values);
    }
  } catch (const Error& error) {
    requireLine(error.what());
  }
}

}  // namespace nib::fuzz
