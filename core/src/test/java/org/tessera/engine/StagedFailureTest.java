package org.tessera.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.tessera.engine.StagedEngines.FAILS;
import static org.tessera.engine.StagedEngines.awaits;
import static org.tessera.engine.StagedEngines.failing;
import static org.tessera.engine.StagedEngines.picture;
import static org.tessera.engine.StagedEngines.prompt;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.api.FinishReason;
import org.tessera.device.Device;
import org.tessera.engine.StagedRunner.Stage;
import org.tessera.error.DeviceException;
import org.tessera.error.GenerationException;
import org.tessera.tensor.Tensor;

/** What fails, is cancelled or closed on one of several devices leaves nothing waiting. */
@Timeout(60)
class StagedFailureTest {
  private final StagedEngines made = new StagedEngines();

  @AfterEach
  void closeDevices() {
    made.close();
  }

  @ParameterizedTest
  @CsvSource({"0,0", "1,0", "1,1", "1,2", "2,1"})
  void aRankThatFailsFailsItsRequestAndTheNextWorks(int stage, int rank) throws Exception {
    try (Engine engine = made.engine(1, 3, 2)) {
      made.stages.get(stage).get(rank).beforeLayers =
          failing(() -> new DeviceException("an injected failure"));
      assertFailsAlone(engine, new DeviceException("an injected failure"));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aRankThatFailsWhileOthersWaitInACollectiveReleasesThem(int rank) throws Exception {
    try (Engine engine = made.engine(1, 2, 1)) {
      made.stages.get(1).get(rank).betweenCollectives =
          failing(() -> new DeviceException("an injected failure"));
      assertFailsAlone(engine, new DeviceException("an injected failure"));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void anErrorIsTheCauseOfTheFailure(int stage) throws Exception {
    try (Engine engine = made.engine(1, 2, 1)) {
      made.stages.get(stage).getLast().beforeLayers =
          failing(() -> new StackOverflowError("injected"));

      assertThatThrownBy(() -> Answer.of(engine, prompt(FAILS)).ids())
          .cause()
          .isInstanceOf(GenerationException.class)
          .hasCauseInstanceOf(StackOverflowError.class);
      assertThat(Answer.of(engine, prompt(1)).ids()).containsExactly(7, 13, 19);
    }
  }

  /** Devices in several stages, in any order of ranks, some of which encode pictures too. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
  void anyLayoutAnswersAndNothingWaitsForEverWhereItFails(int seed) throws Exception {
    SplittableRandom random = new SplittableRandom(seed);
    for (int round = 0; round < 8; round++) {
      try (StagedEngines laid = new StagedEngines()) {
        List<Device> pool = Stream.generate(laid::cpu).limit(4).toList();
        List<Stage> cut = new ArrayList<>();
        for (int i = random.nextInt(1, 5); i > 0; i--) {
          cut.add(laid.stage(some(pool, random).toArray(Device[]::new)));
        }
        int gain = 2 * cut.size();
        try (Engine engine = laid.engine(cut, some(pool, random))) {
          assertAnswers(engine, random, gain);
          List<StageModel> ranks = laid.stages.get(random.nextInt(cut.size()));
          StageModel chosen = ranks.get(random.nextInt(ranks.size()));
          Consumer<Tensor> failing = failing(() -> new DeviceException("an injected failure"));
          if (random.nextBoolean()) {
            chosen.beforeLayers = failing;
          } else {
            chosen.betweenCollectives = failing;
          }
          Answer failed = Answer.of(engine, prompt(FAILS));
          assertThatThrownBy(failed::ids).cause().hasMessage("an injected failure");
          assertAnswers(engine, random, gain);
        }
      }
    }
  }

  private static List<Device> some(List<Device> pool, SplittableRandom random) {
    List<Device> shuffled = new ArrayList<>(pool);
    Collections.shuffle(shuffled, new Random(random.nextLong()));
    return shuffled.subList(0, random.nextInt(1, 4));
  }

  private static void assertAnswers(Engine engine, SplittableRandom random, int gain)
      throws Exception {
    int length = random.nextInt(1, 150);
    List<Answer> answers =
        IntStream.range(0, 4)
            .mapToObj(i -> {
              int[] ids = new int[length];
              ids[length - 1] = i;
              return Answer.of(engine, prompt(ids));
            })
            .toList();
    Answer picture = Answer.of(engine, picture(random.nextInt(1, 6)));
    for (int i = 0; i < answers.size(); i++) {
      assertThat(answers.get(i).ids()).containsExactly(i + gain, i + 2 * gain, i + 3 * gain);
    }
    int feature = (int) StageModel.FEATURE;
    assertThat(picture.ids())
        .containsExactly(feature + gain, feature + 2 * gain, feature + 3 * gain);
  }

  @Test
  void aCopyBetweenDevicesThatFailsFailsTheRequest() throws Exception {
    AtomicBoolean fail = new AtomicBoolean(true);
    Device deaf =
        made.changed(
            Map.of(
                "receive",
                () -> {
                  if (fail.getAndSet(false)) {
                    throw new DeviceException("an injected failure");
                  }
                }));
    try (Engine engine =
        made.engine(
            List.of(made.stage(made.cpu()), made.stage(deaf), made.stage(made.cpu())), List.of())) {
      assertThatThrownBy(() -> Answer.of(engine, prompt(FAILS)).ids())
          .cause()
          .hasMessage("an injected failure");
      assertThat(Answer.of(engine, prompt(1)).ids()).containsExactly(7, 13, 19);
    }
  }

  @Test
  void visionThatFailsFailsTheRequestAndTheNextWorks() throws Exception {
    AtomicBoolean fail = new AtomicBoolean(true);
    try (Engine engine =
        made.engine(List.of(made.stage(made.cpu(), made.cpu())), List.of(made.cpu(), made.cpu()))) {
      made.vision.get(1).beforeVision =
          () -> {
            if (fail.getAndSet(false)) {
              throw new DeviceException("an injected failure");
            }
          };
      assertThatThrownBy(() -> Answer.of(engine, picture(3)).ids())
          .cause()
          .hasMessage("an injected failure");
      assertThat(Answer.of(engine, picture(3)).ids()).containsExactly(502, 504, 506);
    }
  }

  @Test
  void aRequestCancelledBetweenTwoCollectivesEndsAndTheNextWorks() throws Exception {
    CountDownLatch between = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    try (Engine engine = made.engine(2, 1)) {
      made.stages.get(0).get(1).betweenCollectives =
          hidden -> {
            between.countDown();
            awaits(goOn);
          };
      Answer answer = new Answer();
      Generation generation = engine.submit(Answer.greedy(new int[] {1}, 50), answer);
      assertThat(awaits(between)).isTrue();
      generation.cancel();
      goOn.countDown();

      assertThat(answer.result().finishReason()).isEqualTo(FinishReason.CANCELLED);
      assertThat(answer.ids()).hasSizeLessThan(50);
      assertThat(Answer.of(engine, prompt(1)).ids()).containsExactly(5, 9, 13);
    }
  }

  @Test
  void anEngineIsClosedWhileRanksWait() throws Exception {
    CountDownLatch between = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    Answer answer = new Answer();
    Thread closing;
    try (Engine engine = made.engine(1, 2)) {
      made.stages.get(1).get(0).betweenCollectives =
          hidden -> {
            between.countDown();
            awaits(goOn);
          };
      engine.submit(Answer.greedy(new int[] {1}, 50), answer);
      assertThat(awaits(between)).isTrue();
      closing = Thread.ofVirtual().start(engine::close);
      goOn.countDown();
      assertThat(closing.join(Duration.ofSeconds(20))).isTrue();
    }
    assertThatThrownBy(answer::ids).hasMessageContaining("closed");
  }

  @Test
  void closingGoesOnWhereADeviceFailsAndSaysSo() {
    AtomicInteger closedRegions = new AtomicInteger();
    List<Stage> cut = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      cut.add(made.stage(made.countingRegions(closedRegions, i == 1)));
    }
    Engine engine = made.engine(cut, List.of());

    assertThatThrownBy(engine::close)
        .isInstanceOf(DeviceException.class)
        .hasMessage("an injected failure");
    // Of each device the cache and the memory of recorded steps; the second fails for each of them.
    assertThat(closedRegions.get()).isGreaterThanOrEqualTo(4);
  }

  private void assertFailsAlone(Engine engine, RuntimeException cause) throws Exception {
    Answer other = Answer.of(engine, prompt(2));
    assertThat(other.ids()).containsExactly(8, 14, 20);
    assertThatThrownBy(() -> Answer.of(engine, prompt(FAILS)).ids())
        .cause()
        .isInstanceOf(cause.getClass())
        .hasMessage(cause.getMessage());
    assertThat(Answer.of(engine, prompt(1)).ids())
        .hasSize(3)
        .first()
        .isEqualTo(1 + 2 * made.stages.size());
  }
}
