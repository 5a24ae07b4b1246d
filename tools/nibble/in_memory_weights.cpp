#include "in_memory_weights.h"

namespace nib::tool {

std::optional<model::InMemory> inMemoryOf(const WeightArguments& arguments, const model::ModelView& view) {
  if (!arguments.asked()) return {};
  const model::SelectionOptions selection = selectionOf(arguments, "int4");
  std::vector<std::string_view> names;
  for (const model::ModelView::Tensor& tensor : view.tensors()) names.push_back(tensor.name);
  model::checkMatches(selection, names);
  return std::optional<model::InMemory>(std::in_place, selection);
}

}  // namespace nib::tool
