package org.tessera.cuda;

import static org.tessera.cuda.Operands.ints;
import static org.tessera.cuda.Operands.piece;
import static org.tessera.cuda.Operands.require;
import static org.tessera.cuda.Operands.shape;

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
import org.tessera.ops.RmsNorm;
import org.tessera.ops.Segments;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/**
 * The operations on a GPU, issued to the device's stream. Ids, positions and tables are read on the
 * device and not checked there; an error of a kernel surfaces where the host next waits.
 */
final class CudaOps implements Ops {
  private static final int BLOCK_THREADS = 256;

  /** Elements that a thread of the row kernels takes at a time. */
  private static final int VECTOR = 8;

  private static final int MAX_BLOCKS = 1 << 16;

  private static final int WARP_THREADS = 32;

  /** As norm.cu has it. */
  private static final int NORM_WARP_COLUMNS = 1280;

  private final CudaDevice device;
  private final CudaStream stream;
  private final DType type;
  private final CudaKernels kernels;
  private final CudaLinear linear;
  private final CudaAttention attention;
  private final CudaSampling sampling;
  private final CudaPatches patches;
  private final DeviceRegion region;
  private final Map<Frequencies, Tensor> inverseFrequencies = new HashMap<>();
  private @Nullable Tensor copiedRows;

  private record Frequencies(int headWidth, double theta) {}

  /** As the system's properties tune it. */
  CudaOps(CudaDevice device) {
    this(device, CudaTuning.of(System.getProperties()));
  }

  CudaOps(CudaDevice device, CudaTuning tuning) {
    this.device = device;
    stream = device.stream();
    type = device.activationType();
    kernels = new CudaKernels(device);
    linear = new CudaLinear(device, kernels, tuning);
    attention = new CudaAttention(device, kernels, tuning);
    patches = new CudaPatches(device, kernels);
    region = new DeviceRegion(device.context());
    sampling = new CudaSampling(device, kernels, region);
  }

  @Override
  public void linear(Tensor x, Matrix w, @Nullable Tensor bias, Activation activation, Tensor out) {
    checkLinear(x, w, bias, out, out.dtype() == DType.F32 ? DType.F32 : type);
    if (x.rows() > 0) {
      linear.multiply(x, piece(w), bias, activation, out);
    }
  }

  @Override
  public void linearAdd(Tensor x, Matrix w, @Nullable Tensor bias, Tensor inOut) {
    checkLinear(x, w, bias, inOut, type);
    if (x.rows() > 0) {
      linear.add(x, piece(w), bias, inOut);
    }
  }

  @Override
  public void embed(Tensor ids, Matrix table, Tensor out) {
    gather(piece(table), ids, out);
  }

  @Override
  public void gatherRows(Tensor x, Tensor ids, Tensor out) {
    gather(x, ids, out);
  }

  private void gather(Tensor table, Tensor ids, Tensor out) {
    ints("ids", ids, 1, out.rows());
    activation("table", table, table.rows(), out.columns());
    activation("out", out, out.rows(), table.columns());
    rows("gather_rows", table).pointer(ids).pointer(out).integer(out.rowStride());
    launchRows("gather_rows", out.rows(), out.columns());
  }

  @Override
  public void addRows(Tensor ids, Tensor table, Tensor inOut) {
    ints("ids", ids, 1, inOut.rows());
    activation("table", table, table.rows(), inOut.columns());
    activation("inOut", inOut, inOut.rows(), table.columns());
    rows("add_rows", table).pointer(ids).pointer(inOut).integer(inOut.rowStride());
    launchRows("add_rows", inOut.rows(), inOut.columns());
  }

  @Override
  public void scatterRows(Tensor x, Tensor ids, Tensor inOut) {
    ints("ids", ids, 1, x.rows());
    activation("x", x, x.rows(), inOut.columns());
    activation("inOut", inOut, inOut.rows(), x.columns());
    rows("scatter_rows", x).pointer(ids).pointer(inOut).integer(inOut.rowStride());
    launchRows("scatter_rows", x.rows(), x.columns());
  }

  @Override
  public void patches(List<Pixels> pictures, int side, Tensor values, Tensor out) {
    patches.write(pictures, side, values, out);
  }

  @Override
  public void copy(Tensor x, Tensor out) {
    sameShape(x, out);
    rows("copy", x).pointer(out).integer(out.rowStride());
    launchRows("copy", x.rows(), x.columns());
  }

  @Override
  public void add(Tensor x, Tensor inOut) {
    sameShape(x, inOut);
    rows("add", x).pointer(inOut).integer(inOut.rowStride());
    launchRows("add", x.rows(), x.columns());
  }

  @Override
  public void rmsNorm(Tensor x, Tensor weight, float eps, Tensor out) {
    sameShape(x, out);
    vector("weight", weight, x.columns());
    kernels
        .get("norm.cu", "rms_norm")
        .arguments()
        .pointer(x)
        .integer(x.rowStride())
        .pointer(weight)
        .real(eps)
        .pointer(out)
        .integer(out.rowStride())
        .integer(x.rows())
        .integer(x.columns())
        .launch(stream, normBlocks(x), 1, 1, BLOCK_THREADS, 0);
  }

  @Override
  public void layerNorm(Tensor x, Tensor weight, Tensor bias, float eps, Tensor out) {
    sameShape(x, out);
    vector("weight", weight, x.columns());
    vector("bias", bias, x.columns());
    kernels
        .get("norm.cu", "layer_norm")
        .arguments()
        .pointer(x)
        .integer(x.rowStride())
        .pointer(weight)
        .pointer(bias)
        .real(eps)
        .pointer(out)
        .integer(out.rowStride())
        .integer(x.rows())
        .integer(x.columns())
        .launch(stream, normBlocks(x), 1, 1, BLOCK_THREADS, 0);
  }

  /** A warp takes a short row alone. */
  private static int normBlocks(Tensor x) {
    return x.columns() <= NORM_WARP_COLUMNS
        ? Math.ceilDiv(x.rows(), BLOCK_THREADS / WARP_THREADS)
        : x.rows();
  }

  @Override
  public void rope(Tensor inOut, Tensor positions, int headWidth, double theta) {
    activation("inOut", inOut, inOut.rows(), inOut.columns());
    require(
        headWidth > 0 && headWidth % 2 == 0 && inOut.columns() % headWidth == 0,
        "%d columns do not divide into heads of an even width of %d",
        inOut.columns(),
        headWidth);
    ints("positions", positions, 1, inOut.rows());
    kernels
        .get("rope.cu", "rope")
        .arguments()
        .pointer(inOut)
        .integer(inOut.rowStride())
        .pointer(positions)
        .pointer(inverseFrequencies(headWidth, theta))
        .integer(inOut.rows())
        .integer(inOut.columns() / headWidth)
        .integer(headWidth)
        .launch(stream, blocks((long) inOut.rows() * inOut.columns() / 2), 1, 1, BLOCK_THREADS, 0);
  }

  @Override
  public void siluMul(Tensor gateUp, Tensor out) {
    activation("gateUp", gateUp, out.rows(), 2 * out.columns());
    activation("out", out, gateUp.rows(), out.columns());
    rows("activation.cu", "silu_mul", gateUp).pointer(out).integer(out.rowStride());
    launch("activation.cu", "silu_mul", out.rows(), out.columns());
  }

  @Override
  public void normLinear(Tensor x, RmsNorm norm, Matrix w, Tensor scratch, Tensor out) {
    Tensor weights = piece(w);
    if (x.rows() == 0 || !linear.isNormGemv(x, norm.weight(), weights)) {
      Ops.super.normLinear(x, norm, w, scratch, out);
      return;
    }
    checkLinear(x, w, null, out, out.dtype() == DType.F32 ? DType.F32 : type);
    vector("norm", norm.weight(), x.columns());
    linear.normMultiply(x, norm, weights, out);
  }

  @Override
  public void normSiluMul(
      Tensor x, RmsNorm norm, Matrix w, Tensor scratch, Tensor gateUp, Tensor out) {
    Tensor weights = piece(w);
    if (x.rows() == 0 || !linear.isNormGemv(x, norm.weight(), weights)) {
      Ops.super.normSiluMul(x, norm, w, scratch, gateUp, out);
      return;
    }
    activation("x", x, x.rows(), w.columns());
    activation("out", out, x.rows(), w.rows() / 2);
    vector("norm", norm.weight(), x.columns());
    linear.normSiluMul(x, norm, weights, out);
  }

  @Override
  public void normQkv(
      Tensor x,
      RmsNorm norm,
      Matrix w,
      Tensor bias,
      Heads heads,
      double theta,
      PagedBatch batch,
      KvLayer cache,
      Tensor scratch,
      Tensor qkv) {
    checkLinear(x, w, bias, qkv, type);
    checkCache(cache, heads.keyValueColumns());
    ints("positions", batch.positions(), 1, x.rows());
    ints("slots", batch.slots(), 1, x.rows());
    if (x.rows() == 0) {
      return;
    }
    Tensor weights = piece(w);
    Tensor frequencies = inverseFrequencies(heads.width(), theta);
    if (heads.width() % VECTOR == 0 && linear.isNormGemv(x, norm.weight(), weights)) {
      vector("norm", norm.weight(), x.columns());
      Kernel kernel =
          linear
              .beginQkv(x, weights)
              .pointer(norm.weight())
              .real(norm.eps())
              .pointer(bias)
              .pointer(batch.positions())
              .pointer(batch.slots())
              .pointer(frequencies);
      linear.launchQkv(cacheRows(kernel, heads, qkv, cache), x, weights);
      return;
    }
    rmsNorm(x, norm.weight(), norm.eps(), scratch);
    linear.multiply(scratch, weights, bias, Activation.NONE, qkv);
    Kernel kernel =
        kernels
            .get("rope.cu", "rope_write_kv")
            .arguments()
            .pointer(qkv)
            .integer(qkv.rowStride())
            .pointer(batch.positions())
            .pointer(batch.slots())
            .pointer(frequencies)
            .integer(x.rows());
    cacheRows(kernel, heads, qkv, cache)
        .launch(stream, blocks((long) x.rows() * w.rows() / 2), 1, 1, BLOCK_THREADS, 0);
  }

  /** Where rotated queries, keys and values go: the last arguments of two kernels. */
  private static Kernel cacheRows(Kernel kernel, Heads heads, Tensor queries, KvLayer cache) {
    return kernel
        .integer(heads.queryHeads())
        .integer(heads.keyValueHeads())
        .integer(heads.width())
        .pointer(queries)
        .integer(queries.rowStride())
        .pointer(cache.keys())
        .integer(cache.keys().rowStride())
        .pointer(cache.values())
        .integer(cache.values().rowStride());
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
    activation("q", q, q.rows(), heads.queryColumns());
    activation("out", out, q.rows(), heads.queryColumns());
    activation("k", k, k.rows(), heads.keyValueColumns());
    activation("v", v, k.rows(), heads.keyValueColumns());
    require(
        queries.count() == keys.count(),
        "%d segments of queries for %d of keys",
        queries.count(),
        keys.count());
    ints("starts of queries", queries.starts(), 1, queries.count() + 1);
    ints("starts of keys", keys.starts(), 1, keys.count() + 1);
    if (q.rows() > 0) {
      attention.dense(q, k, v, queries, keys, heads, scale, out);
    }
  }

  @Override
  public void writeKv(Tensor k, Tensor v, Tensor slots, KvLayer cache) {
    checkCache(cache, k.columns());
    sameShape(k, v);
    ints("slots", slots, 1, k.rows());
    rows("kv.cu", "write_kv", k).pointer(v).integer(v.rowStride()).pointer(slots);
    launchCache("write_kv", cache, k.rows());
  }

  @Override
  public void pagedAttention(
      Tensor q, KvLayer cache, PagedBatch batch, Heads heads, float scale, Tensor out) {
    activation("q", q, q.rows(), heads.queryColumns());
    activation("out", out, q.rows(), heads.queryColumns());
    checkCache(cache, heads.keyValueColumns());
    ints("starts of queries", batch.queries().starts(), 1, batch.queries().count() + 1);
    ints("positions", batch.positions(), 1, q.rows());
    Tensor tables = batch.blockTables();
    ints("blockTables", tables, batch.queries().count(), tables.columns());
    if (q.rows() > 0) {
      attention.paged(q, cache, batch, heads, scale, out);
    }
  }

  @Override
  public void argmax(Tensor logits, Tensor ids) {
    sampling.argmax(logits, ids);
  }

  @Override
  public void sample(Tensor logits, Tensor parameters, Tensor counts, Tensor ids) {
    sampling.sample(logits, parameters, counts, ids);
  }

  @Override
  public void copyKvRows(int[] from, int[] to, KvLayer cache) {
    checkCache(cache, cache.keys().columns());
    require(from.length == to.length, "%d rows copied to %d", from.length, to.length);
    if (from.length == 0) {
      return;
    }
    Tensor rows = copiedRows;
    if (rows == null || rows.columns() < from.length) {
      rows = region.allocate(DType.I32, 2, Math.max(256, Integer.highestOneBit(from.length) * 2));
      copiedRows = rows;
    }
    Tensor source = rows.rows(0, 1).columns(0, from.length);
    Tensor target = rows.rows(1, 2).columns(0, to.length);
    device.upload(from, source);
    device.upload(to, target);
    kernels.get("kv.cu", "copy_kv_rows").arguments().pointer(source).pointer(target);
    launchCache("copy_kv_rows", cache, from.length);
  }

  private void launchCache(String name, KvLayer cache, int rows) {
    int columns = cache.keys().columns();
    kernels
        .get("kv.cu", name)
        .pointer(cache.keys())
        .integer(cache.keys().rowStride())
        .pointer(cache.values())
        .integer(cache.values().rowStride());
    launch("kv.cu", name, rows, columns);
  }

  /** Begins a launch whose first argument is a tensor of rows. */
  private Kernel rows(String name, Tensor x) {
    return rows("embed.cu", name, x);
  }

  private Kernel rows(String file, String name, Tensor x) {
    return kernels.get(file, name).arguments().pointer(x).integer(x.rowStride());
  }

  private void launchRows(String name, int rows, int columns) {
    launch("embed.cu", name, rows, columns);
  }

  /** Ends a launch whose last arguments are rows and columns. */
  private void launch(String file, String name, int rows, int columns) {
    kernels
        .get(file, name)
        .integer(rows)
        .integer(columns)
        .launch(
            stream, blocks((long) rows * Math.ceilDiv(columns, VECTOR)), 1, 1, BLOCK_THREADS, 0);
  }

  private static int blocks(long threads) {
    return (int) Math.min(MAX_BLOCKS, Math.ceilDiv(threads, BLOCK_THREADS));
  }

  /** theta^(-2j/headWidth), every step in float32 as the original has it. */
  private Tensor inverseFrequencies(int headWidth, double theta) {
    return inverseFrequencies.computeIfAbsent(
        new Frequencies(headWidth, theta),
        key -> {
          float[] values = new float[headWidth / 2];
          for (int j = 0; j < values.length; j++) {
            values[j] = 1f / (float) Math.pow(theta, (float) (2 * j) / headWidth);
          }
          Tensor tensor = region.allocate(DType.F32, 1, values.length);
          device.upload(values, tensor);
          return tensor;
        });
  }

  private void checkLinear(Tensor x, Matrix w, @Nullable Tensor bias, Tensor out, DType outType) {
    activation("x", x, x.rows(), w.columns());
    shape("out", out, outType, x.rows(), w.rows());
    shape("w", piece(w), type, w.rows(), w.columns());
    if (bias != null) {
      vector("bias", bias, w.rows());
    }
  }

  private void checkCache(KvLayer cache, int columns) {
    require(cache.blockRows() > 0, "a cache with blocks of %d rows", cache.blockRows());
    activation("cache keys", cache.keys(), cache.keys().rows(), columns);
    activation("cache values", cache.values(), cache.keys().rows(), columns);
  }

  private void sameShape(Tensor x, Tensor out) {
    activation("x", x, out.rows(), out.columns());
    activation("out", out, x.rows(), x.columns());
  }

  private void vector(String name, Tensor tensor, int columns) {
    activation(name, tensor, 1, columns);
  }

  private void activation(String name, Tensor tensor, int rows, int columns) {
    shape(name, tensor, type, rows, columns);
  }
}
