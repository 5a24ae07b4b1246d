// The pipelines that descriptions need, before any plan is made.
#include "base/sized.h"
#include "plan/plan.h"

namespace nib {
namespace {

NibResult draftInto(NibPlan& draft, const OpRow& op, const AnyDesc& desc, PipelineList* list) {
  draft.op = &op;
  draft.draft = true;
  draft.wanted = list;
  return planInto(draft, desc);
}

// Adds the pipelines of every description to *list, each once.
NibResult listPipelines(NibContext& context, uint32_t count, const NibOpDesc* const* descs, PipelineList* list) {
  for (uint32_t i = 0; i < count; ++i) {
    if (descs[i] == nullptr) {
      return context.log.fail(NIB_ERROR_INVALID_ARGUMENT, "pipelines: description %u is NULL", i);
    }
    const OpRow* op = nullptr;
    AnyDesc whole;
    NibResult result = readDesc(descs[i], context.log, &op, &whole);
    if (result != NIB_SUCCESS) return result;
    NibPlan draft(&context);
    result = draftInto(draft, *op, whole, list);
    if (result != NIB_SUCCESS) return result;
    FewerRows fewer;
    listFewer(draft, &fewer);
    for (uint32_t f = 0; f < fewer.count; ++f) {
      NibPlan of_few(&context);
      result = draftInto(of_few, *op, fewer.desc[f], list);
      if (result != NIB_SUCCESS) return result;
    }
  }
  return NIB_SUCCESS;
}

uint32_t compiledOf(const NibContext& context, const PipelineList& list) {
  uint32_t compiled = 0;
  for (const PipelineWanted& p : list) compiled += context.pipelines.has(*p.row, p.spec, p.spec_count) ? 1u : 0u;
  return compiled;
}

bool goesOn(const NibProgress* progress, uint32_t done, uint32_t needed) {
  return progress == nullptr || progress->step == nullptr || progress->step(progress->user, done, needed) != 0;
}

}  // namespace
}  // namespace nib

using namespace nib;

extern "C" {

NibResult nibCountPipelines(NibContext* context, uint32_t count, const NibOpDesc* const* descs,
                            NibPipelineCount* out_count) {
  if (context == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  if ((descs == nullptr && count != 0) || out_count == nullptr) {
    return context->log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibCountPipelines: NULL argument");
  }
  PipelineList list(context->allocator);
  const NibResult result = listPipelines(*context, count, descs, &list);
  if (result != NIB_SUCCESS) return result;
  NibPipelineCount counted{};
  counted.needed = uint32_t(list.size());
  counted.compiled = compiledOf(*context, list);
  if (writeSized(counted, out_count)) return NIB_SUCCESS;
  return context->log.fail(NIB_ERROR_INVALID_ARGUMENT,
                           "nibCountPipelines: set out_count->struct_bytes to sizeof(NibPipelineCount)");
}

NibResult nibCompilePipelines(NibContext* context, uint32_t count, const NibOpDesc* const* descs,
                              const NibProgress* progress) {
  if (context == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  if (descs == nullptr && count != 0) {
    return context->log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibCompilePipelines: NULL argument");
  }
  PipelineList list(context->allocator);
  const NibResult result = listPipelines(*context, count, descs, &list);
  if (result != NIB_SUCCESS) return result;
  const uint32_t needed = uint32_t(list.size());
  uint32_t done = compiledOf(*context, list);
  if (!goesOn(progress, done, needed)) return NIB_ERROR_CANCELLED;
  for (const PipelineWanted& p : list) {
    if (context->pipelines.has(*p.row, p.spec, p.spec_count)) continue;
    VkPipeline pipeline = VK_NULL_HANDLE;
    const NibResult compiled =
        context->pipelines.get(*p.row, p.spec, p.spec_count, PipelineStore::Compile::kIfNeeded, &pipeline);
    if (compiled != NIB_SUCCESS) return compiled;
    context->pipelines.release(pipeline);  // it stays until it is trimmed
    ++done;
    if (!goesOn(progress, done, needed) && done < needed) return NIB_ERROR_CANCELLED;
  }
  return NIB_SUCCESS;
}

uint32_t nibTrimPipelines(NibContext* context) { return context != nullptr ? context->pipelines.trim() : 0; }

}  // extern "C"
