package org.tessera.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Image;
import org.tessera.engine.EngineRequest.ImageInput;
import org.tessera.image.PatchGrid;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.KvCache.RowCopies;
import org.tessera.kv.SequenceTokens.ImageRange;
import org.tessera.model.VisionLanguageModel;
import org.tessera.ops.Heads;
import org.tessera.sampling.TokenChoice;

/** A long prompt is computed beside the answers under way, never instead of them. */
class PrefillTest {
  private static final int QUERY_NUM = 5;
  private static final int PREFILL_ROWS = 16;
  private static final int VISION_SLICES = 2;
  private static final EngineOptions OPTIONS =
      new EngineOptions(200, 4, 8, PREFILL_ROWS, VISION_SLICES);

  @Test
  void aLongPromptLetsAnswersUnderWayGoOn() throws Exception {
    EngineRequest longPrompt = request(new int[100], List.of(), 2);
    Recorder recorder = run(longPrompt);

    List<int[]> prefills = recorder.stepsWithPrompts();
    assertThat(prefills.removeFirst()).as("the first answer's own prompt").containsExactly(3);
    assertThat(prefills).hasSize(Math.ceilDiv(100, PREFILL_ROWS));
    assertThat(prefills)
        .allSatisfy(step -> {
          assertThat(step).as("the answer's one row, then the prompt's").hasSize(2);
          assertThat(step[0]).isEqualTo(1);
          assertThat(step[1]).isLessThanOrEqualTo(PREFILL_ROWS);
        });
  }

  @Test
  void picturesAreEncodedBetweenTheStepsOfOthers() throws Exception {
    int pictures = 9;
    int[] prompt = new int[pictures * QUERY_NUM + 3];
    List<ImageInput> images = new ArrayList<>();
    ProcessedSlice slice =
        new ProcessedSlice(
            new Image.Rgb("a picture", 14, 14, new byte[3 * 14 * 14]), new PatchGrid(1, 1));
    for (int i = 0; i < pictures; i++) {
      images.add(new ImageInput(new ImageRange(i * QUERY_NUM, QUERY_NUM, "digest" + i), slice));
    }
    Recorder recorder = run(request(prompt, images, 2));

    List<Event> events = recorder.events;
    List<Integer> encodings =
        IntStream.range(0, events.size())
            .filter(i -> events.get(i) instanceof Event.Encoding)
            .boxed()
            .toList();
    assertThat(encodings).hasSize(Math.ceilDiv(pictures, VISION_SLICES));
    for (int at : encodings) {
      assertThat(((Event.Encoding) events.get(at)).slices()).isLessThanOrEqualTo(VISION_SLICES);
      Event next = events.get(at + 1);
      assertThat(next).as("what follows an encoding").isInstanceOf(Event.Decoding.class);
      assertThat(((Event.Decoding) next).rows()[0]).as("the answer goes on").isEqualTo(1);
    }
  }

  /** Runs a request that arrives when another answer has its first token. */
  private static Recorder run(EngineRequest late) throws Exception {
    Recorder recorder = new Recorder();
    try (Engine engine = new Engine(recorder, OPTIONS)) {
      Answer second = new Answer(() -> {});
      Answer first = new Answer(() -> engine.submit(late, second));
      engine.submit(request(new int[] {1, 2, 3}, List.of(), 60), first);
      assertThat(second.tokens()).hasSize(2);
      assertThat(first.tokens()).hasSize(60);
    }
    return recorder;
  }

  private static EngineRequest request(int[] prompt, List<ImageInput> images, int maxNewTokens) {
    return new EngineRequest(
        prompt, images, GenerationOptions.greedy().withMaxNewTokens(maxNewTokens), Set.of());
  }

  private static final class Answer implements GenerationListener {
    private final CompletableFuture<List<Integer>> tokens = new CompletableFuture<>();
    private final Runnable onFirstToken;
    private boolean begun;

    Answer(Runnable onFirstToken) {
      this.onFirstToken = onFirstToken;
    }

    List<Integer> tokens() throws Exception {
      return tokens.get(60, TimeUnit.SECONDS);
    }

    @Override
    public boolean onToken(TokenChoice choice) {
      if (!begun) {
        begun = true;
        onFirstToken.run();
      }
      return true;
    }

    @Override
    public void onFinished(GenerationResult finished) {
      tokens.complete(finished.tokenIds());
    }

    @Override
    public void onFailed(RuntimeException cause) {
      tokens.completeExceptionally(cause);
    }
  }

  private sealed interface Event {
    record Encoding(int slices) implements Event {}

    /**
     * @param rows of each sequence
     */
    @SuppressWarnings("ArrayRecordComponent") // of a test
    record Decoding(int... rows) implements Event {}
  }

  /** Answers every row with the same token and remembers what it was asked. */
  private static final class Recorder implements ModelRunner {
    private final List<Event> events = new ArrayList<>();

    /** Rows of each sequence, of the steps that compute more than next tokens. */
    List<int[]> stepsWithPrompts() {
      List<int[]> steps = new ArrayList<>();
      for (Event event : events) {
        if (event instanceof Event.Decoding(int[] rows)
            && Arrays.stream(rows).anyMatch(count -> count > 1)) {
          steps.add(rows);
        }
      }
      return steps;
    }

    @Override
    public VisionLanguageModel.Spec spec() {
      return new VisionLanguageModel.Spec(1, new Heads(1, 1, 2), 1, 10, QUERY_NUM, 1000);
    }

    @Override
    public void encodeImages(
        long imagesId, List<ProcessedSlice> slices, int firstRow, int totalRows) {
      events.add(new Event.Encoding(slices.size()));
    }

    @Override
    public void releaseImages(long imagesId) {}

    @Override
    public StepOutput run(StepInput step) {
      int[] rows = new int[step.contextRows().length];
      Arrays.setAll(rows, i -> step.queryStarts()[i + 1] - step.queryStarts()[i]);
      events.add(new Event.Decoding(rows));
      int[] ids = new int[step.greedyRows().length];
      Arrays.fill(ids, 4);
      return new StepOutput(new float[0][], ids, new int[0]);
    }

    @Override
    public void copyKv(RowCopies copies) {}

    @Override
    public void close() {}
  }
}
