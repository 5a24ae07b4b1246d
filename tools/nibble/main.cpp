// nibble VERB: parses the command line, runs the verb, and reports errors as one line and an exit code.
#include "numbers.h"
#include "options.h"
#include "process.h"
#include "verb.h"

#include <new>
#include <system_error>

namespace nib::tool {
namespace {

int fail(int code, const std::string& verb, std::string_view text) {
  std::fflush(stdout);
  std::fprintf(stderr, "nibble%s%s: %s\n", verb.empty() ? "" : " ", verb.c_str(), oneLine(text).c_str());
  return code;
}

// The exit code of a run that ended with `code`: an error if printed text could not be written.
int finish(int code, const std::string& verb) {
  const std::string problem = flushStdout();
  return problem.empty() ? code : fail(kExitFailed, verb, problem);
}

constexpr const char* kNoMemory = "there is not enough memory: end other programs, or raise `ulimit -v`";

// Names the missing resource, which the system's own text does not.
std::string shortageText(const std::system_error& error) {
  if (error.code() == std::errc::resource_unavailable_try_again) {
    return "a thread cannot be started: end other programs, or raise `ulimit -u`";
  }
  return error.what();
}

int run(int argc, const char* const* argv) {
  CLI::App app("nibble: quantizes neural-network weights and runs quantized layers on any Vulkan GPU, or none.",
               "nibble");
  app.set_version_flag("--version", std::string("nibble ") + nibVersionString());
  app.footer("Exit codes: 0 done, 1 the work failed, 2 bad usage.  `nibble VERB --help` shows an example of each.");
  const std::vector<Verb> verbs = {
    makeDevicesVerb(app, argv[0]),
#if defined(NIBBLE_HAS_MODEL)
    makeSuggestVerb(app),
    makeQuantizeVerb(app),
    makeConvertVerb(app),
    makeCalibrateVerb(app),
    makeInspectVerb(app),
    makeCompareVerb(app),
    makeEvalVerb(app),
    makeValidateVerb(app),
    makeGenerateVerb(app),
#endif
    makeSelftestVerb(app),
#if defined(NIBBLE_HAS_BENCH)
    makeBenchVerb(app),
#endif
  };

  checkNumbers(app);

  try {
    std::vector<std::string> arguments = normalizeArguments(argc, argv);
    std::reverse(arguments.begin(), arguments.end());  // CLI11 parses from the back
    app.parse(arguments);
  } catch (const CLI::Success& asked) {  // --help, --version
    return finish(app.exit(asked), "");
  } catch (const UsageError& error) {
    return fail(kExitUsage, "", error.what());
  } catch (const CLI::ParseError& error) {
    return fail(kExitUsage, "", std::string(error.what()) + "; see `nibble --help`");
  }
  for (const Verb& verb : verbs) {
    if (!verb.app->parsed()) continue;
    const std::string name = verb.app->get_name();
    try {
      return finish(verb.run(), name);
    } catch (const UsageError& error) {
      return fail(kExitUsage, name, error.what());
    } catch (const kit::NotFound& error) {
      return fail(kExitUsage, name, error.what());
    } catch (const std::bad_alloc&) {
      return fail(kExitFailed, name, kNoMemory);
    } catch (const std::length_error&) {  // more than any memory holds
      return fail(kExitFailed, name, kNoMemory);
    } catch (const std::system_error& error) {
      return fail(kExitFailed, name, shortageText(error));
    } catch (const std::exception& error) {
      return fail(kExitFailed, name, error.what());
    }
  }
  std::string names;
  for (const Verb& verb : verbs) names += (names.empty() ? "" : ", ") + verb.app->get_name();
  return fail(kExitUsage, "", "a verb is needed: " + names + "; see `nibble --help`");
}

}  // namespace
}  // namespace nib::tool

int main(int argc, char** argv) {
  nib::tool::prepareProcess();
  return nib::tool::run(argc, argv);
}
