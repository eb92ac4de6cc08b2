package org.tessera.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.KvCache.RowCopies;
import org.tessera.model.VisionLanguageModel;
import org.tessera.parallel.RankGroup;

/**
 * Runs a model that is cut over several ranks: every call goes to all of them at the same time,
 * each on its own thread, and rank 0 answers. Where one fails the others are released from waiting
 * for it, and the call fails with the first cause; the next call finds all ranks in step again.
 */
public final class ParallelRunner implements ModelRunner {
  private final List<ModelRunner> ranks;
  private final RankGroup group;
  private final List<ExecutorService> threads = new ArrayList<>();

  /**
   * @param ranks in rank order; closed with this
   * @param group the collective through which they exchange
   */
  public ParallelRunner(List<? extends ModelRunner> ranks, RankGroup group) {
    this.ranks = List.copyOf(ranks);
    this.group = group;
    for (int i = 0; i < ranks.size(); i++) {
      String name = "tessera-rank-" + i;
      threads.add(
          Executors.newSingleThreadExecutor(Thread.ofPlatform().name(name).daemon().factory()));
    }
  }

  @Override
  public VisionLanguageModel.Spec spec() {
    return ranks.getFirst().spec();
  }

  @Override
  public boolean samplesOnDevice() {
    return ranks.stream().allMatch(ModelRunner::samplesOnDevice);
  }

  @Override
  public void encodeImages(
      long imagesId, List<ProcessedSlice> slices, int firstRow, int totalRows) {
    onAllRanks(rank -> {
      rank.encodeImages(imagesId, slices, firstRow, totalRows);
      return true;
    });
  }

  @Override
  public void releaseImages(long imagesId) {
    onAllRanks(rank -> {
      rank.releaseImages(imagesId);
      return true;
    });
  }

  @Override
  public StepOutput run(StepInput step) {
    return onAllRanks(rank -> rank.run(step));
  }

  @Override
  public void copyKv(RowCopies copies) {
    onAllRanks(rank -> {
      rank.copyKv(copies);
      return true;
    });
  }

  @Override
  public void close() {
    threads.forEach(ExecutorService::close);
    ranks.forEach(ModelRunner::close);
  }

  private interface RankCall<T> {
    T on(ModelRunner rank);
  }

  private <T> T onAllRanks(RankCall<T> call) {
    List<Future<T>> results = new ArrayList<>();
    for (int i = 0; i < ranks.size(); i++) {
      ModelRunner rank = ranks.get(i);
      Callable<T> task = () -> abortingOnFailure(() -> call.on(rank));
      results.add(threads.get(i).submit(task));
    }
    List<T> values = new ArrayList<>();
    boolean failed = false;
    for (Future<T> result : results) {
      try {
        values.add(await(result));
      } catch (ExecutionException e) {
        failed = true;
      }
    }
    if (failed) {
      throw group.recover();
    }
    return values.getFirst();
  }

  private <T> T abortingOnFailure(Callable<T> call) throws Exception {
    try {
      return call.call();
    } catch (RuntimeException | Error e) {
      group.abort(e);
      throw e;
    }
  }

  private static <T> T await(Future<T> result) throws ExecutionException {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return result.get();
        } catch (InterruptedException e) {
          interrupted = true; // ranks must end together: wait, and pass the interrupt on after
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
