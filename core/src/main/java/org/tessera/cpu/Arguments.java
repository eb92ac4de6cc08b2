package org.tessera.cpu;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tessera.ops.Heads;
import org.tessera.ops.KvLayer;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.Pixels;
import org.tessera.ops.SamplingParameters;
import org.tessera.ops.Segments;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/** What both implementations of the operations demand of their arguments before they touch one. */
final class Arguments {
  private Arguments() {}

  static void require(boolean holds, String format, Object... values) {
    if (!holds) {
      throw new IllegalArgumentException(format.formatted(values));
    }
  }

  static void activation(String name, Tensor tensor, int rows, int columns) {
    require(tensor.dtype() == DType.F32, "%s is %s, activations are F32", name, tensor.dtype());
    require(
        tensor.rows() == rows && tensor.columns() == columns,
        "%s is %d x %d, expected %d x %d",
        name,
        tensor.rows(),
        tensor.columns(),
        rows,
        columns);
  }

  static void patches(List<Pixels> pictures, int side, Tensor values, Tensor out) {
    require(values.columns() == 256, "%d values for the bytes of a channel", values.columns());
    activation("values", values, values.rows(), 256);
    require(side > 0, "patches of %d pixels", side);
    int rows = 0;
    for (Pixels picture : pictures) {
      picture.requirePatches(side, values.rows());
      rows += picture.patchCount();
    }
    activation("out", out, rows, values.rows() * side * side);
  }

  static void sameShape(Tensor x, Tensor out) {
    activation("x", x, out.rows(), out.columns());
    activation("out", out, x.rows(), x.columns());
  }

  /** A row of floats of the given width: a norm's weight, a bias. */
  static void vector(String name, Tensor tensor, int columns) {
    activation(name, tensor, 1, columns);
  }

  static void weight(String name, Tensor tensor) {
    require(tensor.dtype() != DType.I32, "%s is I32, weights are floats", name);
  }

  static void linear(Tensor x, Matrix w, @Nullable Tensor bias, Tensor out) {
    activation("x", x, x.rows(), w.columns());
    activation("out", out, x.rows(), w.rows());
    if (bias != null) {
      vector("bias", bias, w.rows());
    }
    for (Tensor part : w.parts()) {
      weight("w", part);
    }
  }

  /** The row of ids {@code [1, count]}, each in {@code [0, limit)}. */
  static int[] ids(String name, Tensor tensor, int count, int limit) {
    int[] ids = ints(name, tensor, 1, count);
    for (int id : ids) {
      require(id >= 0 && id < limit, "%s holds %d, outside 0 to %d", name, id, limit - 1);
    }
    return ids;
  }

  /** All elements of an I32 tensor that must have the given shape, row by row. */
  static int[] ints(String name, Tensor tensor, int rows, int columns) {
    require(tensor.dtype() == DType.I32, "%s is %s, expected I32", name, tensor.dtype());
    require(
        tensor.rows() == rows && tensor.columns() == columns,
        "%s is %d x %d, expected %d x %d",
        name,
        tensor.rows(),
        tensor.columns(),
        rows,
        columns);
    int[] ints = new int[rows * columns];
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        ints[row * columns + column] = Elements.getInt(tensor, row, column);
      }
    }
    return ints;
  }

  /** The starts of segments that cover {@code rows} rows. */
  static int[] starts(String name, Segments segments, int rows) {
    int[] starts = ints(name, segments.starts(), 1, segments.count() + 1);
    require(starts[0] == 0, "%s begin at row %d, not 0", name, starts[0]);
    for (int i = 0; i < segments.count(); i++) {
      int length = starts[i + 1] - starts[i];
      require(
          length >= 0 && length <= segments.longest(),
          "segment %d of %s has %d rows, outside 0 to %d",
          i,
          name,
          length,
          segments.longest());
    }
    require(
        starts[segments.count()] == rows,
        "%s end at row %d of %d",
        name,
        starts[segments.count()],
        rows);
    return starts;
  }

  static void rope(Tensor inOut, int headWidth) {
    activation("inOut", inOut, inOut.rows(), inOut.columns());
    require(
        headWidth > 0 && headWidth % 2 == 0 && inOut.columns() % headWidth == 0,
        "%d columns do not divide into heads of an even width of %d",
        inOut.columns(),
        headWidth);
  }

  static int[] positions(Tensor positions, int count) {
    return ids("positions", positions, count, Integer.MAX_VALUE);
  }

  static void siluMul(Tensor gateUp, Tensor out) {
    activation("gateUp", gateUp, out.rows(), 2 * out.columns());
    activation("out", out, gateUp.rows(), out.columns());
  }

  static void attention(Tensor q, Tensor k, Tensor v, Heads heads, Tensor out) {
    activation("q", q, q.rows(), heads.queryColumns());
    activation("out", out, q.rows(), heads.queryColumns());
    activation("k", k, k.rows(), heads.keyValueColumns());
    activation("v", v, k.rows(), heads.keyValueColumns());
  }

  static void cache(KvLayer cache, int columns) {
    require(cache.blockRows() > 0, "a cache with blocks of %d rows", cache.blockRows());
    activation("cache keys", cache.keys(), cache.keys().rows(), columns);
    activation("cache values", cache.values(), cache.keys().rows(), columns);
  }

  /**
   * The block tables of a batch, checked: every position that a row sees lies in a block of the
   * cache.
   */
  static int[] blockTables(PagedBatch batch, KvLayer cache, int[] starts, int[] positions) {
    int count = batch.queries().count();
    int widest = batch.blockTables().columns();
    int[] contexts = ints("contextRows", batch.contextRows(), 1, count);
    int[] tables = ints("blockTables", batch.blockTables(), count, widest);
    int blocks = cache.keys().rows() / cache.blockRows();
    for (int i = 0; i < count; i++) {
      int used = Math.ceilDiv(contexts[i], cache.blockRows());
      require(
          contexts[i] >= 0 && contexts[i] <= batch.longestContext() && used <= widest,
          "sequence %d has %d rows in the cache, its table holds %d blocks of %d",
          i,
          contexts[i],
          widest,
          cache.blockRows());
      for (int b = 0; b < used; b++) {
        int block = tables[i * widest + b];
        require(block >= 0 && block < blocks, "block %d of a cache of %d", block, blocks);
      }
      for (int row = starts[i]; row < starts[i + 1]; row++) {
        require(
            positions[row] < contexts[i],
            "position %d of a sequence with %d rows in the cache",
            positions[row],
            contexts[i]);
      }
    }
    return tables;
  }

  static void argmax(Tensor logits, Tensor ids) {
    activation("logits", logits, logits.rows(), logits.columns());
    require(
        ids.dtype() == DType.I32 && ids.rows() == 1 && ids.columns() == logits.rows(),
        "ids are %s %d x %d for %d rows of logits",
        ids.dtype(),
        ids.rows(),
        ids.columns(),
        logits.rows());
  }

  /** The parameters of each row, checked. */
  static SamplingParameters[] sample(Tensor logits, Tensor parameters, Tensor counts, Tensor ids) {
    argmax(logits, ids);
    int[] packed = ints("parameters", parameters, logits.rows(), SamplingParameters.INTS);
    require(
        counts.dtype() == DType.I32 && counts.columns() == logits.columns(),
        "counts are %s with %d columns for a vocabulary of %d",
        counts.dtype(),
        counts.columns(),
        logits.columns());
    require(parameters.isContiguous() && counts.isContiguous(), "parameters or counts with gaps");
    SamplingParameters[] rows = new SamplingParameters[logits.rows()];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = SamplingParameters.read(packed, i * SamplingParameters.INTS);
      require(
          rows[i].countRow() >= SamplingParameters.NO_COUNTS && rows[i].countRow() < counts.rows(),
          "row %d of counts of %d sequences",
          rows[i].countRow(),
          counts.rows());
    }
    return rows;
  }

  static void rowCopies(int[] from, int[] to, KvLayer cache) {
    cache(cache, cache.keys().columns());
    require(from.length == to.length, "%d rows copied to %d", from.length, to.length);
    int rows = cache.keys().rows();
    for (int i = 0; i < from.length; i++) {
      require(
          from[i] >= 0 && from[i] < rows && to[i] >= 0 && to[i] < rows,
          "row %d copied to %d in a cache of %d rows",
          from[i],
          to[i],
          rows);
    }
  }
}
