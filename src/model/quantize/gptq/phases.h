// Time of GPTQ by phase.
#ifndef NIB_MODEL_QUANTIZE_GPTQ_PHASES_H
#define NIB_MODEL_QUANTIZE_GPTQ_PHASES_H

#include <chrono>
#include <cstddef>

namespace nib::model {

enum class GptqPhase {
  kForward,   // the network on the calibration set
  kHessian,   // sums of x x^T
  kPrepare,   // order, damping
  kCholesky,  // the factor of H
  kInvert,    // its inverse
  kNearest,   // rounding to nearest, for its scales
  kColumns,   // quantizing columns and correcting the remaining ones
  kMeasure    // the loss of rounding to nearest, for the report
};
inline constexpr size_t kGptqPhases = 8;

inline const char* phaseName(GptqPhase phase) {
  constexpr const char* kNames[kGptqPhases] = {"forward", "hessian", "prepare", "cholesky",
                                               "invert",  "nearest", "columns", "measure"};
  return kNames[size_t(phase)];
}

// Seconds by phase.
class GptqTimes {
 public:
  // Adds the time until its end. `times` may be NULL.
  class Scope {
   public:
    Scope(GptqTimes* times, GptqPhase phase) : times_(times), phase_(phase), since_(Clock::now()) {}
    ~Scope() {
      if (times_ != nullptr)
        times_->seconds_[size_t(phase_)] += std::chrono::duration<double>(Clock::now() - since_).count();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    using Clock = std::chrono::steady_clock;
    GptqTimes* times_;
    GptqPhase phase_;
    Clock::time_point since_;
  };
  double seconds(GptqPhase phase) const { return seconds_[size_t(phase)]; }

 private:
  double seconds_[kGptqPhases] = {};
};

}  // namespace nib::model
#endif
