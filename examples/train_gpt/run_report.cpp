// SPDX-License-Identifier: MIT
#include "run_report.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

#include <plinth/report/run_report.hpp>

namespace {

/// Each value the mean of those before it, the last `window` of them counting most.
std::vector<double> smoothed(const std::vector<double>& values, double window) {
  std::vector<double> result;
  double sum = 0, weight = 0;
  for (const double value : values) {
    sum = sum * (1 - 1 / window) + value;
    weight = weight * (1 - 1 / window) + 1;
    result.push_back(sum / weight);
  }
  return result;
}

/// The model's curves, and as a line what the best n-gram model reaches, in bits per byte.
plinth::LinePlot loss_plot(const RunLog& log, double best_ngram) {
  plinth::LinePlot plot{.title = "A GPT learns to write", .x_label = "training step", .y_label = "bits per byte"};
  plot.series.push_back({"GPT, training text", log.training.steps, smoothed(log.training.values, 20)});
  plot.series.push_back({"GPT, held-out text", log.held_out.steps, log.held_out.values});
  plot.series.push_back({"best n-gram, held-out text", {0, log.training.steps.back()}, {best_ngram, best_ngram}, true});
  return plot;
}

/// The run on one page; its log has a row for each time that the held-out text was measured.
plinth::RunReport run_report(const ChosenOptions& options, const RunLog& log, double best_ngram,
                             const std::string& sample) {
  plinth::RunReport report{.title = "A run of train_gpt", .configuration = options};
  report.figures = {loss_plot(log, best_ngram),
                    plinth::LinePlot{.title = "Gradient norm, before clipping",
                                     .x_label = "training step",
                                     .series = {{"", log.gradient_norm.steps, log.gradient_norm.values}}},
                    plinth::LinePlot{.title = "Learning rate",
                                     .x_label = "training step",
                                     .series = {{"", log.learning_rate.steps, log.learning_rate.values}}}};
  report.log.columns = {"step", "training text, bits per byte", "held-out text, bits per byte"};
  const auto training = smoothed(log.training.values, 20);
  for (std::size_t i = 0; i < log.held_out.steps.size(); ++i) {
    const auto step = std::ranges::lower_bound(log.training.steps, log.held_out.steps[i]) - log.training.steps.begin();
    report.log.rows.push_back(
        {log.held_out.steps[i], training[static_cast<std::size_t>(step)], log.held_out.values[i]});
  }
  report.samples = {{"What it wrote", sample}};
  return report;
}

}  // namespace

void write_report(const std::filesystem::path& folder, const ChosenOptions& options, const RunLog& log,
                  double best_ngram, const std::string& sample) {
  plinth::write_svg(folder / "loss.svg", loss_plot(log, best_ngram));
  plinth::write_html(folder / "report.html", run_report(options, log, best_ngram, sample));
}
