#include "packing/unpack.h"

#include "base/hash.h"
#include "packing/module_model.h"
#include "packing/range_coder.h"

namespace nib::packing {

namespace {

bool unpackOne(ModuleModel& model, const PackedModule& module, uint32_t which, uint32_t* words) {
  RangeDecoder decoder(module.bytes, module.byte_count);
  return model.run(decoder, which, words) && fnv1a64(words, size_t(module.words) * 4) == module.hash;
}

}  // namespace

Unpacked unpack(const PackedModule& module, const HostMemory& memory, Array<uint32_t>* out) {
  constexpr uint32_t kMax = ModuleModel::kMaxModules;
  // The bases in front of the module.
  const PackedModule* chain[kMax];
  uint32_t first = kMax;
  for (const PackedModule* m = &module; m != nullptr && first > 0; m = m->base) chain[--first] = m;
  ModuleSize sizes[kMax];
  size_t base_words = 0;
  for (uint32_t i = first; i < kMax; ++i) {
    sizes[i] = {chain[i]->words, chain[i]->bound, chain[i]->version};
    if (i + 1 < kMax) base_words += chain[i]->words;
  }
  const size_t model_words = size_t(ModuleModel::memoryWords(sizes + first, kMax - first));
  Array<uint32_t> working(memory);
  if (!out->resize(module.words) || !working.resize(model_words + base_words)) return Unpacked::kOutOfMemory;
  ModuleModel* const model = memory.create<ModuleModel>();
  if (model == nullptr) return Unpacked::kOutOfMemory;
  model->reset(sizes + first, kMax - first, working.data());
  uint32_t* base = working.data() + model_words;
  bool fits = true;
  for (uint32_t i = first; fits && i < kMax; ++i) {
    fits = unpackOne(*model, *chain[i], i - first, i + 1 < kMax ? base : out->data());
    base += chain[i]->words;
  }
  memory.destroy(model);
  return fits ? Unpacked::kYes : Unpacked::kDamaged;
}

}  // namespace nib::packing
