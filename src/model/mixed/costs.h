// Measured figures of a model's layers, in a folder beside the output until that is complete, so that an
// interrupted run can be resumed.
#ifndef NIB_MODEL_MIXED_COSTS_H
#define NIB_MODEL_MIXED_COSTS_H

#include "model/archive/resume_folder.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace nib::model {

class MeasuredCosts {
 public:
  struct Divergence {
    double mean = 0, error = 0;  // and its standard error
  };
  // folder: is emptied unless `resume`. identity: what other runs have measured is not read. Throws; also if the folder
  // holds anything else, or another run uses it.
  MeasuredCosts(std::filesystem::path folder, std::string identity, bool resume);

  // Throws if the folder cannot be that of costs. Changes nothing.
  static void check(const std::filesystem::path& folder);

  // Makes the folder, before anything is added. Throws.
  void begin();
  // Keys tell layers and type. None if it is not known.
  std::optional<Divergence> divergence(const std::string& key) const;
  std::optional<double> weightedError(const std::string& key) const;
  // Writes the file. Throws.
  void addDivergence(const std::string& key, const Divergence& value);
  void addWeightedErrors(const std::map<std::string, double>& values);
  // Deletes the folder. Throws.
  void remove() const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  void read();
  void save() const;
  std::filesystem::path folder_, path_;
  std::string identity_;
  bool resume_;
  std::optional<ResumeFolder> files_;  // none if there is no folder yet
  std::map<std::string, Divergence> divergences_;
  std::map<std::string, double> weighted_errors_;
};

}  // namespace nib::model
#endif
