// What a result is worth depends on where it was made: the machine, its software and its state, as JSON.
#ifndef NIB_BENCH_MACHINE_H
#define NIB_BENCH_MACHINE_H

#include "bench/cache.h"
#include "bench/ceilings.h"

#include <nlohmann/json.hpp>

namespace nib::bench {

using Json = nlohmann::ordered_json;

// Everything but the ceilings. What cannot be read is null.
Json machineJson(const kit::Device& device, const std::string& profile, const Rotation& rotation);
Json ceilingsJson(const Ceilings& ceilings);

// Of this build, "" if it was not made from a repository.
const char* gitDescription();

// A number for a report: six digits are more than any clock is good for. NaN and infinity become null.
Json rounded(double value);

}  // namespace nib::bench
#endif
