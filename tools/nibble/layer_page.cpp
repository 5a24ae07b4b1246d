#include "layer_page.h"

#include "model_text.h"

#include "model/html_text.h"

#include <algorithm>
#include <cmath>

namespace nib::tool {
namespace {

constexpr int kBarPixels = 220, kBarHeight = 12;

std::string bar(double value, double largest) {
  if (!(value > 0) || !(largest > 0)) return "";
  const double share = std::isfinite(value) ? std::min(value / largest, 1.0) : 1;
  return "<svg width=\"" + std::to_string(kBarPixels) + "\" height=\"" + std::to_string(kBarHeight) +
         "\"><rect width=\"" + numberText("%.1f", std::max(share * kBarPixels, 0.5)) + "\" height=\"" +
         std::to_string(kBarHeight) + "\" fill=\"#3b6ea5\"/></svg>";
}

double largestOf(const std::vector<double>& values) {
  double largest = 0;
  for (const double value : values) {
    if (std::isfinite(value)) largest = std::max(largest, value);
  }
  return largest;
}

}  // namespace

std::string layerPage(const std::string& title, const std::vector<std::string>& about,
                      const std::vector<std::string>& layers, const std::vector<BarColumn>& columns) {
  const std::string heading = model::escapedHtml(title);
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + heading +
                     "</title>\n<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}"
                     "td,th{padding:.2em .8em;border-bottom:1px solid #ddd;text-align:left;white-space:nowrap}"
                     "td.n{text-align:right;font-variant-numeric:tabular-nums}</style></head><body>\n<h1>" +
                     heading + "</h1>\n";
  for (const std::string& text : about) page += "<p>" + model::escapedHtml(text) + "</p>\n";
  page += "<table><tr><th>layer</th>";
  for (const BarColumn& column : columns) page += "<th colspan=\"2\">" + model::escapedHtml(column.title) + "</th>";
  page += "</tr>\n";
  for (size_t i = 0; i < layers.size(); ++i) {
    page += "<tr><td>" + model::escapedHtml(layers[i]) + "</td>";
    for (const BarColumn& column : columns) {
      page += "<td class=\"n\">" + model::escapedHtml(column.texts[i]) + "</td><td>" +
              bar(column.values[i], largestOf(column.values)) + "</td>";
    }
    page += "</tr>\n";
  }
  return page + "</table></body></html>\n";
}

}  // namespace nib::tool
