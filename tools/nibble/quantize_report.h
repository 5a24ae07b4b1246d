// The report of `nibble quantize`, as text and JSON.
#ifndef NIB_TOOLS_QUANTIZE_REPORT_H
#define NIB_TOOLS_QUANTIZE_REPORT_H

#include "model/quantize/pipeline.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <string>

namespace nib::tool {

// scale_search: as the option says.
nlohmann::ordered_json toJson(const model::QuantizeReport& report, const std::string& scale_search);
void printReport(std::FILE* file, const model::QuantizeReport& report, const std::string& scale_search);

// How long each stage was busy, on stderr.
void printStages(const model::QuantizeReport& report);
void printBlockTimes(const model::BlockTimes& times);

}  // namespace nib::tool
#endif
