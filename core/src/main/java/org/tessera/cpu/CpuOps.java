package org.tessera.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.tessera.ops.Activation;
import org.tessera.ops.Heads;
import org.tessera.ops.KvLayer;
import org.tessera.ops.Ops;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.Pixels;
import org.tessera.ops.Segments;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/** The operations on all cores: checks arguments and divides rows among threads. */
final class CpuOps implements Ops {
  /** Roughly what one element costs where a row is read, computed with and written. */
  private static final long ROW_COST = 4;

  private final Workers workers;
  private final Kernels kernels;
  private final Linear linear;
  private final TiledAttention attention;
  private final Map<RopeKey, RopeTable> ropeTables = new HashMap<>();

  private record RopeKey(int headWidth, double theta) {}

  CpuOps(Workers workers, Kernels kernels) {
    this.workers = workers;
    this.kernels = kernels;
    linear = new Linear(workers, kernels);
    attention = new TiledAttention(workers, kernels);
  }

  @Override
  public void linear(Tensor x, Matrix w, @Nullable Tensor bias, Activation activation, Tensor out) {
    Arguments.linear(x, w, bias, out);
    LinearEnd end =
        switch (activation) {
          case NONE -> LinearEnd.STORE;
          case GELU_TANH -> LinearEnd.STORE_GELU_TANH;
        };
    linear.apply(x, w, bias, end, out);
  }

  @Override
  public void linearAdd(Tensor x, Matrix w, @Nullable Tensor bias, Tensor inOut) {
    Arguments.linear(x, w, bias, inOut);
    linear.apply(x, w, bias, LinearEnd.ADD, inOut);
  }

  @Override
  public void embed(Tensor ids, Matrix table, Tensor out) {
    Arguments.activation("out", out, out.rows(), table.columns());
    int[] rows = Arguments.ids("ids", ids, out.rows(), table.rows());
    forRows(
        out,
        (from, to) -> {
          float[] line = new float[table.columns()];
          for (int i = from; i < to; i++) {
            widenRow(table, rows[i], line);
            finish(line, LinearEnd.STORE, out, i);
          }
        });
  }

  private void widenRow(Matrix table, int row, float[] line) {
    int rest = row;
    for (Tensor part : table.parts()) {
      if (rest < part.rows()) {
        kernels.widen(part, rest, 1, 0, table.columns(), line, 0, line.length);
        return;
      }
      rest -= part.rows();
    }
  }

  private void finish(float[] line, LinearEnd end, Tensor out, int row) {
    kernels.finish(line, 0, line.length, null, 0, end, out.memory(), Elements.offset(out, row, 0));
  }

  @Override
  public void addRows(Tensor ids, Tensor table, Tensor inOut) {
    Arguments.activation("inOut", inOut, inOut.rows(), table.columns());
    Arguments.weight("table", table);
    int[] rows = Arguments.ids("ids", ids, inOut.rows(), table.rows());
    forRows(
        inOut,
        (from, to) -> {
          float[] line = new float[table.columns()];
          for (int i = from; i < to; i++) {
            kernels.widen(table, rows[i], 1, 0, line.length, line, 0, line.length);
            finish(line, LinearEnd.ADD, inOut, i);
          }
        });
  }

  @Override
  public void gatherRows(Tensor x, Tensor ids, Tensor out) {
    Arguments.activation("x", x, x.rows(), out.columns());
    Arguments.activation("out", out, out.rows(), x.columns());
    int[] rows = Arguments.ids("ids", ids, out.rows(), x.rows());
    for (int i = 0; i < rows.length; i++) {
      copyRow(x, rows[i], out, i);
    }
  }

  @Override
  public void scatterRows(Tensor x, Tensor ids, Tensor inOut) {
    Arguments.activation("x", x, x.rows(), inOut.columns());
    Arguments.activation("inOut", inOut, inOut.rows(), x.columns());
    int[] rows = Arguments.ids("ids", ids, x.rows(), inOut.rows());
    for (int i = 0; i < rows.length; i++) {
      copyRow(x, i, inOut, rows[i]);
    }
  }

  @Override
  public void patches(List<Pixels> pictures, int side, Tensor values, Tensor out) {
    Arguments.patches(pictures, side, values, out);
    float[][] table = new float[values.rows()][];
    for (int channel = 0; channel < table.length; channel++) {
      table[channel] =
          values.rows(channel, channel + 1).memory().asSlice(0, 1024).toArray(JAVA_FLOAT_UNALIGNED);
    }
    int first = 0;
    for (Pixels picture : pictures) {
      Tensor rows = out.rows(first, first + picture.patchCount());
      forRows(rows, (from, to) -> PatchRows.write(picture, side, table, rows, from, to));
      first += picture.patchCount();
    }
  }

  @Override
  public void copy(Tensor x, Tensor out) {
    Arguments.sameShape(x, out);
    forRows(
        out,
        (from, to) -> {
          for (int i = from; i < to; i++) {
            copyRow(x, i, out, i);
          }
        });
  }

  private static void copyRow(Tensor x, int row, Tensor out, int outRow) {
    MemorySegment.copy(
        x.memory(),
        Elements.offset(x, row, 0),
        out.memory(),
        Elements.offset(out, outRow, 0),
        (long) x.columns() * x.dtype().bytes());
  }

  @Override
  public void add(Tensor x, Tensor inOut) {
    Arguments.sameShape(x, inOut);
    forRows(
        inOut,
        (from, to) -> {
          for (int i = from; i < to; i++) {
            kernels.add(
                x.memory(),
                Elements.offset(x, i, 0),
                x.columns(),
                inOut.memory(),
                Elements.offset(inOut, i, 0));
          }
        });
  }

  @Override
  public void rmsNorm(Tensor x, Tensor weight, float eps, Tensor out) {
    Arguments.sameShape(x, out);
    Arguments.vector("weight", weight, x.columns());
    forRows(
        out,
        (from, to) -> {
          for (int i = from; i < to; i++) {
            long outAt = Elements.offset(out, i, 0);
            kernels.rmsNorm(
                x.memory(),
                Elements.offset(x, i, 0),
                weight.memory(),
                eps,
                x.columns(),
                out.memory(),
                outAt);
          }
        });
  }

  @Override
  public void layerNorm(Tensor x, Tensor weight, Tensor bias, float eps, Tensor out) {
    Arguments.sameShape(x, out);
    Arguments.vector("weight", weight, x.columns());
    Arguments.vector("bias", bias, x.columns());
    forRows(
        out,
        (from, to) -> {
          for (int i = from; i < to; i++) {
            kernels.layerNorm(
                x.memory(),
                Elements.offset(x, i, 0),
                weight.memory(),
                bias.memory(),
                eps,
                x.columns(),
                out.memory(),
                Elements.offset(out, i, 0));
          }
        });
  }

  @Override
  public void rope(Tensor inOut, Tensor positions, int headWidth, double theta) {
    Arguments.rope(inOut, headWidth);
    int[] position = Arguments.positions(positions, inOut.rows());
    RopeTable table =
        ropeTables.computeIfAbsent(
            new RopeKey(headWidth, theta), key -> new RopeTable(headWidth, theta));
    for (int p : position) {
      table.reach(p);
    }
    int half = headWidth / 2;
    forRows(
        inOut,
        (from, to) -> {
          for (int i = from; i < to; i++) {
            for (int column = 0; column < inOut.columns(); column += headWidth) {
              kernels.rotate(
                  inOut.memory(),
                  Elements.offset(inOut, i, column),
                  table.cosines(),
                  table.sines(),
                  position[i] * half,
                  half);
            }
          }
        });
  }

  @Override
  public void siluMul(Tensor gateUp, Tensor out) {
    Arguments.siluMul(gateUp, out);
    forRows(
        out,
        (from, to) -> {
          for (int i = from; i < to; i++) {
            kernels.siluMul(
                gateUp.memory(),
                Elements.offset(gateUp, i, 0),
                Elements.offset(gateUp, i, out.columns()),
                out.columns(),
                out.memory(),
                Elements.offset(out, i, 0));
          }
        });
  }

  private void forRows(Tensor out, Workers.Range task) {
    workers.rows(out.rows(), ROW_COST * out.rows() * out.columns(), task);
  }

  @Override
  public void attention(
      Tensor q,
      Tensor k,
      Tensor v,
      Segments queries,
      Segments keys,
      Heads heads,
      float scale,
      Tensor out) {
    Arguments.attention(q, k, v, heads, out);
    Arguments.require(
        queries.count() == keys.count(),
        "%d segments of queries, %d of keys",
        queries.count(),
        keys.count());
    int[] queryStarts = Arguments.starts("queries", queries, q.rows());
    int[] keyStarts = Arguments.starts("keys", keys, k.rows());
    List<TiledAttention.Sequence> sequences = new ArrayList<>();
    for (int i = 0; i < queries.count(); i++) {
      KeyRows rows = KeyRows.packed(k, v, keyStarts[i], keyStarts[i + 1] - keyStarts[i]);
      sequences.add(
          new TiledAttention.Sequence(
              queryStarts[i], queryStarts[i + 1] - queryStarts[i], null, rows));
    }
    attention.apply(sequences, q, heads, scale, out);
  }

  @Override
  public void writeKv(Tensor k, Tensor v, Tensor slots, KvLayer cache) {
    Arguments.cache(cache, k.columns());
    Arguments.sameShape(k, v);
    int[] rows = Arguments.ids("slots", slots, k.rows(), cache.keys().rows());
    for (int i = 0; i < rows.length; i++) {
      copyRow(k, i, cache.keys(), rows[i]);
      copyRow(v, i, cache.values(), rows[i]);
    }
  }

  @Override
  public void pagedAttention(
      Tensor q, KvLayer cache, PagedBatch batch, Heads heads, float scale, Tensor out) {
    Arguments.cache(cache, heads.keyValueColumns());
    Arguments.attention(q, cache.keys(), cache.values(), heads, out);
    int[] starts = Arguments.starts("queries", batch.queries(), q.rows());
    int[] positions = Arguments.positions(batch.positions(), q.rows());
    int[] tables = Arguments.blockTables(batch, cache, starts, positions);
    int widest = batch.blockTables().columns();
    List<TiledAttention.Sequence> sequences = new ArrayList<>();
    for (int i = 0; i < batch.queries().count(); i++) {
      int context = Elements.getInt(batch.contextRows(), 0, i);
      KeyRows rows =
          new KeyRows(
              cache.keys(), cache.values(), 0, tables, i * widest, cache.blockRows(), context);
      sequences.add(
          new TiledAttention.Sequence(starts[i], starts[i + 1] - starts[i], positions, rows));
    }
    attention.apply(sequences, q, heads, scale, out);
  }

  @Override
  public void argmax(Tensor logits, Tensor ids) {
    Arguments.argmax(logits, ids);
    for (int row = 0; row < logits.rows(); row++) {
      Elements.setInt(ids, 0, row, Argmax.of(logits, row));
    }
  }

  @Override
  public void sample(Tensor logits, Tensor parameters, Tensor counts, Tensor ids) {
    SampledRow.sample(logits, parameters, counts, ids);
  }

  @Override
  public void copyKvRows(int[] from, int[] to, KvLayer cache) {
    Arguments.rowCopies(from, to, cache);
    for (int i = 0; i < from.length; i++) {
      copyRow(cache.keys(), from[i], cache.keys(), to[i]);
      copyRow(cache.values(), from[i], cache.values(), to[i]);
    }
  }
}
