package org.tessera.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.api.FinishReason;
import org.tessera.api.GenerationOptions;
import org.tessera.device.Device;
import org.tessera.device.Devices;
import org.tessera.error.GenerationException;
import org.tessera.sampling.TokenChoice;
import org.tessera.sampling.TokenConstraint;
import org.tessera.testing.SamplingDevice;

/** Tokens chosen where the logits are, in steps as they come and in steps that are recorded. */
@ParameterizedClass(name = "recorded: {0}")
@ValueSource(booleans = {false, true})
class DeviceSamplingTest {
  private static final GenerationOptions SAMPLING =
      GenerationOptions.sampling().withTemperature(1).withMaxNewTokens(40);
  private static final GenerationOptions GREEDY = GenerationOptions.greedy().withMaxNewTokens(40);
  private static final Set<Integer> TERMINATORS = Set.of(7);

  @Parameter boolean recordsWork;

  private SamplingDevice device;

  @BeforeEach
  void open() {
    device = new SamplingDevice(recordsWork);
  }

  @AfterEach
  void close() {
    device.close();
  }

  private static Engine engine(Device device, int blocks, int maxRunning) {
    EngineOptions options = new EngineOptions(blocks, 4, maxRunning, 16, 2);
    return new Engine(new RankRunner(new RandomModel(), device, options), options);
  }

  private static EngineRequest request(GenerationOptions options, int... prompt) {
    return new EngineRequest(prompt, List.of(), options, TERMINATORS);
  }

  private List<Integer> alone(EngineRequest request) throws Exception {
    try (Engine engine = engine(device, 64, 1)) {
      return Answer.of(engine, request).result().tokenIds();
    }
  }

  /** Requests of every kind, seeded where they draw. */
  private static List<EngineRequest> requests() {
    List<EngineRequest> requests = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      int[] prompt = {i, 3 * i + 1, 20 + i};
      requests.add(request(SAMPLING.withSeed(i), prompt));
      requests.add(request(SAMPLING.withRepetitionPenalty(1).withSeed(100 + i), prompt));
      requests.add(request(SAMPLING.withSeed(i).withMinNewTokens(30), prompt));
      requests.add(request(GREEDY.withRepetitionPenalty(1.3f), prompt));
      requests.add(request(GREEDY, prompt));
      requests.add(request(SAMPLING.withSeed(i).withLogprobs(2), prompt));
      requests.add(request(GenerationOptions.beamSearch().withMaxNewTokens(12), prompt));
    }
    requests.add(request(SAMPLING.withSeed(9), new int[40]));
    return requests;
  }

  @Test
  void aSeedGivesTheSameTokensWhateverElseRuns() throws Exception {
    List<EngineRequest> requests = requests();
    List<List<Integer>> alone = new ArrayList<>();
    for (EngineRequest request : requests) {
      alone.add(alone(request));
    }
    assertThat(alone.stream().distinct().count()).isGreaterThan(20);
    for (int maxRunning : new int[] {3, 8, 40}) {
      try (Engine engine = engine(device, 1000, maxRunning)) {
        List<Answer> answers = requests.stream().map(of -> Answer.of(engine, of)).toList();
        for (int i = 0; i < answers.size(); i++) {
          assertThat(answers.get(i).result().tokenIds())
              .as("%s among %d", requests.get(i).options(), maxRunning)
              .isEqualTo(alone.get(i));
        }
      }
    }
  }

  @Test
  void whatWasGeneratedIsCountedAgainAfterAPreemption() throws Exception {
    List<EngineRequest> requests = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      GenerationOptions options =
          SAMPLING.withSeed(i).withFrequencyPenalty(0.5f).withMinNewTokens(40);
      requests.add(request(i % 3 == 0 ? options.withTemperature(0) : options, i, i + 1, i + 2));
    }
    try (Engine engine = engine(device, 24, 6)) {
      List<Answer> answers = requests.stream().map(of -> Answer.of(engine, of)).toList();
      for (int i = 0; i < answers.size(); i++) {
        assertThat(answers.get(i).result().tokenIds()).isEqualTo(alone(requests.get(i)));
      }
      assertThat(engine.stats().preemptions()).isPositive();
    }
  }

  @Test
  void withoutChanceTheTokensAreThoseOfTheHost() throws Exception {
    try (Device cpu = Devices.probe().open("cpu");
        Engine onHost = engine(cpu, 1000, 8);
        Engine onDevice = engine(device, 1000, 8)) {
      for (int i = 0; i < 10; i++) {
        GenerationOptions options =
            GREEDY
                .withRepetitionPenalty(1 + 0.1f * i)
                .withPresencePenalty(i % 3 * 0.3f)
                .withFrequencyPenalty(i % 2 * 0.7f)
                .withMinNewTokens(4 * i);
        EngineRequest request = request(options, i, 2 * i);
        List<Integer> expected = Answer.of(onHost, request).result().tokenIds();
        assertThat(Answer.of(onDevice, request).result().tokenIds())
            .as("%s", options)
            .isEqualTo(expected)
            .hasSizeGreaterThanOrEqualTo(4 * i);
      }
    }
  }

  @Test
  void logitsStayOnTheDeviceUnlessTheHostNeedsThem() throws Exception {
    try (Engine engine = engine(device, 1000, 8)) {
      Answer.of(engine, request(SAMPLING.withSeed(1), 1, 2)).result();
      Answer.of(engine, request(GREEDY.withRepetitionPenalty(1.2f), 1, 2)).result();
      assertThat(device.takeDownloadedFloats()).isZero();

      Answer sampled = Answer.of(engine, request(SAMPLING.withSeed(1).withMinNewTokens(40), 1, 2));
      Answer weighed = Answer.of(engine, request(SAMPLING.withSeed(1).withLogprobs(1), 1, 2));
      sampled.result();
      int rows = weighed.result().tokenIds().size();
      assertThat(device.takeDownloadedFloats()).isEqualTo(rows * RandomModel.VOCABULARY);
    }
  }

  @Test
  void aConstraintIsKeptByTheHost() throws Exception {
    TokenConstraint twoTokens =
        new TokenConstraint() {
          @Override
          public long[] allowed() {
            return new long[] {1L << 5 | 1L << 6};
          }

          @Override
          public void accept(int tokenId) {}
        };
    EngineRequest request =
        new EngineRequest(
            new int[] {1, 2},
            List.of(),
            SAMPLING.withSeed(3),
            TERMINATORS,
            Optional.of(() -> twoTokens),
            "");
    assertThat(alone(request)).hasSize(40).containsOnly(5, 6);
  }

  @Test
  void rowsOfCountsComeBackHoweverAGenerationEnds() throws Exception {
    try (Engine engine = engine(device, 40, 2)) {
      for (int round = 0; round < 6; round++) {
        GenerationOptions long40 = SAMPLING.withSeed(round).withMinNewTokens(40);
        Answer finishes = Answer.of(engine, request(long40, 1, 2));
        Answer stops = new Answer(3);
        engine.submit(request(long40, 2, 3), stops);
        CompletableFuture<Generation> running = new CompletableFuture<>();
        Answer cancelled =
            new Answer(Integer.MAX_VALUE) {
              @Override
              public boolean onToken(TokenChoice choice) {
                running.join().cancel();
                return true;
              }
            };
        running.complete(engine.submit(request(long40, 3, 4), cancelled));
        Answer breaks = Answer.of(engine, request(long40, RandomModel.BREAKS));

        assertThat(finishes.result().tokenIds()).hasSize(40);
        assertThat(stops.result().tokenIds()).hasSize(3);
        assertThat(cancelled.result().finishReason()).isEqualTo(FinishReason.CANCELLED);
        assertThat(cancelled.result().tokenIds()).hasSize(1);
        assertThatThrownBy(breaks::result)
            .cause()
            .isInstanceOf(GenerationException.class)
            .hasMessageContaining("not finite");
      }
      assertThat(engine.stats().running()).isZero();
      assertThat(engine.stats().usedKvBlocks()).isZero();
    }
  }

  /** Waits for a generation. */
  static class Answer implements GenerationListener {
    private final CompletableFuture<GenerationResult> result = new CompletableFuture<>();
    private int wanted;

    Answer(int wanted) {
      this.wanted = wanted;
    }

    static Answer of(Engine engine, EngineRequest request) {
      Answer answer = new Answer(Integer.MAX_VALUE);
      engine.submit(request, answer);
      return answer;
    }

    GenerationResult result() throws Exception {
      return result.get(60, TimeUnit.SECONDS);
    }

    @Override
    public boolean onToken(TokenChoice choice) {
      return --wanted > 0;
    }

    @Override
    public void onFinished(GenerationResult finished) {
      result.complete(finished);
    }

    @Override
    public void onFailed(RuntimeException cause) {
      result.completeExceptionally(cause);
    }
  }
}
