// The machine's own limits, measured first in every run: what the rows are held against.
#ifndef NIB_BENCH_CEILINGS_H
#define NIB_BENCH_CEILINGS_H

#include "bench/cache.h"
#include "bench/measure.h"

#include <nibble/kit.h>

#include <memory>

namespace nib::bench {

// One way to reach a ceiling.
struct CeilingWay {
  std::string method;  // "uvec4 copy, 4 per invocation, 256 invocations"
  double value;
};

struct CeilingReport {
  std::string name;             // "copy", "copy_kernel", "copy_buffer", "fma", "dot4", "coopmat", "coopmat_f16"
  std::string unit;             // "GB/s", "GFLOPS", "GOPS"
  std::string method;           // of the best way
  bool tried = false;           // the machine can do it
  Measurement best;             // of the fastest way; not verified = failed
  std::optional<double> value;  // work / 5th percentile of its times: a ceiling is the best that was seen
  std::string reason;           // why there is no value
  std::vector<CeilingWay> ways;

  bool failed() const { return tried && !best.verified; }
  Ceiling ceiling() const { return {name, value}; }
};

// What rows of a software device take turns with: the copy kernel. Its driver's own copy is the host's memcpy, which no
// shader comes near, and its speed is that of processors others may use at the same time.
struct Yardstick {
  std::shared_ptr<Subject> subject;  // none: rows are held against the copy ceiling
  uint64_t bytes = 0;                // read and written by a repetition
  double seconds = 0;                // that one takes
  std::string name;                  // of the ceiling it stands for
};

struct Ceilings {
  // copy is the better one of the two below it: what nothing that moves memory may exceed.
  CeilingReport copy, copy_kernel, copy_buffer, fma, dot4, coopmat, coopmat_f16;
  Yardstick yardstick;
  // The least a dispatch takes: by the device's clock, and from submission to the fence on the host's. 0 = none.
  double empty_dispatch_us = 0;
  double empty_submit_us = 0;

  std::vector<const CeilingReport*> all() const {
    return {&copy, &copy_kernel, &copy_buffer, &fma, &dot4, &coopmat, &coopmat_f16};
  }
};

// seconds: to spend in all, about. Throws kit::Error if the device gives up.
Ceilings measureCeilings(const kit::Device& device, const Rotation& rotation, double seconds);

// The parts of it, each in a file of its own.
CeilingReport measureHostCopy(uint64_t bytes, double seconds);
// Of two reports the one with the higher value, by the name `name`, with the ways of both.
CeilingReport betterOf(const char* name, const CeilingReport& a, const CeilingReport& b);
#if !defined(NIB_NO_VULKAN)
// Fills the three copies, and the yardstick where the device is to have one.
void measureCopies(const kit::Device& device, uint64_t bytes, double seconds, Ceilings* ceilings);
CeilingReport measureFma(const kit::Device& device, double seconds);
CeilingReport measureDot4(const kit::Device& device, double seconds);
// Of int8, or of halves.
CeilingReport measureCoopmat(const kit::Device& device, bool halves, double seconds);
void measureEmpty(const kit::Device& device, Ceilings* ceilings);
#endif

}  // namespace nib::bench
#endif
