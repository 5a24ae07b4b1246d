// The facts that a module has told about its ids so far: names, which are hashes of what defines them, types, and lists
// of the ids of each type, the last used first.
#ifndef NIB_PACKING_ID_LISTS_H
#define NIB_PACKING_ID_LISTS_H

#include <cstdint>

#include "packing/candidates.h"

namespace nib::packing {

class IdLists {
 public:
  static constexpr uint32_t kArrays = 8;
  // `memory` has kArrays * bound words.
  void reset(uint32_t bound, uint32_t* memory) {
    bound_ = bound;
    next_id_ = 1;
    waiting_count_ = 0;
    uint32_t** const arrays[kArrays] = {&name_, &shallow_, &type_, &newer_, &older_, &first_, &state_, &waiting_};
    for (uint32_t** const array : arrays) {
      *array = memory;
      memory += bound;
    }
    for (uint32_t i = 0; i < kArrays * bound; ++i) name_[i] = 0;
    by_name_.reset();
  }
  bool isValid(uint32_t id) const { return id != 0 && id < bound_; }
  bool isKnown(uint32_t id) const { return isValid(id) && state_[id] != 0; }
  uint32_t nextId() const { return next_id_; }
  uint32_t name(uint32_t id) const { return isValid(id) ? name_[id] : 0; }
  uint32_t shallowName(uint32_t id) const { return isValid(id) ? shallow_[id] : 0; }
  uint32_t type(uint32_t id) const { return isKnown(id) ? type_[id] : 0; }
  // The newest id of a name, 0 = none.
  uint32_t named(uint32_t name) const {
    const uint32_t id = by_name_.find(name);
    return id == by_name_.kNone ? 0 : id;
  }

  // The id is an operand.
  void use(uint32_t id) {
    if (!isValid(id)) return;
    if (state_[id] == 0) {
      state_[id] = kUsed;
      waiting_[waiting_count_++] = id;
      enter(id, 0);
    } else {
      remove(id);
      putFirst(id);
    }
  }
  void define(uint32_t id, uint32_t type) {
    if (!isValid(id)) return;
    if (state_[id] == kUsed) {
      uint32_t i = waiting_count_;
      while (waiting_[--i] != id) {
      }
      for (--waiting_count_; i < waiting_count_; ++i) waiting_[i] = waiting_[i + 1];
    }
    const bool was_known = state_[id] != 0;
    state_[id] = kDefined;
    if (!isValid(type)) type = 0;
    if (!was_known) {
      enter(id, type);
    } else if (type_[id] != type) {
      remove(id);
      type_[id] = type;
      putFirst(id);
    }
  }
  void setName(uint32_t id, uint32_t name, uint32_t shallow) {
    if (!isValid(id)) return;
    name_[id] = name;
    shallow_[id] = shallow;
    by_name_.set(name, id);
  }

  // Places in the list of a type (type < bound), and among the ids that were used but not defined, the newest first.
  uint32_t rankOf(uint32_t id) const {
    uint32_t rank = 0;
    for (uint32_t i = first_[type_[id]]; i != id; i = older_[i]) ++rank;
    return rank;
  }
  uint32_t atRank(uint32_t type, uint32_t rank) const {
    uint32_t id = first_[type];
    for (; rank != 0 && id != 0; --rank) id = older_[id];
    return id;
  }
  bool waits(uint32_t id) const { return isValid(id) && state_[id] == kUsed; }
  uint32_t waitingRank(uint32_t id) const {
    uint32_t rank = 0;
    while (waiting_[waiting_count_ - 1 - rank] != id) ++rank;
    return rank;
  }
  uint32_t waitingAt(uint32_t rank) const { return rank < waiting_count_ ? waiting_[waiting_count_ - 1 - rank] : 0; }

 private:
  static constexpr uint32_t kUsed = 1, kDefined = 2;

  void enter(uint32_t id, uint32_t type) {
    type_[id] = type;
    putFirst(id);
    if (id >= next_id_) next_id_ = id + 1;
  }
  void remove(uint32_t id) {
    if (newer_[id] != 0) {
      older_[newer_[id]] = older_[id];
    } else {
      first_[type_[id]] = older_[id];
    }
    if (older_[id] != 0) newer_[older_[id]] = newer_[id];
  }
  void putFirst(uint32_t id) {
    uint32_t& first = first_[type_[id]];
    older_[id] = first;
    newer_[id] = 0;
    if (first != 0) newer_[first] = id;
    first = id;
  }

  uint32_t bound_ = 0, next_id_ = 1, waiting_count_ = 0;
  uint32_t *name_, *shallow_, *type_, *newer_, *older_, *first_, *state_, *waiting_;
  NewestTable<14> by_name_;
};

}  // namespace nib::packing
#endif
