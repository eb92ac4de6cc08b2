package org.tessera.engine;

import java.util.Arrays;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.engine.StepInput.SampledRow;
import org.tessera.ops.Ops;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.SamplingParameters;
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

  /** Ints before the token ids: what {@link #parameters} has. */
  private final int parameterInts;

  private final Tensor parameters;
  private final Tensor tokenIds;
  private final PagedBatch batch;
  private final Tensor hidden;
  private final Tensor logits;
  private final Tensor chosen;
  private final int[] packed;

  /**
   * How large a recorded step is: steps of fewer or shorter sequences run in it too.
   *
   * @param rows sequences, a power of two
   * @param blocks of the longest sequence
   * @param samples whether tokens are chosen by more than the largest logit
   */
  record Size(int rows, int blocks, int blockRows, boolean samples) {
    static Size of(StepInput step, boolean hasHead, int cacheRows, int blockRows) {
      int rows = roundUp(step.tokenIds().length);
      int longest = Arrays.stream(step.contextRows()).max().orElse(0);
      int context = Math.min(cacheRows, Math.max(LEAST_CONTEXT, roundUp(longest)));
      return new Size(
          rows,
          Math.ceilDiv(context, blockRows),
          blockRows,
          hasHead && !step.sampledRows().isEmpty());
    }

    private static int roundUp(int value) {
      return value <= 1 ? 1 : Integer.highestOneBit(value - 1) << 1;
    }
  }

  DecodeStep(RankRunner runner, Size size, DeviceMemory memory) {
    this.size = size;
    int rows = size.rows;
    parameterInts = size.samples ? rows * SamplingParameters.INTS : 0;
    packed = new int[parameterInts + 4 * rows + rows + 1 + rows * size.blocks];
    inputs = memory.allocate(DType.I32, 1, packed.length);
    parameters =
        Tensor.of(
            DType.I32,
            parameterInts / SamplingParameters.INTS,
            SamplingParameters.INTS,
            inputs.memory());
    Tensor batchInputs = inputs.columns(parameterInts, packed.length);
    tokenIds = batchInputs.columns(0, rows);
    Tensor starts = batchInputs.columns(4 * rows, 5 * rows + 1);
    Tensor tables =
        Tensor.of(
            DType.I32,
            rows,
            size.blocks,
            batchInputs.columns(5 * rows + 1, batchInputs.columns()).memory());
    batch =
        new PagedBatch(
            new Segments(starts, rows, 1),
            batchInputs.columns(rows, 2 * rows),
            batchInputs.columns(2 * rows, 3 * rows),
            batchInputs.columns(3 * rows, 4 * rows),
            tables,
            size.blocks * size.blockRows);
    hidden = runner.allocateHidden(memory::allocate, rows);
    logits = runner.allocateLogits(memory::allocate, rows);
    chosen = memory.allocate(DType.I32, 1, rows);
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
    if (size.samples) {
      packParameters(step);
    }
    int tokens = parameterInts;
    int positions = tokens + rows;
    int slots = positions + rows;
    int contexts = slots + rows;
    int starts = contexts + rows;
    int tables = starts + rows + 1;
    System.arraycopy(step.tokenIds(), 0, packed, tokens, count);
    Arrays.fill(packed, positions + count, slots, -1);
    System.arraycopy(step.positions(), 0, packed, positions, count);
    Arrays.fill(packed, slots + count, contexts, -1);
    System.arraycopy(step.slots(), 0, packed, slots, count);
    System.arraycopy(step.contextRows(), 0, packed, contexts, count);
    for (int i = 0; i <= rows; i++) {
      packed[starts + i] = i;
    }
    for (int i = 0; i < count; i++) {
      int[] table = step.blockTables()[i];
      int used = Math.ceilDiv(step.contextRows()[i], size.blockRows);
      System.arraycopy(table, 0, packed, tables + i * size.blocks, used);
    }
    return packed;
  }

  private void packParameters(StepInput step) {
    for (int row = 0; row < size.rows; row++) {
      SamplingParameters.NOTHING.write(packed, row * SamplingParameters.INTS);
    }
    for (int row : step.greedyRows()) {
      SamplingParameters.LIKELIEST.write(packed, row * SamplingParameters.INTS);
    }
    for (SampledRow sampled : step.sampledRows()) {
      sampled.parameters().write(packed, sampled.row() * SamplingParameters.INTS);
    }
  }

  /** Fills {@link #chosen} from {@link #logits}: the end of what is recorded. */
  void choose(Ops ops, Tensor counts) {
    if (size.samples) {
      ops.sample(logits, parameters, counts, chosen);
    } else {
      ops.argmax(logits, chosen);
    }
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

  /** I32 [1, rows]; undefined where only logits are wanted. */
  Tensor chosen() {
    return chosen;
  }
}
