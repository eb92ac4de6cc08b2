package org.tessera.engine;

import java.util.List;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.engine.StepInput.SampledRow;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * How often running sequences have generated each token, where {@link org.tessera.ops.Ops#sample}
 * reads it and counts on. Nothing is allocated after the constructor.
 */
final class TokenCounts implements AutoCloseable {
  private final Device device;
  private final DeviceMemory region;
  private final Tensor counts;

  /** All 0 between two calls. */
  private final int[] row;

  /**
   * @param rows sequences at a time
   */
  TokenCounts(Device device, int rows, int vocabSize) {
    this.device = device;
    region = device.allocateRegion();
    counts = region.allocate(DType.I32, rows, vocabSize);
    row = new int[rows == 0 ? 0 : vocabSize];
  }

  /** I32 [sequences, vocab_size]. */
  Tensor tensor() {
    return counts;
  }

  /** Sets the rows of sequences that took them or were computed again. */
  void recount(List<SampledRow> sampledRows) {
    for (SampledRow sampled : sampledRows) {
      int[] tokenIds = sampled.recount();
      if (tokenIds != null) {
        for (int id : tokenIds) {
          row[id]++;
        }
        int at = sampled.parameters().countRow();
        device.upload(row, counts.rows(at, at + 1));
        for (int id : tokenIds) {
          row[id] = 0;
        }
      }
    }
  }

  @Override
  public void close() {
    region.close();
  }
}
