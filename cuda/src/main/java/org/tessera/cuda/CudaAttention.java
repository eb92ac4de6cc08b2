package org.tessera.cuda;

import static org.tessera.cuda.Operands.isAligned;

import java.util.List;
import org.tessera.cuda.CudaKernels.Source;
import org.tessera.ops.Heads;
import org.tessera.ops.KvLayer;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.Segments;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Chooses among the attention kernels by head width, rows and alignment. */
final class CudaAttention {
  private static final String PREFILL = "attention_prefill.cu";
  private static final String DECODE = "attention_decode.cu";
  private static final String ANY = "attention_any.cu";
  private static final Source WGMMA = new Source("attention_wgmma.cu", true, List.of());

  /** The only capability that has the products of warpgroups. */
  private static final int WGMMA_CAPABILITY = 90;

  private static final int WGMMA_THREADS = 256;
  private static final int WGMMA_SHARED_BYTES_72 = 99_328;
  private static final int WGMMA_SHARED_BYTES_128 = 164_864;

  private static final int BLOCK_THREADS = 128;

  /** Rows of a tile of the prefill kernels and of their short forms. */
  private static final int TILE_ROWS = 128;

  private static final int SHORT_TILE_ROWS = 64;
  private static final int MAX_GROUP = 16;
  private static final int SMALL_GROUP = 8;
  private static final int MIN_DECODE_BLOCK_SHIFT = 4;
  private static final int MAX_SPLITS = 64;

  /** Keys for which another block is worth it: of 16, 32 and 64 the fastest on an H200. */
  private static final int MIN_KEYS = 64;

  private static final long SPLIT_BYTES = 16L << 20;
  private static final int COUNTERS = 1 << 14;

  private final CudaStream stream;
  private final CudaKernels kernels;
  private final int multiprocessors;
  private final int maxSharedBytes;
  private final boolean hasWgmma;
  private final Tensor splits;
  private final Tensor counters;

  CudaAttention(CudaDevice device, CudaKernels kernels, CudaTuning tuning) {
    this.stream = device.stream();
    this.kernels = kernels;
    CudaContext.Properties properties = device.context().properties();
    multiprocessors = properties.multiprocessors();
    maxSharedBytes = properties.maxSharedBytesPerBlock();
    hasWgmma = tuning.wgmma() && properties.capability() == WGMMA_CAPABILITY;
    DeviceRegion region = new DeviceRegion(device.context());
    splits = region.allocate(DType.F32, 1, (int) (SPLIT_BYTES / DType.F32.bytes()));
    counters = region.allocate(DType.I32, 1, COUNTERS);
    stream.fill(counters.memory(), (byte) 0);
  }

  /** Tiles of the prefill kernels: their shared memory by width, in rows of 128 and of 64. */
  private record Tiles(String name, int sharedBytes, int shortSharedBytes) {
    static Tiles dense(int width) {
      return switch (width) {
        case 64 -> new Tiles("attention_w64", 55_296, 46_080);
        case 72 -> new Tiles("attention_w72", 67_584, 56_320);
        default -> new Tiles("attention_w128", 104_448, 87_040);
      };
    }

    static Tiles paged(int width) {
      return width == 64
          ? new Tiles("attention_paged_w64", 55_296, 46_080)
          : new Tiles("attention_paged_w128", 104_448, 87_040);
    }
  }

  /** As {@link org.tessera.ops.Ops#attention}, arguments checked. */
  void dense(
      Tensor q,
      Tensor k,
      Tensor v,
      Segments queries,
      Segments keys,
      Heads heads,
      float scale,
      Tensor out) {
    int width = heads.width();
    int group = heads.queryHeads() / heads.keyValueHeads();
    boolean tiled =
        (width == 64 || width == 72 || width == 128)
            && isAligned(q)
            && isAligned(k)
            && isAligned(v)
            && isAligned(out);
    if (!tiled) {
      views(kernels.get(ANY, "attention_any"), q, k, v)
          .pointer(queries.starts())
          .pointer(keys.starts())
          .integer(queries.count())
          .integer(group)
          .integer(width)
          .real(scale)
          .pointer(out)
          .integer(out.rowStride())
          .launch(stream, q.rows(), heads.queryHeads(), 1, BLOCK_THREADS, 8 * width);
      return;
    }
    if (isWgmma(queries) && (width == 72 || width == 128)) {
      Kernel kernel = views(kernels.get(WGMMA, "attention_wgmma_w" + width), q, k, v);
      kernel
          .pointer(queries.starts())
          .pointer(keys.starts())
          .integer(group)
          .real(scale)
          .pointer(out)
          .integer(out.rowStride());
      launchWgmma(kernel, heads, queries);
      return;
    }
    Tiles tiles = Tiles.dense(width);
    boolean isShort = isShort(tiles, heads, queries);
    views(kernels.get(PREFILL, tiles.name + (isShort ? "_short" : "")), q, k, v)
        .pointer(queries.starts())
        .pointer(keys.starts())
        .integer(group)
        .real(scale)
        .pointer(out)
        .integer(out.rowStride());
    launchTiles(tiles, isShort, heads, queries);
  }

  /** As {@link org.tessera.ops.Ops#pagedAttention}, arguments checked. */
  void paged(Tensor q, KvLayer cache, PagedBatch batch, Heads heads, float scale, Tensor out) {
    int width = heads.width();
    boolean tiled =
        (width == 64 || width == 128)
            && Integer.bitCount(cache.blockRows()) == 1
            && isAligned(q)
            && isAligned(cache.keys())
            && isAligned(cache.values())
            && isAligned(out);
    if (!tiled) {
      pagedAny(q, cache, batch, heads, scale, out);
    } else if (isDecode(batch, cache, heads)) {
      decode(q, cache, batch, heads, scale, out);
    } else {
      boolean isWgmma = isWgmma(batch.queries()) && width == 128;
      Tiles tiles = Tiles.paged(width);
      boolean isShort = isShort(tiles, heads, batch.queries());
      Kernel kernel =
          isWgmma
              ? kernels.get(WGMMA, "attention_wgmma_paged_w128")
              : kernels.get(PREFILL, tiles.name + (isShort ? "_short" : ""));
      cached(kernel, q, cache)
          .integer(shift(cache))
          .pointer(batch.blockTables())
          .integer(batch.blockTables().columns())
          .pointer(batch.queries().starts())
          .pointer(batch.positions())
          .integer(heads.queryHeads() / heads.keyValueHeads())
          .real(scale)
          .pointer(out)
          .integer(out.rowStride());
      if (isWgmma) {
        launchWgmma(kernel, heads, batch.queries());
      } else {
        launchTiles(tiles, isShort, heads, batch.queries());
      }
    }
  }

  private void pagedAny(
      Tensor q, KvLayer cache, PagedBatch batch, Heads heads, float scale, Tensor out) {
    cached(kernels.get(ANY, "attention_any_paged"), q, cache)
        .integer(cache.blockRows())
        .pointer(batch.blockTables())
        .integer(batch.blockTables().columns())
        .pointer(batch.queries().starts())
        .integer(batch.queries().count())
        .pointer(batch.positions())
        .integer(heads.queryHeads() / heads.keyValueHeads())
        .integer(heads.width())
        .real(scale)
        .pointer(out)
        .integer(out.rowStride())
        .launch(stream, q.rows(), heads.queryHeads(), 1, BLOCK_THREADS, 8 * heads.width());
  }

  /** One new row a sequence, which the kernel that reads the cache once is made for. */
  private boolean isDecode(PagedBatch batch, KvLayer cache, Heads heads) {
    return batch.queries().longest() <= 1
        && batch.positions().columns() == batch.queries().count()
        && shift(cache) >= MIN_DECODE_BLOCK_SHIFT
        && heads.queryHeads() / heads.keyValueHeads() <= MAX_GROUP
        && batch.queries().count() * heads.keyValueHeads() <= COUNTERS;
  }

  private void decode(
      Tensor q, KvLayer cache, PagedBatch batch, Heads heads, float scale, Tensor out) {
    int group = heads.queryHeads() / heads.keyValueHeads();
    int rows = q.rows();
    String name = "attention_decode_w" + heads.width() + (group <= SMALL_GROUP ? "_g8" : "_g16");
    int splitCount = splits(rows, heads);
    cached(kernels.get(DECODE, name), q, cache)
        .integer(shift(cache))
        .pointer(batch.blockTables())
        .integer(batch.blockTables().columns())
        .pointer(0) // row i is sequence i
        .integer(batch.queries().count())
        .pointer(batch.positions())
        .integer(group)
        .real(scale)
        .integer(MIN_KEYS)
        .pointer(splits)
        .pointer(counters)
        .pointer(out)
        .integer(out.rowStride())
        .launch(stream, splitCount, heads.keyValueHeads(), rows, BLOCK_THREADS, 0);
  }

  /** Blocks that share a context: two for each multiprocessor, all rows and heads together. */
  private int splits(int rows, Heads heads) {
    long splitBytes = (long) rows * heads.queryHeads() * (heads.width() + 2) * DType.F32.bytes();
    long room = splits.byteSize() / splitBytes;
    int wanted = 2 * multiprocessors / (heads.keyValueHeads() * rows);
    return (int) Math.clamp(Math.min(wanted, room), 1, MAX_SPLITS);
  }

  /** Segments of fewer rows leave half of such a block idle. */
  private boolean isWgmma(Segments queries) {
    return hasWgmma && queries.longest() > SHORT_TILE_ROWS;
  }

  private void launchWgmma(Kernel kernel, Heads heads, Segments queries) {
    kernel.launch(
        stream,
        heads.queryHeads(),
        Math.ceilDiv(queries.longest(), TILE_ROWS),
        queries.count(),
        WGMMA_THREADS,
        heads.width() == 72 ? WGMMA_SHARED_BYTES_72 : WGMMA_SHARED_BYTES_128);
  }

  private boolean isShort(Tiles tiles, Heads heads, Segments queries) {
    long blocks =
        (long) heads.queryHeads() * queries.count() * Math.ceilDiv(queries.longest(), TILE_ROWS);
    return queries.longest() <= SHORT_TILE_ROWS
        || blocks < multiprocessors
        || tiles.sharedBytes > maxSharedBytes;
  }

  private void launchTiles(Tiles tiles, boolean isShort, Heads heads, Segments queries) {
    int tileRows = isShort ? SHORT_TILE_ROWS : TILE_ROWS;
    kernels
        .get(PREFILL, tiles.name + (isShort ? "_short" : ""))
        .launch(
            stream,
            heads.queryHeads(),
            Math.ceilDiv(queries.longest(), tileRows),
            queries.count(),
            BLOCK_THREADS,
            isShort ? tiles.shortSharedBytes : tiles.sharedBytes);
  }

  private static Kernel views(Kernel kernel, Tensor q, Tensor k, Tensor v) {
    return kernel
        .arguments()
        .pointer(q)
        .integer(q.rowStride())
        .pointer(k)
        .integer(k.rowStride())
        .pointer(v)
        .integer(v.rowStride());
  }

  private static Kernel cached(Kernel kernel, Tensor q, KvLayer cache) {
    return views(kernel, q, cache.keys(), cache.values());
  }

  private static int shift(KvLayer cache) {
    return Integer.numberOfTrailingZeros(cache.blockRows());
  }
}
