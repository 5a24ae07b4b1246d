#include "bench/peak_subject.h"

namespace nib::bench {

CeilingReport peakReport(const kit::Device& device, const char* name, const char* unit, const std::string& kernel,
                         uint32_t workgroup) {
  CeilingReport report;
  report.name = name;
  report.unit = unit;
  report.reason = peakProblem(device, kernel.c_str(), workgroup);
  report.tried = report.reason.empty();
  return report;
}

void addResult(CeilingReport& report, const Measurement& measured, double work, const std::string& method) {
  if (report.failed() && !report.reason.empty()) return;
  if (!measured.verified) {
    report.best = measured;
    report.value.reset();
    report.method = method;
    report.reason = measured.problem;
    return;
  }
  const double value = work / (measured.us.p5 * 1e-6) * 1e-9;
  report.ways.push_back({method, value});
  if (report.value && *report.value >= value) return;
  report.best = measured;
  report.value = value;
  report.method = method;
}

}  // namespace nib::bench
