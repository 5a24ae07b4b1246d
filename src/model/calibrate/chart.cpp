#include "model/calibrate/chart.h"

#include "model/html_text.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace nib::model {
namespace {

constexpr int kWidth = 960, kHeight = 300, kLeft = 56, kRight = 16, kTop = 16, kBottom = 34;
constexpr int kColumns = kWidth - kLeft - kRight;
constexpr size_t kMaxTensors = 500;

constexpr struct {
  const char* name;
  const char* colour;
} kShown[] = {{"minmax", "#444444"}, {"ema", "#8a6d00"},         {"percentile:99.99", "#0068b5"},
              {"mse", "#b3261e"},    {"entropy-ort", "#2e7d32"}, {"entropy-trt", "#7b1fa2"}};

void append(std::string& text, const char* format, ...) __attribute__((format(printf, 2, 3)));
void append(std::string& text, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  text += line;
}

// Merges the histograms of all channels into one, for drawing.
Collected sumOf(const Collected& c) {
  Collected sum;
  sum.bins = c.bins;
  sum.log_bits = c.log_bits;
  Histogram& all = sum.histograms.emplace_back();
  all.counts.assign(c.bins, 0);
  for (const Histogram& h : c.histograms) {
    nibHistogramMerge(c.bins, NIB_HISTOGRAM_SIGNED, &all.head, all.counts.data(), &h.head, h.counts.data(), nullptr);
    mergeCounts(all.log_counts, h.log_counts);
  }
  return sum;
}

// Maps values to x coordinates, left to right, and log10(1 + count) to y coordinates, bottom to top.
struct Axes {
  double low, high, top;  // ranges: [low, high] in x, [0, top] in y

  double x(double value) const { return kLeft + (value - low) / (high - low) * kColumns; }
  double y(double log) const { return kHeight - kBottom - log / top * (kHeight - kTop - kBottom); }
};

// heights: log10(1 + count) per pixel column.
void drawBars(std::string& svg, const Axes& axes, const std::vector<double>& heights) {
  svg += "<path class=\"bars\" d=\"";
  append(svg, "M%d %d", kLeft, kHeight - kBottom);
  for (size_t i = 0; i < heights.size(); ++i) append(svg, "V%.1fH%zu", axes.y(heights[i]), kLeft + i + 1);
  append(svg, "V%dZ\"/>", kHeight - kBottom);
}

// Resamples the histogram to pixel columns: log10(1 + the mean count of the bins that a column touches).
std::vector<double> heightsOf(const Histogram& h, uint32_t bins, double low, double high) {
  const double width = std::ldexp(1.0, int(h.head.exponent) - 126) / (bins / 2);
  std::vector<double> counts(kColumns, 0), numbers(kColumns, 0);
  for (uint32_t i = 0; i < bins; ++i) {
    const double from = (double(i) - bins / 2) * width;
    const int first = int(std::floor((from - low) / (high - low) * kColumns)),
              last = int(std::ceil((from + width - low) / (high - low) * kColumns));
    for (int column = std::max(first, 0); column < std::min(last, kColumns); ++column) {
      counts[size_t(column)] += double(h.counts[i]);
      numbers[size_t(column)] += 1;
    }
  }
  for (int i = 0; i < kColumns; ++i)
    counts[size_t(i)] = std::log10(1 + (numbers[size_t(i)] > 0 ? counts[size_t(i)] / numbers[size_t(i)] : 0));
  return counts;
}

void drawAxes(std::string& svg, const Axes& axes) {
  const int bottom = kHeight - kBottom;
  append(svg, "<path class=\"axis\" d=\"M%d %dV%dH%d\"/>", kLeft, kTop, bottom, kWidth - kRight);
  for (int decade = 0; decade <= int(axes.top); ++decade) {
    const double y = axes.y(std::log10(1 + std::pow(10.0, decade)));
    if (y < kTop) break;
    append(svg, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">1e%d</text>",
           kLeft, y, kWidth - kRight, kLeft - 6, y + 4, decade);
  }
  // About eight ticks, at round values.
  const double rough = (axes.high - axes.low) / 8, power = std::pow(10.0, std::floor(std::log10(rough)));
  const double step = power * (rough / power < 2 ? 2 : rough / power < 5 ? 5 : 10);
  for (double value = std::ceil(axes.low / step) * step; value <= axes.high; value += step) {
    append(svg, "<path class=\"tick\" d=\"M%.1f %dv5\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.4g</text>",
           axes.x(value), bottom, axes.x(value), bottom + 18, std::fabs(value) < step / 1000 ? 0.0 : value);
  }
}

struct Line {
  const char* name;
  const char* colour;
  ChosenRange range;
  double clipped;
};

// The range of each method. For a tensor by channel, the union of the ranges of its channels: one chart shows them all.
std::vector<Line> linesOf(const std::string& name, const CalibratedTensor& tensor, const Collected& sum) {
  std::vector<Line> lines;
  for (const auto& shown : kShown) {
    RangeChoice choice = *findRangeChoice(shown.name);
    choice.symmetric = tensor.choice.symmetric;
    if (choice.ema && tensor.collected.ema.empty()) continue;
    CalibratedTensor trial;
    trial.collected = tensor.collected;
    chooseRanges(trial, choice, name);
    ChosenRange widest = trial.ranges[0];
    for (const ChosenRange& r : trial.ranges) {
      widest.min = std::min(widest.min, r.min);
      widest.max = std::max(widest.max, r.max);
    }
    lines.push_back({shown.name, shown.colour, widest, clippedShare(sum, 0, widest)});
  }
  return lines;
}

void drawLines(std::string& svg, const Axes& axes, const std::vector<Line>& lines) {
  for (const Line& line : lines) {
    for (const double end : {line.range.min, line.range.max}) {
      append(svg, "<path class=\"range\" stroke=\"%s\" d=\"M%.1f %dV%d\"><title>%s: %.6g</title></path>", line.colour,
             axes.x(end), kTop, kHeight - kBottom, line.name, end);
    }
  }
}

void addTable(std::string& page, const std::vector<Line>& lines, const RangeChoice& chosen) {
  page += "<table><tr><th>range</th><th>min</th><th>max</th><th>clipped</th></tr>\n";
  for (const Line& line : lines) {
    append(page,
           "<tr%s><td><span style=\"background:%s\"></span>%s</td><td>%.6g</td><td>%.6g</td><td>%.4f %%</td></tr>\n",
           chosen.name() == line.name ? " class=\"chosen\"" : "", line.colour, line.name, line.range.min,
           line.range.max, 100 * line.clipped);
  }
  page += "</table>\n";
}

void addTensor(std::string& page, const std::string& name, const CalibratedTensor& tensor) {
  const Collected all = sumOf(tensor.collected);
  const Histogram& sum = all.histograms[0];
  page += "<section><h2>" + escapedHtml(name) + "</h2>\n";
  append(page, "<p>%llu values of %u channels, %llu NaN or infinite; %.6g to %.6g; range %s, %s, by %s</p>\n",
         (unsigned long long)sum.head.finite_count, tensor.collected.channels,
         (unsigned long long)sum.head.nonfinite_count, double(sum.head.min), double(sum.head.max),
         tensor.choice.name().c_str(), tensor.choice.symmetric ? "symmetric" : "with zero points",
         tensor.collected.by_channel ? "channel (the widest is shown)" : "tensor");
  if (sum.head.exponent == 0) {
    page += "<p>No values but zeros.</p></section>\n";
    return;
  }
  const std::vector<Line> lines = linesOf(name, tensor, all);
  Axes axes{double(sum.head.min), double(sum.head.max), 0};
  for (const Line& line : lines) {
    axes.low = std::min(axes.low, line.range.min);
    axes.high = std::max(axes.high, line.range.max);
  }
  const double margin = (axes.high - axes.low) * 0.02;
  axes.low -= margin;
  axes.high += margin;
  const std::vector<double> heights = heightsOf(sum, tensor.collected.bins, axes.low, axes.high);
  axes.top = std::max(1.0, *std::max_element(heights.begin(), heights.end()) * 1.05);
  std::string svg;
  append(svg, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"histogram\">", kWidth, kHeight);
  drawAxes(svg, axes);
  drawBars(svg, axes, heights);
  drawLines(svg, axes, lines);
  page += svg + "</svg>\n";
  addTable(page, lines, tensor.choice);
  page += "</section>\n";
}

}  // namespace

std::string calibrationPage(const Calibration& calibration, const std::string& title) {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + escapedHtml(title) +
      "</title>\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n"
      "body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:1000px;padding:0 "
      "1em;color:#1b1b1b;background:#fff}\n"
      "h1{font-size:1.4em}h2{font-size:1.1em;margin:2em 0 0;overflow-wrap:anywhere}p{margin:.3em 0 .6em;color:#555}\n"
      "svg{width:100%;height:auto}svg "
      "text{font-size:11px;fill:#555}.bars{fill:#9db8d2}.axis,.tick{stroke:#555;fill:none}.grid{stroke:#e4e4e4;fill:"
      "none}\n"
      ".range{stroke-width:2;fill:none}table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:."
      "15em 1em .15em 0;text-align:right}\n"
      "td:first-child,th:first-child{text-align:left}td "
      "span{display:inline-block;width:.8em;height:.8em;margin-right:.5em}.chosen{font-weight:600}\n"
      "</style></head><body>\n<h1>" +
      escapedHtml(title) +
      "</h1>\n<p>Counts per bin, logarithmic. Lines: where each way of finding a range would end; the chosen one is in "
      "bold.</p>\n";
  size_t shown = 0;
  for (const auto& [name, tensor] : calibration) {
    if (shown++ == kMaxTensors) break;
    addTensor(page, name, tensor);
  }
  if (calibration.size() > kMaxTensors) {
    append(page, "<p>The first %zu of %zu tensors.</p>\n", kMaxTensors, calibration.size());
  }
  return page + "</body></html>\n";
}

}  // namespace nib::model
