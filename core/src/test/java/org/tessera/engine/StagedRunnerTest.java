package org.tessera.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.tessera.engine.StagedEngines.awaits;
import static org.tessera.engine.StagedEngines.picture;
import static org.tessera.engine.StagedEngines.prompt;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.api.GenerationOptions;
import org.tessera.device.Device;
import org.tessera.engine.StagedRunner.Stage;
import org.tessera.error.InvalidRequestException;
import org.tessera.parallel.LocalGroup;

/** Stages, ranks and vision on devices of their own, with a model that counts. */
@Timeout(60)
class StagedRunnerTest {
  private final StagedEngines made = new StagedEngines();

  @AfterEach
  void closeDevices() {
    made.close();
  }

  @ParameterizedTest
  @CsvSource({"1,1,1", "2,1,1", "1,2,1", "1,1,3", "2,3,2"})
  void stagesOfRanksCountAsOne(int first, int second, int third) throws Exception {
    try (Engine engine = made.engine(first, second, third)) {
      assertThat(Answer.of(engine, prompt(5)).ids()).containsExactly(11, 17, 23);
      assertThat(Answer.of(engine, prompt(IntStream.range(0, 150).toArray())).ids())
          .containsExactly(155, 161, 167);
      assertThat(Answer.of(engine, picture(3)).ids()).containsExactly(506, 512, 518);
    }
  }

  @Test
  void aDeviceMayHaveSeveralStages() throws Exception {
    Device shared = made.cpu();
    List<Stage> cut =
        List.of(
            made.stage(shared),
            made.stage(made.cpu()),
            made.stage(shared),
            made.stage(made.cpu(), shared));
    try (Engine engine = made.engine(cut, List.of(shared))) {
      assertThat(Answer.of(engine, prompt(IntStream.range(0, 150).toArray())).ids())
          .containsExactly(157, 165, 173);
      assertThat(Answer.of(engine, picture(2)).ids()).containsExactly(508, 516, 524);
    }
  }

  @Test
  void stagesWorkAtTheSameTime() throws Exception {
    CountDownLatch secondStageBegan = new CountDownLatch(1);
    AtomicInteger calls = new AtomicInteger();
    AtomicBoolean overlapped = new AtomicBoolean();
    try (Engine engine = made.engine(1, 1)) {
      made.stages.get(0).getFirst().beforeLayers =
          hidden -> {
            if (calls.incrementAndGet() == 2) {
              overlapped.set(awaits(secondStageBegan));
            }
          };
      made.stages.get(1).getFirst().beforeLayers = hidden -> secondStageBegan.countDown();

      assertThat(Answer.of(engine, prompt(new int[200])).ids()).isNotEmpty();
    }
    assertThat(overlapped).isTrue();
    assertThat(calls.get()).isGreaterThan(2);
  }

  @Test
  void slicesAreDividedOverTheDevicesOfVision() throws Exception {
    AtomicInteger calls = new AtomicInteger();
    try (Engine engine =
        made.engine(List.of(made.stage(made.cpu())), List.of(made.cpu(), made.cpu(), made.cpu()))) {
      made.vision.forEach(model -> model.beforeVision = calls::incrementAndGet);
      assertThat(Answer.of(engine, picture(2)).ids()).containsExactly(502, 504, 506);
      assertThat(calls).hasValue(2);
      assertThat(Answer.of(engine, picture(6)).ids()).containsExactly(502, 504, 506);
      assertThat(calls).hasValue(5);
    }
  }

  @Test
  void recordedStepsPassFromStageToStage() throws Exception {
    List<Stage> recorded =
        List.of(
            made.stage(made.recording()),
            made.stage(made.recording(), made.recording()),
            made.stage(made.recording()));
    try (Engine engine = made.engine(recorded, List.of())) {
      List<Answer> answers =
          IntStream.range(0, 5).mapToObj(i -> Answer.of(engine, prompt(10 * i))).toList();
      for (int i = 0; i < answers.size(); i++) {
        assertThat(answers.get(i).ids()).containsExactly(10 * i + 6, 10 * i + 12, 10 * i + 18);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theLastStageChoosesTokensAsOneDeviceWould(boolean recordsWork) throws Exception {
    List<EngineRequest> requests = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      int[] prompt = IntStream.range(i, i + 1 + 5 * i).toArray();
      GenerationOptions sampling =
          GenerationOptions.sampling().withTemperature(3).withSeed(i).withMaxNewTokens(15);
      requests.add(
          new EngineRequest(
              prompt,
              List.of(),
              i % 4 == 3 ? sampling.withLogprobs(1) : sampling.withTopP(i % 2 == 0 ? 1 : 0.8f),
              Set.of()));
    }
    EngineOptions options = new EngineOptions(64, 4, 8, 256, 8);
    Device device = made.sampling(recordsWork);
    StageModel whole = new StageModel(device, new LocalGroup(1).member(0, device), 6);
    List<List<Integer>> expected = new ArrayList<>();
    try (Engine engine = new Engine(new RankRunner(whole, device, options), options)) {
      for (EngineRequest request : requests) {
        expected.add(Answer.of(engine, request).ids());
      }
    }
    List<Stage> cut =
        List.of(
            made.stage(made.sampling(recordsWork)),
            made.stage(made.sampling(recordsWork)),
            made.stage(made.sampling(recordsWork), made.sampling(recordsWork)));
    try (Engine engine = made.engine(cut, List.of())) {
      List<Answer> answers = requests.stream().map(of -> Answer.of(engine, of)).toList();
      for (int i = 0; i < answers.size(); i++) {
        assertThat(answers.get(i).ids()).as("request %d", i).isEqualTo(expected.get(i));
      }
    }
  }

  @Test
  void withoutVisionPicturesAreRefused() throws Exception {
    try (Engine engine =
        made.engine(List.of(made.stage(made.cpu()), made.stage(made.cpu())), List.of())) {
      assertThatThrownBy(() -> Answer.of(engine, picture(1)).ids())
          .hasCauseInstanceOf(InvalidRequestException.class);
      assertThat(Answer.of(engine, prompt(1)).ids()).containsExactly(5, 9, 13);
    }
  }
}
