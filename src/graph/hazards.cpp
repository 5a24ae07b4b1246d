#include "graph/hazards.h"

#include <algorithm>

namespace nib::graph {
namespace {

bool conflict(const Touch& a, const Touch& b) {
  return a.memory == b.memory && a.begin < b.end && b.begin < a.end && (a.writes || b.writes);
}

}  // namespace

bool Hazards::add(std::span<const Touch> touches) {
  const bool barrier = std::any_of(touches.begin(), touches.end(), [&](const Touch& touch) {
    return std::any_of(since_.begin(), since_.end(), [&](const Touch& other) { return conflict(touch, other); });
  });
  if (barrier) since_.clear();
  since_.insert(since_.end(), touches.begin(), touches.end());
  return barrier;
}

}  // namespace nib::graph
