package org.tessera.cpu;

import java.util.List;
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

/**
 * The operations as their formulas say, one element at a time on one thread, for F32 activations in
 * host memory: what every backend is judged by. Everything between reading an element and storing
 * one is computed in double; rope's angle alone is formed in float, as the original forms it.
 */
public final class ScalarOps implements Ops {
  @Override
  public void linear(Tensor x, Matrix w, @Nullable Tensor bias, Activation activation, Tensor out) {
    Arguments.linear(x, w, bias, out);
    for (int i = 0; i < x.rows(); i++) {
      int column = 0;
      for (Tensor part : w.parts()) {
        for (int r = 0; r < part.rows(); r++, column++) {
          double sum = bias == null ? 0 : Elements.get(bias, 0, column);
          double y = activate(activation, sum + dot(x, i, part, r));
          Elements.set(out, i, column, (float) y);
        }
      }
    }
  }

  @Override
  public void linearAdd(Tensor x, Matrix w, @Nullable Tensor bias, Tensor inOut) {
    Arguments.linear(x, w, bias, inOut);
    for (int i = 0; i < x.rows(); i++) {
      int column = 0;
      for (Tensor part : w.parts()) {
        for (int r = 0; r < part.rows(); r++, column++) {
          double sum = bias == null ? 0 : Elements.get(bias, 0, column);
          sum += Elements.get(inOut, i, column);
          Elements.set(inOut, i, column, (float) (sum + dot(x, i, part, r)));
        }
      }
    }
  }

  private static double dot(Tensor a, int rowA, Tensor b, int rowB) {
    double sum = 0;
    for (int c = 0; c < a.columns(); c++) {
      sum += (double) Elements.get(a, rowA, c) * Elements.get(b, rowB, c);
    }
    return sum;
  }

  private static double activate(Activation activation, double x) {
    return switch (activation) {
      case NONE -> x;
      case GELU_TANH ->
          0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
    };
  }

  @Override
  public void embed(Tensor ids, Matrix table, Tensor out) {
    Arguments.activation("out", out, out.rows(), table.columns());
    int[] rows = Arguments.ids("ids", ids, out.rows(), table.rows());
    for (int i = 0; i < rows.length; i++) {
      int row = rows[i];
      for (Tensor part : table.parts()) {
        if (row >= 0 && row < part.rows()) {
          for (int c = 0; c < table.columns(); c++) {
            Elements.set(out, i, c, Elements.get(part, row, c));
          }
        }
        row -= part.rows();
      }
    }
  }

  @Override
  public void addRows(Tensor ids, Tensor table, Tensor inOut) {
    Arguments.activation("inOut", inOut, inOut.rows(), table.columns());
    int[] rows = Arguments.ids("ids", ids, inOut.rows(), table.rows());
    for (int i = 0; i < rows.length; i++) {
      for (int c = 0; c < table.columns(); c++) {
        Elements.set(inOut, i, c, Elements.get(inOut, i, c) + Elements.get(table, rows[i], c));
      }
    }
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
    int channels = values.rows();
    int first = 0;
    for (Pixels picture : pictures) {
      for (int i = 0; i < picture.patchCount(); i++) {
        int top = i / picture.patchColumns() * side;
        int left = i % picture.patchColumns() * side;
        for (int column = 0; column < out.columns(); column++) {
          int channel = column / (side * side);
          int y = top + column / side % side;
          int x = left + column % side;
          int value = picture.bytes()[(y * picture.width() + x) * channels + channel] & 0xff;
          Elements.set(out, first + i, column, Elements.get(values, channel, value));
        }
      }
      first += picture.patchCount();
    }
  }

  @Override
  public void copy(Tensor x, Tensor out) {
    Arguments.sameShape(x, out);
    for (int i = 0; i < x.rows(); i++) {
      copyRow(x, i, out, i);
    }
  }

  private static void copyRow(Tensor x, int row, Tensor out, int outRow) {
    for (int c = 0; c < x.columns(); c++) {
      Elements.set(out, outRow, c, Elements.get(x, row, c));
    }
  }

  @Override
  public void add(Tensor x, Tensor inOut) {
    Arguments.sameShape(x, inOut);
    for (int i = 0; i < x.rows(); i++) {
      for (int c = 0; c < x.columns(); c++) {
        Elements.set(inOut, i, c, Elements.get(inOut, i, c) + Elements.get(x, i, c));
      }
    }
  }

  @Override
  public void rmsNorm(Tensor x, Tensor weight, float eps, Tensor out) {
    Arguments.sameShape(x, out);
    Arguments.vector("weight", weight, x.columns());
    for (int i = 0; i < x.rows(); i++) {
      double scale = 1 / Math.sqrt(dot(x, i, x, i) / x.columns() + eps);
      for (int c = 0; c < x.columns(); c++) {
        double y = Elements.get(x, i, c) * scale * Elements.get(weight, 0, c);
        Elements.set(out, i, c, (float) y);
      }
    }
  }

  @Override
  public void layerNorm(Tensor x, Tensor weight, Tensor bias, float eps, Tensor out) {
    Arguments.sameShape(x, out);
    Arguments.vector("weight", weight, x.columns());
    Arguments.vector("bias", bias, x.columns());
    int columns = x.columns();
    for (int i = 0; i < x.rows(); i++) {
      double sum = 0;
      for (int c = 0; c < columns; c++) {
        sum += Elements.get(x, i, c);
      }
      double mean = sum / columns;
      double squares = 0;
      for (int c = 0; c < columns; c++) {
        squares += Math.pow(Elements.get(x, i, c) - mean, 2);
      }
      double scale = 1 / Math.sqrt(squares / columns + eps);
      for (int c = 0; c < columns; c++) {
        double normal = (Elements.get(x, i, c) - mean) * scale;
        double y = normal * Elements.get(weight, 0, c) + Elements.get(bias, 0, c);
        Elements.set(out, i, c, (float) y);
      }
    }
  }

  @Override
  public void rope(Tensor inOut, Tensor positions, int headWidth, double theta) {
    Arguments.rope(inOut, headWidth);
    int[] position = Arguments.positions(positions, inOut.rows());
    int half = headWidth / 2;
    for (int i = 0; i < inOut.rows(); i++) {
      for (int c = 0; c < inOut.columns(); c++) {
        int j = c % headWidth;
        if (j < half) {
          float angle = position[i] * RopeTable.inverseFrequency(j, headWidth, theta);
          double cos = Math.cos(angle);
          double sin = Math.sin(angle);
          double a = Elements.get(inOut, i, c);
          double b = Elements.get(inOut, i, c + half);
          Elements.set(inOut, i, c, (float) (a * cos - b * sin));
          Elements.set(inOut, i, c + half, (float) (b * cos + a * sin));
        }
      }
    }
  }

  @Override
  public void siluMul(Tensor gateUp, Tensor out) {
    Arguments.siluMul(gateUp, out);
    for (int i = 0; i < out.rows(); i++) {
      for (int c = 0; c < out.columns(); c++) {
        double gate = Elements.get(gateUp, i, c);
        double up = Elements.get(gateUp, i, c + out.columns());
        Elements.set(out, i, c, (float) (gate / (1 + Math.exp(-gate)) * up));
      }
    }
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
    for (int segment = 0; segment < queries.count(); segment++) {
      int first = keyStarts[segment];
      int[] rows = new int[keyStarts[segment + 1] - first];
      for (int i = 0; i < rows.length; i++) {
        rows[i] = first + i;
      }
      for (int i = queryStarts[segment]; i < queryStarts[segment + 1]; i++) {
        attend(q, i, k, v, rows, rows.length, heads, scale, out);
      }
    }
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
    for (int sequence = 0; sequence < batch.queries().count(); sequence++) {
      int[] rows = new int[Elements.getInt(batch.contextRows(), 0, sequence)];
      for (int j = 0; j < rows.length; j++) {
        int block = tables[sequence * widest + j / cache.blockRows()];
        rows[j] = block * cache.blockRows() + j % cache.blockRows();
      }
      for (int i = starts[sequence]; i < starts[sequence + 1]; i++) {
        attend(q, i, cache.keys(), cache.values(), rows, positions[i] + 1, heads, scale, out);
      }
    }
  }

  /** One row of queries, all heads, over the first {@code seen} of the key rows named. */
  private static void attend(
      Tensor q,
      int row,
      Tensor k,
      Tensor v,
      int[] keyRows,
      int seen,
      Heads heads,
      float scale,
      Tensor out) {
    int width = heads.width();
    for (int head = 0; head < heads.queryHeads(); head++) {
      int keyHead = head / (heads.queryHeads() / heads.keyValueHeads());
      Tensor query = q.columns(head * width, (head + 1) * width);
      Tensor key = k.columns(keyHead * width, (keyHead + 1) * width);
      double[] weights = new double[seen];
      double max = Double.NEGATIVE_INFINITY;
      for (int j = 0; j < seen; j++) {
        weights[j] = scale * dot(query, row, key, keyRows[j]);
        max = Math.max(max, weights[j]);
      }
      double sum = 0;
      for (int j = 0; j < seen; j++) {
        weights[j] = Math.exp(weights[j] - max);
        sum += weights[j];
      }
      for (int c = 0; c < width; c++) {
        double y = 0;
        for (int j = 0; j < seen; j++) {
          y += weights[j] / sum * Elements.get(v, keyRows[j], keyHead * width + c);
        }
        Elements.set(out, row, head * width + c, (float) y);
      }
    }
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
