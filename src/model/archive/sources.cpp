// The kinds of files that are read, and what all of them have.
#include "model/archive/error.h"
#include "model/archive/posix_file.h"
#include "model/archive/tensor_source.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace nib::model {

namespace fs = std::filesystem;

std::unique_ptr<TensorSource> openSource(const fs::path& path) {
  static constexpr const SourceKind* kKinds[] = {&kGgufSource, &kSafetensorsSource};
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) throw Error(shown(path) + ": there is no such file or folder");
  std::string start;
  if (status.type() != fs::file_type::directory) {
    const File file = File::openToRead(path);
    start.resize(size_t(std::min<uint64_t>(8, file.bytes())));
    file.read(0, std::as_writable_bytes(std::span(start.data(), start.size())));
  }
  const auto kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                 [&](const SourceKind* known) { return known->recognizes(path, start); });
  return (*kind)->open(path);
}

std::optional<size_t> TensorSource::find(std::string_view wanted) const {
  const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), wanted,
                                      [&](uint32_t i, std::string_view text) { return name(i) < text; });
  if (found == by_name_.end() || name(*found) != wanted) return std::nullopt;
  return *found;
}

void TensorSource::indexNames() {
  if (size() > std::numeric_limits<uint32_t>::max()) throw Error(shown(files()[0]) + ": more tensors than 2^32");
  by_name_.resize(size());
  std::iota(by_name_.begin(), by_name_.end(), 0u);
  std::sort(by_name_.begin(), by_name_.end(), [&](uint32_t a, uint32_t b) { return name(a) < name(b); });
  for (size_t k = 1; k < by_name_.size(); ++k) {
    if (name(by_name_[k]) != name(by_name_[k - 1])) continue;
    const std::vector<fs::path> paths = files();
    throw Error(shown(paths[info(by_name_[k - 1]).file]) + ": tensor " + quoteText(name(by_name_[k])) + " is in " +
                shown(paths[info(by_name_[k]).file].filename()) + " too");
  }
}

}  // namespace nib::model
