// Self-tests, and files with their verdicts.
#include "kit/backend.h"
#include "kit/file.h"

namespace nib::kit {

std::vector<Attempt> verifyOp(const Device& device, const NibOpDesc* desc, size_t desc_size_bytes) {
  // Each failure disables at least one kernel, so the loop ends; the bound guards against a bug in that.
  constexpr size_t kMaxAttempts = 16;
  std::vector<Attempt> attempts;
  while (attempts.size() < kMaxAttempts) {
    std::shared_ptr<detail::PlanState> plan;
    try {
      plan = detail::Access::backend(device)->createPlan(desc, desc_size_bytes);
    } catch (const Error& error) {
      // After a failure these mean that no kernels are left.
      const bool none_left = error.result() == NIB_ERROR_UNSUPPORTED || error.result() == NIB_ERROR_BROKEN_DEVICE;
      if (attempts.empty() || !none_left) throw;
      break;
    }
    Attempt attempt;
    attempt.kernels = detail::Access::backend(device)->kernels(*plan);
    attempt.passed = detail::Access::backend(device)->verifyPlan(*plan);
    attempts.push_back(std::move(attempt));
    if (attempts.back().passed) break;
  }
  return attempts;
}

void saveVerdicts(const Device& device, const std::string& path) {
  const Bytes bytes = detail::Access::backend(device)->verdicts();
  detail::writeFile(path, bytes);
}

Bytes loadVerdicts(const std::string& path) { return detail::readFile(path); }

}  // namespace nib::kit
