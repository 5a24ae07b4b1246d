// An HTML page with a table of layers whose numbers are drawn as bars.
#ifndef NIB_TOOLS_LAYER_PAGE_H
#define NIB_TOOLS_LAYER_PAGE_H

#include <string>
#include <vector>

namespace nib::tool {

struct BarColumn {
  std::string title;
  std::vector<double> values;  // one a layer; negative ones and NaN get no bar
  std::vector<std::string> texts;
};

// about: paragraphs above the table. All texts are plain and are escaped. The bars of a column are linear, and its
// largest value fills the cell.
std::string layerPage(const std::string& title, const std::vector<std::string>& about,
                      const std::vector<std::string>& layers, const std::vector<BarColumn>& columns);

}  // namespace nib::tool
#endif
