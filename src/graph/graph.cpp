#include <nibble/graph.h>

#include <algorithm>
#include <cstring>

namespace nib::graph {
namespace {

uint32_t elementBytes(uint32_t type) { return type == NIB_TYPE_F32 || type == kIds ? 4 : 2; }

uint64_t sizeOf(const Shape& shape, uint32_t tokens) {
  return uint64_t(tokens) * shape.rows_per_token * shape.stride * elementBytes(shape.type);
}

}  // namespace

Shape dense(uint32_t type, uint32_t cols, uint32_t rows_per_token) {
  const uint32_t stride = elementBytes(type) == 2 ? (cols + 1) / 2 * 2 : cols;
  return {type, cols, rows_per_token, stride};
}

Shape ids(uint32_t per_token) { return {kIds, per_token, 1, per_token}; }

ValueId Graph::find(std::string_view name) const {
  const auto found =
      std::find_if(values_.begin(), values_.end(), [&](const Value& value) { return value.name == name; });
  return found == values_.end() ? kNoValue : ValueId(found - values_.begin());
}

ValueId Graph::addValue(Value value) {
  if (find(value.name) != kNoValue) throw kit::Error("graph: there are two values named " + value.name);
  written_.push_back(value.storage != Storage::kArena);
  values_.push_back(std::move(value));
  return ValueId(values_.size() - 1);
}

ValueId Graph::input(std::string name, const Shape& shape) {
  return addValue({std::move(name), Storage::kInput, shape, sizeOf(shape, max_tokens_)});
}

ValueId Graph::arena(std::string name, const Shape& shape) {
  return addValue({std::move(name), Storage::kArena, shape, sizeOf(shape, max_tokens_)});
}

ValueId Graph::state(std::string name, const Shape& shape) {
  Value value{std::move(name), Storage::kArena, shape, sizeOf(shape, max_tokens_)};
  value.state = true;
  const ValueId id = addValue(std::move(value));
  written_[id] = true;
  return id;
}

ValueId Graph::inPlace(std::string name, ValueId of, bool must_share) {
  const Value& from = value(of);
  return addValue({std::move(name), from.storage, from.shape, from.size_bytes, of, must_share});
}

ValueId Graph::memory(std::string name, uint64_t size_bytes) {
  return addValue({std::move(name), Storage::kMemory, {}, size_bytes});
}

ValueId Graph::view(std::string name, ValueId of, const Shape& shape) {
  const Value& from = value(of);
  if (sizeOf(shape, max_tokens_) != from.size_bytes) {
    throw kit::Error("graph: " + name + " has another size than " + from.name);
  }
  Value value{std::move(name), from.storage, shape, from.size_bytes, of};
  value.view = true;
  return addValue(std::move(value));
}

ValueId Graph::part(std::string name, ValueId of, uint32_t first, uint32_t cols) {
  const Value& from = value(of);
  if (from.storage == Storage::kMemory || cols == 0 || uint64_t(first) + cols > from.shape.cols) {
    throw kit::Error("graph: " + name + " is no part of " + from.name);
  }
  Value value{std::move(name), from.storage, from.shape, 0, of};
  value.shape.cols = cols;
  value.view = true;
  value.offset_bytes = uint64_t(first) * elementBytes(from.shape.type);
  value.size_bytes = from.size_bytes - value.offset_bytes;
  return addValue(std::move(value));
}

bool Graph::isWritten(ValueId id) const {
  return written_[id] || (values_[id].view && isWritten(values_[id].in_place_of));
}

void Graph::addNode(std::string name, const NibOpDesc* desc, size_t desc_bytes, uint32_t rows_per_token,
                    std::span<const Operand> operands) {
  Node node{std::move(name), std::vector<uint64_t>((desc_bytes + 7) / 8), uint32_t(desc_bytes), rows_per_token,
            std::vector<Operand>(operands.begin(), operands.end())};
  std::memcpy(node.desc.data(), desc, desc_bytes);
  for (const Operand& operand : operands) {
    const Value& value = values_[operand.value];
    if (!operand.writes && !isWritten(operand.value)) {
      throw kit::Error("graph: node " + node.name + " reads " + value.name + " before a node writes it");
    }
  }
  for (const Operand& operand : operands) {
    if (operand.writes) written_[operand.value] = true;
  }
  nodes_.push_back(std::move(node));
}

}  // namespace nib::graph
