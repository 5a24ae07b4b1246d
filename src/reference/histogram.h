// The number of histograms of a description.
#ifndef NIB_REFERENCE_HISTOGRAM_H
#define NIB_REFERENCE_HISTOGRAM_H

#include <nibble/nibble.h>

namespace nib {

inline uint64_t histogramCount(const NibHistogramDesc& d) {
  return d.granularity == NIB_GRANULARITY_ROW ? d.rows : d.granularity == NIB_GRANULARITY_COLUMN ? d.cols : 1u;
}

}  // namespace nib
#endif
