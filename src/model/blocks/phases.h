// Time of work on a network block by block, by phase.
#ifndef NIB_MODEL_BLOCKS_PHASES_H
#define NIB_MODEL_BLOCKS_PHASES_H

#include <chrono>
#include <cstddef>

namespace nib::model {

enum class BlockPhase {
  kForward,   // the network on the calibration set
  kHessian,   // sums of x x^T
  kPrepare,   // order, damping
  kCholesky,  // the factor of H
  kInvert,    // its inverse
  kNearest,   // rounding to nearest, for its scales
  kColumns,   // quantizing columns and correcting the remaining ones
  kMeasure    // the loss of rounding to nearest, for the report
};
inline constexpr size_t kBlockPhases = 8;

inline const char* phaseName(BlockPhase phase) {
  constexpr const char* kNames[kBlockPhases] = {"forward", "hessian", "prepare", "cholesky",
                                                "invert",  "nearest", "columns", "measure"};
  return kNames[size_t(phase)];
}

// Seconds by phase.
class BlockTimes {
 public:
  // Adds the time until its end. `times` may be NULL.
  class Scope {
   public:
    Scope(BlockTimes* times, BlockPhase phase) : times_(times), phase_(phase), since_(Clock::now()) {}
    ~Scope() {
      if (times_ != nullptr)
        times_->seconds_[size_t(phase_)] += std::chrono::duration<double>(Clock::now() - since_).count();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    using Clock = std::chrono::steady_clock;
    BlockTimes* times_;
    BlockPhase phase_;
    Clock::time_point since_;
  };
  double seconds(BlockPhase phase) const { return seconds_[size_t(phase)]; }

 private:
  double seconds_[kBlockPhases] = {};
};

}  // namespace nib::model
#endif
