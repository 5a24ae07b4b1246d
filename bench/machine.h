// Describes the machine, its software and its state as JSON, so that results can be judged and repeated.
#ifndef NIB_BENCH_MACHINE_H
#define NIB_BENCH_MACHINE_H

#include "bench/cache.h"
#include "bench/ceilings.h"

#include <nlohmann/json.hpp>

namespace nib::bench {

using Json = nlohmann::ordered_json;

// Everything but the ceilings. Values that cannot be read are null.
Json machineJson(const kit::Device& device, const std::string& profile, const Rotation& rotation);
Json ceilingsJson(const Ceilings& ceilings);

// `git describe` of the sources, "" if they were not in a repository.
const char* gitDescription();

// A number for a report, rounded to six significant digits: no clock is more precise. NaN and infinity become null.
Json rounded(double value);

}  // namespace nib::bench
#endif
