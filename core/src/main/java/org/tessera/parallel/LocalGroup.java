package org.tessera.parallel;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tessera.device.Device;
import org.tessera.error.GenerationException;
import org.tessera.tensor.Tensor;

/**
 * Ranks that are threads of this JVM and exchange through host memory, whatever their devices are.
 * Sums are formed in rank order, so that every rank has the same bits.
 */
public final class LocalGroup implements RankGroup {
  private final float[][] parts;
  private List<float[]> exchanged = List.of();
  private int arrived;
  private long round;
  private @Nullable Throwable failure;

  public LocalGroup(int size) {
    this.parts = new float[size][];
  }

  @Override
  public int size() {
    return parts.length;
  }

  @Override
  public Collective member(int rank, Device device) {
    return new Member(rank, device);
  }

  @Override
  public synchronized void abort(Throwable cause) {
    if (failure == null) {
      failure = cause;
    }
    notifyAll();
  }

  @Override
  public synchronized RuntimeException recover() {
    Throwable cause = failure;
    failure = null;
    arrived = 0;
    return cause instanceof RuntimeException runtime
        ? runtime
        : new GenerationException("a rank failed", cause);
  }

  /** Hands in one rank's part and waits for the others'. The result must only be read. */
  private synchronized List<float[]> exchange(int rank, float[] part) {
    long mine = round;
    parts[rank] = part;
    arrived++;
    if (arrived == parts.length) {
      // A rank that goes on may hand in its next part before a slow one has read these: the next
      // exchange cannot end before the slow one takes part in it.
      exchanged = List.of(parts.clone());
      arrived = 0;
      round++;
      notifyAll();
    }
    while (round == mine && failure == null) {
      try {
        wait();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        abort(e);
      }
    }
    if (failure != null) {
      throw new GenerationException("another rank failed", failure);
    }
    return exchanged;
  }

  private final class Member implements Collective {
    private final int rank;
    private final Device device;

    Member(int rank, Device device) {
      this.rank = rank;
      this.device = device;
    }

    @Override
    public int rank() {
      return rank;
    }

    @Override
    public int size() {
      return parts.length;
    }

    @Override
    public void allReduceSum(Tensor inOut) {
      List<float[]> all = exchange(rank, device.download(inOut));
      float[] sum = all.getFirst().clone();
      for (float[] part : all.subList(1, all.size())) {
        for (int i = 0; i < sum.length; i++) {
          sum[i] += part[i];
        }
      }
      device.upload(sum, inOut);
    }

    @Override
    public void allGatherColumns(Tensor local, Tensor out) {
      List<float[]> all = exchange(rank, device.download(local));
      for (int row = 0; row < out.rows(); row++) {
        float[] wide = new float[out.columns()];
        for (int part = 0; part < all.size(); part++) {
          System.arraycopy(
              all.get(part), row * local.columns(), wide, part * local.columns(), local.columns());
        }
        device.upload(wide, out.rows(row, row + 1));
      }
    }
  }
}
