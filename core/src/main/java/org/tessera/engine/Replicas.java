package org.tessera.engine;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tessera.api.FinishReason;
import org.tessera.error.GenerationException;
import org.tessera.error.InvalidRequestException;
import org.tessera.error.OverloadedException;
import org.tessera.sampling.TokenChoice;

/**
 * Engines over copies of one model behind one queue. A request goes to the engine with the fewest
 * requests, but where one has computed the beginning of its prompt, as of a conversation that goes
 * on, to that one, unless it has {@value #SLACK} requests more than another. What finds no engine
 * with room waits here.
 *
 * <p>An engine that has failed, or whose requests failed {@value #FAILURES} times in a row while
 * another one works, gets no more.
 */
public final class Replicas implements AutoCloseable {
  /** Computing a prompt anew costs less than waiting for this many answers more. */
  private static final int SLACK = 4;

  private static final int FAILURES = 3;

  private final List<Replica> replicas;
  private final Deque<Submission> waiting = new ArrayDeque<>();
  private boolean closed;

  /** An engine with what is known of it; guarded by the lock of {@link Replicas}. */
  private static final class Replica {
    final Engine engine;
    final PrefixSketch sketch;
    int requests;
    int failuresInRow;
    @Nullable Throwable failure;

    Replica(Engine engine) {
      this.engine = engine;
      sketch = new PrefixSketch(engine.options().kvTokens());
    }

    boolean hasRoom() {
      return failure == null && requests < engine.options().maxRunning();
    }
  }

  /**
   * @param engines at least one, all with the same options; closed with this
   */
  public Replicas(List<Engine> engines) {
    replicas = engines.stream().map(Replica::new).toList();
  }

  /**
   * Starts a generation, at once or when its turn comes.
   *
   * @throws InvalidRequestException where the prompt is empty or longer than the cache or the model
   * @throws OverloadedException where as many wait as may
   * @throws GenerationException where this is closed or all engines have failed
   */
  public Submission submit(EngineRequest request, GenerationListener listener) {
    replicas.getFirst().engine.requireFits(request);
    long[] hashes = replicas.size() > 1 ? PrefixSketch.hashes(request, List.of()) : new long[0];
    Submission submission = new Submission(request, listener, hashes);
    List<Runnable> told;
    synchronized (this) {
      if (closed) {
        throw new GenerationException("the engine was closed before the answer was finished");
      }
      throwIfAllFailed();
      int maxWaiting = replicas.getFirst().engine.options().maxWaiting();
      if (replicas.stream().noneMatch(Replica::hasRoom) && waiting.size() >= maxWaiting) {
        throw new OverloadedException(
            "%d requests wait for their turn already; try again later".formatted(maxWaiting));
      }
      waiting.addLast(submission);
      told = dispatch();
    }
    told.forEach(Runnable::run);
    return submission;
  }

  /** Of all engines together. */
  public EngineStats stats() {
    EngineStats sum =
        replicas.stream()
            .map(replica -> replica.engine.stats())
            .reduce(EngineStats::plus)
            .orElseThrow();
    synchronized (this) {
      return sum.withMoreWaiting(waiting.size());
    }
  }

  /**
   * Fails what runs and what waits, and closes all engines.
   *
   * @throws RuntimeException the first of those with which an engine could not be closed
   */
  @Override
  public void close() {
    List<Submission> left;
    synchronized (this) {
      closed = true;
      left = List.copyOf(waiting);
      waiting.clear();
    }
    left.forEach(submission ->
        submission.listener.onFailed(
            new GenerationException("the engine was closed before the answer was finished")));
    Closing.all(replicas.stream().<Runnable>map(replica -> replica.engine::close).toList());
  }

  /** Gives those that wait to engines with room, in order; what it returns is to run unlocked. */
  private List<Runnable> dispatch() {
    List<Runnable> told = new ArrayList<>();
    while (!closed && !waiting.isEmpty()) {
      Submission next = waiting.getFirst();
      Optional<Replica> chosen = choose(next.hashes);
      if (chosen.isEmpty()) {
        break;
      }
      waiting.removeFirst();
      start(next, chosen.get(), told);
    }
    if (!waiting.isEmpty() && replicas.stream().allMatch(replica -> replica.failure != null)) {
      for (Submission submission : waiting) {
        told.add(() -> submission.listener.onFailed(allFailed()));
      }
      waiting.clear();
    }
    return told;
  }

  private void start(Submission submission, Replica replica, List<Runnable> told) {
    submission.replica = replica;
    replica.requests++;
    replica.sketch.add(submission.hashes);
    try {
      submission.generation = replica.engine.submit(submission.request, submission);
    } catch (RuntimeException e) {
      replica.requests--;
      submission.replica = null;
      if (replica.engine.failure().isPresent()) {
        replica.failure = e;
        waiting.addFirst(submission); // another one takes it
      } else {
        told.add(() -> submission.listener.onFailed(e));
      }
    }
  }

  private Optional<Replica> choose(long[] hashes) {
    int fewest =
        replicas.stream()
            .filter(Replica::hasRoom)
            .mapToInt(replica -> replica.requests)
            .min()
            .orElse(0);
    return replicas.stream()
        .filter(replica -> replica.hasRoom() && replica.requests <= fewest + SLACK)
        .max(
            Comparator.<Replica>comparingInt(replica -> replica.sketch.matches(hashes))
                .thenComparing(replica -> replica.requests, Comparator.reverseOrder()));
  }

  private void throwIfAllFailed() {
    if (replicas.stream().allMatch(replica -> replica.failure != null)) {
      throw allFailed();
    }
  }

  private GenerationException allFailed() {
    return new GenerationException(
        "the engine failed and takes no more requests", replicas.getLast().failure);
  }

  /** A request of an engine has ended; {@code cause} is null where it did as it should. */
  private void ended(Submission submission, @Nullable RuntimeException cause, long[] hashes) {
    List<Runnable> told;
    synchronized (this) {
      Replica replica = submission.replica;
      if (replica == null) {
        return; // it has ended already, and its listener failed to hear so
      }
      submission.replica = null;
      replica.requests--;
      replica.sketch.add(hashes);
      if (cause == null) {
        replica.failuresInRow = 0;
      } else if (!(cause instanceof InvalidRequestException)) {
        replica.failuresInRow++;
      }
      retireWhereFailed(replica, cause);
      told = dispatch();
    }
    told.forEach(Runnable::run);
  }

  private void retireWhereFailed(Replica replica, @Nullable RuntimeException cause) {
    boolean others = replicas.stream().anyMatch(other -> other != replica && other.failure == null);
    if (replica.engine.failure().isPresent() || (replica.failuresInRow >= FAILURES && others)) {
      replica.failure = replica.engine.failure().orElse(cause);
    }
  }

  /** A request that waits or runs. */
  public final class Submission implements GenerationListener {
    private final EngineRequest request;
    private final GenerationListener listener;
    private final long[] hashes;
    private final long submittedNanos = System.nanoTime();
    private @Nullable Replica replica;
    private @Nullable Generation generation;

    private Submission(EngineRequest request, GenerationListener listener, long[] hashes) {
      this.request = request;
      this.listener = listener;
      this.hashes = hashes;
    }

    /** Ends the generation: at once where it waits, after the step in work where it runs. */
    public void cancel() {
      synchronized (Replicas.this) {
        if (generation != null) {
          generation.cancel();
          return;
        }
        if (!waiting.remove(this)) {
          return;
        }
      }
      long nanos = System.nanoTime() - submittedNanos;
      listener.onFinished(
          new GenerationResult(List.of(), FinishReason.CANCELLED, 0, 0, nanos, 0, 0, nanos, 0));
    }

    @Override
    public boolean onToken(TokenChoice choice) {
      return listener.onToken(choice);
    }

    @Override
    public void onFinished(GenerationResult result) {
      boolean sketched = replicas.size() > 1;
      ended(this, null, sketched ? PrefixSketch.hashes(request, result.tokenIds()) : new long[0]);
      listener.onFinished(result);
    }

    @Override
    public void onFailed(RuntimeException cause) {
      ended(this, cause, new long[0]);
      listener.onFailed(cause);
    }
  }
}
