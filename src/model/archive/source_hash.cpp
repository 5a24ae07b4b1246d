#include "model/archive/checkpoint.h"
#include "model/archive/error.h"

#include <algorithm>
#include <numeric>

namespace nib::model {

SourceHasher::SourceHasher(const Checkpoint& checkpoint) : checkpoint_(checkpoint), tensors_(checkpoint.size()) {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    tensors_[i].bytes = checkpoint.info(i).bytes;
    if (tensors_[i].bytes == 0) tensors_[i].hash = Hasher().digest();
  }
}

void SourceHasher::add(size_t i, uint64_t offset, std::span<const std::byte> bytes) {
  Tensor& tensor = tensors_.at(i);
  if (offset != tensor.done || bytes.size() > tensor.bytes - tensor.done) {
    throw Error("tensor " + quoteText(checkpoint_.info(i).name) + ": hashed out of order");
  }
  if (bytes.empty()) return;
  if (!tensor.hasher) tensor.hasher.emplace();
  tensor.hasher->add(bytes);
  tensor.done += bytes.size();
  if (tensor.done < tensor.bytes) return;
  tensor.hash = tensor.hasher->digest();
  tensor.hasher.reset();
}

Hash128 SourceHasher::digest() const {
  std::vector<size_t> order(tensors_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return checkpoint_.info(a).name < checkpoint_.info(b).name; });
  Hasher hasher;
  for (const size_t i : order) {
    const TensorInfo info = checkpoint_.info(i);
    if (tensors_[i].done != tensors_[i].bytes)
      throw Error("tensor " + quoteText(info.name) + ": not hashed to its end");
    hasher.add(info.name);
    hasher.add(dtypeName(info.dtype));
    hasher.add(uint64_t{info.shape.size()});
    for (const uint64_t size : info.shape) hasher.add(size);
    hasher.add(tensors_[i].hash.high);
    hasher.add(tensors_[i].hash.low);
  }
  return hasher.digest();
}

}  // namespace nib::model
