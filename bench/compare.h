// Compares two result files.
#ifndef NIB_BENCH_COMPARE_H
#define NIB_BENCH_COMPARE_H

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

namespace nib::bench {

// A row with a higher ratio of times counts as slower.
constexpr double kSlower = 1.10;

struct Compared {
  std::string name;  // of the row; with its device if a file has several
  double old_us = 0, new_us = 0;
  double ratio = 0;  // new / old
  bool slower = false;
  bool path_changed = false;
};

struct Comparison {
  std::vector<Compared> rows;         // in the order of the new file
  std::vector<std::string> only_old;  // rows that only the old file has
  std::vector<std::string> only_new;  // rows that only the new file has, and rows that lack a time in one of the files
  std::string old_device, new_device;
};

// Throws std::runtime_error if `run` is not a result of this schema. name: begins the message.
void checkResult(const nlohmann::ordered_json& run, const std::string& name);

// Throws std::runtime_error if a file is not a result of this schema.
Comparison compareRuns(const nlohmann::ordered_json& old_run, const nlohmann::ordered_json& new_run);

}  // namespace nib::bench
#endif
