package org.tessera.ops;

import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Attention and its cache against {@link org.tessera.cpu.ScalarOps}. */
public abstract class AttentionConformance extends DeviceConformance {
  private record SegmentPair(Segments onDevice, Segments onHost, int rows) {}

  private SegmentPair segments(int... lengths) {
    int[] starts = new int[lengths.length + 1];
    for (int i = 0; i < lengths.length; i++) {
      starts[i + 1] = starts[i] + lengths[i];
    }
    Ints ints = ints(starts);
    int longest = Arrays.stream(lengths).max().orElseThrow();
    return new SegmentPair(
        new Segments(ints.onDevice(), lengths.length, longest),
        new Segments(ints.onHost(), lengths.length, longest),
        starts[lengths.length]);
  }

  private void checkAttention(Heads heads, boolean strided, int[] queryRows, int[] keyRows) {
    SegmentPair queries = segments(queryRows);
    SegmentPair keys = segments(keyRows);
    Pair q = activations(queries.rows, heads.queryColumns(), strided);
    Pair k = activations(keys.rows, heads.keyValueColumns(), strided);
    Pair v = activations(keys.rows, heads.keyValueColumns(), strided);
    Pair out = output(queries.rows, heads.queryColumns(), strided);
    float scale = (float) (1 / Math.sqrt(heads.width()));
    device
        .ops()
        .attention(
            q.onDevice,
            k.onDevice,
            v.onDevice,
            queries.onDevice,
            keys.onDevice,
            heads,
            scale,
            out.onDevice);
    scalar.attention(
        q.onHost, k.onHost, v.onHost, queries.onHost, keys.onHost, heads, scale, out.onHost);
    out.check(
        "attention %s %s to %s"
            .formatted(heads, Arrays.toString(queryRows), Arrays.toString(keyRows)),
        summedTolerance());
  }

  @Test
  void attentionInOneSegment() {
    for (int width : new int[] {13, 36, 64, 72, 128}) {
      for (int rows : new int[] {1, 13, 207}) {
        checkAttention(new Heads(2, 2, width), rows == 13, new int[] {rows}, new int[] {rows});
      }
    }
  }

  @Test
  void attentionOverSeveralSegments() {
    int[] patches = {13, 207, 1, 95, 97};
    checkAttention(new Heads(3, 3, 72), false, patches, patches);
    checkAttention(new Heads(4, 2, 16), true, patches, patches);
    checkAttention(new Heads(7, 1, 64), false, patches, patches);
  }

  @Test
  void attentionAcrossDifferentLengths() {
    checkAttention(new Heads(2, 2, 128), false, new int[] {64, 64}, new int[] {207, 500});
    checkAttention(new Heads(1, 1, 64), false, new int[] {1}, new int[] {4098});
    checkAttention(new Heads(3, 1, 8), true, new int[] {4098}, new int[] {13});
  }

  @Test
  void attentionToLargeScoresStaysFinite() {
    Heads heads = new Heads(1, 1, 16);
    SegmentPair rows = segments(120);
    Pair q = activations(120, 16, false);
    Pair out = output(120, 16, false);
    Tensor x = q.onDevice;
    device.ops().attention(x, x, x, rows.onDevice, rows.onDevice, heads, 50f, out.onDevice);
    Tensor y = q.onHost;
    scalar.attention(y, y, y, rows.onHost, rows.onHost, heads, 50f, out.onHost);
    out.check("attention with large scores", 300 * summedTolerance());
  }

  /** Sequences of which {@code news[i]} rows are new and {@code olds[i]} are in the cache. */
  private void checkPaged(Heads heads, int blockRows, boolean strided, int[] olds, int[] news) {
    int count = news.length;
    int[] contexts = IntStream.range(0, count).map(i -> olds[i] + news[i]).toArray();
    int longest = Arrays.stream(contexts).max().orElseThrow();
    int widest = Math.ceilDiv(longest, blockRows) + 1;
    int used = Arrays.stream(contexts).map(c -> Math.ceilDiv(c, blockRows)).sum();
    int[] free = numbers(used, used + 3, true);
    int[] tables = new int[count * widest];
    Arrays.fill(tables, -1);
    int taken = 0;
    for (int i = 0; i < count; i++) {
      for (int b = 0; b < Math.ceilDiv(contexts[i], blockRows); b++) {
        tables[i * widest + b] = free[taken++];
      }
    }
    int rows = Arrays.stream(news).sum();
    int[] positions = new int[rows];
    int[] slots = new int[rows];
    int row = 0;
    for (int i = 0; i < count; i++) {
      for (int p = olds[i]; p < contexts[i]; p++, row++) {
        positions[row] = p;
        slots[row] = tables[i * widest + p / blockRows] * blockRows + p % blockRows;
      }
    }
    Ints tablePair = ints(count, widest, tables);
    Ints positionPair = ints(positions);
    Ints slotPair = ints(slots);
    Ints contextPair = ints(contexts);
    SegmentPair queries = segments(news);
    Pair cacheKeys = activations((used + 3) * blockRows, heads.keyValueColumns(), strided);
    Pair cacheValues = activations((used + 3) * blockRows, heads.keyValueColumns(), strided);
    KvLayer onDevice = new KvLayer(cacheKeys.onDevice, cacheValues.onDevice, blockRows);
    KvLayer onHost = new KvLayer(cacheKeys.onHost, cacheValues.onHost, blockRows);

    Pair k = activations(rows, heads.keyValueColumns(), true);
    Pair v = activations(rows, heads.keyValueColumns(), true);
    device.ops().writeKv(k.onDevice, v.onDevice, slotPair.onDevice(), onDevice);
    scalar.writeKv(k.onHost, v.onHost, slotPair.onHost(), onHost);
    cacheKeys.check("writeKv keys", 0);
    cacheValues.check("writeKv values", 0);

    Pair q = activations(rows, heads.queryColumns(), strided);
    Pair out = output(rows, heads.queryColumns(), strided);
    float scale = (float) (1 / Math.sqrt(heads.width()));
    PagedBatch batch =
        new PagedBatch(
            queries.onDevice,
            positionPair.onDevice(),
            slotPair.onDevice(),
            contextPair.onDevice(),
            tablePair.onDevice(),
            longest);
    PagedBatch hostBatch =
        new PagedBatch(
            queries.onHost,
            positionPair.onHost(),
            slotPair.onHost(),
            contextPair.onHost(),
            tablePair.onHost(),
            longest);
    device.ops().pagedAttention(q.onDevice, onDevice, batch, heads, scale, out.onDevice);
    scalar.pagedAttention(q.onHost, onHost, hostBatch, heads, scale, out.onHost);
    out.check(
        "pagedAttention %s, blocks of %d, %s new after %s"
            .formatted(heads, blockRows, Arrays.toString(news), Arrays.toString(olds)),
        summedTolerance());
  }

  /** Rows that go to every third slot of a cache, at positions of their own. */
  private void checkNormQkv(Heads heads, int columns, int rows, boolean strided) {
    String what = "normQkv %s, %d x %d".formatted(heads, rows, columns);
    double typical = Math.sqrt(columns) / 16;
    int width = heads.queryColumns() + 2 * heads.keyValueColumns();
    Ints positions = ints(numbers(rows, 3000, false));
    Ints slots = ints(IntStream.range(0, rows).map(i -> 3 * (rows - 1 - i) + 1).toArray());
    Pair keys = activations(3 * rows, heads.keyValueColumns(), strided);
    Pair values = activations(3 * rows, heads.keyValueColumns(), strided);
    Pair x = activations(rows, columns, strided);
    Vectors norm = vector(columns);
    Matrices w =
        matrix(
            DType.BF16,
            columns,
            false,
            heads.queryColumns(),
            heads.keyValueColumns(),
            heads.keyValueColumns());
    Vectors bias = vector(width);
    Pair scratch = output(rows, columns, false);
    Pair qkv = output(rows, width, false);
    Pair queries = output(rows, heads.queryColumns(), false);
    SegmentPair segments = segments(rows);
    device
        .ops()
        .normQkv(
            x.onDevice,
            new RmsNorm(norm.onDevice(), 1e-6f),
            w.onDevice(),
            bias.onDevice(),
            heads,
            1e6,
            batch(segments.onDevice, positions.onDevice(), slots.onDevice()),
            new KvLayer(keys.onDevice, values.onDevice, 3),
            scratch.onDevice,
            qkv.onDevice);
    device.ops().copy(qkv.onDevice.columns(0, heads.queryColumns()), queries.onDevice);
    scalar.normQkv(
        x.onHost,
        new RmsNorm(norm.onHost(), 1e-6f),
        w.onHost(),
        bias.onHost(),
        heads,
        1e6,
        batch(segments.onHost, positions.onHost(), slots.onHost()),
        new KvLayer(keys.onHost, values.onHost, 3),
        scratch.onHost,
        qkv.onHost);
    scalar.copy(qkv.onHost.columns(0, heads.queryColumns()), queries.onHost);
    queries.check(what + ": queries", 2 * summedTolerance(), typical);
    keys.check(what + ": keys", 2 * summedTolerance(), typical);
    values.check(what + ": values", summedTolerance(), typical);
  }

  /** A batch of which only the positions and slots are looked at. */
  private static PagedBatch batch(Segments queries, Tensor positions, Tensor slots) {
    return new PagedBatch(queries, positions, slots, slots, slots, 0);
  }

  @Test
  void queriesKeysAndValuesOfNewRows() {
    for (int rows : new int[] {1, 3, 8, 9, 16, 17, 70}) {
      checkNormQkv(new Heads(4, 2, 64), 256, rows, rows % 2 == 0);
      checkNormQkv(new Heads(7, 1, 128), 896, rows, false);
    }
    checkNormQkv(new Heads(3, 1, 26), 13, 5, true);
  }

  @Test
  void pagedPrefill() {
    for (int width : new int[] {16, 36, 64, 128}) {
      checkPaged(new Heads(2, 1, width), 16, false, new int[] {0}, new int[] {207});
    }
    checkPaged(new Heads(14, 2, 64), 16, true, new int[] {0}, new int[] {97});
    checkPaged(new Heads(3, 3, 8), 5, false, new int[] {0}, new int[] {500});
  }

  @Test
  void pagedPrefillAfterAPrefix() {
    checkPaged(new Heads(4, 2, 16), 16, false, new int[] {330}, new int[] {207});
    checkPaged(new Heads(7, 1, 64), 32, true, new int[] {95}, new int[] {13});
  }

  @Test
  void attentionOfManyRowsInWideHeads() {
    checkAttention(new Heads(4, 2, 128), false, new int[] {129, 1, 300}, new int[] {70, 500, 129});
    checkAttention(new Heads(2, 2, 72), true, new int[] {128, 65}, new int[] {64, 321});
    checkPaged(new Heads(7, 1, 128), 16, true, new int[] {95, 0, 300}, new int[] {130, 257, 1});
    checkPaged(new Heads(2, 1, 128), 16, false, new int[] {127, 128}, new int[] {129, 128});
  }

  @Test
  void pagedDecode() {
    for (int context : new int[] {0, 1, 12, 95, 96, 206, 4097}) {
      checkPaged(new Heads(14, 2, 64), 16, false, new int[] {context}, new int[] {1});
    }
    checkPaged(new Heads(28, 4, 128), 16, false, new int[] {1500}, new int[] {1});
    checkPaged(new Heads(40, 1, 16), 1, true, new int[] {2500}, new int[] {1});
    checkPaged(new Heads(3, 3, 72), 16, false, new int[] {4097}, new int[] {1});
  }

  @Test
  void pagedBatchOfPrefillAndDecode() {
    checkPaged(
        new Heads(4, 2, 64),
        16,
        false,
        new int[] {0, 700, 15, 16, 0, 100},
        new int[] {207, 1, 1, 1, 1, 40});
  }

  @Test
  void rowsAreCopiedInsideTheCache() {
    Pair keys = activations(30, 13, true);
    Pair values = activations(30, 13, false);
    int[] from = {3, 7, 29};
    int[] to = {0, 8, 20};
    device.ops().copyKvRows(from, to, new KvLayer(keys.onDevice, values.onDevice, 5));
    scalar.copyKvRows(from, to, new KvLayer(keys.onHost, values.onHost, 5));
    keys.check("copyKvRows", 0);
    values.check("copyKvRows", 0);
  }

  @Test
  void headsThatDoNotFitAreRefused() {
    SegmentPair rows = segments(3);
    Tensor x = activations(3, 32, false).onDevice;
    assertThatIllegalArgumentException()
        .isThrownBy(() ->
            device
                .ops()
                .attention(x, x, x, rows.onDevice, rows.onDevice, new Heads(2, 1, 16), 1f, x));
  }
}
