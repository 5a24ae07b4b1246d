// The checks of nibCpuRun, for faster kernels.
#ifndef NIB_OPS_CPU_RUN_H
#define NIB_OPS_CPU_RUN_H

#include <nibble/nibble.h>

namespace nib {

// Whether nibCpuRun would run this. It tells what is wrong.
bool canCpuRun(const NibOpDesc* desc, const NibCpuBinding& binding, const NibRun& run);

}  // namespace nib
#endif
