#include "model/eval/images.h"

#include "model/archive/error.h"

#include <cmath>

namespace nib::model {
namespace {

std::string shapeOf(const std::vector<uint64_t>& sides) {
  std::string text;
  for (const uint64_t side : sides) text += (text.empty() ? "" : " x ") + std::to_string(side);
  return text;
}

}  // namespace

Images::Images(const std::filesystem::path& path, const ImageConfig& config)
    : path_(path), config_(config), file_(path, NpyUse::kActivations) {
  std::vector<uint64_t> shape = file_.shape();
  if (shape.size() == 4) {
    count_ = size_t(shape.front());
    shape.erase(shape.begin());
  }
  const std::vector<uint64_t> wanted = {config.channels, config.height, config.width};
  if (shape != wanted) {
    throw Error(shown(path) + ": images are " + shapeOf(file_.shape()) + "; the model reads " + shapeOf(wanted) +
                " (channels, height, width), with the count in front");
  }
  if (count_ == 0) throw Error(shown(path) + ": has no image");
}

std::vector<float> Images::patches(size_t image) const {
  const ImageConfig& c = config_;
  const size_t elements = size_t(c.channels) * c.height * c.width, size = dtypeBits(file_.dtype()) / 8;
  std::vector<std::byte> bytes(elements * size);
  file_.read(image * bytes.size(), bytes);
  std::vector<float> patches;
  patches.reserve(size_t(c.patches()) * c.patchElements());
  for (uint32_t top = 0; top + c.patch_height <= c.height; top += c.patch_height) {
    for (uint32_t left = 0; left + c.patch_width <= c.width; left += c.patch_width) {
      for (uint32_t channel = 0; channel < c.channels; ++channel) {
        for (uint32_t y = top; y < top + c.patch_height; ++y) {
          for (uint32_t x = left; x < left + c.patch_width; ++x) {
            const size_t at = (size_t(channel) * c.height + y) * c.width + x;
            const float value = floatValue(file_.dtype(), &bytes[at * size]);
            if (!std::isfinite(value)) {
              throw Error(shown(path_) + ": image " + std::to_string(image + 1) + " has a value that is not finite");
            }
            patches.push_back(value);
          }
        }
      }
    }
  }
  return patches;
}

}  // namespace nib::model
