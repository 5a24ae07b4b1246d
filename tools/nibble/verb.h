// A verb of the command line: one file each, one line in main.cpp.
#ifndef NIB_TOOLS_VERB_H
#define NIB_TOOLS_VERB_H

#include <CLI/CLI.hpp>

#include <functional>

namespace nib::tool {

constexpr int kExitDone = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

struct Verb {
  CLI::App* app = nullptr;         // the subcommand, owned by the parent
  std::function<int()> run;        // after parsing; returns the exit code, throws std::exception for code 1
};

Verb makeDevicesVerb(CLI::App& parent, const std::string& argv0);  // which it starts again
Verb makeCalibrateVerb(CLI::App& parent);  // with NIBBLE_HAS_MODEL
Verb makeCompareVerb(CLI::App& parent);   // with NIBBLE_HAS_MODEL
Verb makeInspectVerb(CLI::App& parent);   // with NIBBLE_HAS_MODEL
Verb makeQuantizeVerb(CLI::App& parent);  // with NIBBLE_HAS_MODEL
Verb makeSelftestVerb(CLI::App& parent);
Verb makeBenchVerb(CLI::App& parent);  // with NIBBLE_HAS_BENCH

}  // namespace nib::tool
#endif
