// The images of a .npy file, as a network reads them.
#ifndef NIB_MODEL_EVAL_IMAGES_H
#define NIB_MODEL_EVAL_IMAGES_H

#include "model/arch/config.h"
#include "model/archive/npy.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace nib::model {

// fp32 or fp16 of [count, channels, height, width], or of one image; the colors are normalized already.
class Images {
 public:
  // Throws if the images have another size than the network reads.
  Images(const std::filesystem::path& path, const ImageConfig& config);
  size_t count() const { return count_; }
  // The elements of an image's patches, [channels, height, width] each, from left to right and down. What is left of a
  // side beyond whole patches is not read, as by a convolution. Throws; also for values that are not finite.
  std::vector<float> patches(size_t image) const;

 private:
  std::filesystem::path path_;
  ImageConfig config_;
  NpyFile file_;
  size_t count_ = 1;
};

}  // namespace nib::model
#endif
