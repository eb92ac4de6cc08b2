package org.tessera.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tessera.engine.StepInput.SampledRow;
import org.tessera.engine.StepInput.Splice;
import org.tessera.ops.SamplingParameters;

/** Steps cut for stages are the steps, and are cut only where that pays. */
class MicroBatchesTest {
  /** Stages, rows, positions that attention reads, and into how many parts that is to be cut. */
  @ParameterizedTest
  @CsvSource({
    "1,100000,100000,1",
    "2,1,100,1",
    "2,64,100000,1",
    "2,256,10000,1",
    "2,512,512,2",
    "2,8192,8192,8",
    "4,8192,8192,16",
    "3,700,700,3",
    "2,64,1000000,2"
  })
  void onlyWhatIsComputeBoundIsCut(int stages, int rows, long contextRows, int count) {
    // MiniCPM-V 2.6 in bf16: 57,344 bytes a position, 15.2 GB of weights.
    MicroBatches microBatches = new MicroBatches(stages, 256, 256 * 57_344 / 15.2e9);

    assertThat(microBatches.count(rows, contextRows)).isEqualTo(count);
  }

  @Test
  void thePartsAreTheStep() {
    SplittableRandom random = new SplittableRandom(7);
    for (int round = 0; round < 300; round++) {
      StepInput step = step(random);
      int rows = step.tokenIds().length;
      int count = random.nextInt(1, Math.min(rows, 9) + 1);
      List<StepInput> parts = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        parts.add(MicroBatches.rows(step, rows * i / count, rows * (i + 1) / count));
      }
      assertThat(rowsOf(parts)).isEqualTo(rowsOf(List.of(step)));
      parts.forEach(MicroBatchesTest::assertConsistent);
    }
  }

  @Test
  void anUncutStepIsThatStep() {
    StepInput step = step(new SplittableRandom(1));
    assertThat(new MicroBatches(3, 100_000, 0).of(step)).containsExactly(step);
  }

  @Test
  void outputsOfPartsAreJoinedInOrder() {
    StepOutput joined =
        MicroBatches.joined(
            new StepOutput[] {
              new StepOutput(new float[][] {{1}}, new int[] {10}, new int[] {7}),
              new StepOutput(new float[0][], new int[0], new int[0]),
              new StepOutput(new float[][] {{2}, {3}}, new int[] {20, 30}, new int[] {8, 9}),
            });

    assertThat(joined.logits()).isDeepEqualTo(new float[][] {{1}, {2}, {3}});
    assertThat(joined.greedyIds()).containsExactly(10, 20, 30);
    assertThat(joined.sampledIds()).containsExactly(7, 8, 9);
  }

  /** What is known of every row, whatever part it is in. */
  private static List<List<Object>> rowsOf(List<StepInput> parts) {
    List<List<Object>> rows = new ArrayList<>();
    for (StepInput part : parts) {
      for (int i = 0; i < part.contextRows().length; i++) {
        for (int row = part.queryStarts()[i]; row < part.queryStarts()[i + 1]; row++) {
          int at = row;
          rows.add(
              List.of(
                  part.tokenIds()[row],
                  part.positions()[row],
                  part.slots()[row],
                  Arrays.hashCode(part.blockTables()[i]),
                  IntStream.of(part.logitRows()).anyMatch(wanted -> wanted == at),
                  IntStream.of(part.greedyRows()).anyMatch(wanted -> wanted == at),
                  part.sampledRows().stream()
                      .filter(sampled -> sampled.row() == at)
                      .map(SampledRow::parameters)
                      .toList(),
                  feature(part, row)));
        }
      }
    }
    return rows;
  }

  private static List<Long> feature(StepInput part, int row) {
    return part.splices().stream()
        .filter(splice -> row >= splice.row() && row < splice.row() + splice.count())
        .map(splice -> 1000 * splice.imagesId() + splice.featureRow() + row - splice.row())
        .toList();
  }

  /** Attention sees exactly the positions up to the last row of each sequence. */
  private static void assertConsistent(StepInput part) {
    assertThat(part.queryStarts()).hasSize(part.contextRows().length + 1);
    assertThat(part.queryStarts()[part.contextRows().length]).isEqualTo(part.tokenIds().length);
    for (int i = 0; i < part.contextRows().length; i++) {
      assertThat(part.queryStarts()[i + 1]).isGreaterThan(part.queryStarts()[i]);
      assertThat(part.contextRows()[i])
          .isEqualTo(part.positions()[part.queryStarts()[i + 1] - 1] + 1);
    }
  }

  private static StepInput step(SplittableRandom random) {
    int sequences = random.nextInt(1, 6);
    int[] starts = new int[sequences + 1];
    int[] contexts = new int[sequences];
    int[][] tables = new int[sequences][];
    List<Integer> positions = new ArrayList<>();
    List<Splice> splices = new ArrayList<>();
    List<Integer> logitRows = new ArrayList<>();
    List<Integer> greedyRows = new ArrayList<>();
    List<SampledRow> sampledRows = new ArrayList<>();
    for (int i = 0; i < sequences; i++) {
      int computed = random.nextInt(20);
      int rows = random.nextBoolean() ? 1 : random.nextInt(1, 40);
      if (rows > 8) {
        splices.add(new Splice(i, random.nextInt(50), starts[i] + 2, rows - 5));
      }
      for (int row = 0; row < rows; row++) {
        positions.add(computed + row);
      }
      starts[i + 1] = starts[i] + rows;
      contexts[i] = computed + rows;
      tables[i] = random.ints(5).toArray();
      switch (random.nextInt(4)) {
        case 0 -> logitRows.add(starts[i + 1] - 1);
        case 1 -> greedyRows.add(starts[i + 1] - 1);
        case 2 ->
            sampledRows.add(new SampledRow(starts[i + 1] - 1, SamplingParameters.LIKELIEST, null));
        default -> {}
      }
    }
    int rows = starts[sequences];
    return new StepInput(
        random.ints(rows).toArray(),
        array(positions),
        random.ints(rows).toArray(),
        starts,
        contexts,
        tables,
        splices,
        array(logitRows),
        array(greedyRows),
        sampledRows);
  }

  private static int[] array(List<Integer> values) {
    return values.stream().mapToInt(Integer::intValue).toArray();
  }
}
