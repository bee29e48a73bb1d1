// SPDX-License-Identifier: MIT
// What is shown of a run: its loss as a picture, and everything about it on one page.
#pragma once

#include <filesystem>
#include <string>

#include "options.hpp"
#include "run_log.hpp"

/// Writes loss.svg and report.html into the run's folder. `best_ngram` is what the best n-gram model reaches, in bits
/// per byte. Throws IoError.
void write_report(const std::filesystem::path& folder, const ChosenOptions& options, const RunLog& log,
                  double best_ngram, const std::string& sample);
