package org.tessera.engine;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.tessera.device.Device;
import org.tessera.engine.VisionRank.Encoded;
import org.tessera.error.GenerationException;
import org.tessera.error.InvalidRequestException;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.KvCache.RowCopies;
import org.tessera.model.VisionLanguageModel;
import org.tessera.parallel.ModelPart;
import org.tessera.parallel.RankGroup;

/**
 * Runs a model that lies on several devices: layers in stages that follow one another, each stage
 * cut over ranks, pictures encoded on devices of their own choice.
 *
 * <p>Every device has a thread, which does all that is done on it. A step is cut into micro-batches
 * ({@link MicroBatches}); each thread goes through them in order and, within one, through the
 * stages of its device in order. Since all threads keep to this one order, and a thread waits only
 * for what comes before in it, or for the ranks of the same stage, none waits for ever. A device
 * with several stages gives up that they overlap.
 *
 * <p>Where anything fails, all that wait are released and the call fails with the first cause; the
 * next call finds everything in step again.
 */
public final class StagedRunner implements ModelRunner {
  /**
   * A part of the model on a device.
   *
   * @param part of which modules {@code model} is made
   */
  record Member(Device device, VisionLanguageModel model, ModelPart part) {}

  /**
   * Ranks that share every layer of a stage.
   *
   * @param group the collective through which they exchange
   */
  record Stage(List<Member> ranks, RankGroup group) {
    Stage {
      ranks = List.copyOf(ranks);
    }
  }

  private final VisionLanguageModel.Spec spec;
  private final List<List<StageRank>> stages = new ArrayList<>();
  private final List<RankGroup> groups;
  private final List<Handover> handovers = new ArrayList<>();
  private final List<VisionRank> vision = new ArrayList<>();
  private boolean featuresOnTheirWay;
  private final MicroBatches microBatches;
  private final Map<Device, Worker> workers = new HashMap<>();
  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();

  /** A device's thread and its ranks in the order of their stages. */
  private record Worker(ExecutorService thread, List<StageRank> ranks) {}

  /**
   * @param stages in the order in which hidden states pass them; a device at most once in each
   * @param vision what encodes pictures; empty where none are answered to
   * @throws org.tessera.error.DeviceException where memory for the caches does not suffice
   */
  StagedRunner(
      List<Stage> stages, List<Member> vision, MicroBatches microBatches, EngineOptions options) {
    this.microBatches = microBatches;
    groups = stages.stream().map(Stage::group).toList();
    spec = stages.getFirst().ranks().getFirst().model().spec();
    boolean done = false;
    try {
      for (Stage stage : stages) {
        List<StageRank> ranks = new ArrayList<>();
        this.stages.add(ranks);
        for (Member member : stage.ranks()) {
          StageRank rank = new StageRank(member.model(), member.device(), member.part(), options);
          ranks.add(rank);
          worker(member.device()).ranks().add(rank);
        }
      }
      for (Member member : vision) {
        this.vision.add(new VisionRank(member.model(), member.device()));
        worker(member.device());
      }
      for (int i = 1; i < stages.size(); i++) {
        connect(this.stages.get(i - 1), this.stages.get(i));
      }
      done = true;
    } finally {
      if (!done) {
        close();
      }
    }
  }

  /**
   * A runner of one stage, for text alone.
   *
   * @param parts of the model, in rank order, one on each device
   * @param group the collective with which they were loaded; stays open
   */
  public static ModelRunner ofRanks(
      List<VisionLanguageModel> parts,
      List<Device> devices,
      RankGroup group,
      EngineOptions options) {
    List<Member> ranks = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      ranks.add(new Member(devices.get(i), parts.get(i), ModelPart.WHOLE));
    }
    return new StagedRunner(
        List.of(new Stage(ranks, group)), List.of(), new MicroBatches(1, 1, 0), options);
  }

  private Worker worker(Device device) {
    return workers.computeIfAbsent(
        device,
        key -> {
          String name = "tessera-%s-%d".formatted(device.info().id(), workers.size());
          return new Worker(
              Executors.newSingleThreadExecutor(Thread.ofPlatform().name(name).daemon().factory()),
              new ArrayList<>());
        });
  }

  /**
   * Each rank takes hidden states from one that has them: from its own device where that is in both
   * stages, since its thread cannot do both at the same time.
   */
  private void connect(List<StageRank> senders, List<StageRank> receivers) {
    for (int i = 0; i < receivers.size(); i++) {
      StageRank receiver = receivers.get(i);
      StageRank sender =
          senders.stream()
              .filter(rank -> rank.device().equals(receiver.device()))
              .findFirst()
              .orElse(senders.get(i % senders.size()));
      handovers.add(sender.connect(receiver));
    }
  }

  @Override
  public VisionLanguageModel.Spec spec() {
    return spec;
  }

  /** {@inheritDoc} It is where all ranks of the last stage, which have the logits, do so. */
  @Override
  public boolean samplesOnDevice() {
    return stages.getLast().stream().allMatch(rank -> rank.runner().samplesOnDevice());
  }

  /** {@inheritDoc} The slices are divided over the devices that have the vision tower. */
  @Override
  public void encodeImages(
      long imagesId, List<ProcessedSlice> slices, int firstRow, int totalRows) {
    if (vision.isEmpty()) {
      throw new InvalidRequestException(
          "this model was loaded without its vision tower and answers to text alone");
    }
    awaitFeatures();
    Map<VisionRank, Encoded> encoded = new HashMap<>();
    List<Call> calls = new ArrayList<>();
    int share = Math.ceilDiv(slices.size(), vision.size());
    for (int from = 0; from < slices.size(); from += share) {
      VisionRank rank = vision.get(from / share);
      List<ProcessedSlice> own = slices.subList(from, Math.min(slices.size(), from + share));
      calls.add(
          new Call(
              rank.device(),
              () -> {
                Encoded features = rank.encode(own);
                synchronized (encoded) {
                  encoded.put(rank, features);
                }
              }));
    }
    runAll(calls);
    featuresOnTheirWay = true;
    // Now no thread is at work, so that one after the other may copy from all devices.
    for (StageRank rank : stages.getFirst()) {
      runAll(
          List.of(
              new Call(
                  rank.device(),
                  () -> receiveImages(rank, encoded, imagesId, firstRow, totalRows))));
    }
  }

  /**
   * Waits until features that were copied to the first stage are there, after which the devices
   * that encode may write theirs again. Not done at once: the prompt follows without a gap.
   */
  private void awaitFeatures() {
    if (featuresOnTheirWay) {
      runAll(
          stages.getFirst().stream()
              .map(rank -> new Call(rank.device(), () -> rank.runner().awaitImages()))
              .toList());
      featuresOnTheirWay = false;
    }
  }

  private void receiveImages(
      StageRank rank,
      Map<VisionRank, Encoded> encoded,
      long imagesId,
      int firstRow,
      int totalRows) {
    int row = firstRow;
    for (VisionRank source : vision) {
      Encoded features = encoded.get(source);
      if (features != null) {
        rank.runner().receiveImages(imagesId, features.device(), features.rows(), row, totalRows);
        row += features.rows().rows();
      }
    }
  }

  @Override
  public void releaseImages(long imagesId) {
    runAll(
        stages.getFirst().stream()
            .map(rank -> new Call(rank.device(), () -> rank.runner().releaseImages(imagesId)))
            .toList());
  }

  @Override
  public StepOutput run(StepInput step) {
    List<StepInput> parts = microBatches.of(step);
    StepOutput[] outputs = new StepOutput[parts.size()];
    StageRank answering = stages.getLast().getFirst();
    List<Call> calls = new ArrayList<>();
    workers.forEach((device, worker) -> {
      if (!worker.ranks().isEmpty()) {
        calls.add(new Call(device, () -> run(worker.ranks(), parts, answering, outputs)));
      }
    });
    runAll(calls);
    return MicroBatches.joined(outputs);
  }

  private static void run(
      List<StageRank> ranks, List<StepInput> parts, StageRank answering, StepOutput[] outputs) {
    try {
      for (int i = 0; i < outputs.length; i++) {
        for (StageRank rank : ranks) {
          StepOutput output = rank.run(parts.get(i));
          if (rank == answering) {
            outputs[i] = output;
          }
        }
      }
      ranks.forEach(StageRank::settle);
    } finally {
      ranks.forEach(StageRank::endStep);
    }
  }

  @Override
  public void copyKv(RowCopies copies) {
    List<Call> calls = new ArrayList<>();
    workers.forEach((device, worker) ->
        calls.add(
            new Call(device, () -> worker.ranks().forEach(rank -> rank.runner().copyKv(copies)))));
    runAll(calls);
  }

  /** {@inheritDoc} All of it, whatever fails; then the first failure is thrown. */
  @Override
  public void close() {
    List<Runnable> closers = new ArrayList<>();
    workers.values().forEach(worker -> closers.add(worker.thread()::close));
    stages.forEach(ranks -> ranks.forEach(rank -> closers.add(rank::close)));
    vision.forEach(rank -> closers.add(rank::close));
    Closing.all(closers);
  }

  /** What a device's thread is to do. */
  private record Call(Device device, Runnable task) {}

  /** Runs calls at the same time, each on its device's thread, and returns when all have ended. */
  private void runAll(List<Call> calls) {
    List<Future<?>> results = new ArrayList<>();
    for (Call call : calls) {
      Callable<Boolean> task = () -> abortingOnFailure(call.task());
      results.add(worker(call.device()).thread().submit(task));
    }
    boolean succeeded = true;
    for (Future<?> result : results) {
      succeeded &= succeeds(result);
    }
    if (!succeeded) {
      throw recover();
    }
  }

  private boolean abortingOnFailure(Runnable task) {
    try {
      task.run();
      return true;
    } catch (Throwable e) { // an Error must release the others too
      failure.compareAndSet(null, e);
      groups.forEach(group -> group.abort(e));
      handovers.forEach(handover -> handover.abort(e));
      throw e;
    }
  }

  /** When all threads have ended their calls: makes everything usable again. */
  private RuntimeException recover() {
    groups.forEach(group -> {
      RuntimeException _ = group.recover(); // the first cause over all groups is known
    });
    handovers.forEach(Handover::recover);
    Throwable cause = failure.getAndSet(null);
    return cause instanceof RuntimeException runtime
        ? runtime
        : new GenerationException("a device failed", cause);
  }

  private static boolean succeeds(Future<?> result) {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          result.get();
          return true;
        } catch (ExecutionException e) {
          return false;
        } catch (InterruptedException e) {
          interrupted = true; // threads must end together: wait, and pass the interrupt on after
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
