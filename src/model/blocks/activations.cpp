#include "model/blocks/activations.h"

#include <algorithm>

namespace nib::model {
namespace {

uint64_t bytesOf(const graph::Value& value, uint32_t tokens) {
  const uint64_t element = value.shape.type == NIB_TYPE_F16 || value.shape.type == NIB_TYPE_BF16 ? 2 : 4;
  return std::min(value.size_bytes, uint64_t(tokens) * value.shape.rows_per_token * value.shape.stride * element);
}

// The value that a view, or a part, is of.
graph::ValueId viewed(const graph::Graph& graph, graph::ValueId id) {
  while (graph.value(id).view) id = graph.value(id).in_place_of;
  return id;
}

}  // namespace

std::vector<graph::ValueId> liveValues(const graph::Graph& graph, const graph::Program& program, uint32_t cut,
                                       const std::vector<std::string>& inputs) {
  std::vector<graph::ValueId> live;
  std::vector<uint64_t> places;
  for (uint32_t n = cut; n < graph.nodes().size(); ++n) {
    for (const graph::Operand& operand : graph.nodes()[n].operands) {
      const graph::ValueId id = viewed(graph, operand.value);
      const graph::Value& value = graph.value(id);
      if (value.storage == graph::Storage::kMemory) continue;
      if (std::find(inputs.begin(), inputs.end(), value.name) != inputs.end()) continue;
      const uint64_t place = program.range(value.name).offset_bytes;
      // A value that must share its bytes is added to what they hold.
      const bool read = !operand.writes || value.must_share;
      // The value is written after the cut before it is read there, so it does not cross the cut.
      bool written = false;
      for (uint32_t m = cut; m < n && !written; ++m) {
        for (const graph::Operand& other : graph.nodes()[m].operands) {
          if (!other.writes || graph.value(other.value).storage == graph::Storage::kMemory) continue;
          written = written || program.range(graph.value(viewed(graph, other.value)).name).offset_bytes == place;
        }
      }
      if (written || !read || std::find(places.begin(), places.end(), place) != places.end()) continue;
      places.push_back(place);
      live.push_back(id);
    }
  }
  return live;
}

void Saved::save(ActivationStore& store, const TimedDevice& device, const graph::Graph& graph,
                 const graph::Program& program, const std::vector<graph::ValueId>& values, uint32_t tokens) {
  values_ = values;
  if (pieces_.size() < values.size()) pieces_.resize(values.size());
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < values.size(); ++i) {
    const graph::Value& value = graph.value(values[i]);
    const kit::Range range = program.range(value.name);
    bytes.resize(size_t(bytesOf(value, tokens)));
    device.download(*range.buffer, range.offset_bytes, bytes.data(), bytes.size());
    store.put(pieces_[i], bytes);
  }
}

void Saved::restore(const ActivationStore& store, const TimedDevice& device, const graph::Graph& graph,
                    const graph::Program& program) const {
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < values_.size(); ++i) {
    const kit::Range range = program.range(graph.value(values_[i]).name);
    bytes.resize(pieces_[i].size());
    store.get(pieces_[i], bytes);
    device.upload(*range.buffer, range.offset_bytes, bytes.data(), bytes.size());
  }
}

// ----------------------------------------------------------------------------------------------- store
ActivationStore::ActivationStore(uint64_t memory_bytes, std::filesystem::path folder)
    : memory_bytes_(memory_bytes), folder_(std::move(folder)) {}

void ActivationStore::put(Piece& piece, std::span<const std::byte> bytes) {
  if (piece.capacity_ < bytes.size()) {
    if (!piece.in_file_) used_bytes_ -= piece.capacity_;
    piece.in_file_ = used_bytes_ + bytes.size() > memory_bytes_;
    piece.capacity_ = bytes.size();
    if (piece.in_file_) {
      piece.bytes_ = {};
      piece.offset_ = file_bytes_;
      file_bytes_ += bytes.size();
    } else {
      used_bytes_ += bytes.size();
    }
  }
  piece.size_ = bytes.size();
  if (!piece.in_file_) {
    piece.bytes_.assign(bytes.begin(), bytes.end());
    return;
  }
  if (!file_) {
    const std::filesystem::path path = folder_ / "activations";
    file_ = File::openToWrite(path);
    std::filesystem::remove(path);
  }
  file_.write(piece.offset_, bytes);
}

void ActivationStore::get(const Piece& piece, std::span<std::byte> bytes) const {
  if (piece.in_file_) {
    file_.read(piece.offset_, bytes);
  } else {
    std::copy_n(piece.bytes_.begin(), bytes.size(), bytes.begin());
  }
}

}  // namespace nib::model
