package org.tessera.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tessera.api.ChatRequest;
import org.tessera.api.ChatResponse;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Image;
import org.tessera.api.LoadOptions;
import org.tessera.api.Message;
import org.tessera.api.Tessera;
import org.tessera.config.CheckpointConfig;
import org.tessera.device.Devices;
import org.tessera.engine.StepInput.Splice;
import org.tessera.error.InvalidRequestException;
import org.tessera.error.PlanException;
import org.tessera.image.PatchGrid;
import org.tessera.image.ProcessedSlice;
import org.tessera.model.MiniCpmV26;
import org.tessera.plan.Deployment;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;
import org.tessera.plan.DeviceId;
import org.tessera.testing.ChatCase;
import org.tessera.testing.ReferenceVectors;
import org.tessera.weights.LoadProgress;
import org.tessera.weights.SafetensorsCheckpoint;

/** A model that lies on several CPU ranks answers as it does on one, and as the original does. */
@Timeout(120)
class DeployedModelTest {
  private static final List<String> CASES = List.of("text_only", "sliced_hd", "second_image_turn2");
  private static final DeviceId CPU = DeviceId.CPU;
  private static final int BLOCK_ROWS = 16;
  private static final float MAX_ABS_ERROR = 1e-4f;

  /** The reference checkpoint has two layers. */
  enum Layout {
    CUT_IN_TWO(List.of(CPU, CPU), stage(2, 0, 2)),
    TWO_STAGES(List.of(CPU), stage(1, 0, 1), stage(1, 1, 2)),
    THREE_STAGES_ONE_OF_THE_HEAD(List.of(CPU), stage(1, 0, 1), stage(1, 1, 2), stage(1, 2, 2)),
    EMBEDDINGS_AND_HEAD_ALONE(List.of(CPU), stage(1, 0, 0), stage(1, 0, 2), stage(1, 2, 2)),
    TWO_RANKS_THEN_ONE(List.of(CPU), stage(2, 0, 1), stage(1, 1, 2)),
    ONE_RANK_THEN_TWO(List.of(CPU), stage(1, 0, 1), stage(2, 1, 2)),
    TWO_RANKS_THEN_THE_HEAD(List.of(CPU, CPU), stage(2, 0, 2), stage(1, 2, 2)),
    PICTURES_ON_ANOTHER_DEVICE_TOO(List.of(CPU, CPU), stage(1, 0, 2)),
    PICTURES_ON_THREE_DEVICES(List.of(CPU, CPU, CPU), stage(2, 0, 1), stage(1, 1, 2));

    private final Replica replica;

    Layout(List<DeviceId> vision, Stage... stages) {
      replica = new Replica(List.of(stages), vision);
    }

    Deployment deployment() {
      return new Deployment(List.of(replica));
    }
  }

  private static SafetensorsCheckpoint checkpoint;
  private static CheckpointConfig config;

  @BeforeAll
  static void open() {
    Path directory = ReferenceVectors.path("checkpoint");
    checkpoint = SafetensorsCheckpoint.open(directory);
    config = CheckpointConfig.read(directory, List.of("MiniCPMV"));
  }

  @AfterAll
  static void close() {
    if (checkpoint != null) {
      checkpoint.close();
    }
  }

  private static Stage stage(int ranks, int firstLayer, int endLayer) {
    return new Stage(Collections.nCopies(ranks, CPU), firstLayer, endLayer);
  }

  static Layout[] layouts() {
    return Layout.values();
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void answersAreThoseOfTheOriginal(Layout layout) {
    assertAnswers(layout.deployment());
  }

  @Test
  void twoCopiesAnswerAsTheOriginalDoes() {
    assertAnswers(
        new Deployment(List.of(Layout.TWO_STAGES.replica, Replica.cutOver(List.of(CPU), 2))));
  }

  /** All at once, so that they share steps and are cut into micro-batches together. */
  private static void assertAnswers(Deployment deployment) {
    try (Tessera tessera = load(ReferenceVectors.path("checkpoint"), deployment)) {
      List<ChatCase> cases =
          ChatCase.all().stream().filter(chat -> CASES.contains(chat.name())).toList();
      List<ChatResponse> greedy =
          tessera.chat(
              cases.stream()
                  .map(chat -> chat.request(GenerationOptions.greedy().withMaxNewTokens(24)))
                  .toList());
      for (int i = 0; i < cases.size(); i++) {
        assertThat(greedy.get(i).tokenIds())
            .as(cases.get(i).name())
            .isEqualTo(cases.get(i).ids("greedy"));
      }
      ChatCase beams = cases.getFirst();
      assertThat(
              tessera
                  .chat(beams.request(GenerationOptions.beamSearch().withMaxNewTokens(20)))
                  .tokenIds())
          .isEqualTo(beams.ids("beam3_repetition_1.2"));
      assertThat(tessera.devices()).hasSize(1);
    }
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void logitsAreThoseOfOneRank(Layout layout) {
    float[][] expected = logits(Deployment.on(CPU, 2));
    float[][] actual = logits(layout.deployment());

    assertThat(actual).hasSameDimensionsAs(expected);
    for (int row = 0; row < expected.length; row++) {
      float worst = 0;
      for (int i = 0; i < expected[row].length; i++) {
        // Math.max keeps a NaN, and no comparison with NaN holds.
        worst = Math.max(worst, Math.abs(actual[row][i] - expected[row][i]));
      }
      assertThat(worst).isLessThan(MAX_ABS_ERROR);
    }
  }

  /** Of a step with two prompts, one of them with pictures, and of one that continues both. */
  private static float[][] logits(Deployment deployment) {
    EngineOptions options = new EngineOptions(64, BLOCK_ROWS, 8, 512, 8);
    DeployedModel.Source source =
        new DeployedModel.Source(
            new MiniCpmV26(), config, checkpoint, Optional.empty(), LoadProgress.NONE);
    try (DeployedModel model =
        DeployedModel.load(source, deployment, id -> Devices.probe().open(id.label()))) {
      ModelRunner runner = model.runners(options).getFirst();
      try {
        int queryNum = config.model().queryNum();
        SplittableRandom random = new SplittableRandom(11);
        List<ProcessedSlice> slices =
            IntStream.range(0, 3).mapToObj(i -> slice(random, 6 + i, 8 - i)).toList();
        runner.encodeImages(5, slices.subList(0, 2), 0, 3 * queryNum);
        runner.encodeImages(5, slices.subList(2, 3), 2 * queryNum, 3 * queryNum);
        int first = 4 + 3 * queryNum;
        int second = 61;
        StepOutput prompts =
            runner.run(
                step(
                    random,
                    List.of(new Splice(5, 0, 2, 3 * queryNum)),
                    new int[][] {{0, first}, {0, second}}));
        StepOutput next =
            runner.run(
                step(random, List.of(), new int[][] {{first, first + 1}, {second, second + 1}}));
        runner.releaseImages(5);
        return Stream.of(prompts, next)
            .flatMap(output -> Arrays.stream(output.logits()))
            .toArray(float[][]::new);
      } finally {
        runner.close();
      }
    }
  }

  private static ProcessedSlice slice(SplittableRandom random, int rows, int columns) {
    int patch = config.model().patchSize();
    byte[] rgb = new byte[3 * rows * columns * patch * patch];
    random.nextBytes(rgb);
    return new ProcessedSlice(
        new Image.Rgb("noise", columns * patch, rows * patch, rgb), new PatchGrid(rows, columns));
  }

  /** Positions {@code from} to {@code to} of each sequence, whose logits are wanted at the end. */
  private static StepInput step(SplittableRandom random, List<Splice> splices, int[][] ranges) {
    List<Integer> ids = new ArrayList<>();
    List<Integer> positions = new ArrayList<>();
    List<Integer> slots = new ArrayList<>();
    int[] starts = new int[ranges.length + 1];
    int[] contexts = new int[ranges.length];
    int[][] tables = new int[ranges.length][];
    int[] ends = new int[ranges.length];
    for (int i = 0; i < ranges.length; i++) {
      int firstBlock = 20 * i;
      for (int position = ranges[i][0]; position < ranges[i][1]; position++) {
        ids.add(random.nextInt(config.model().vocabSize()));
        positions.add(position);
        slots.add(firstBlock * BLOCK_ROWS + position);
      }
      starts[i + 1] = ids.size();
      contexts[i] = ranges[i][1];
      tables[i] = IntStream.range(firstBlock, firstBlock + 20).toArray();
      ends[i] = ids.size() - 1;
    }
    return new StepInput(
        array(ids),
        array(positions),
        array(slots),
        starts,
        contexts,
        tables,
        splices,
        ends,
        new int[0],
        List.of());
  }

  private static int[] array(List<Integer> values) {
    return values.stream().mapToInt(Integer::intValue).toArray();
  }

  /** The model that ships has six layers. */
  @Test
  void theDemoModelAnswersTheSameInStagesAndOverRanks() {
    Path demo = Path.of(System.getProperty("project.root", ".."), "demo");
    Assumptions.assumeTrue(Files.exists(demo.resolve("model")), "the demo model is not here");
    List<ChatRequest> requests =
        Stream.of("red.png", "shapes.png")
            .map(name ->
                ChatRequest.of(
                        Message.user(
                            "What colour is the circle?",
                            Image.of(demo.resolve("pictures").resolve(name))))
                    .with(GenerationOptions.greedy().withMaxNewTokens(24)))
            .toList();
    List<List<Integer>> expected = ids(demo.resolve("model"), Deployment.on(CPU, 6), requests);
    List<Replica> replicas =
        List.of(
            Replica.cutOver(List.of(CPU, CPU), 6),
            new Replica(List.of(stage(1, 0, 2), stage(1, 2, 5), stage(1, 5, 6)), List.of(CPU)),
            new Replica(List.of(stage(2, 0, 4), stage(1, 4, 6)), List.of(CPU, CPU)));

    for (Replica replica : replicas) {
      assertThat(ids(demo.resolve("model"), new Deployment(List.of(replica)), requests))
          .isEqualTo(expected);
    }
  }

  private static List<List<Integer>> ids(
      Path model, Deployment deployment, List<ChatRequest> requests) {
    try (Tessera tessera = load(model, deployment)) {
      return tessera.chat(requests).stream().map(ChatResponse::tokenIds).toList();
    }
  }

  @Test
  void withoutVisionTextIsAnsweredAndPicturesAreRefused() {
    for (List<Stage> stages :
        List.of(List.of(stage(1, 0, 2)), List.of(stage(1, 0, 1), stage(1, 1, 2)))) {
      Deployment textOnly = new Deployment(List.of(new Replica(stages, List.of())));
      try (Tessera tessera = load(ReferenceVectors.path("checkpoint"), textOnly)) {
        ChatCase text = ChatCase.all().getFirst();
        assertThat(
                tessera
                    .chat(text.request(GenerationOptions.greedy().withMaxNewTokens(24)))
                    .tokenIds())
            .isEqualTo(text.ids("greedy"));
        ChatRequest picture =
            ChatRequest.of(Message.user("?", new Image.Rgb("dot", 20, 20, new byte[1200])));
        assertThatThrownBy(() -> tessera.chat(picture))
            .isInstanceOf(InvalidRequestException.class)
            .hasMessageContaining("text alone");
        assertThat(tessera.info().placement()).contains("no pictures");
      }
    }
  }

  @Test
  void aDeploymentOfAnotherModelIsRefused() {
    assertThatThrownBy(() -> load(ReferenceVectors.path("checkpoint"), Deployment.on(CPU, 28)))
        .isInstanceOf(PlanException.class)
        .hasMessage("the deployment is for 28 layers, the model has 2");
  }

  @Test
  void theCacheHoldsWhatIsAskedFor() {
    DeployedModel.Source source =
        new DeployedModel.Source(
            new MiniCpmV26(), config, checkpoint, Optional.empty(), LoadProgress.NONE);
    try (DeployedModel model =
        DeployedModel.load(
            source,
            Layout.PICTURES_ON_THREE_DEVICES.deployment(),
            id -> Devices.probe().open(id.label()))) {
      EngineOptions options = model.engineOptions(OptionalInt.of(1000), Optional.empty());

      assertThat(model.devices()).hasSize(3);
      assertThat(options.kvTokens()).isBetween(1000, 1015);
      assertThat(options.visionSlices()).isEqualTo(3 * model.devices().getFirst().visionSlices());
    }
  }

  private static Tessera load(Path model, Deployment deployment) {
    return Tessera.load(
        model, LoadOptions.defaults().withDeployment(deployment).withContextTokens(4096));
  }
}
