// Cross-layer equalization (arXiv 1906.04721): rows of one layer and the columns of the next that read them get the
// same largest magnitude. Needs no data.
#include "model/transform/scaling.h"
#include "model/transform/transform.h"

#include <algorithm>
#include <cmath>

namespace nib::model {
namespace {

// The largest magnitudes of rows, or of columns.
std::vector<double> extents(const std::vector<float>& weight, size_t cols, bool of_rows) {
  std::vector<double> most(of_rows ? weight.size() / cols : cols);
  for (size_t i = 0; i < weight.size(); ++i) {
    double& extent = most[of_rows ? i / cols : i % cols];
    extent = std::max(extent, std::fabs(double(weight[i])));
  }
  return most;
}

size_t colsOf(const ModelView& view, const std::string& tensor) {
  const ModelView::Tensor* const found = view.find(tensor);
  return found != nullptr && !found->shape.empty() ? size_t(found->shape.back()) : 1;
}

Edits make(const TransformInput& input, const std::string&, TransformReport& report) {
  Edits edits;
  for (uint32_t layer = 0; layer < input.config.layers; ++layer) {
    for (const ScaleGroup& group : scaleGroups(input.config, layer)) {
      if (group.norm) continue;
      const std::string before = group.before + ".weight";
      const std::vector<double> rows = extents(readValues(input.view, before), colsOf(input.view, before), true);
      std::vector<double> columns;
      for (const std::string& module : group.modules) {
        const std::string name = module + ".weight";
        const std::vector<double> own = extents(readValues(input.view, name), colsOf(input.view, name), false);
        columns.resize(own.size());
        for (size_t c = 0; c < own.size(); ++c) columns[c] = std::max(columns[c], own[c]);
      }
      columns = maxOverShared(group, columns);
      std::vector<double> factors(columns.size(), 1.0);
      for (uint32_t c = 0; c < factors.size(); ++c) {
        const double row = rows[group.rowOf(c)];
        if (row > 0 && columns[c] > 0) factors[c] = std::sqrt(row / columns[c]);
      }
      addScaling(input.view, group, factors, edits);
      report.steps.push_back({layer, group.before, group.modules, "", {}, {}, {}});
    }
  }
  return edits;
}

std::string refuses(const std::string& setting) { return setting.empty() ? "" : "equalize takes no setting"; }

}  // namespace

const TransformKind kEqualizeTransform = {
    "equalize", "gives rows of v and up the range of the columns that read them", false, false, refuses, make};

}  // namespace nib::model
