#include "model/suggest/bandwidth.h"

namespace nib::model {
namespace {

struct Class {
  std::string_view begins;
  double gigabytes_per_second;
};
// The longest beginning that matches applies. Integrated GPUs share the system's memory: two channels of the usual
// kind. Phones: the memory of the chips that have the GPU.
constexpr Class kClasses[] = {{"intel-", 38},
                              {"intel-iris-xe", 68},
                              {"intel-arc-a770", 560},
                              {"intel-arc-b580", 456},
                              {"intel-arc-140t", 120},
                              {"amd-radeon-rx-580", 256},
                              {"amd-radeon-pro-vii-mi50", 1024},
                              {"amd-radeon-rx-5700-xt", 448},
                              {"amd-radeon-rx-6800-xt", 512},
                              {"amd-radeon-rx-6600", 224},
                              {"amd-radeon-rx-7800-xt", 624},
                              {"amd-radeon-rx-9070-xt", 640},
                              {"amd-radeon-pro-vega-48", 402},
                              {"nvidia-geforce-gtx-1060", 192},
                              {"nvidia-geforce-gtx-1650", 128},
                              {"nvidia-geforce-rtx-2070", 448},
                              {"nvidia-geforce-rtx-3090", 936},
                              {"nvidia-geforce-rtx-4070", 504},
                              {"nvidia-geforce-rtx-5090", 1792},
                              {"nvidia-h200", 4800},
                              {"apple-m1", 68},
                              {"apple-m1-ultra", 800},
                              {"adreno-6", 17},
                              {"adreno-650", 44},
                              {"adreno-7", 67},
                              {"adreno-8", 85},
                              {"mali-g5", 17},
                              {"mali-g77", 44},
                              {"mali-g6", 51},
                              {"mali-g720", 77},
                              {"powervr-", 51},
                              {"raspberry-pi-5", 17}};

}  // namespace

std::optional<double> typicalBandwidth(std::string_view profile) {
  const Class* found = nullptr;
  for (const Class& row : kClasses) {
    if (profile.starts_with(row.begins) && (found == nullptr || row.begins.size() > found->begins.size())) found = &row;
  }
  return found != nullptr ? std::optional(found->gigabytes_per_second) : std::nullopt;
}

}  // namespace nib::model
