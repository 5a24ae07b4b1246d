// Cells of the test matrix, op x type x path x profile x subgroup size, and how they follow from the cases that ran.
#ifndef NIB_SELFTEST_CELLS_H
#define NIB_SELFTEST_CELLS_H

#include <string>
#include <vector>

#include "selftest/run_case.h"

namespace nib::selftest {

struct Cell {
  std::string op;
  std::string type;      // format name, "-" for ops without
  std::string path;      // kernels joined by '+'
  std::string profile;   // "none" or a profile's id
  std::string subgroup;  // size, "-" for paths without subgroup operations
  uint64_t ran = 0;      // cases
  uint64_t failed = 0;
  double bound_ratio = 0;  // the largest error over its bound; 0 for bit-exact ops
  std::string skipped;     // why it did not run, "" if it did
  std::string first_failure;

  bool sameAs(const Cell& other) const {
    return op == other.op && type == other.type && path == other.path && profile == other.profile &&
           subgroup == other.subgroup;
  }
};

struct SelftestOptions {
  Extent extent = Extent::kQuick;
  uint32_t every = 1;              // of each op and format, only every Nth case, see thinned
  std::vector<std::string> types;  // only these formats, and ops without; empty = all
  std::vector<std::string> ops;    // only these; empty = all

  bool wantsOp(const std::string& name) const;
  bool wantsType(uint32_t format) const;  // 0 = of ops without: true
  bool plan_only = false;                 // only plan: no case runs
  uint32_t emulated_subgroup = 0;         // of a build whose subgroup kernels emulate this size
};

// Runs every case of the ops and formats on the device, with all its features and with none, and sorts them into cells.
// Kernels of this build that no case could take are cells too, with the reason: of a choice of types those of these
// types, of a choice of ops those that bear an op's name. So are ops all of whose cases need formats that this build
// lacks.
std::vector<Cell> runSelftest(const kit::DeviceOptions& device, const SelftestOptions& options);

// Adds `more` to `cells`, equal ones together.
void mergeCells(std::vector<Cell>& cells, const std::vector<Cell>& more);

// Lines "op type path profile subgroup" of a matrix file; '#' begins a comment; type * stands for every format of this
// build, a KIND of kernels.list for those of that kind, and {type} in the path for the format's name. Throws
// std::runtime_error with the line that is wrong.
std::vector<Cell> parseMatrix(const std::string& text);

// Expected cells that did not run or failed, and ops that ran in no cell of a format that they take, one line each.
std::vector<std::string> missingCells(const std::vector<Cell>& expected, const std::vector<Cell>& ran);

}  // namespace nib::selftest
#endif
