#include "model/archive/checkpoint.h"

#include "model/archive/error.h"

namespace nib::model {

TensorInfo Checkpoint::info(size_t i) const {
  if (i >= size()) throw Error("tensor " + std::to_string(i) + " of " + std::to_string(size()) + " was asked for");
  return source_->info(i);
}

void Checkpoint::read(size_t i, uint64_t offset, std::span<std::byte> out) const {
  const TensorInfo tensor = info(i);
  if (offset > tensor.bytes || out.size() > tensor.bytes - offset) {
    throw Error("tensor " + quoteText(tensor.name) + ": bytes beyond its end were asked for");
  }
  source_->read(i, offset, out);
}

Hash128 Checkpoint::fingerprint() const {
  Hasher hasher;
  source_->fingerprint(hasher);
  hasher.add(std::string_view(configJson() ? *configJson() : std::string()));
  for (const TextFile& file : quantizationFiles()) hasher.add(std::string_view(file.text));
  return hasher.digest();
}

}  // namespace nib::model
