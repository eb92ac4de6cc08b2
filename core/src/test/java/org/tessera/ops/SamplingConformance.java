package org.tessera.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * {@link Ops#sample}: every token that a device chooses is the very one that {@link
 * org.tessera.cpu.ScalarOps} chooses, and both keep what {@link SamplingParameters} says.
 */
public abstract class SamplingConformance extends DeviceConformance {
  private static final float INFINITY = Float.POSITIVE_INFINITY;
  private static final SamplingParameters PLAIN = parameters(1, 0, 0);

  private static SamplingParameters parameters(float temperature, int topK, float dropMass) {
    return new SamplingParameters(
        temperature, topK, dropMass, 1, 0, 0, 0, SamplingParameters.NO_COUNTS, 0, 0);
  }

  /** The parameters with other ints at some places: those of {@link SamplingParameters#write}. */
  private static SamplingParameters with(SamplingParameters of, Map<Integer, Integer> ints) {
    int[] packed = new int[SamplingParameters.INTS];
    of.write(packed, 0);
    ints.forEach((at, value) -> packed[at] = value);
    return SamplingParameters.read(packed, 0);
  }

  private static SamplingParameters penalties(
      SamplingParameters of, float repetition, float presence, float frequency, int countRow) {
    return with(
        of,
        Map.of(
            3, Float.floatToRawIntBits(repetition),
            4, Float.floatToRawIntBits(presence),
            5, Float.floatToRawIntBits(frequency),
            8, countRow));
  }

  private static SamplingParameters draw(SamplingParameters of, long seed, int generated) {
    return with(of, Map.of(6, (int) seed, 7, (int) (seed >>> 32), 10, generated));
  }

  private static SamplingParameters at(SamplingParameters of, float temperature) {
    return with(of, Map.of(0, Float.floatToRawIntBits(temperature)));
  }

  private static SamplingParameters early(
      SamplingParameters of, int minNewTokens, int... terminators) {
    Map<Integer, Integer> ints = new HashMap<>();
    ints.put(9, minNewTokens);
    for (int i = 0; i < terminators.length; i++) {
      ints.put(11 + i, terminators[i]);
    }
    return with(of, ints);
  }

  /** What a call leaves: of the device, which is checked to be what the host's twin leaves. */
  private record Result(int[] ids, int[] parameters, int[] counts) {}

  /** Runs on both sides and compares everything that the operation writes. */
  private Result sample(
      String what, float[][] logits, List<SamplingParameters> rows, int[][] counts) {
    int vocabulary = logits[0].length;
    int stride = Math.ceilDiv(vocabulary, 8) * 8 + (vocabulary % 2 == 0 ? 8 : 0);
    float[] wide = new float[rows.size() * stride];
    float[] narrow = new float[rows.size() * vocabulary];
    Arrays.fill(wide, Float.NaN); // what lies between rows must not be looked at
    for (int row = 0; row < rows.size(); row++) {
      System.arraycopy(logits[row], 0, wide, row * stride, vocabulary);
      System.arraycopy(logits[row], 0, narrow, row * vocabulary, vocabulary);
    }
    int[] packed = new int[rows.size() * SamplingParameters.INTS];
    for (int row = 0; row < rows.size(); row++) {
      rows.get(row).write(packed, row * SamplingParameters.INTS);
    }
    int[] flatCounts = Arrays.stream(counts).flatMapToInt(Arrays::stream).toArray();
    int[] noIds = new int[rows.size()];
    Arrays.fill(noIds, -9);

    Tensor onDevice = region.allocate(DType.F32, rows.size(), stride);
    device.upload(wide, onDevice);
    Ints parameters = ints(rows.size(), SamplingParameters.INTS, packed);
    Ints counted = ints(counts.length, vocabulary, flatCounts);
    Ints ids = ints(noIds);
    device
        .ops()
        .sample(
            onDevice.columns(0, vocabulary),
            parameters.onDevice(),
            counted.onDevice(),
            ids.onDevice());
    scalar.sample(
        hostTensor(DType.F32, rows.size(), vocabulary, vocabulary, narrow),
        parameters.onHost(),
        counted.onHost(),
        ids.onHost());

    Result result =
        new Result(
            downloaded(ids, rows.size()),
            downloaded(parameters, packed.length),
            downloaded(counted, flatCounts.length));
    assertThat(result.ids()).as("ids of %s", what).isEqualTo(held(ids, rows.size()));
    assertThat(Arrays.mismatch(result.parameters(), held(parameters, packed.length)))
        .as("parameters of %s", what)
        .isEqualTo(-1);
    assertThat(Arrays.mismatch(result.counts(), held(counted, flatCounts.length)))
        .as("counts of %s", what)
        .isEqualTo(-1);
    return result;
  }

  private int[] downloaded(Ints ints, int length) {
    int[] values = new int[length];
    device.download(ints.onDevice(), values);
    return values;
  }

  private static int[] held(Ints ints, int length) {
    int[] values = new int[length];
    MemorySegment.copy(ints.onHost().memory(), ValueLayout.JAVA_INT, 0, values, 0, length);
    return values;
  }

  /** Parameters of all kinds; the last ones have counts, each a row. */
  private List<SamplingParameters> kinds(int vocabulary) {
    List<SamplingParameters> kinds = new ArrayList<>();
    kinds.add(SamplingParameters.LIKELIEST);
    kinds.add(SamplingParameters.NOTHING);
    for (float temperature : new float[] {1, 0.7f, 2, 1e-4f, 1e30f}) {
      for (int topK : new int[] {0, 1, 50, vocabulary - 1, vocabulary + 5}) {
        for (float dropMass : new float[] {0, 0.2f, 0.999f}) {
          kinds.add(
              draw(
                  parameters(temperature, Math.max(topK, 0), dropMass),
                  random.nextLong(),
                  random.nextInt(5000)));
        }
      }
    }
    int countRow = 0;
    for (SamplingParameters of : List.of(parameters(0, 0, 0), PLAIN, parameters(0.7f, 40, 0.2f))) {
      for (float repetition : new float[] {1, 1.05f, 0.8f}) {
        SamplingParameters penalised =
            penalties(of, repetition, 0.3f * countRow - 1, 0.1f * countRow, countRow);
        kinds.add(draw(early(penalised, 3, 0, vocabulary - 1), random.nextLong(), 2));
        countRow++;
      }
    }
    return kinds;
  }

  @Test
  void theTokensOfTheTwin() {
    for (int vocabulary : new int[] {1, 13, 207, 4098}) {
      for (String kind : List.of("random", "coarse", "equal", "zeros")) {
        checkTwin(vocabulary, kind, kinds(vocabulary));
      }
    }
  }

  @Test
  void theTokensOfTheTwinFromARealVocabulary() {
    int vocabulary = 151_666;
    List<SamplingParameters> rows = kinds(vocabulary);
    List<SamplingParameters> few = new ArrayList<>();
    for (int i = 0; i < rows.size(); i++) {
      if (i % 7 == 0 || rows.get(i).countRow() % 4 == 0) {
        few.add(rows.get(i));
      }
    }
    checkTwin(vocabulary, "random", few);
    checkTwin(vocabulary, "coarse", few);
  }

  private void checkTwin(int vocabulary, String kind, List<SamplingParameters> rows) {
    float[][] different = new float[3][vocabulary];
    for (float[] row : different) {
      for (int id = 0; id < vocabulary; id++) {
        float logit = 3 * (float) random.nextGaussian();
        row[id] =
            switch (kind) {
              case "random" -> logit;
              case "coarse" -> Math.round(logit);
              case "equal" -> 2;
              default -> id % 3 == 0 ? 0f : -0f;
            };
      }
      row[random.nextInt(vocabulary)] -= vocabulary > 1 ? INFINITY : 0;
    }
    float[][] logits = new float[rows.size()][];
    Arrays.setAll(logits, row -> different[row % different.length]);
    int[][] counts = new int[10][vocabulary];
    for (int[] row : counts) {
      for (int i = 0; i < 20; i++) {
        row[random.nextInt(vocabulary)]++;
      }
    }
    Result result = sample("%d %s".formatted(vocabulary, kind), logits, rows, counts);
    if (vocabulary > 2) { // else all may be terminators
      checkProgress(rows, counts, result, vocabulary);
    }
  }

  private static void checkProgress(
      List<SamplingParameters> rows, int[][] counts, Result result, int vocabulary) {
    for (int row = 0; row < rows.size(); row++) {
      SamplingParameters before = rows.get(row);
      int id = result.ids()[row];
      boolean chosen = before.temperature() >= 0;
      assertThat(id).isBetween(chosen ? 0 : -9, chosen ? vocabulary - 1 : -9);
      int at = row * SamplingParameters.INTS + SamplingParameters.GENERATED;
      assertThat(result.parameters()[at]).isEqualTo(before.generated() + (chosen ? 1 : 0));
      if (before.countRow() >= 0) {
        assertThat(result.counts()[before.countRow() * vocabulary + id])
            .isEqualTo(counts[before.countRow()][id] + 1);
      }
    }
    int sumBefore = Arrays.stream(counts).flatMapToInt(Arrays::stream).sum();
    long counting = rows.stream().filter(row -> row.countRow() >= 0).count();
    assertThat(Arrays.stream(result.counts()).sum()).isEqualTo(sumBefore + counting);
  }

  /** The tokens that come of many draws. */
  private Set<Integer> support(SamplingParameters parameters, float... logits) {
    List<SamplingParameters> rows = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      rows.add(draw(parameters, random.nextLong(), i));
    }
    float[][] all = Collections.nCopies(rows.size(), logits).toArray(float[][]::new);
    Set<Integer> ids = new TreeSet<>();
    for (int id : sample("support", all, rows, new int[1][logits.length]).ids()) {
      ids.add(id);
    }
    return ids;
  }

  @Test
  void topKKeepsAllThatEqualTheKth() {
    float[] logits = {1, 3, 2, 3, 2, 0, 2};
    assertThat(support(parameters(1, 1, 0), logits)).containsExactly(1, 3);
    assertThat(support(parameters(1, 2, 0), logits)).containsExactly(1, 3);
    assertThat(support(parameters(1, 3, 0), logits)).containsExactly(1, 2, 3, 4, 6);
    assertThat(support(parameters(1, 7, 0), logits)).hasSize(7);
    assertThat(support(parameters(1, 8, 0), logits)).hasSize(7);
    assertThat(support(parameters(1, 1, 0), -0f, 0f, -1)).containsExactly(0, 1);
  }

  @Test
  void topPKeepsOneAtLeastAndOfEqualOnesTheHigherIds() {
    float[] equal = {0, -0f, 0, 0, 0};
    assertThat(support(parameters(1, 0, Math.nextDown(1f)), equal)).containsExactly(4);
    assertThat(support(parameters(1, 0, 0.5f), equal)).containsExactly(2, 3, 4);
    // What the first token weighs exactly, so it goes.
    assertThat(support(parameters(1, 0, 0.2f), equal)).containsExactly(1, 2, 3, 4);
    assertThat(support(parameters(1, 0, Math.nextDown(0.2f)), equal)).hasSize(5);
    // Of what top-k keeps, each has a half.
    assertThat(support(parameters(1, 2, 0.5f), 0, 5, 5, 0)).containsExactly(2);
    assertThat(support(parameters(1, 2, 0.49f), 0, 5, 5, 0)).containsExactly(1, 2);
  }

  @Test
  void temperatureZeroTakesTheFirstOfTheLargestScores() {
    float[][] logits = {{1, 3, 3, -2}, {-0f, 0f, -1, -1}, {4, 3, 1.5f, 0}, {4, 3, 1.5f, 0}};
    SamplingParameters greedy = SamplingParameters.LIKELIEST;
    List<SamplingParameters> rows =
        List.of(greedy, greedy, penalties(greedy, 2, 0, 0, 0), early(greedy, 1, 0, 1));
    Result result = sample("greedy", logits, rows, new int[][] {{3, 0, 0, 0}});
    assertThat(result.ids()).containsExactly(1, 0, 1, 2);
    assertThat(result.counts()).containsExactly(3, 1, 0, 0);
  }

  @Test
  void penaltiesAreOfWhatWasGenerated() {
    SamplingParameters greedy = SamplingParameters.LIKELIEST;
    List<SamplingParameters> rows =
        List.of(
            penalties(greedy, 1, 0.5f, 0, 0), // 3 - 0.5 against 2.75, however often it came
            penalties(greedy, 1, 0, 0.25f, 1), // 3 - 0.5 against 2.75
            penalties(greedy, 1, 0, 0.1f, 2), // 3 - 0.2 against 2.75
            penalties(greedy, 2, 0, 0, 3), // -1 twice as far below 0 against -1.5
            penalties(greedy, Float.MIN_VALUE, 0, 0, 4)); // no score becomes +infinity
    float[][] logits = {{3, 2.75f}, {3, 2.75f}, {3, 2.75f}, {-1, -1.5f}, {3, 2.75f}};
    int[][] counts = {{9, 0}, {2, 0}, {2, 0}, {1, 0}, {0, 1}};
    assertThat(sample("penalties", logits, rows, counts).ids()).containsExactly(1, 1, 0, 1, 1);
  }

  @Test
  void terminatorsAreImpossibleBeforeMinNewTokens() {
    SamplingParameters early = early(draw(PLAIN, 0, 0), 1_000_000, 1, 3);
    assertThat(support(early, 1, 9, 2, 8)).containsExactly(0, 2);
    assertThat(support(early(PLAIN, 0, 1, 3), 1, 2, 2, 2)).hasSize(4);
  }

  @Test
  void rowsWithoutATokenSayWhyAndChangeNothing() {
    for (int vocabulary : new int[] {3, 4098}) {
      float[][] logits = new float[6][vocabulary];
      logits[0][vocabulary - 1] = Float.NaN;
      logits[1][1] = INFINITY;
      Arrays.fill(logits[2], -INFINITY);
      Arrays.fill(logits[3], -INFINITY);
      logits[3][0] = 1; // the terminator
      logits[4][1] = Float.NaN; // left alone
      Arrays.fill(logits[5], -INFINITY);
      logits[5][1] = 5;
      SamplingParameters row = penalties(PLAIN, 1.5f, 0, 0, 0);
      List<SamplingParameters> rows =
          List.of(row, PLAIN, PLAIN, early(PLAIN, 1, 0), SamplingParameters.NOTHING, PLAIN);
      for (float temperature : new float[] {0, 1}) {
        List<SamplingParameters> warm =
            rows.stream().map(of -> of.temperature() < 0 ? of : at(of, temperature)).toList();
        Result result = sample("broken", logits, warm, new int[1][vocabulary]);
        assertThat(result.ids())
            .containsExactly(Ops.NOT_FINITE, Ops.NOT_FINITE, Ops.NO_TOKEN, Ops.NO_TOKEN, -9, 1);
        assertThat(Arrays.stream(result.counts()).sum()).isZero();
        assertThat(generated(result)).containsExactly(0, 0, 0, 0, 0, 1);
      }
    }
  }

  private static int[] generated(Result result) {
    int rows = result.parameters().length / SamplingParameters.INTS;
    int[] generated = new int[rows];
    Arrays.setAll(
        generated,
        row -> result.parameters()[row * SamplingParameters.INTS + SamplingParameters.GENERATED]);
    return generated;
  }

  @Test
  void aTokenDependsOnItsOwnRowAlone() {
    int vocabulary = 4098;
    List<SamplingParameters> rows = new ArrayList<>();
    float[][] logits = new float[9][vocabulary];
    for (int row = 0; row < logits.length; row++) {
      rows.add(draw(parameters(1.2f, 0, 0.05f), random.nextLong(), row));
      for (int id = 0; id < vocabulary; id++) {
        logits[row][id] = 2 * (float) random.nextGaussian();
      }
    }
    int[] together = sample("together", logits, rows, new int[1][vocabulary]).ids();
    assertThat(Arrays.stream(together).distinct().count()).isGreaterThan(5);
    for (int row = 0; row < logits.length; row++) {
      int[] alone =
          sample(
                  "alone",
                  new float[][] {logits[row]},
                  List.of(rows.get(row)),
                  new int[1][vocabulary])
              .ids();
      assertThat(alone[0]).isEqualTo(together[row]);
    }
  }

  @Test
  void shapesThatDoNotFitAreRefused() {
    Tensor logits = region.allocate(DType.F32, 2, 5);
    Tensor parameters = region.allocate(DType.I32, 2, SamplingParameters.INTS);
    Tensor counts = region.allocate(DType.I32, 1, 5);
    Tensor ids = region.allocate(DType.I32, 1, 2);
    Ops ops = device.ops();
    assertThatIllegalArgumentException()
        .isThrownBy(() -> ops.sample(logits, parameters.rows(0, 1), counts, ids));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> ops.sample(logits, parameters, counts.columns(0, 4), ids));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> ops.sample(logits, parameters, counts, ids.columns(0, 1)));
  }
}
