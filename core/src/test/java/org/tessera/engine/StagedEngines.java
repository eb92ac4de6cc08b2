package org.tessera.engine;

import java.lang.foreign.ValueLayout;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
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
import org.tessera.api.Image;
import org.tessera.device.Device;
import org.tessera.device.Devices;
import org.tessera.engine.EngineRequest.ImageInput;
import org.tessera.engine.StagedRunner.Member;
import org.tessera.engine.StagedRunner.Stage;
import org.tessera.error.DeviceException;
import org.tessera.image.PatchGrid;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.SequenceTokens.ImageRange;
import org.tessera.parallel.LocalGroup;
import org.tessera.parallel.ModelPart;
import org.tessera.tensor.Tensor;
import org.tessera.testing.SamplingDevice;

/** Engines over models that count, laid over CPU devices as a test likes it; closes the devices. */
final class StagedEngines implements AutoCloseable {
  /** A prompt of this id makes what {@link #failing} gives fail. */
  static final int FAILS = 77;

  private final List<Device> devices = new ArrayList<>();

  /** The models of the stages made last, by stage and rank, and those of vision. */
  final List<List<StageModel>> stages = new ArrayList<>();

  final List<StageModel> vision = new ArrayList<>();

  @Override
  public void close() {
    devices.forEach(Device::close);
  }

  /** Fails once, when the prompt {@link #FAILS} has come this far. */
  static Consumer<Tensor> failing(Supplier<? extends Throwable> failure) {
    AtomicBoolean failed = new AtomicBoolean();
    return hidden -> {
      for (int row = 0; row < hidden.rows(); row++) {
        float value = hidden.memory().getAtIndex(ValueLayout.JAVA_FLOAT, row);
        if (value >= FAILS && value < FAILS + 10 && failed.compareAndSet(false, true)) {
          throw StagedEngines.<RuntimeException>thrown(failure.get());
        }
      }
    };
  }

  @SuppressWarnings("unchecked")
  private static <T extends Throwable> T thrown(Throwable throwable) throws T {
    throw (T) throwable;
  }

  static boolean awaits(CountDownLatch latch) {
    try {
      return latch.await(20, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  static EngineRequest prompt(int... ids) {
    return Answer.greedy(ids, 3);
  }

  /** A prompt that ends with the last feature of its slices. */
  static EngineRequest picture(int slices) {
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

  /** Stages of two layers, each over so many devices; the first device encodes pictures. */
  Engine engine(int... ranks) {
    List<Stage> cut = new ArrayList<>();
    for (int count : ranks) {
      cut.add(stage(IntStream.range(0, count).mapToObj(i -> cpu()).toArray(Device[]::new)));
    }
    return engine(cut, List.of(cut.getFirst().ranks().getFirst().device()));
  }

  Engine engine(List<Stage> cut, List<Device> encoders) {
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
  Stage stage(Device... ranks) {
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

  Device cpu() {
    Device device = Devices.probe().open("cpu");
    devices.add(device);
    return device;
  }

  /** A CPU that chooses tokens itself. */
  Device sampling(boolean recordsWork) {
    Device device = new SamplingDevice(recordsWork);
    devices.add(device);
    return device;
  }

  /** A CPU that claims to record steps, and runs what was recorded. */
  Device recording() {
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
  Device changed(Map<String, Runnable> before) {
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

  Device countingRegions(AtomicInteger closed, boolean fails) {
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
