package org.tessera.cpu;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * The threads of a device. A decode step forks and joins about a hundred times in a few
 * milliseconds, so that waking a sleeping thread each time would cost more than the work: helpers
 * spin for a moment before they park. The calling thread is worker 0 and computes too.
 */
final class Workers implements AutoCloseable {
  /** Numbered pieces of work that may run in any order and at the same time. */
  @FunctionalInterface
  interface Task {
    /**
     * Does piece {@code index}.
     *
     * @param worker number of the thread that does it, below {@link Workers#count}: no two pieces
     *     that run at the same time have the same
     */
    void run(int index, int worker);
  }

  /** Longer than what lies between two parallel operations of a decode step. */
  private static final long SPIN_NANOS = 50_000;

  /** What a core does in the microseconds that a fork and a join take. */
  private static final long MIN_OPERATIONS = 60_000;

  private static final int SPINS_BEFORE_YIELD = 20_000;
  private static final int SPINS_BETWEEN_CLOCK_READS = 64;

  private final List<Helper> helpers = new ArrayList<>();
  private volatile @Nullable Job current;
  private volatile boolean closed;

  /** {@code count} workers: the caller and {@code count - 1} threads. */
  Workers(int count) {
    for (int worker = 1; worker < count; worker++) {
      Helper helper = new Helper(worker);
      helpers.add(helper);
      helper.thread.start();
    }
  }

  int count() {
    return helpers.size() + 1;
  }

  /**
   * Runs pieces 0 to {@code pieces - 1} and returns when all are done.
   *
   * @param operations about how many arithmetic operations they are: few are not worth a fork
   */
  void run(int pieces, long operations, Task task) {
    if (helpers.isEmpty() || pieces <= 1 || operations < MIN_OPERATIONS) {
      for (int i = 0; i < pieces; i++) {
        task.run(i, 0);
      }
      return;
    }
    Job job = new Job(pieces, task);
    current = job;
    for (Helper helper : helpers) {
      helper.wake();
    }
    job.work(0);
    job.await();
    current = null;
    job.rethrow();
  }

  /** Runs {@code task} over the rows 0 to {@code rows} in contiguous ranges. */
  void rows(int rows, long operations, Range task) {
    int pieces = Math.min(rows, 4 * count());
    if (helpers.isEmpty() || pieces <= 1 || operations < MIN_OPERATIONS) {
      task.run(0, rows);
      return;
    }
    run(
        pieces,
        operations,
        (index, worker) ->
            task.run(
                (int) ((long) rows * index / pieces), (int) ((long) rows * (index + 1) / pieces)));
  }

  /** Work on a range. */
  @FunctionalInterface
  interface Range {
    void run(int from, int to);
  }

  /** Ends the threads and waits for them. */
  @Override
  public void close() {
    closed = true;
    boolean interrupted = false;
    for (Helper helper : helpers) {
      LockSupport.unpark(helper.thread);
      while (helper.thread.isAlive()) {
        try {
          helper.thread.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** One call of {@link #run}; a helper that comes late finds no piece left and does no harm. */
  private static final class Job {
    private final int pieces;
    private final Task task;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicInteger done = new AtomicInteger();
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();

    Job(int pieces, Task task) {
      this.pieces = pieces;
      this.task = task;
    }

    void work(int worker) {
      int finished = 0;
      for (int i = next.getAndIncrement(); i < pieces; i = next.getAndIncrement()) {
        try {
          task.run(i, worker);
        } catch (RuntimeException | Error e) {
          failure.compareAndSet(null, e);
        }
        finished++;
      }
      if (finished > 0) {
        done.addAndGet(finished);
      }
    }

    /**
     * Other workers are busy with what is left: that takes microseconds, or longer where other
     * processes hold the cores, to which a yield then gives this one.
     */
    @SuppressWarnings("ThreadPriorityCheck")
    void await() {
      for (int spins = 0; done.get() < pieces; spins++) {
        if (spins < SPINS_BEFORE_YIELD) {
          Thread.onSpinWait();
        } else {
          Thread.yield();
        }
      }
    }

    void rethrow() {
      switch (failure.get()) {
        case null -> {}
        case Error e -> throw e;
        case RuntimeException e -> throw e;
        case Throwable e -> throw new AssertionError(e);
      }
    }
  }

  private final class Helper implements Runnable {
    private final int worker;
    private final Thread thread;
    private volatile boolean parked;

    Helper(int worker) {
      this.worker = worker;
      thread = Thread.ofPlatform().daemon().name("tessera-cpu-" + worker).unstarted(this);
    }

    void wake() {
      if (parked) {
        LockSupport.unpark(thread);
      }
    }

    @Override
    public void run() {
      Job last = null;
      while (true) {
        Job job = await(last);
        if (job == null) {
          return;
        }
        job.work(worker);
        last = job;
      }
    }

    /** The next job after {@code last}, or null when the device closes. */
    private @Nullable Job await(@Nullable Job last) {
      long start = System.nanoTime();
      for (int spins = 1; ; spins++) {
        Job job = current;
        if (job != null && job != last) {
          return job;
        }
        if (closed) {
          return null;
        }
        if (spins % SPINS_BETWEEN_CLOCK_READS != 0 || System.nanoTime() - start < SPIN_NANOS) {
          Thread.onSpinWait();
          continue;
        }
        // The job is looked for once more after the flag is up, so that no wake-up is lost.
        parked = true;
        while (!closed && (current == null || current == last)) {
          LockSupport.park(this);
        }
        parked = false;
      }
    }
  }
}
