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
  const ModuleSize own{module.words, module.bound, module.version};
  const ModuleSize base =
      module.base != nullptr ? ModuleSize{module.base->words, module.base->bound, module.base->version} : ModuleSize{};
  Array<uint32_t> working(memory);
  if (!out->resize(module.words) || !working.resize(size_t(ModuleModel::memoryWords(base, own)) + base.words)) {
    return Unpacked::kOutOfMemory;
  }
  ModuleModel* const model = memory.create<ModuleModel>();
  if (model == nullptr) return Unpacked::kOutOfMemory;
  model->reset(base, own, working.data() + base.words);
  const bool fits = (module.base == nullptr || unpackOne(*model, *module.base, 0, working.data())) &&
                    unpackOne(*model, module, 1, out->data());
  memory.destroy(model);
  return fits ? Unpacked::kYes : Unpacked::kDamaged;
}

}  // namespace nib::packing
