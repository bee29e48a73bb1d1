// SPDX-License-Identifier: MIT
// Trains a small decoder to write words backwards, then draws where each of its heads looks while it does.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <plinth/plinth.hpp>
#include <plinth/report/heat_map.hpp>

namespace {

using plinth::Tensor;
using Model = plinth::Decoder<float>;

constexpr std::int64_t letters = 8;      // of a word
constexpr std::int64_t T = 2 * letters;  // a word, a bar, and the word backwards but for its last letter
const std::string alphabet = "abcdefghijklmnopqrstuvwxyz|";

/// "planeten|netenalp" without its last letter as input, without its first as target; what stands before the bar is no
/// target.
struct Examples {
  Tensor<std::int32_t> inputs, targets;  // (B, T)
};

/// So many words of random letters, a function of the stream.
Examples examples(std::int64_t B, const plinth::RandomStream& stream) {
  std::vector<std::int32_t> inputs, targets;
  for (std::int64_t row = 0; row < B; ++row) {
    std::vector<std::int32_t> ids;
    for (std::int64_t i = 0; i < letters; ++i)
      ids.push_back(static_cast<std::int32_t>(26 * stream.uniform(static_cast<std::uint64_t>(row * letters + i))));
    ids.push_back(26);
    for (std::int64_t i = letters - 1; i >= 0; --i) ids.push_back(ids[static_cast<std::size_t>(i)]);
    for (std::size_t i = 0; i < T; ++i) {
      inputs.push_back(ids[i]);
      targets.push_back(i < letters ? -1 : ids[i + 1]);
    }
  }
  return {Tensor<std::int32_t>({B, T}, inputs), Tensor<std::int32_t>({B, T}, targets)};
}

/// The share of letters that the model writes as they should be.
double accuracy(const Model& model, const Examples& data) {
  const plinth::NoGradient no_gradient;
  return plinth::accuracy(model(data.inputs), data.targets);
}

/// The letters of a tensor of ids, one label each.
std::vector<std::string> labels(const Tensor<std::int32_t>& ids) {
  std::vector<std::string> result;
  for (const std::int32_t id : ids.to_vector()) result.emplace_back(1, alphabet[static_cast<std::size_t>(id)]);
  return result;
}

/// How much of its attention a head pays to the letter that is to be written next: (T - letters, T) probabilities.
double mirrored(const std::vector<float>& p) {
  double sum = 0;
  for (std::int64_t query = letters; query < T; ++query)
    sum += p[static_cast<std::size_t>((query - letters) * T + T - 1 - query)];
  return sum / letters;
}

/// Where all heads of all layers look while the model writes the first of the words backwards.
plinth::HeatMap look_inside(const Model& model, const Examples& data) {
  const plinth::NoGradient no_gradient;
  const auto word = slice(data.inputs, 0, 0, 1);  // (1, T)
  plinth::Probe<float> probe;
  model(word, {}, nullptr, &probe);
  plinth::HeatMap map{.title = "Where each head looks while it writes backwards",
                      .x_label = "what is looked at",
                      .y_label = "what was written last",
                      .rows = labels(slice(word, 1, letters, T)),
                      .columns = labels(word),
                      .panels_across = static_cast<std::size_t>(model.config.heads)};
  for (std::size_t layer = 0; layer < probe.attention.size(); ++layer)
    for (std::int64_t head = 0; head < model.config.heads; ++head) {
      const auto writing = slice(slice(probe.attention[layer], 1, head, head + 1), 2, letters, T);  // (1, 1, T/2, T)
      const auto p = writing.to_vector();
      const std::string name = "layer " + std::to_string(layer + 1) + ", head " + std::to_string(head + 1);
      std::printf("  %s   %3.0f %% on the letter to be written\n", name.c_str(), 100 * mirrored(p));
      map.panels.push_back({name, {p.begin(), p.end()}});
    }
  return map;
}

void run(const std::string& file) {
  Model model(
      {.vocabulary = static_cast<std::int64_t>(alphabet.size()), .context = T, .hidden = 64, .layers = 2, .heads = 4});
  plinth::Trainer trainer(model, {.steps = 200, .learning_rate = 3e-3, .warmup_steps = 20, .report_every = 40});
  trainer.fit(
      [&](const plinth::MicroStep& at) {
        const auto data = examples(64, {at.seed, plinth::RandomPurpose::batch, static_cast<std::uint32_t>(at.step)});
        return model.loss(data.inputs, data.targets);
      },
      [](const plinth::TrainingStep& step) {
        std::printf("step %3lld   loss %.3f\n", static_cast<long long>(step.step + 1), step.loss);
      });
  const Examples unseen = examples(500, {1, plinth::RandomPurpose::sample, 0});
  std::printf("%.1f %% of the letters of 500 unseen words are right\n", 100 * accuracy(model, unseen));
  plinth::write_svg(file, look_inside(model, unseen));
  std::printf("the heads' attention is drawn in %s\n", file.c_str());
}

}  // namespace

int main(int count, char** arguments) {
  try {
    run(count > 1 ? arguments[1] : "attention.svg");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "attention_map: %s\n", error.what());
    return 1;
  }
}
