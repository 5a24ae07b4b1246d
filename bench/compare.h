// Two result files side by side.
#ifndef NIB_BENCH_COMPARE_H
#define NIB_BENCH_COMPARE_H

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

namespace nib::bench {

// From here on a row counts as slower.
constexpr double kSlower = 1.10;

struct Compared {
  std::string name;  // the row, without its device if both files know one device only
  double old_us = 0, new_us = 0;
  double ratio = 0;  // new / old
  bool slower = false;
  bool path_changed = false;
};

struct Comparison {
  std::vector<Compared> rows;          // in the order of the new file
  std::vector<std::string> only_old;   // rows without a partner, or without a time on one side
  std::vector<std::string> only_new;
  std::string old_device, new_device;  // of the machines
};

// Throws std::runtime_error that says what is wrong with a file.
Comparison compareRuns(const nlohmann::ordered_json& old_run, const nlohmann::ordered_json& new_run);

}  // namespace nib::bench
#endif
