// Factors for the columns of layers that share an input, whose inverse goes into the step before them.
#ifndef NIB_MODEL_TRANSFORM_SCALING_H
#define NIB_MODEL_TRANSFORM_SCALING_H

#include "model/arch/decoder.h"
#include "model/decode.h"
#include "model/transform/edits.h"

#include <optional>
#include <string>
#include <vector>

namespace nib::model {

// The values of a dense tensor. Throws.
std::vector<float> readValues(const ModelView& view, const std::string& name);

// The group of a block whose layers are these, or none.
std::optional<ScaleGroup> findScaleGroup(const ModelConfig& config, uint32_t layer,
                                         const std::vector<std::string>& modules);

// The mean of the values of columns that come from the same row of the step before, for every column.
std::vector<double> meanOverShared(const ScaleGroup& group, const std::vector<double>& by_column);
std::vector<double> maxOverShared(const ScaleGroup& group, const std::vector<double>& by_column);

// Factors so that the weights of a norm, divided by them, are values of the type in which they are stored: then nothing
// is lost in the norm. Others are returned as they are. Throws.
std::vector<double> storable(const ModelView& view, const ScaleGroup& group, std::vector<double> factors);

// Multiplies the columns of the group's layers by the factors, and divides the step before by them. Throws.
void addScaling(const ModelView& view, const ScaleGroup& group, const std::vector<double>& factors, Edits& edits);

}  // namespace nib::model
#endif
