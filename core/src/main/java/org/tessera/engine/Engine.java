package org.tessera.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.tessera.api.FinishReason;
import org.tessera.error.DeviceException;
import org.tessera.error.GenerationException;
import org.tessera.error.InvalidRequestException;
import org.tessera.error.OverloadedException;
import org.tessera.kv.BlockPool;
import org.tessera.kv.KvLease;
import org.tessera.sampling.TokenChoice;

/**
 * Runs generations over one model: a single thread decides what each step computes, so that answers
 * share steps and a long prompt does not stall the others. Requests come from any thread.
 */
public final class Engine implements AutoCloseable {
  private final ModelRunner runner;
  private final EngineOptions options;
  private final BlockPool pool;
  private final Scheduler scheduler;
  private final BlockingQueue<Runnable> inbox = new LinkedBlockingQueue<>();
  private final AtomicLong nextId = new AtomicLong();

  /** Generations that were submitted and have not ended. */
  private final AtomicInteger admitted = new AtomicInteger();

  private final Thread thread;
  private volatile boolean closed;
  private volatile EngineStats stats;

  /** What ended this engine although nobody closed it. */
  private volatile @Nullable Throwable failure;

  private @Nullable Throwable closeFailure; // written by the thread, read when it has ended

  /**
   * @param runner the model on its devices, with a cache of the size that {@code options} give;
   *     closed with this engine
   */
  public Engine(ModelRunner runner, EngineOptions options) {
    this.runner = runner;
    this.options = options;
    pool = new BlockPool(options.kvBlocks(), options.kvBlockRows());
    scheduler = new Scheduler(pool, options, runner);
    stats = scheduler.stats();
    thread = Thread.ofPlatform().name("tessera-engine").daemon().start(this::loop);
  }

  /**
   * Starts a generation.
   *
   * @throws InvalidRequestException where the prompt is empty or longer than the cache or the model
   * @throws OverloadedException where as many wait as may
   * @throws GenerationException where the engine is closed or has failed
   */
  public Generation submit(EngineRequest request, GenerationListener listener) {
    requireFits(request);
    Generation generation =
        new Generation(nextId.getAndIncrement(), request, listener, pool, runner);
    synchronized (inbox) {
      if (closed) {
        throw closedException();
      }
      if (admitted.get() - options.maxRunning() >= options.maxWaiting()) {
        throw new OverloadedException(
            "%d requests wait for their turn already; try again later"
                .formatted(options.maxWaiting()));
      }
      admitted.incrementAndGet();
      inbox.add(() -> scheduler.enqueue(generation));
    }
    return generation;
  }

  /**
   * @throws InvalidRequestException where the prompt is empty or longer than the cache or the model
   */
  void requireFits(EngineRequest request) {
    int length = request.promptIds().length;
    int limit = Math.min(options.kvTokens(), runner.spec().maxPositions());
    if (length == 0 || length >= limit) {
      throw new InvalidRequestException(
          "the prompt has %d tokens; this engine takes 1 to %d".formatted(length, limit - 1));
    }
  }

  /** As of the last step. */
  public EngineStats stats() {
    return stats;
  }

  EngineOptions options() {
    return options;
  }

  /** What ended this engine for good, if anything did. */
  Optional<Throwable> failure() {
    return Optional.ofNullable(failure);
  }

  /**
   * Fails what is running, then closes the runner.
   *
   * @throws RuntimeException as the runner does where it cannot be closed
   */
  @Override
  public void close() {
    stopAccepting();
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    switch (closeFailure) {
      case null -> {}
      case RuntimeException e -> throw e;
      case Throwable e -> throw new DeviceException("a device could not be closed", e);
    }
  }

  /** After this every submission is refused, so the inbox can be emptied for good. */
  private void stopAccepting() {
    synchronized (inbox) {
      closed = true;
      inbox.add(() -> {}); // wakes the thread
    }
  }

  private void loop() {
    try {
      while (!closed) {
        if (scheduler.isIdle()) {
          takeFromInbox();
        }
        drainInbox();
        if (!closed) {
          runOnce();
          stats = scheduler.stats();
        }
      }
    } catch (Throwable e) { // whatever it is, those who wait are to hear of it
      failure = e;
    } finally {
      stopAccepting();
      drainInbox();
      scheduler.all().forEach(generation -> fail(generation, closedException()));
      try {
        runner.close();
      } catch (RuntimeException | Error e) {
        closeFailure = e;
      }
    }
  }

  private void takeFromInbox() {
    try {
      inbox.take().run();
    } catch (InterruptedException e) {
      // Nobody but close() ends this thread, and it does so through the inbox.
      Thread.currentThread().interrupt();
      closed = true;
    }
  }

  private void drainInbox() {
    for (Runnable next = inbox.poll(); next != null; next = inbox.poll()) {
      next.run();
    }
  }

  private void runOnce() {
    for (Generation generation : scheduler.all()) {
      if (generation.isCancelled()) {
        finish(generation, FinishReason.CANCELLED);
      }
    }
    scheduler.admit();
    Generation toEncode = scheduler.nextToEncode();
    if (toEncode != null) {
      encodeImages(toEncode);
    }
    Scheduler.Plan plan = scheduler.plan();
    for (Generation generation : plan.starved()) {
      finish(generation, FinishReason.LENGTH);
    }
    if (!plan.step().isEmpty()) {
      runStep(plan.step());
    }
  }

  private void encodeImages(Generation generation) {
    long start = System.nanoTime();
    try {
      generation.features.encode(generation.firstPendingPosition(), options.visionSlices(), runner);
      generation.visionNanos += System.nanoTime() - start;
    } catch (RuntimeException e) {
      fail(generation, e);
    } catch (OutOfMemoryError | InternalError e) {
      fail(generation, machineFailure(e));
    }
  }

  private void runStep(Step step) {
    long start = System.nanoTime();
    List<Generation> generations =
        step.chunks().stream().map(Step.Chunk::generation).distinct().toList();
    try {
      step.run(runner);
    } catch (RuntimeException e) {
      // What the step left behind is unknown: everyone who took part in it is told.
      generations.forEach(generation -> fail(generation, e));
      return;
    } catch (OutOfMemoryError | InternalError e) {
      generations.forEach(generation -> fail(generation, machineFailure(e)));
      return;
    }
    long nanos = System.nanoTime() - start;
    for (Step.Chunk chunk : step.chunks()) {
      chunk.sequence().lease.publish(chunk.sequence().tokens, chunk.to());
    }
    for (Generation generation : generations) {
      if (generation.tokenIds.isEmpty()) {
        generation.prefillNanos += nanos;
      }
      if (generation.isReadyToAdvance()) {
        advance(generation);
      }
    }
  }

  private void advance(Generation generation) {
    try {
      generation.features.release(runner);
      List<Scores> scores =
          generation.sequences.stream()
              .map(sequence -> Objects.requireNonNull(sequence.scores))
              .toList();
      Decoding.Next next = generation.decoding.advance(scores);
      if (report(generation, next.choices()) && !next.finished()) {
        continueWith(generation, next);
      } else {
        finish(generation, next.finishReason());
      }
    } catch (RuntimeException e) {
      fail(generation, e);
    }
  }

  /** Tells the listener of new tokens; false where it wants no more. */
  private static boolean report(Generation generation, List<TokenChoice> choices) {
    boolean goOn = true;
    for (TokenChoice choice : choices) {
      generation.noteToken(choice.tokenId());
      goOn &= generation.listener.onToken(choice);
    }
    return goOn;
  }

  /** Gives every sequence its next token; sequences that continue the same one are forked. */
  private void continueWith(Generation generation, Decoding.Next next) {
    List<Sequence> parents = generation.sequences;
    if (parents.getFirst().tokens.length() >= runner.spec().maxPositions()) {
      finish(generation, FinishReason.LENGTH);
      return;
    }
    List<Sequence> children = new ArrayList<>();
    boolean[] continued = new boolean[parents.size()];
    for (int parent : next.parents()) {
      children.add(continued[parent] ? fork(parents.get(parent)) : parents.get(parent));
      continued[parent] = true;
    }
    for (int i = 0; i < parents.size(); i++) {
      if (!continued[i]) {
        parents.get(i).lease.close();
      }
    }
    for (int i = 0; i < children.size(); i++) {
      children.get(i).tokens.append(next.tokenIds()[i]);
      children.get(i).scores = null;
    }
    generation.sequences = children;
  }

  private Sequence fork(Sequence parent) {
    KvLease.Fork fork = parent.lease.fork(parent.computed);
    if (fork == null) {
      // No block is left for the copy: it is computed again when there is room.
      KvLease lease = pool.lease();
      return new Sequence(parent.tokens.copy(), lease, lease.leasePrefix(parent.tokens));
    }
    runner.copyKv(fork.copies());
    return new Sequence(parent.tokens.copy(), fork.lease(), parent.computed);
  }

  private void finish(Generation generation, FinishReason reason) {
    scheduler.remove(generation);
    if (reason != FinishReason.CANCELLED && generation.tokenIds.isEmpty()) {
      report(generation, generation.decoding.best());
    }
    try {
      release(generation);
      generation.listener.onFinished(generation.result(reason));
    } catch (RuntimeException e) {
      generation.listener.onFailed(e);
    }
  }

  private void fail(Generation generation, RuntimeException cause) {
    scheduler.remove(generation);
    try {
      release(generation);
    } catch (RuntimeException | Error e) {
      cause.addSuppressed(e); // a device that is lost cannot free memory either
    }
    generation.listener.onFailed(cause);
  }

  /** Before the listener hears of the end: whoever it tells may submit the next request at once. */
  private void release(Generation generation) {
    try {
      generation.release(runner);
    } finally {
      admitted.decrementAndGet();
      stats = scheduler.stats();
    }
  }

  /** Reading a mapped file that was cut meanwhile is an InternalError to the JVM. */
  private static GenerationException machineFailure(VirtualMachineError cause) {
    return new GenerationException(
        cause instanceof OutOfMemoryError
            ? "memory did not suffice for this request: use fewer pictures or a shorter prompt"
            : "the weights could not be read: the checkpoint's files changed while in use",
        cause);
  }

  private GenerationException closedException() {
    Throwable cause = failure;
    return cause == null
        ? new GenerationException("the engine was closed before the answer was finished")
        : new GenerationException("the engine failed and takes no more requests", cause);
  }
}
