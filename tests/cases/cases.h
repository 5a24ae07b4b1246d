// One list of cases per op; tests, `nibble selftest` and the bench all walk these lists.
#ifndef NIB_TESTS_CASES_H
#define NIB_TESTS_CASES_H

#include <nibble/kit.h>
#include <nibble/nibble.h>

#include <functional>
#include <string>
#include <vector>

#include "recipe.h"

namespace nib::cases {

// A description of any op, its input, and how many rows a run takes.
struct Case {
  union {
    NibOpDesc op;
    NibQuantizeDesc quantize;
    NibDequantizeDesc dequantize;
    NibMinMaxDesc minmax;
    NibRepackDesc repack;
    NibConvertDesc convert;
    NibErrorsDesc errors;
    NibGatherDesc gather;
    NibMatmulDesc matmul;
    NibInt8GemmDesc int8_gemm;
    NibDynamicGemmDesc dynamic_gemm;
    NibHistogramDesc histogram;
    NibMomentsDesc moments;
  } desc{};
  Recipe recipe = Recipe::kMixed;
  uint64_t seed = 0;
  uint32_t n = 0;  // rows of the run

  uint32_t op() const { return desc.op.op; }
  size_t descBytes() const;
  uint32_t format() const;  // 0 = none
  // "quantize int4 g128 asym f16 -> bf16 scales, 33x130 (n 33), mixed, seed 7": enough to make it again.
  std::string name() const;
};

enum class Extent {
  kQuick,  // every path, granularity and type once or twice
  kFull
};

// Cases of one op for one format (0 for ops without).
std::vector<Case> casesOf(NibOp op, uint32_t format, Extent extent);

// Every Nth of a list, and the first of each kind: way of sharing scales, given or found, direction. Kinds take paths of
// their own, so none is lost.
std::vector<Case> thinned(std::vector<Case> list, uint32_t every);

const char* opName(uint32_t op);

struct OpFormat {
  uint32_t op;
  uint32_t format;   // 0 = the op has none
  std::string name;  // "quantize int4", "minmax"
};
// Every op of this build with every format it takes.
std::vector<OpFormat> opFormats();

// What a device made of a case, beside what the reference made.
struct Outcome {
  bool passed = false;
  std::vector<std::string> kernels;
  std::string message;  // the first difference, if it failed
  double bound_ratio = 0;  // of bounded ops: the largest error over its bound
};

// How a case runs.
struct Way {
  uint64_t range_offset_bytes = 256;  // of each range in its buffer: guard bytes before it; a multiple of 16
  uint64_t guard_bytes = 256;         // behind each range; a multiple of 4
  // Runs n rows and waits. Empty = Device::run.
  std::function<void(const kit::Device& device, const kit::Plan& plan, const kit::Binding& binding, uint32_t n)> run;
};

// Runs the case on the device and on the reference from the same bytes, and compares every byte of every range the op
// writes, the bytes it must leave alone, and guard bytes around the ranges. Throws kit::Error if it cannot run.
Outcome runCase(const kit::Device& device, const Case& c, const Way& way = {});

// The ranges of a case as host words, by role.
struct Images {
  std::vector<uint32_t> role[NIB_ROLE_COUNT];
};
// The input range of a case: one dense matrix, or reference and candidate at the places that `memory` says.
std::vector<uint32_t> makeInput(const Case& c, const NibMemory& memory);
// The output range of ops that go on with what it holds, before a run; empty for others.
std::vector<uint32_t> makeOutput(const Case& c, const NibMemory& memory);
// Before a run: inputs by the case's recipe; results and scratch hold marks, the status zeros.
Images makeImages(const Case& c, const NibMemory& memory);
// After it. Throws kit::Error if the reference refuses the case.
void runReference(const Case& c, const NibMemory& memory, Images& images);
// The first difference of a role's range, "" if there is none. Scratch may hold anything.
std::string difference(const NibMemory& memory, uint32_t role, const uint32_t* got, const Images& expected);

}  // namespace nib::cases
#endif
