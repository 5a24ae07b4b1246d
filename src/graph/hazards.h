// Finds where a sequence of nodes needs barriers: before a node that touches bytes which an earlier node has written,
// or writes bytes which an earlier node has read, since the last barrier.
#ifndef NIB_GRAPH_HAZARDS_H
#define NIB_GRAPH_HAZARDS_H

#include <cstdint>
#include <span>
#include <vector>

namespace nib::graph {

struct Touch {
  uint32_t memory = 0;  // a number for each separate piece of memory
  uint64_t begin = 0;   // bytes
  uint64_t end = 0;
  bool writes = false;
};

class Hazards {
 public:
  // Returns whether a barrier must come before a node with these touches, and records them.
  bool add(std::span<const Touch> touches);
  // A barrier was placed for another reason.
  void clear() { since_.clear(); }

 private:
  std::vector<Touch> since_;
};

}  // namespace nib::graph
#endif
