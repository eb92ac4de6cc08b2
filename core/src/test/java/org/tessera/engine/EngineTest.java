package org.tessera.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.tessera.api.FinishReason;
import org.tessera.api.GenerationOptions;
import org.tessera.device.Device;
import org.tessera.device.Devices;
import org.tessera.device.Workspace;
import org.tessera.error.DeviceException;
import org.tessera.error.GenerationException;
import org.tessera.error.InvalidRequestException;
import org.tessera.error.OverloadedException;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.KvCache;
import org.tessera.model.VisionLanguageModel;
import org.tessera.ops.Heads;
import org.tessera.ops.PagedBatch;
import org.tessera.sampling.TokenChoice;
import org.tessera.tensor.Tensor;

/** The scheduler's behaviour with a model whose next token is its last one plus one. */
class EngineTest {
  private static final int VOCAB = 50;
  private static final int TERMINATOR = 40;

  /** Positions with these ids make the model fail. */
  private static final int CRASHES = 48;

  private static final int EXHAUSTS_MEMORY = 49;

  private static final int FILLS_THE_DEVICE = 47;

  private static Device device;

  @BeforeAll
  static void open() {
    device = Devices.probe().open("cpu");
  }

  @AfterAll
  static void close() {
    device.close();
  }

  @Test
  void countsToTheTerminator() throws Exception {
    try (Engine engine = engine(16)) {
      Answer answer = Answer.of(engine, new int[] {3, 35}, 20);

      assertThat(answer.result().tokenIds()).containsExactly(36, 37, 38, 39, 40);
      assertThat(answer.result().finishReason()).isEqualTo(FinishReason.STOP);
    }
  }

  @Test
  void aPromptLongerThanOneStepIsComputedInChunks() throws Exception {
    int[] prompt = IntStream.range(0, 100).map(i -> i % 30).toArray();
    try (Engine engine = engine(64)) {
      assertThat(Answer.of(engine, prompt, 3).result().tokenIds()).containsExactly(10, 11, 12);
    }
  }

  @Test
  void aLongPromptJoinsARunningAnswerInSmallSteps() throws Exception {
    EngineOptions options =
        new EngineOptions(64, 4, 8, 16, 3, 2, Integer.MAX_VALUE); // 16 rows, 3 beside an answer
    CountingModel model = new CountingModel();
    model.gate = new CountDownLatch(1);
    int[] prompt = IntStream.range(0, 100).map(i -> i % 30).toArray();
    GenerationOptions untilCancelled =
        GenerationOptions.greedy().withMaxNewTokens(1_000_000).withMinNewTokens(1_000_000);
    try (Engine engine = new Engine(new RankRunner(model, device, options), options)) {
      engine.submit(request(new int[] {1}, 5).with(untilCancelled), new Answer(1_000_000));
      Answer late = Answer.of(engine, prompt, 3);
      model.gate.countDown();

      assertThat(late.result().tokenIds()).containsExactly(10, 11, 12);
      assertThat(model.stepRows).contains(4).allMatch(rows -> rows <= 4);
    }
    model.stepRows.clear();
    try (Engine engine = new Engine(new RankRunner(model, device, options), options)) {
      assertThat(Answer.of(engine, prompt, 3).result().tokenIds()).containsExactly(10, 11, 12);
      assertThat(model.stepRows).contains(16);
    }
  }

  @Test
  void moreGenerationsThanTheCacheHoldsAllEndAsTheyWouldAlone() throws Exception {
    try (Engine engine = engine(8)) {
      List<Answer> answers = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        answers.add(Answer.of(engine, new int[] {i % 10, (i % 10) + 1, i}, 15));
      }
      for (int i = 0; i < answers.size(); i++) {
        assertThat(answers.get(i).result().tokenIds())
            .containsExactly(IntStream.range(i + 1, i + 16).boxed().toArray(Integer[]::new));
      }
    }
  }

  @Test
  void aFailingStepFailsItsOwnRequestsAndTheEngineGoesOn() throws Exception {
    try (Engine engine = engine(16)) {
      assertThatThrownBy(() -> Answer.of(engine, new int[] {CRASHES}, 5).result())
          .hasRootCauseInstanceOf(DeviceException.class);
      assertThatThrownBy(() -> Answer.of(engine, new int[] {EXHAUSTS_MEMORY}, 5).result())
          .cause()
          .isInstanceOf(GenerationException.class)
          .hasMessageContaining("memory");
      assertThat(Answer.of(engine, new int[] {1}, 2).result().tokenIds()).containsExactly(2, 3);
    }
  }

  @Test
  void aRequestForWhichTheDeviceHasNoMemoryFailsAlone() throws Exception {
    try (Engine engine = engine(16)) {
      Answer large = new Answer(9);
      List<Answer> others = new ArrayList<>();
      // Submitted while an answer is under way, so that they share a step.
      Answer running =
          new Answer(Integer.MAX_VALUE) {
            @Override
            public boolean onToken(TokenChoice choice) {
              if (choice.tokenId() == 2) {
                others.add(Answer.of(engine, new int[] {7}, 3));
                engine.submit(request(new int[] {5, FILLS_THE_DEVICE, 5}, 5), large);
                others.add(Answer.of(engine, new int[] {9}, 3));
              }
              return super.onToken(choice);
            }
          };
      engine.submit(request(new int[] {1}, 30), running);

      assertThatThrownBy(large::result).cause().hasMessage("the device is full");
      assertThat(running.result().tokenIds()).hasSize(30).startsWith(2, 3, 4).endsWith(30, 31);
      assertThat(others.get(0).result().tokenIds()).containsExactly(8, 9, 10);
      assertThat(others.get(1).result().tokenIds()).containsExactly(10, 11, 12);
    }
  }

  @Test
  void whoeverComesFirstIsServedFirst() throws Exception {
    EngineOptions options = new EngineOptions(64, 4, 2, 16, 2);
    CountingModel model = new CountingModel();
    model.gate = new CountDownLatch(1);
    List<Integer> order = new CopyOnWriteArrayList<>();
    List<Answer> answers = new ArrayList<>();
    try (Engine engine = new Engine(new RankRunner(model, device, options), options)) {
      for (int i = 0; i < 12; i++) {
        int number = i;
        Answer answer = new Answer(Integer.MAX_VALUE);
        answer.result.thenRun(() -> order.add(number));
        answers.add(answer);
        engine.submit(request(new int[] {1, number}, 4), answer);
      }
      model.gate.countDown();
      for (Answer answer : answers) {
        answer.result();
      }
    }
    assertThat(order).isSorted();
  }

  @Test
  void aListenerThatWantsNoMoreEndsTheAnswer() throws Exception {
    try (Engine engine = engine(16)) {
      Answer answer = new Answer(2);
      engine.submit(request(new int[] {1}, 20), answer);

      assertThat(answer.result().tokenIds()).containsExactly(2, 3);
      assertThat(answer.result().finishReason()).isEqualTo(FinishReason.STOP);
    }
  }

  @Test
  void promptsThatCannotFitAreRefused() {
    try (Engine engine = engine(2)) {
      assertThatThrownBy(() -> engine.submit(request(new int[8], 5), new Answer(9)))
          .isInstanceOf(InvalidRequestException.class)
          .hasMessageContaining("8 tokens");
      assertThatThrownBy(() -> engine.submit(request(new int[0], 5), new Answer(9)))
          .isInstanceOf(InvalidRequestException.class);
    }
  }

  @Test
  void aFullQueueRefusesUntilThereIsRoom() throws Exception {
    EngineOptions options = new EngineOptions(64, 4, 1, 16, 2).withMaxWaiting(1);
    CountingModel model = new CountingModel();
    model.gate = new CountDownLatch(1); // the first answer must still be under way
    try (Engine engine = new Engine(new RankRunner(model, device, options), options)) {
      Answer running = new Answer(Integer.MAX_VALUE);
      Answer waiting = new Answer(1);
      Generation first = engine.submit(request(new int[] {42}, 1_000_000), running);
      engine.submit(request(new int[] {1}, 5), waiting);

      assertThatThrownBy(() -> engine.submit(request(new int[] {2}, 5), new Answer(1)))
          .isInstanceOf(OverloadedException.class)
          .hasMessageContaining("1 requests wait");
      first.cancel();
      model.gate.countDown();
      assertThat(waiting.result().tokenIds()).containsExactly(2);
      assertThat(Answer.of(engine, new int[] {2}, 1).result().tokenIds()).containsExactly(3);
      assertThat(engine.stats().usedKvBlocks()).isZero();
      assertThat(engine.stats().running()).isZero();
    }
  }

  @Test
  void onePromptForSeveralAnswersIsComputedOnce() throws Exception {
    EngineRequest request = request(IntStream.range(0, 30).toArray(), 3);
    try (Engine engine = engine(64)) {
      Answer first = new Answer(9);
      Answer second = new Answer(9);
      engine.submit(request, first);
      engine.submit(request.with(GenerationOptions.greedy().withMaxNewTokens(2)), second);

      assertThat(first.result().cachedTokens()).isZero();
      assertThat(second.result().cachedTokens()).isEqualTo(28);
      assertThat(second.result().tokenIds()).containsExactly(30, 31);
      assertThat(engine.stats().cachedTokens()).isEqualTo(28);
    }
  }

  @Test
  void promptsWithDifferentSaltsShareNothing() throws Exception {
    int[] prompt = IntStream.range(0, 30).toArray();
    try (Engine engine = engine(64)) {
      for (String salt : List.of("a", "b", "a")) {
        Answer answer = new Answer(9);
        engine.submit(
            new EngineRequest(
                prompt,
                List.of(),
                GenerationOptions.greedy().withMaxNewTokens(1),
                Set.of(TERMINATOR),
                Optional.empty(),
                salt),
            answer);
        answer.result();
      }
      assertThat(engine.stats().cachedTokens()).isEqualTo(28);
    }
  }

  @Test
  void aClosedEngineRefuses() {
    Engine engine = engine(4);
    engine.close();

    assertThatThrownBy(() -> engine.submit(request(new int[] {1}, 5), new Answer(9)))
        .isInstanceOf(GenerationException.class);
  }

  private static Engine engine(int blocks) {
    EngineOptions options = new EngineOptions(blocks, 4, 8, 16, 2);
    return new Engine(new RankRunner(new CountingModel(), device, options), options);
  }

  private static EngineRequest request(int[] prompt, int maxNewTokens) {
    return new EngineRequest(
        prompt,
        List.of(),
        GenerationOptions.greedy().withMaxNewTokens(maxNewTokens),
        Set.of(TERMINATOR));
  }

  private static class Answer implements GenerationListener {
    private final CompletableFuture<GenerationResult> result = new CompletableFuture<>();
    private int wanted;

    Answer(int wanted) {
      this.wanted = wanted;
    }

    static Answer of(Engine engine, int[] prompt, int maxNewTokens) {
      Answer answer = new Answer(Integer.MAX_VALUE);
      engine.submit(request(prompt, maxNewTokens), answer);
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

  /** Its hidden state is the token id. */
  private static final class CountingModel implements VisionLanguageModel {
    private final List<Integer> stepRows = new CopyOnWriteArrayList<>();

    /** Steps wait until it is open. */
    private CountDownLatch gate = new CountDownLatch(0);

    @Override
    public Spec spec() {
      return new Spec(1, new Heads(1, 1, 2), 1, VOCAB, 4, 1000);
    }

    @Override
    public void encodeImages(List<ProcessedSlice> slices, Tensor out, Workspace workspace) {
      throw new AssertionError("no request has a picture");
    }

    @Override
    public void embed(Tensor ids, Tensor hidden) {
      float[] values = new float[ids.columns()];
      for (int i = 0; i < values.length; i++) {
        values[i] = ids.memory().getAtIndex(ValueLayout.JAVA_INT, i);
        if (values[i] == CRASHES) {
          throw new DeviceException("an injected failure");
        }
        if (values[i] == FILLS_THE_DEVICE) {
          throw new DeviceException("the device is full") {
            private static final long serialVersionUID = 1L;

            @Override
            public boolean isOutOfMemory() {
              return true;
            }
          };
        }
        if (values[i] == EXHAUSTS_MEMORY) {
          throw new OutOfMemoryError("injected");
        }
      }
      device.upload(values, hidden);
    }

    @Override
    public void forward(Tensor hidden, PagedBatch batch, KvCache cache, Workspace workspace) {
      stepRows.add(hidden.rows());
      try {
        gate.await();
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }

    @Override
    public void logits(Tensor hidden, Tensor logits, Workspace workspace) {
      float[] last = device.download(hidden);
      for (int row = 0; row < last.length; row++) {
        float[] scores = new float[VOCAB];
        scores[((int) last[row] + 1) % VOCAB] = 10;
        device.upload(scores, logits.rows(row, row + 1));
      }
    }
  }
}
