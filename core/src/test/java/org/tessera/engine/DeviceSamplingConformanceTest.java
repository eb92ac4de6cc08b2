package org.tessera.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.tessera.api.GenerationOptions;
import org.tessera.config.CheckpointConfig;
import org.tessera.engine.DeviceSamplingTest.Answer;
import org.tessera.model.MiniCpmV26;
import org.tessera.model.VisionLanguageModel;
import org.tessera.parallel.Rank;
import org.tessera.testing.ChatCase;
import org.tessera.testing.ReferenceVectors;
import org.tessera.testing.SamplingDevice;
import org.tessera.text.Tokenizer;
import org.tessera.weights.SafetensorsCheckpoint;
import org.tessera.weights.Weights;

/** A device that chooses tokens itself over the reference checkpoint. */
class DeviceSamplingConformanceTest {
  private static final EngineOptions OPTIONS = new EngineOptions(300, 16, 16, 64, 4);

  private static SamplingDevice device;
  private static SafetensorsCheckpoint checkpoint;
  private static VisionLanguageModel model;
  private static Set<Integer> terminators;

  @BeforeAll
  static void load() {
    var directory = ReferenceVectors.path("checkpoint");
    CheckpointConfig config = CheckpointConfig.read(directory, List.of("MiniCPMV"));
    Tokenizer tokenizer = Tokenizer.load(directory);
    terminators =
        Set.of(
            tokenizer.idOf("<|im_end|>").orElseThrow(),
            tokenizer.idOf("<|endoftext|>").orElseThrow());
    device = new SamplingDevice(/* recordsWork= */ false);
    checkpoint = SafetensorsCheckpoint.open(directory);
    Weights weights =
        Weights.root(checkpoint, device, device.allocateRegion(), checkpoint.prevailingType());
    model = new MiniCpmV26().load(config, weights, Rank.whole(device));
  }

  @AfterAll
  static void close() {
    if (device != null) {
      device.close();
    }
    if (checkpoint != null) {
      checkpoint.close();
    }
  }

  private static Engine engine() {
    return new Engine(new RankRunner(model, device, OPTIONS), OPTIONS);
  }

  /** A case's prompt; where it has pictures, their places are tokens like others. */
  private static EngineRequest request(ChatCase chat, GenerationOptions options) {
    int[] prompt = ReferenceVectors.ints(chat.json().get("input_ids"));
    return new EngineRequest(prompt, List.of(), options, terminators);
  }

  @Test
  void answersWithoutChanceAreThoseOfTheOriginal() throws Exception {
    List<ChatCase> cases =
        ChatCase.all().stream().filter(chat -> chat.json().get("image_bound").isEmpty()).toList();
    assertThat(cases).isNotEmpty();
    GenerationOptions penalised =
        GenerationOptions.greedy().withMaxNewTokens(24).withRepetitionPenalty(1.2f);
    GenerationOptions early = GenerationOptions.greedy().withMaxNewTokens(12).withMinNewTokens(8);
    try (Engine engine = engine()) {
      device.takeDownloadedFloats();
      for (ChatCase chat : cases) {
        assertThat(Answer.of(engine, request(chat, penalised)).result().tokenIds())
            .isEqualTo(chat.ids("greedy_repetition_1.2"));
        assertThat(Answer.of(engine, request(chat, early)).result().tokenIds())
            .isEqualTo(chat.ids("greedy_min_new_tokens_8"));
      }
      assertThat(device.takeDownloadedFloats()).isZero();
    }
  }

  @Test
  void aSeedGivesTheSameTokensWhateverElseRuns() throws Exception {
    GenerationOptions sampling =
        GenerationOptions.sampling().withTemperature(1.2f).withTopP(0.95f).withMaxNewTokens(20);
    List<EngineRequest> requests = new ArrayList<>();
    for (ChatCase chat : ChatCase.all()) {
      if (chat.json().get("input_ids").size() < 130) {
        requests.add(request(chat, sampling.withSeed(requests.size())));
        requests.add(request(chat, sampling.withSeed(requests.size()).withLogprobs(1)));
      }
    }
    List<List<Integer>> alone = new ArrayList<>();
    try (Engine engine = engine()) {
      for (EngineRequest request : requests) {
        alone.add(Answer.of(engine, request).result().tokenIds());
      }
    }
    assertThat(alone.stream().distinct()).hasSameSizeAs(requests);
    try (Engine engine = engine()) {
      List<Answer> answers = requests.stream().map(of -> Answer.of(engine, of)).toList();
      for (int i = 0; i < answers.size(); i++) {
        assertThat(answers.get(i).result().tokenIds()).as("request %d", i).isEqualTo(alone.get(i));
      }
    }
  }
}
