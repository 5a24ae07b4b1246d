#include "model/archive/model_writer.h"

#include "model/archive/dtype.h"

#include <utility>

namespace nib::model {
namespace {

PublicationOptions withKind(PublicationOptions options, OutputKind kind) {
  options.kind = kind;
  return options;
}

}  // namespace

ModelWriter::ModelWriter(const PublicationOptions& options, OutputPlan plan)
    : takes_files_(plan.kind == OutputKind::kFolder && plan.takes_files),
      rows_(std::move(plan.rows)),
      offsets_(std::move(plan.offsets)),
      added_(std::move(plan.added)),
      first_added_(plan.items.size() - added_.size()),
      texts_(std::move(plan.texts)),
      total_bytes_(plan.total_bytes),
      publication_(withKind(options, plan.kind), std::move(plan.files), std::move(plan.items)) {}

void ModelWriter::write(size_t t, uint64_t offset, std::span<const std::byte> bytes) {
  std::vector<std::byte> changed;
  if (t < offsets_.size() && offsets_[t] != 0) {
    changed.assign(bytes.begin(), bytes.end());
    addToFloats(changed, offsets_[t]);
    bytes = changed;
  }
  if (t >= rows_.size() || !rows_[t]) return publication_.write(t, offset, bytes);
  rows_[t].forEach(offset, bytes.size(), [&](uint64_t at, uint64_t from, uint64_t count) {
    publication_.write(t, at, bytes.subspan(size_t(from - offset), size_t(count)));
  });
}

void ModelWriter::publish() {
  for (size_t i = 0; i < added_.size(); ++i) {
    const size_t t = first_added_ + i;
    if (publication_.isFinished(t)) continue;
    publication_.write(t, 0, added_[i]);
    publication_.finished(t);
  }
  for (const TextFile& text : std::exchange(texts_, {})) publication_.addFile(text.name, text.text);
  publication_.publish();
}

}  // namespace nib::model
