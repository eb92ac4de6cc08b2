package org.tessera.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.tessera.engine.StepInput.SampledRow;
import org.tessera.engine.StepInput.Splice;

/**
 * Cuts a step into parts that follow one another through the stages, so that all stages are at
 * work.
 *
 * <p>The rule: {@code k} parts through {@code s} stages take {@code k + s - 1} turns. A turn takes
 * as long as the rows of a part, but no less than as many rows as a device reads a stage's weights
 * in ({@link org.tessera.device.Device#computeBoundRows}), and beside that what reading the cache
 * takes, which is divided evenly. The {@code k} with the least sum is taken. So a long prompt is
 * cut, and few answers under way are not: each part would read all weights anew.
 */
final class MicroBatches {
  /** Beyond it a stage that waits for its first part costs little, and each part costs launches. */
  private static final int MAX_PARTS_PER_STAGE = 4;

  private final int stages;
  private final int computeBoundRows;
  private final double rowsPerPosition;

  /**
   * @param computeBoundRows rows whose products take as long as reading the weights
   * @param rowsPerPosition in how many rows' time attention reads one position of the cache: {@code
   *     computeBoundRows} times the bytes of a position over those of the weights
   */
  MicroBatches(int stages, int computeBoundRows, double rowsPerPosition) {
    this.stages = stages;
    this.computeBoundRows = computeBoundRows;
    this.rowsPerPosition = rowsPerPosition;
  }

  /** The parts of a step in order, one or several. */
  List<StepInput> of(StepInput step) {
    int rows = step.tokenIds().length;
    int count = count(rows, Arrays.stream(step.contextRows()).asLongStream().sum());
    if (count == 1) {
      return List.of(step);
    }
    List<StepInput> parts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      parts.add(rows(step, (int) ((long) rows * i / count), (int) ((long) rows * (i + 1) / count)));
    }
    return parts;
  }

  /**
   * How many parts to cut a step into.
   *
   * @param contextRows positions that attention reads, over all sequences
   */
  int count(int rows, long contextRows) {
    int best = 1;
    double least = Double.POSITIVE_INFINITY;
    int most = stages == 1 ? 1 : Math.min(rows, MAX_PARTS_PER_STAGE * stages);
    for (int count = 1; count <= most; count++) {
      double products = Math.max(computeBoundRows, (double) rows / count);
      double turn = products + rowsPerPosition * contextRows / count;
      double time = (count + stages - 1) * turn;
      if (time < least) {
        least = time;
        best = count;
      }
    }
    return Math.max(1, best);
  }

  /** The output of a step from those of its parts. */
  static StepOutput joined(StepOutput[] parts) {
    return new StepOutput(
        Stream.of(parts).flatMap(part -> Stream.of(part.logits())).toArray(float[][]::new),
        Stream.of(parts).flatMapToInt(part -> Arrays.stream(part.greedyIds())).toArray(),
        Stream.of(parts).flatMapToInt(part -> Arrays.stream(part.sampledIds())).toArray());
  }

  /**
   * Rows {@code from} (inclusive) to {@code to} (exclusive) of a step: a sequence that is cut goes
   * on in the next part.
   */
  static StepInput rows(StepInput step, int from, int to) {
    List<Integer> starts = new ArrayList<>(List.of(0));
    List<Integer> contexts = new ArrayList<>();
    List<int[]> tables = new ArrayList<>();
    for (int i = 0; i < step.contextRows().length; i++) {
      int first = Math.max(from, step.queryStarts()[i]);
      int end = Math.min(to, step.queryStarts()[i + 1]);
      if (first < end) {
        starts.add(end - from);
        contexts.add(step.contextRows()[i] - (step.queryStarts()[i + 1] - end));
        tables.add(step.blockTables()[i]);
      }
    }
    return new StepInput(
        Arrays.copyOfRange(step.tokenIds(), from, to),
        Arrays.copyOfRange(step.positions(), from, to),
        Arrays.copyOfRange(step.slots(), from, to),
        toArray(starts),
        toArray(contexts),
        tables.toArray(int[][]::new),
        step.splices().stream().flatMap(splice -> clipped(splice, from, to)).toList(),
        within(step.logitRows(), from, to),
        within(step.greedyRows(), from, to),
        step.sampledRows().stream()
            .filter(sampled -> sampled.row() >= from && sampled.row() < to)
            .map(sampled ->
                new SampledRow(sampled.row() - from, sampled.parameters(), sampled.recount()))
            .toList());
  }

  private static Stream<Splice> clipped(Splice splice, int from, int to) {
    int first = Math.max(from, splice.row());
    int end = Math.min(to, splice.row() + splice.count());
    return first < end
        ? Stream.of(
            new Splice(
                splice.imagesId(),
                splice.featureRow() + first - splice.row(),
                first - from,
                end - first))
        : Stream.empty();
  }

  private static int[] within(int[] rows, int from, int to) {
    return Arrays.stream(rows)
        .filter(row -> row >= from && row < to)
        .map(row -> row - from)
        .toArray();
  }

  private static int[] toArray(List<Integer> values) {
    return values.stream().mapToInt(Integer::intValue).toArray();
  }
}
