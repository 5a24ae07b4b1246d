#include "model/quantize/gptq/activations.h"

#include <algorithm>

namespace nib::model {
namespace {

uint64_t bytesOf(const graph::Value& value, uint32_t tokens) {
  const uint64_t element = value.shape.type == NIB_TYPE_F16 || value.shape.type == NIB_TYPE_BF16 ? 2 : 4;
  return std::min(value.size_bytes, uint64_t(tokens) * value.shape.rows_per_token * value.shape.stride * element);
}

}  // namespace

std::vector<graph::ValueId> liveValues(const graph::Graph& graph, const graph::Program& program, uint32_t cut,
                                       const std::vector<std::string>& inputs) {
  std::vector<graph::ValueId> live;
  std::vector<uint64_t> places;
  for (uint32_t n = cut; n < graph.nodes().size(); ++n) {
    for (const graph::Operand& operand : graph.nodes()[n].operands) {
      const graph::Value& value = graph.value(operand.value);
      if (value.place == graph::Place::kMemory) continue;
      if (std::find(inputs.begin(), inputs.end(), value.name) != inputs.end()) continue;
      const uint64_t place = program.range(value.name).offset_bytes;
      // A value that must share its bytes is added to what they hold.
      const bool read = !operand.writes || value.must_share;
      // Written behind the cut before it is read there: new.
      bool written = false;
      for (uint32_t m = cut; m < n && !written; ++m) {
        for (const graph::Operand& other : graph.nodes()[m].operands) {
          if (!other.writes || graph.value(other.value).place == graph::Place::kMemory) continue;
          written = written || program.range(graph.value(other.value).name).offset_bytes == place;
        }
      }
      if (written || !read || std::find(places.begin(), places.end(), place) != places.end()) continue;
      places.push_back(place);
      live.push_back(operand.value);
    }
  }
  return live;
}

void Saved::save(const TimedDevice& device, const graph::Graph& graph, const graph::Program& program,
                 const std::vector<graph::ValueId>& values, uint32_t tokens) {
  values_ = values;
  bytes_.resize(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const graph::Value& value = graph.value(values[i]);
    const kit::Range range = program.range(value.name);
    bytes_[i].resize(size_t(bytesOf(value, tokens)));
    device.download(*range.buffer, range.offset_bytes, bytes_[i].data(), bytes_[i].size());
  }
}

void Saved::restore(const TimedDevice& device, const graph::Graph& graph, const graph::Program& program) const {
  for (size_t i = 0; i < values_.size(); ++i) {
    const kit::Range range = program.range(graph.value(values_[i]).name);
    device.upload(*range.buffer, range.offset_bytes, bytes_[i].data(), bytes_[i].size());
  }
}

}  // namespace nib::model
