// Measured figures of a model's layers, in a folder beside the output until that is complete, so that an
// interrupted run can be resumed.
#ifndef NIB_MODEL_MIXED_COSTS_H
#define NIB_MODEL_MIXED_COSTS_H

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
  // folder: is deleted unless `resume`. identity: what other runs have measured is not read. Throws.
  MeasuredCosts(std::filesystem::path folder, std::string identity, bool resume);

  // Makes the folder, before anything is added. Throws.
  void begin() const;
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
  std::map<std::string, Divergence> divergences_;
  std::map<std::string, double> weighted_errors_;
};

}  // namespace nib::model
#endif
