// Prints differences of two models with their tests.
#ifndef NIB_TOOLS_PAIRED_TABLE_H
#define NIB_TOOLS_PAIRED_TABLE_H

#include "model/eval/paired.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace nib::tool {

struct PairedQuantity {
  const char* key;
  const char* what;
  model::MeanTest test;  // of B - A
  bool lower;            // is better
  double a, b;
};

double meanOf(const std::vector<double>& values);

void printPaired(std::FILE* file, const std::vector<PairedQuantity>& quantities);
// Adds a key for each quantity.
void addPaired(nlohmann::ordered_json& json, const std::vector<PairedQuantity>& quantities);

}  // namespace nib::tool
#endif
