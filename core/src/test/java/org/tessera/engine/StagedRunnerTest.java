package org.tessera.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.ValueLayout;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.api.FinishReason;
import org.tessera.api.Image;
import org.tessera.device.Device;
import org.tessera.device.Devices;
import org.tessera.engine.EngineRequest.ImageInput;
import org.tessera.engine.StagedRunner.Member;
import org.tessera.engine.StagedRunner.Stage;
import org.tessera.error.DeviceException;
import org.tessera.error.GenerationException;
import org.tessera.error.InvalidRequestException;
import org.tessera.image.PatchGrid;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.SequenceTokens.ImageRange;
import org.tessera.parallel.LocalGroup;
import org.tessera.parallel.ModelPart;
import org.tessera.tensor.Tensor;

/** Stages, ranks and vision on devices of their own, with a model that counts. */
@Timeout(60)
class StagedRunnerTest {
  private static final int FAILS = 77;
  private static final int LAYERS = 6;

  private final List<Device> devices = new ArrayList<>();
  private final List<List<StageModel>> stages = new ArrayList<>();
  private final List<StageModel> vision = new ArrayList<>();

  @AfterEach
  void closeDevices() {
    devices.forEach(Device::close);
  }

  @ParameterizedTest
  @CsvSource({"1,1,1", "2,1,1", "1,2,1", "1,1,3", "2,3,2"})
  void stagesOfRanksCountAsOne(int first, int second, int third) throws Exception {
    try (Engine engine = engine(first, second, third)) {
      assertThat(Answer.of(engine, prompt(5)).ids()).containsExactly(11, 17, 23);
      assertThat(Answer.of(engine, prompt(IntStream.range(0, 150).toArray())).ids())
          .containsExactly(155, 161, 167);
      assertThat(Answer.of(engine, picture(3)).ids()).containsExactly(506, 512, 518);
    }
  }

  @Test
  void aDeviceMayHaveSeveralStages() throws Exception {
    Device shared = cpu();
    List<Stage> cut = List.of(stage(shared), stage(cpu()), stage(shared), stage(cpu(), shared));
    try (Engine engine = engine(cut, List.of(shared))) {
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
    try (Engine engine = engine(1, 1)) {
      stages.get(0).getFirst().beforeLayers =
          hidden -> {
            if (calls.incrementAndGet() == 2) {
              overlapped.set(awaits(secondStageBegan));
            }
          };
      stages.get(1).getFirst().beforeLayers = hidden -> secondStageBegan.countDown();

      assertThat(Answer.of(engine, prompt(new int[200])).ids()).isNotEmpty();
    }
    assertThat(overlapped).isTrue();
    assertThat(calls.get()).isGreaterThan(2);
  }

  @Test
  void slicesAreDividedOverTheDevicesOfVision() throws Exception {
    AtomicInteger calls = new AtomicInteger();
    try (Engine engine = engine(List.of(stage(cpu())), List.of(cpu(), cpu(), cpu()))) {
      vision.forEach(model -> model.beforeVision = calls::incrementAndGet);
      assertThat(Answer.of(engine, picture(2)).ids()).containsExactly(502, 504, 506);
      assertThat(calls).hasValue(2);
      assertThat(Answer.of(engine, picture(6)).ids()).containsExactly(502, 504, 506);
      assertThat(calls).hasValue(5);
    }
  }

  @Test
  void recordedStepsPassFromStageToStage() throws Exception {
    List<Stage> recorded =
        List.of(stage(recording()), stage(recording(), recording()), stage(recording()));
    try (Engine engine = engine(recorded, List.of())) {
      List<Answer> answers =
          IntStream.range(0, 5).mapToObj(i -> Answer.of(engine, prompt(10 * i))).toList();
      for (int i = 0; i < answers.size(); i++) {
        assertThat(answers.get(i).ids()).containsExactly(10 * i + 6, 10 * i + 12, 10 * i + 18);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"0,0", "1,0", "1,1", "1,2", "2,1"})
  void aRankThatFailsFailsItsRequestAndTheNextWorks(int stage, int rank) throws Exception {
    try (Engine engine = engine(1, 3, 2)) {
      stages.get(stage).get(rank).beforeLayers =
          failing(() -> new DeviceException("an injected failure"));
      assertFailsAlone(engine, new DeviceException("an injected failure"));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aRankThatFailsWhileOthersWaitInACollectiveReleasesThem(int rank) throws Exception {
    try (Engine engine = engine(1, 2, 1)) {
      stages.get(1).get(rank).betweenCollectives =
          failing(() -> new DeviceException("an injected failure"));
      assertFailsAlone(engine, new DeviceException("an injected failure"));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void anErrorIsTheCauseOfTheFailure(int stage) throws Exception {
    try (Engine engine = engine(1, 2, 1)) {
      stages.get(stage).getLast().beforeLayers = failing(() -> new StackOverflowError("injected"));

      assertThatThrownBy(() -> Answer.of(engine, prompt(FAILS)).ids())
          .cause()
          .isInstanceOf(GenerationException.class)
          .hasCauseInstanceOf(StackOverflowError.class);
      assertThat(Answer.of(engine, prompt(1)).ids()).containsExactly(7, 13, 19);
    }
  }

  @Test
  void aCopyBetweenDevicesThatFailsFailsTheRequest() throws Exception {
    AtomicBoolean fail = new AtomicBoolean(true);
    Device deaf =
        changed(
            Map.of(
                "receive",
                () -> {
                  if (fail.getAndSet(false)) {
                    throw new DeviceException("an injected failure");
                  }
                }));
    try (Engine engine = engine(List.of(stage(cpu()), stage(deaf), stage(cpu())), List.of())) {
      assertThatThrownBy(() -> Answer.of(engine, prompt(FAILS)).ids())
          .cause()
          .hasMessage("an injected failure");
      assertThat(Answer.of(engine, prompt(1)).ids()).containsExactly(7, 13, 19);
    }
  }

  @Test
  void visionThatFailsFailsTheRequestAndTheNextWorks() throws Exception {
    AtomicBoolean fail = new AtomicBoolean(true);
    try (Engine engine = engine(List.of(stage(cpu(), cpu())), List.of(cpu(), cpu()))) {
      vision.get(1).beforeVision =
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
  void withoutVisionPicturesAreRefused() throws Exception {
    try (Engine engine = engine(List.of(stage(cpu()), stage(cpu())), List.of())) {
      assertThatThrownBy(() -> Answer.of(engine, picture(1)).ids())
          .hasCauseInstanceOf(InvalidRequestException.class);
      assertThat(Answer.of(engine, prompt(1)).ids()).containsExactly(5, 9, 13);
    }
  }

  @Test
  void aRequestCancelledBetweenTwoCollectivesEndsAndTheNextWorks() throws Exception {
    CountDownLatch between = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    try (Engine engine = engine(2, 1)) {
      stages.get(0).get(1).betweenCollectives =
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
    try (Engine engine = engine(1, 2)) {
      stages.get(1).get(0).betweenCollectives =
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
      cut.add(stage(countingRegions(closedRegions, i == 1)));
    }
    Engine engine = engine(cut, List.of());

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
        .isEqualTo(1 + 2 * stages.size());
  }

  /** Fails once, when the prompt {@link #FAILS} has come this far. */
  private static Consumer<Tensor> failing(Supplier<? extends Throwable> failure) {
    AtomicBoolean failed = new AtomicBoolean();
    return hidden -> {
      float value = hidden.memory().get(ValueLayout.JAVA_FLOAT, 0);
      if (value >= FAILS && value < FAILS + LAYERS && failed.compareAndSet(false, true)) {
        throw StagedRunnerTest.<RuntimeException>thrown(failure.get());
      }
    };
  }

  @SuppressWarnings("unchecked")
  private static <T extends Throwable> T thrown(Throwable throwable) throws T {
    throw (T) throwable;
  }

  private static boolean awaits(CountDownLatch latch) {
    try {
      return latch.await(20, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  private static EngineRequest prompt(int... ids) {
    return Answer.greedy(ids, 3);
  }

  /** A prompt that ends with the last feature of its slices. */
  private static EngineRequest picture(int slices) {
    int[] ids = new int[1 + slices * StageModel.QUERY_NUM];
    byte[] rgb = new byte[3];
    ImageInput[] images = new ImageInput[slices];
    for (int i = 0; i < slices; i++) {
      images[i] =
          new ImageInput(
              new ImageRange(1 + i * StageModel.QUERY_NUM, StageModel.QUERY_NUM, "slice " + i),
              new ProcessedSlice(new Image.Rgb("dot", 1, 1, rgb), new PatchGrid(1, 1)));
    }
    return Answer.greedy(ids, 3, images);
  }

  /** Three stages have {@link #LAYERS}; the first device encodes pictures. */
  private Engine engine(int... ranks) {
    List<Stage> cut = new ArrayList<>();
    for (int count : ranks) {
      cut.add(stage(IntStream.range(0, count).mapToObj(i -> cpu()).toArray(Device[]::new)));
    }
    return engine(cut, List.of(cut.getFirst().ranks().getFirst().device()));
  }

  private Engine engine(List<Stage> cut, List<Device> encoders) {
    EngineOptions options = new EngineOptions(64, 4, 8, 256, 8);
    List<Stage> placed = new ArrayList<>();
    for (int i = 0; i < cut.size(); i++) {
      int index = i;
      List<Member> ranks =
          cut.get(i).ranks().stream()
              .map(rank ->
                  new Member(
                      rank.device(),
                      rank.model(),
                      new ModelPart(
                          0, 2, index == 0, index == cut.size() - 1, /* hasVision= */ false)))
              .toList();
      placed.add(new Stage(ranks, cut.get(i).group()));
    }
    List<Member> members = new ArrayList<>();
    for (Device device : encoders) {
      StageModel model = new StageModel(device, new LocalGroup(1).member(0, device), 0);
      vision.add(model);
      members.add(new Member(device, model, ModelPart.VISION));
    }
    MicroBatches microBatches = new MicroBatches(cut.size(), 16, 0);
    return new Engine(new StagedRunner(placed, members, microBatches, options), options);
  }

  /** A stage of two layers cut over devices. */
  private Stage stage(Device... ranks) {
    LocalGroup group = new LocalGroup(ranks.length);
    List<StageModel> models = new ArrayList<>();
    List<Member> members = new ArrayList<>();
    for (int i = 0; i < ranks.length; i++) {
      StageModel model = new StageModel(ranks[i], group.member(i, ranks[i]), 2);
      models.add(model);
      members.add(new Member(ranks[i], model, ModelPart.WHOLE));
    }
    stages.add(models);
    return new Stage(members, group);
  }

  private Device cpu() {
    Device device = Devices.probe().open("cpu");
    devices.add(device);
    return device;
  }

  /** A CPU that claims to record steps, and runs what was recorded. */
  private Device recording() {
    Device cpu = cpu();
    return (Device)
        Proxy.newProxyInstance(
            Device.class.getClassLoader(),
            new Class<?>[] {Device.class},
            (proxy, method, arguments) ->
                method.getName().equals("recordsWork")
                    ? true
                    : called(cpu, method, arguments, proxy));
  }

  /** A CPU of which some methods do something before they do their work. */
  private Device changed(Map<String, Runnable> before) {
    Device cpu = cpu();
    return (Device)
        Proxy.newProxyInstance(
            Device.class.getClassLoader(),
            new Class<?>[] {Device.class},
            (proxy, method, arguments) -> {
              before.getOrDefault(method.getName(), () -> {}).run();
              return called(cpu, method, arguments, proxy);
            });
  }

  private Device countingRegions(AtomicInteger closed, boolean fails) {
    Device cpu = cpu();
    return (Device)
        Proxy.newProxyInstance(
            Device.class.getClassLoader(),
            new Class<?>[] {Device.class},
            (proxy, method, arguments) -> {
              Object result = called(cpu, method, arguments, proxy);
              return result instanceof Device.DeviceMemory memory
                  ? counting(memory, closed, fails)
                  : result;
            });
  }

  private static Device.DeviceMemory counting(
      Device.DeviceMemory memory, AtomicInteger closed, boolean fails) {
    return (Device.DeviceMemory)
        Proxy.newProxyInstance(
            Device.class.getClassLoader(),
            new Class<?>[] {Device.DeviceMemory.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("close")) {
                if (fails) {
                  throw new DeviceException("an injected failure");
                }
                closed.incrementAndGet();
              }
              return called(memory, method, arguments, proxy);
            });
  }

  private static Object called(Object target, Method method, Object[] arguments, Object proxy)
      throws Throwable {
    if (method.getName().equals("equals")) {
      return proxy == arguments[0];
    }
    try {
      return method.invoke(target, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }
}
