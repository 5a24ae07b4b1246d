// A verb of the command line. Each verb has its own file, and one line in main.cpp.
#ifndef NIB_TOOLS_VERB_H
#define NIB_TOOLS_VERB_H

#include <CLI/CLI.hpp>

#include <functional>

namespace nib::tool {

constexpr int kExitDone = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

struct Verb {
  CLI::App* app = nullptr;  // the subcommand, owned by the parent
  // Called after parsing. Returns the exit code, or throws: UsageError and kit::NotFound exit with 2, others with 1.
  std::function<int()> run;
};

Verb makeDevicesVerb(CLI::App& parent, const std::string& argv0);  // argv0: to start the program again, for --verify
Verb makeCalibrateVerb(CLI::App& parent);                          // with NIBBLE_HAS_MODEL
Verb makeCompareVerb(CLI::App& parent);                            // with NIBBLE_HAS_MODEL
Verb makeConvertVerb(CLI::App& parent);                            // with NIBBLE_HAS_MODEL
Verb makeEvalVerb(CLI::App& parent);                               // with NIBBLE_HAS_MODEL
Verb makeGenerateVerb(CLI::App& parent);                           // with NIBBLE_HAS_MODEL
Verb makeInspectVerb(CLI::App& parent);                            // with NIBBLE_HAS_MODEL
Verb makeQuantizeVerb(CLI::App& parent);                           // with NIBBLE_HAS_MODEL
Verb makeSuggestVerb(CLI::App& parent);                            // with NIBBLE_HAS_MODEL
Verb makeValidateVerb(CLI::App& parent);                           // with NIBBLE_HAS_MODEL
Verb makeSelftestVerb(CLI::App& parent);
Verb makeBenchVerb(CLI::App& parent);  // with NIBBLE_HAS_BENCH

}  // namespace nib::tool
#endif
