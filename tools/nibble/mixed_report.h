// The report of a choice of types within a budget: the type of each layer, and why.
#ifndef NIB_TOOLS_MIXED_REPORT_H
#define NIB_TOOLS_MIXED_REPORT_H

#include "model/mixed/mixed.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace nib::tool {

nlohmann::ordered_json mixedJson(const model::MixedReport& report);
void printMixed(std::FILE* file, const model::MixedReport& report);

}  // namespace nib::tool
#endif
