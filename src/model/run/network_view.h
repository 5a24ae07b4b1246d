// A model as its network reads it.
#ifndef NIB_MODEL_RUN_NETWORK_VIEW_H
#define NIB_MODEL_RUN_NETWORK_VIEW_H

#include "model/arch/config.h"
#include "model/archive/checkpoint.h"
#include "model/decode.h"

#include <optional>
#include <string>

namespace nib::model {

// The network of a checkpoint with a config.json, whose tensors decide between names. Throws.
ModelConfig networkConfig(const Checkpoint& checkpoint);

// The same checkpoint with the matrices of layers as [out, in]. None if its files have them so: those of all families
// but GPT-2. config: must outlive the result; so must checkpoint.
std::optional<Checkpoint> networkCheckpoint(const Checkpoint& checkpoint, const ModelConfig& config);

// Throws if the checkpoint's files hold the matrices of layers as [in, out]. what: "--transform awq".
void refuseTransposed(const ModelConfig& config, const std::string& what);

// Throws if the model has experts. why: the reason, "their layers have no costs".
void refuseExperts(const ModelConfig& config, const std::string& what, const std::string& why);

// A view of the model as its network reads it: `view` itself, where that is the same.
class NetworkView {
 public:
  // view, config: must outlive the object. Throws.
  NetworkView(const ModelView& view, const ModelConfig& config);
  NetworkView(const NetworkView&) = delete;
  const ModelView& view() const { return turned_view_ ? *turned_view_ : view_; }

 private:
  const ModelView& view_;
  std::optional<Checkpoint> turned_;
  std::optional<ModelView> turned_view_;
};

}  // namespace nib::model
#endif
