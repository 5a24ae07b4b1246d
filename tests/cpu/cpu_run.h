// nibCpuRun over rows 0..n-1.
#ifndef NIB_TESTS_CPU_RUN_H
#define NIB_TESTS_CPU_RUN_H

#include <nibble/nibble.h>

namespace nib::tests {

inline NibResult cpuRun(const NibOpDesc* desc, const NibCpuBinding* binding, uint32_t n, const NibParallelFor* parallel,
                        const NibLog* log) {
  const NibRun run{sizeof(NibRun), n, 0, 0, UINT32_MAX, {}};
  return nibCpuRun(desc, binding, &run, parallel, log);
}

}  // namespace nib::tests
#endif
