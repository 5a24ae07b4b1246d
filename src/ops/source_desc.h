// Functions of Op<Desc> for ops with one dense source. Desc has rows, cols, source_type and source_stride.
#ifndef NIB_OPS_SOURCE_DESC_H
#define NIB_OPS_SOURCE_DESC_H

#include "plan/op.h"
#include "plan/probe.h"

namespace nib {

template <class Desc>
RunRows sourceRunRows(const Desc& d) {
  return {d.rows};
}

template <class Desc>
Dims sourceDims(const Desc& d) {
  return {d.rows, d.cols};
}

template <class Desc>
Desc resizedSource(const Desc& desc, Dims dims) {
  Desc d = desc;
  d.source_stride = strideLike(d.source_stride, d.cols, dims.cols);
  d.rows = dims.rows;
  d.cols = dims.cols;
  return d;
}

template <class Desc>
void fillSourceProbe(const Desc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::fillDense(binding.range[NIB_ROLE_INPUT].data, d.source_type, memory.range[NIB_ROLE_INPUT].size_bytes,
                   0x9e3779b9u);
}

}  // namespace nib
#endif
