#include "validation_lines.h"

#include "model_text.h"

#include "model/html_text.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nib::tool {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

std::string known(double value, const std::string& text) { return std::isnan(value) ? "not known" : text; }

std::string megabytes(uint64_t bytes) { return numberText("%.1f MB", double(bytes) / 1e6); }

std::string milliseconds(const model::StepTimes& times) {
  return "p50 " + numberText("%.3f", 1e3 * times.percentile(50)) + ", p95 " +
         numberText("%.3f", 1e3 * times.percentile(95)) + ", p99 " + numberText("%.3f", 1e3 * times.percentile(99)) +
         " ms of " + std::to_string(times.seconds.size()) + " steps";
}

class Lines {
 public:
  void fact(std::string key, std::string what, double value, const std::string& text) {
    list.push_back({std::move(key), std::move(what), known(value, text), "", value, {}, {}});
  }
  // limit: printed, and "" if none is given.
  void judged(std::string key, std::string what, double value, const std::string& text, std::optional<double> bound,
              bool at_most, const std::string& limit) {
    fact(std::move(key), std::move(what), value, text);
    if (!bound) return;
    ValidationLine& line = list.back();
    line.bound = bound;
    line.limit = (at_most ? "at most " : "at least ") + limit;
    // NaN fails both.
    line.passed = at_most ? value <= *bound : value >= *bound;
  }
  void passed(std::string what, std::string text, std::string limit, bool passes) {
    list.push_back({"", std::move(what), std::move(text), std::move(limit), kUnknown, {}, passes});
  }
  std::vector<ValidationLine> list;
};

std::string limitText(const std::optional<double>& limit, const char* unit) {
  return limit ? numberText("%g", *limit) + unit : "";
}

void addPredictions(Lines& lines, const model::Validation& v, const Limits& limits) {
  const model::EvalResult none, &r = v.result ? *v.result : none;
  const double perplexity = v.result ? r.perplexity() : kUnknown;
  const double reference = v.result ? std::exp(r.reference_nll.mean()) : kUnknown;
  lines.fact("perplexity", "perplexity", perplexity, numberText("%.4f", perplexity));
  lines.fact("reference_perplexity", "perplexity of the reference", reference, numberText("%.4f", reference));
  lines.judged("perplexity_rise_percent", "rise of perplexity", v.perplexityRise(),
               numberText("%+.3f %%", v.perplexityRise()), limits.max_ppl_rise, true,
               limitText(limits.max_ppl_rise, " %"));
  lines.judged("mean_kl", "mean KL", v.meanKl(),
               numberText("%.6f", v.meanKl()) + " +- " + numberText("%.6f", r.kl.error()), limits.max_kl, true,
               limitText(limits.max_kl, ""));
  lines.judged("top1_agreement_percent", "top-1 agreement", v.topOne(), numberText("%.2f %%", v.topOne()),
               limits.min_top1, false, limitText(limits.min_top1, " %"));
  const double difference = v.logit_tokens != 0 ? v.max_logit_difference : kUnknown;
  lines.fact("max_logit_difference", "largest difference of logits", difference,
             numberText("%.4f", difference) + " of " + std::to_string(v.logit_tokens) + " tokens");
}

// Names the inputs that have drifted, the farthest first.
void addDrift(Lines& lines, const model::DriftReport& report) {
  constexpr size_t kNamed = 3;
  std::vector<const model::InputDrift*> drifted;
  double least = 1, outside = 0;
  for (const model::InputDrift& input : report.inputs) {
    if (input.drifted()) drifted.push_back(&input);
    least = std::min(least, input.drift.probability);
    outside = std::max(outside, input.outside);
  }
  std::stable_sort(drifted.begin(), drifted.end(), [](const model::InputDrift* a, const model::InputDrift* b) {
    return a->drift.distance > b->drift.distance;
  });
  std::string text = std::to_string(drifted.size()) + " of " + std::to_string(report.inputs.size()) + " drifted";
  for (size_t i = 0; i < drifted.size() && i < kNamed; ++i) text += (i == 0 ? ": " : ", ") + drifted[i]->modules[0];
  if (drifted.size() > kNamed) text += ", ...";
  text += "; least p " + numberText("%.2g", least) + ", outside of the ranges at most " +
          numberText("%.3g %%", 100 * outside);
  lines.passed("inputs of layers", text, "p at least " + numberText("%g", model::kDriftAlarm), drifted.empty());
}

}  // namespace

std::vector<ValidationLine> validationLines(const model::Validation& v, const Limits& limits) {
  Lines lines;
  addPredictions(lines, v, limits);
  const bool finite = v.edges.nonfinite.empty();
  lines.passed("values", finite ? "finite" : v.edges.nonfinite + " is not finite in " + v.edges.nonfinite_input,
               "finite", finite);
  for (const model::EdgeInput& input : v.edges.inputs) lines.passed(input.name, input.result, "", input.passed);
  if (v.drift) addDrift(lines, *v.drift);
  lines.fact("decode_p50_ms", "step of one token", 1e3 * v.decode.percentile(50), milliseconds(v.decode));
  lines.judged("decode_tokens_per_s", "decode", v.decode.tokensPerSecond(),
               numberText("%.1f tokens/s", v.decode.tokensPerSecond()), limits.min_tokens_per_s, false,
               limitText(limits.min_tokens_per_s, " tokens/s"));
  lines.fact("prefill_p50_ms", "step of " + std::to_string(v.prefill.tokens) + " tokens",
             1e3 * v.prefill.percentile(50), milliseconds(v.prefill));
  lines.fact("prefill_tokens_per_s", "prefill", v.prefill.tokensPerSecond(),
             numberText("%.1f tokens/s", v.prefill.tokensPerSecond()));
  const std::optional<double> most = limits.max_memory ? std::optional(double(*limits.max_memory)) : std::nullopt;
  const std::string most_text = limits.max_memory ? megabytes(*limits.max_memory) : "";
  lines.judged("host_bytes", "peak of host memory", v.host_bytes ? double(*v.host_bytes) : kUnknown,
               megabytes(v.host_bytes.value_or(0)), most, true, most_text);
  const model::DeviceBytes& device = v.device_bytes;
  lines.judged("device_bytes", "device memory", double(device.all()),
               megabytes(device.all()) + " (weights " + megabytes(device.weights) + ", cache " +
                   megabytes(device.cache) + ", arena " + megabytes(device.arena) + ")",
               most, true, most_text);
  lines.fact("file_bytes", "files", double(v.file_bytes),
             megabytes(v.file_bytes) + ", " +
                 numberText("%.1f", 100 * double(v.file_bytes) / double(v.reference_file_bytes)) +
                 " % of the reference's");
  return lines.list;
}

size_t failedLines(const std::vector<ValidationLine>& lines) {
  return size_t(std::count_if(lines.begin(), lines.end(),
                              [](const ValidationLine& line) { return line.passed && !*line.passed; }));
}

std::string verdictText(const ValidationLine& line) { return !line.passed ? "" : *line.passed ? "pass" : "FAIL"; }

std::string validationPage(const std::vector<ValidationLine>& lines, const std::vector<std::string>& about) {
  const size_t failed = failedLines(lines);
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>nibble validate</title>\n"
      "<style>body{font:14px sans-serif;margin:2em;max-width:1000px}table{border-collapse:collapse}"
      "td,th{padding:.3em .8em;border-bottom:1px solid #ccc;text-align:left}"
      ".pass{color:#2e7d32}.FAIL{color:#b3261e;font-weight:bold}</style></head><body>\n";
  page += failed == 0 ? "<h1 class=\"pass\">passed</h1>\n"
                      : "<h1 class=\"FAIL\">failed: " + std::to_string(failed) + "</h1>\n";
  for (const std::string& text : about) page += "<p>" + model::escapedHtml(text) + "</p>\n";
  page += "<table><tr><th>what</th><th>value</th><th>limit</th><th>verdict</th></tr>\n";
  for (const ValidationLine& line : lines) {
    const std::string verdict = verdictText(line);
    page += "<tr><td>" + model::escapedHtml(line.what) + "</td><td>" + model::escapedHtml(line.value) + "</td><td>" +
            model::escapedHtml(line.limit) + "</td><td class=\"" + verdict + "\">" + verdict + "</td></tr>\n";
  }
  return page + "</table></body></html>\n";
}

}  // namespace nib::tool
