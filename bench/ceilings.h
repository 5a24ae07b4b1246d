// The machine's limits, measured first in every run. The rows are compared with them.
#ifndef NIB_BENCH_CEILINGS_H
#define NIB_BENCH_CEILINGS_H

#include "bench/cache.h"
#include "bench/measure.h"

#include <nibble/kit.h>

#include <memory>

namespace nib::bench {

// The rate of one method.
struct CeilingWay {
  std::string method;  // "uvec4 copy, 4 per invocation, 256 invocations"
  double value;
};

struct CeilingReport {
  std::string name;             // "copy", "copy_kernel", "copy_buffer", "fma", "dot4", "coopmat", "coopmat_f16"
  std::string unit;             // "GB/s", "GFLOPS", "GOPS"
  std::string method;           // the fastest method
  bool tried = false;           // the machine supports it
  Measurement best;             // of the fastest method; not verified = failed
  std::optional<double> value;  // work / 5th percentile of the times: a ceiling is near the best rate seen
  std::string reason;           // why there is no value
  std::vector<CeilingWay> ways;

  bool failed() const { return tried && !best.verified; }
  Ceiling ceiling() const { return {name, value}; }
};

// On a software device the copy kernel is timed interleaved with the rows, and rows are compared with it. The driver's
// own copy is the host's memcpy, which no shader comes near, and other programs may use the same processors.
struct Yardstick {
  std::shared_ptr<Subject> subject;  // NULL: rows are compared with the copy ceiling
  uint64_t bytes = 0;                // read and written by a repetition
  double seconds = 0;                // duration of a repetition
  std::string name;                  // of its ceiling
};

struct Ceilings {
  // copy is the faster of copy_kernel and copy_buffer: nothing that moves memory may exceed it.
  CeilingReport copy, copy_kernel, copy_buffer, fma, dot4, coopmat, coopmat_f16;
  Yardstick yardstick;
  // Time of an empty dispatch: by the device's clock, and by the host's from submission to the fence. 0 = not measured.
  double empty_dispatch_us = 0;
  double empty_submit_us = 0;

  std::vector<const CeilingReport*> all() const {
    return {&copy, &copy_kernel, &copy_buffer, &fma, &dot4, &coopmat, &coopmat_f16};
  }
};

// seconds: about how long it may take in all. Throws kit::Error if the device is lost.
Ceilings measureCeilings(const kit::Device& device, const Rotation& rotation, double seconds);

// The parts of measureCeilings.
CeilingReport measureHostCopy(uint64_t bytes, double seconds);
// fp32 multiply-adds and 8-bit dot products of the CPU device, in the fastest instruction set.
CeilingReport measureCpuFma(uint32_t threads, double seconds);
CeilingReport measureCpuDot4(uint32_t threads, double seconds);
// The report with the higher value, renamed to `name`, with the `ways` of both.
CeilingReport betterOf(const char* name, const CeilingReport& a, const CeilingReport& b);
#if !defined(NIB_NO_VULKAN)
// Fills the three copy ceilings and, on a software device, the yardstick.
void measureCopies(const kit::Device& device, uint64_t bytes, double seconds, Ceilings* ceilings);
CeilingReport measureFma(const kit::Device& device, double seconds);
CeilingReport measureDot4(const kit::Device& device, double seconds);
// Cooperative matrices of fp16, or else of int8.
CeilingReport measureCoopmat(const kit::Device& device, bool fp16, double seconds);
void measureEmpty(const kit::Device& device, Ceilings* ceilings);
#endif

}  // namespace nib::bench
#endif
