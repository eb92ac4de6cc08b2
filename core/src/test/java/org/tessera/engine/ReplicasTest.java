package org.tessera.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.tessera.api.FinishReason;
import org.tessera.device.Device;
import org.tessera.device.Devices;
import org.tessera.engine.Replicas.Submission;
import org.tessera.error.DeviceException;
import org.tessera.error.GenerationException;
import org.tessera.error.InvalidRequestException;
import org.tessera.error.OverloadedException;
import org.tessera.parallel.Collective;
import org.tessera.parallel.LocalGroup;

/** Engines behind one queue, each with a model that counts. */
@Timeout(60)
class ReplicasTest {
  private static Device device;

  private final List<StageModel> models = new ArrayList<>();
  private final List<Engine> engines = new ArrayList<>();
  private Replicas replicas;

  @BeforeAll
  static void open() {
    device = Devices.probe().open("cpu");
  }

  @AfterAll
  static void closeDevice() {
    device.close();
  }

  @AfterEach
  void close() {
    if (replicas != null) {
      replicas.close();
    }
  }

  @Test
  void requestsGoToTheReplicaWithTheFewest() throws Exception {
    start(3, 8, 100);
    CountDownLatch goOn = holdAll();
    List<Answer> answers = submit(9, i -> new int[] {10 * i});
    goOn.countDown();
    for (int i = 0; i < answers.size(); i++) {
      assertThat(answers.get(i).ids()).containsExactly(10 * i + 1, 10 * i + 2);
    }
    for (StageModel model : models) {
      assertThat(IntStream.range(0, 9).filter(i -> model.seen.contains(10 * i)).count())
          .isEqualTo(3);
    }
    assertThat(replicas.stats().running()).isZero();
    assertThat(replicas.stats().kvBlocks()).isEqualTo(3 * 256);
  }

  @Test
  void aConversationGoesOnWhereItsBeginningIs() throws Exception {
    start(3, 8, 100);
    for (int conversation = 0; conversation < 6; conversation++) {
      int salt = 10 * conversation;
      int[] first = IntStream.range(0, 140).map(i -> (i + salt) % 100).toArray();
      // What holds the first replica sends the conversation to the second one.
      CountDownLatch goOn = new CountDownLatch(1);
      models.get(0).beforeLayers = hidden -> await(goOn);
      Answer holding = submit(new int[] {300 + conversation});
      Answer turn = submit(first);
      assertThat(turn.ids()).hasSize(2);
      goOn.countDown();
      assertThat(holding.ids()).hasSize(2);

      int[] second =
          IntStream.concat(
                  IntStream.concat(IntStream.of(first), turn.ids().stream().mapToInt(id -> id)),
                  IntStream.of(400 + conversation))
              .toArray();
      assertThat(submit(second).result().cachedTokens()).isGreaterThanOrEqualTo(128);
      assertThat(models.get(1).seen).contains(400 + conversation);
    }
    assertThat(replicas.stats().cachedTokens()).isGreaterThanOrEqualTo(6 * 128);
  }

  @Test
  void manyRequestsWithTheSameBeginningSpreadAllTheSame() throws Exception {
    start(2, 16, 100);
    int[] prompt = IntStream.range(0, 128).map(i -> i % 90).toArray();
    assertThat(submit(prompt).ids()).hasSize(2);
    CountDownLatch goOn = holdAll();
    List<Answer> answers = submit(16, i -> withEnd(prompt, 200 + 10 * i));
    goOn.countDown();
    for (Answer answer : answers) {
      assertThat(answer.ids()).hasSize(2);
    }
    for (StageModel model : models) {
      assertThat(IntStream.range(0, 16).filter(i -> model.seen.contains(200 + 10 * i)).count())
          .isBetween(6L, 10L);
    }
  }

  @Test
  void whatFindsNoRoomWaitsInOneQueueAndMoreIsRefused() throws Exception {
    start(2, 1, 2);
    CountDownLatch goOn = holdAll();
    List<Answer> running = submit(2, i -> new int[] {i});
    List<Answer> waiting = submit(2, i -> new int[] {50 + i});

    assertThat(replicas.stats().waiting()).isGreaterThanOrEqualTo(2);
    assertThatThrownBy(() -> submit(new int[] {1}))
        .isInstanceOf(OverloadedException.class)
        .hasMessageContaining("2 requests wait");
    assertThatThrownBy(() -> submit(new int[5000])).isInstanceOf(InvalidRequestException.class);
    goOn.countDown();
    for (Answer answer : Stream.concat(running.stream(), waiting.stream()).toList()) {
      assertThat(answer.ids()).hasSize(2);
    }
  }

  @Test
  void whoWaitsCanBeCancelled() throws Exception {
    start(2, 1, 5);
    CountDownLatch goOn = holdAll();
    List<Answer> running = submit(2, i -> new int[] {i});
    Answer waiting = new Answer();
    Submission submission = replicas.submit(Answer.greedy(new int[] {3}, 2), waiting);
    submission.cancel();

    assertThat(waiting.result().finishReason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(running.getFirst().isDone()).isFalse();
    goOn.countDown();
    for (Answer answer : running) {
      assertThat(answer.ids()).hasSize(2);
    }
  }

  @Test
  void aReplicaThatDiesFailsItsOwnRequestsAndTheOthersGoOn() throws Exception {
    start(2, 4, 100);
    CountDownLatch goOn = new CountDownLatch(1);
    models.get(0).beforeLayers =
        hidden -> {
          await(goOn);
          throw new AssertionError("injected");
        };
    models.get(1).beforeLayers = hidden -> await(goOn);
    List<Answer> answers = submit(12, i -> new int[] {i});
    goOn.countDown();

    int failed = 0;
    for (Answer answer : answers) {
      try {
        assertThat(answer.ids()).hasSize(2);
      } catch (ExecutionException e) {
        assertThat(e.getCause())
            .isInstanceOf(GenerationException.class)
            .hasRootCauseInstanceOf(AssertionError.class);
        failed++;
      }
    }
    // Those that it ran, and at most two that it got before it was known.
    assertThat(failed).isBetween(4, 6);
    for (Answer answer : submit(6, i -> new int[] {20 + i})) {
      assertThat(answer.ids()).hasSize(2);
    }
  }

  @Test
  void aReplicaWhoseDeviceIsLostGetsNoMore() throws Exception {
    start(2, 4, 100);
    models.get(1).beforeLayers =
        hidden -> {
          throw new DeviceException("the device is lost");
        };
    int failed = 0;
    for (int i = 0; i < 12; i++) {
      List<Answer> pair = submit(2, n -> new int[] {n});
      for (Answer answer : pair) {
        try {
          assertThat(answer.ids()).hasSize(2);
        } catch (ExecutionException e) {
          assertThat(e.getCause()).hasMessage("the device is lost");
          failed++;
        }
      }
    }
    assertThat(failed).isEqualTo(3);
  }

  @Test
  void whereAllHaveDiedTheCauseIsTold() {
    start(2, 4, 100);
    models.forEach(model ->
        model.beforeLayers =
            hidden -> {
              throw new AssertionError("injected");
            });
    for (Answer answer : submit(2, i -> new int[] {i})) {
      assertThatThrownBy(answer::ids).hasRootCauseInstanceOf(AssertionError.class);
    }
    assertThatThrownBy(() -> submit(new int[] {1}).ids())
        .hasRootCauseInstanceOf(AssertionError.class);
  }

  @Test
  void closingFailsWhatRunsAndWhatWaits() {
    start(2, 1, 100);
    List<Answer> answers = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      Answer answer = new Answer();
      replicas.submit(Answer.greedy(new int[] {i}, 3000), answer);
      answers.add(answer);
    }
    replicas.close();

    for (Answer answer : answers) {
      assertThatThrownBy(answer::ids).cause().isInstanceOf(GenerationException.class);
    }
    assertThatThrownBy(() -> submit(new int[] {1})).isInstanceOf(GenerationException.class);
  }

  /** Engines that count up by one, one stage each. */
  private void start(int count, int maxRunning, int maxWaiting) {
    EngineOptions options =
        new EngineOptions(256, 16, maxRunning, 64, 2).withMaxWaiting(maxWaiting);
    for (int i = 0; i < count; i++) {
      Collective alone = new LocalGroup(1).member(0, device);
      StageModel model = new StageModel(device, alone, 1);
      models.add(model);
      engines.add(new Engine(new RankRunner(model, device, options), options));
    }
    replicas = new Replicas(engines);
  }

  /** Lets no model go on until the latch is down. */
  private CountDownLatch holdAll() {
    CountDownLatch latch = new CountDownLatch(1);
    models.forEach(model -> model.beforeLayers = hidden -> await(latch));
    return latch;
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(20, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private Answer submit(int[] prompt) {
    Answer answer = new Answer();
    Submission unused = replicas.submit(Answer.greedy(prompt, 2), answer);
    return answer;
  }

  private List<Answer> submit(int count, IntFunction<int[]> prompt) {
    return IntStream.range(0, count).mapToObj(prompt).map(this::submit).toList();
  }

  private static int[] withEnd(int[] prompt, int end) {
    int[] longer = Arrays.copyOf(prompt, prompt.length + 1);
    longer[prompt.length] = end;
    return longer;
  }
}
