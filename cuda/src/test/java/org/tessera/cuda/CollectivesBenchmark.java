package org.tessera.cuda;

import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import org.opentest4j.TestAbortedException;
import org.tessera.cuda.GpuGroup.Setting;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * Prints what a collective takes, launch included: graphs of many of the same, launched one after
 * the other, timed by events; the median of several rounds of the slowest rank. Every line is one
 * measurement of this run; a machine with fewer cards than a line needs says so.
 */
public final class CollectivesBenchmark {
  private static final int HIDDEN = 3584;
  private static final int VOCABULARY = 151_666;
  private static final int[] ROWS = {1, 8, 16, 32, 64, 128, 691, 8192};
  private static final int ROUNDS = 7;

  private CollectivesBenchmark() {}

  /** No arguments. */
  public static void main(String[] arguments) {
    System.out.printf(
        "%-20s %-26s %12s %12s %12s%n", "ranks", "what", "bytes a rank", "µs", "GB/s");
    for (Setting setting : Setting.values()) {
      if (setting != Setting.ONE_CARD_KERNELS) {
        try (GpuGroup ranks = new GpuGroup(setting, DType.BF16)) {
          measure(setting, ranks);
        } catch (TestAbortedException e) {
          System.out.printf("%-20s skipped: %s%n", setting, e.getMessage());
        }
      }
    }
  }

  private static void measure(Setting setting, GpuGroup ranks) {
    for (int rows : ROWS) {
      long bytes = 2L * rows * HIDDEN;
      if (setting.nccl) {
        sum(setting, ranks, rows, "sum and add, NCCL", null);
        continue;
      }
      if (bytes <= PeerTransport.oneShotBytes(ranks.size())) {
        sum(setting, ranks, rows, "sum and add, one shot", PeerTransport.Path.ONE_SHOT);
      }
      sum(setting, ranks, rows, "sum and add, two shots", PeerTransport.Path.TWO_SHOT);
    }
    int columns = VOCABULARY / ranks.size();
    for (int rows : new int[] {1, 64}) {
      Tensor[] locals = new Tensor[ranks.size()];
      Tensor[] all = new Tensor[ranks.size()];
      for (int rank = 0; rank < ranks.size(); rank++) {
        locals[rank] = ranks.tensor(rank, DType.F32, rows, columns);
        all[rank] = ranks.tensor(rank, DType.F32, rows, columns * ranks.size());
      }
      double seconds =
          seconds(
              ranks,
              rows == 1 ? 50 : 10,
              rank -> ranks.member(rank).allGatherColumns(locals[rank], all[rank]));
      print(setting, rows + " rows of logits", 4L * rows * columns, seconds);
      ranks.free();
    }
    copies(setting, ranks);
  }

  private static void sum(
      Setting setting, GpuGroup ranks, int rows, String what, PeerTransport.Path path) {
    Tensor[] partials = new Tensor[ranks.size()];
    Tensor[] residuals = new Tensor[ranks.size()];
    for (int rank = 0; rank < ranks.size(); rank++) {
      partials[rank] = ranks.tensor(rank, DType.BF16, rows, HIDDEN);
      residuals[rank] = ranks.tensor(rank, DType.BF16, rows, HIDDEN);
      float[] values = new float[rows * HIDDEN];
      for (int i = 0; i < values.length; i++) {
        values[i] = (i * 31 + rank) % 255 / 256f - 0.5f;
      }
      ranks.devices.get(rank).upload(values, partials[rank]);
      ranks.devices.get(rank).upload(values, residuals[rank]);
    }
    double seconds =
        seconds(
            ranks,
            rows > 256 ? 10 : 50,
            rank -> {
              if (path == null) {
                ranks
                    .member(rank)
                    .allReduceAdd(partials[rank], residuals[rank], ranks.devices.get(rank).ops());
              } else {
                ((PeerTransport) ranks.group.transport())
                    .allReduce(rank, path, partials[rank], residuals[rank]);
              }
            });
    print(setting, what + ", " + rows, 2L * rows * HIDDEN, seconds);
    ranks.free();
  }

  private interface Collective {
    void issue(int rank);
  }

  /** Seconds of one collective. */
  private static double seconds(GpuGroup ranks, int count, Collective collective) {
    CyclicBarrier barrier = new CyclicBarrier(ranks.size());
    double[][] rounds = new double[ranks.size()][ROUNDS];
    ranks.run(rank -> {
      CudaDevice device = ranks.devices.get(rank);
      CudaStream stream = device.stream();
      collectiveOnce(barrier, collective, rank, stream);
      try (CudaGraph graph =
              stream.capture(() -> {
                for (int i = 0; i < count; i++) {
                  collective.issue(rank);
                }
              });
          CudaEvent start = device.context().createEvent(true);
          CudaEvent end = device.context().createEvent(true)) {
        graph.upload(stream);
        stream.synchronize();
        barrier.await();
        for (int round = -1; round < ROUNDS; round++) {
          graph.launch(stream); // the ranks are in step before the clock starts
          start.record(stream);
          for (int i = 0; i < 4; i++) {
            graph.launch(stream);
          }
          end.record(stream);
          end.synchronize();
          if (round >= 0) {
            rounds[rank][round] = end.millisecondsSince(start) * 1e-3 / (4.0 * count);
          }
          barrier.await();
        }
      }
    });
    double slowest = 0;
    for (double[] rank : rounds) {
      Arrays.sort(rank);
      slowest = Math.max(slowest, rank[ROUNDS / 2]);
    }
    return slowest;
  }

  /** Loads kernels and connects before anything is captured. */
  private static void collectiveOnce(
      CyclicBarrier barrier, Collective collective, int rank, CudaStream stream)
      throws InterruptedException, BrokenBarrierException {
    barrier.await();
    collective.issue(rank);
    stream.synchronize();
    barrier.await();
  }

  /** From rank 0's card to rank 1's. */
  private static void copies(Setting setting, GpuGroup ranks) {
    for (int rows : new int[] {1, 691, 8192}) {
      Tensor source = ranks.tensor(0, DType.BF16, rows, HIDDEN);
      Tensor destination = ranks.tensor(1, DType.BF16, rows, HIDDEN);
      CudaDevice from = ranks.devices.get(0);
      CudaDevice to = ranks.devices.get(1);
      double[] rounds = new double[ROUNDS];
      try (CudaEvent start = to.context().createEvent(true);
          CudaEvent end = to.context().createEvent(true)) {
        for (int round = -1; round < ROUNDS; round++) {
          start.record(to.stream());
          for (int i = 0; i < 20; i++) {
            to.receive(from, source, destination);
          }
          end.record(to.stream());
          end.synchronize();
          if (round >= 0) {
            rounds[round] = end.millisecondsSince(start) * 1e-3 / 20;
          }
        }
      }
      Arrays.sort(rounds);
      print(setting, "copy, " + rows, 2L * rows * HIDDEN, rounds[ROUNDS / 2]);
      ranks.free();
    }
  }

  private static void print(Setting setting, String what, long bytes, double seconds) {
    System.out.printf(
        Locale.ROOT,
        "%-20s %-26s %12d %12.2f %12.1f%n",
        setting,
        what,
        bytes,
        seconds * 1e6,
        bytes / seconds * 1e-9);
  }
}
