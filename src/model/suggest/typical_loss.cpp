#include "model/suggest/typical_loss.h"

#include <cmath>
#include <iterator>

namespace nib::model {
namespace {

struct Point {
  double bits, loss;
};
// Symmetric integers of docs/accuracy.md in groups of 64 (2 to 4 bits), q5_0, q5_1, int8 by rows and q8_0.
constexpr Point kPoints[] = {{1.25, 1.26},  {2.25, 0.4375}, {3.25, 0.0578},   {4.25, 0.0119},
                             {5.5, 0.0021}, {6, 0.0016},    {8.053, 0.00006}, {8.5, 0.00003}};
constexpr Point kGptq[] = {{2.25, 0.59}, {3.25, 0.61}, {4.25, 0.62}};

// At the bits between two points, by interpolation of logarithms; beyond the last, the last.
template <class Points>
double at(const Points& points, double bits) {
  if (bits <= points[0].bits) return points[0].loss;
  for (size_t i = 1; i < std::size(points); ++i) {
    if (bits > points[i].bits) continue;
    const Point &a = points[i - 1], &b = points[i];
    return a.loss * std::pow(b.loss / a.loss, (bits - a.bits) / (b.bits - a.bits));
  }
  return std::rbegin(points)->loss;
}

}  // namespace

double typicalLoss(double bits) { return bits >= 16 ? 0 : at(kPoints, bits); }

double gptqShare(double bits) { return at(kGptq, bits); }

}  // namespace nib::model
