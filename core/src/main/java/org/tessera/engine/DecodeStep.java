package org.tessera.engine;

import java.util.Arrays;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.Segments;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * The inputs and outputs, at fixed places, of a step that computes one token for each of up to a
 * number of sequences: what lets a device record the step once and repeat it for every token.
 */
final class DecodeStep {
  private static final int MAX_ROWS = 128;
  private static final int LEAST_CONTEXT = 1024;

  private final Size size;
  private final Tensor inputs;
  private final Tensor tokenIds;
  private final PagedBatch batch;
  private final Tensor hidden;
  private final Tensor logits;
  private final Tensor likeliest;
  private final int[] packed;

  /**
   * How large a recorded step is: steps of fewer or shorter sequences run in it too.
   *
   * @param rows sequences, a power of two
   * @param blocks of the longest sequence
   */
  record Size(int rows, int blocks, int blockRows) {
    static Size of(StepInput step, int cacheRows, int blockRows) {
      int rows = roundUp(step.tokenIds().length);
      int longest = Arrays.stream(step.contextRows()).max().orElse(0);
      int context = Math.min(cacheRows, Math.max(LEAST_CONTEXT, roundUp(longest)));
      return new Size(rows, Math.ceilDiv(context, blockRows), blockRows);
    }

    private static int roundUp(int value) {
      return value <= 1 ? 1 : Integer.highestOneBit(value - 1) << 1;
    }
  }

  DecodeStep(RankRunner runner, Size size, DeviceMemory memory) {
    this.size = size;
    int rows = size.rows;
    packed = new int[4 * rows + rows + 1 + rows * size.blocks];
    inputs = memory.allocate(DType.I32, 1, packed.length);
    tokenIds = inputs.columns(0, rows);
    Tensor starts = inputs.columns(4 * rows, 5 * rows + 1);
    Tensor tables =
        Tensor.of(
            DType.I32, rows, size.blocks, inputs.columns(5 * rows + 1, packed.length).memory());
    batch =
        new PagedBatch(
            new Segments(starts, rows, 1),
            inputs.columns(rows, 2 * rows),
            inputs.columns(2 * rows, 3 * rows),
            inputs.columns(3 * rows, 4 * rows),
            tables,
            size.blocks * size.blockRows);
    hidden = runner.allocateHidden(memory::allocate, rows);
    logits = runner.allocateLogits(memory::allocate, rows);
    likeliest = memory.allocate(DType.I32, 1, rows);
  }

  /** Whether a step is of a size that is recorded. */
  static boolean takes(StepInput step) {
    return step.tokenIds().length <= MAX_ROWS;
  }

  /** A step's inputs as {@link #inputs} has them. Rows without a sequence change nothing. */
  int[] packed(StepInput step) {
    int rows = size.rows;
    int count = step.tokenIds().length;
    Arrays.fill(packed, 0);
    System.arraycopy(step.tokenIds(), 0, packed, 0, count);
    Arrays.fill(packed, rows + count, 2 * rows, -1);
    System.arraycopy(step.positions(), 0, packed, rows, count);
    Arrays.fill(packed, 2 * rows + count, 3 * rows, -1);
    System.arraycopy(step.slots(), 0, packed, 2 * rows, count);
    System.arraycopy(step.contextRows(), 0, packed, 3 * rows, count);
    for (int i = 0; i <= rows; i++) {
      packed[4 * rows + i] = i;
    }
    for (int i = 0; i < count; i++) {
      int[] table = step.blockTables()[i];
      int used = Math.ceilDiv(step.contextRows()[i], size.blockRows);
      System.arraycopy(table, 0, packed, 5 * rows + 1 + i * size.blocks, used);
    }
    return packed;
  }

  /** I32 [1, n]: everything that changes from step to step. */
  Tensor inputs() {
    return inputs;
  }

  /** I32 [1, rows]. */
  Tensor tokenIds() {
    return tokenIds;
  }

  PagedBatch batch() {
    return batch;
  }

  /** [rows, hidden_size]: what the layers begin with and end with. */
  Tensor hidden() {
    return hidden;
  }

  /** F32 [rows, vocab_size]. */
  Tensor logits() {
    return logits;
  }

  /** I32 [1, rows]. */
  Tensor likeliest() {
    return likeliest;
  }
}
