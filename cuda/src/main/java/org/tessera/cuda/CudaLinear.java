package org.tessera.cuda;

import static org.tessera.cuda.Operands.hasAlignedRows;
import static org.tessera.cuda.Operands.isAligned;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.tessera.cuda.CudaKernels.Source;
import org.tessera.cuda.Matmul.Epilogue;
import org.tessera.ops.Activation;
import org.tessera.ops.RmsNorm;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * Linear layers: few rows by kernels that read the matrix once at the speed of memory, more by
 * cuBLASLt, and what neither takes by a slow kernel of any alignment.
 */
final class CudaLinear {
  private static final String FILE = "gemv.cu";
  private static final int BLOCK_THREADS = 256;
  private static final int WARPS = 8;
  private static final int MAX_GRID_Y = 65_535;
  private static final long BLAS_WORKSPACE_BYTES = 32L << 20;
  private static final int STORE = 0;
  private static final int STORE_F32 = 1;
  private static final int ADD = 2;

  /** Rows of x that the kernels named _m8 take; those named _m16 take twice as many. */
  private static final int NARROW_ROWS = 8;

  /** TILE and GEMV_CHUNK of gemv.cuh: rows and columns of a matrix that a step brings. */
  private static final int TILE_ROWS = 8;

  private static final int CHUNK_COLUMNS = 896;

  /** Steps of a block up to which a matrix is small: 24 of 132 blocks are 47 MB, most of an L2. */
  private static final int SMALL_STEPS = 24;

  /** Rows so long that the exchange between two blocks is lost in the time of reading them. */
  private static final int LONG_COLUMNS = 8192;

  private static final int CLUSTER_CAPABILITY = 90;

  /** What a ring of six steps and the sums take. Cards for desks have 99 KiB, for four. */
  private static final int ROOMY_SHARED_BYTES = 114 << 10;

  private final CudaStream stream;
  private final CudaKernels kernels;
  private final CudaTuning tuning;
  private final Matmul matmul;
  private final int multiprocessors;
  private final boolean hasClusters;

  /** A block takes whole rows. */
  private final Source single;

  /** Two blocks share every row. */
  private final Source shared;

  /** Twice the tiles a group, so that 16 rows of x are read half as often; two blocks still fit. */
  private final Source wide;

  private final Map<Source, int[]> sharedBytes = new HashMap<>();

  CudaLinear(CudaDevice device, CudaKernels kernels, CudaTuning tuning) {
    this.stream = device.stream();
    this.kernels = kernels;
    this.tuning = tuning;
    CudaContext context = device.context();
    DeviceRegion region = new DeviceRegion(context);
    matmul =
        new Matmul(
            context,
            device.blas(),
            region.allocate(BLAS_WORKSPACE_BYTES),
            new Matmul.Search(tuning.candidates()));
    multiprocessors = context.properties().multiprocessors();
    String start = "GEMV_LATE_START=" + (tuning.gemvLate() ? 1 : 0);
    boolean isRoomy = context.properties().maxSharedBytesPerBlock() >= ROOMY_SHARED_BYTES;
    String stages = "GEMV_STAGES=" + (isRoomy ? 6 : 4);
    single = Source.of(FILE, start, stages, "GEMV_CLUSTER=1");
    shared = Source.of(FILE, start, stages, "GEMV_CLUSTER=2");
    String wideStages = "GEMV_STAGES=" + (isRoomy ? 5 : 3);
    wide = Source.of(FILE, start, wideStages, "GEMV_CLUSTER=1", "GEMV_GROUP=16");
    hasClusters = context.properties().capability() >= CLUSTER_CAPABILITY;
  }

  /** {@code out = activation(x wᵀ + bias)}, {@code out} like x or F32. */
  void multiply(Tensor x, Tensor w, @Nullable Tensor bias, Activation activation, Tensor out) {
    boolean wide = out.dtype() == DType.F32;
    if (isGemv(x, w)) {
      Kernel kernel = gemv(wide ? "gemv_f32" : "gemv", x, w);
      inputs(kernel, x, w).integer(w.rows()).integer(w.columns()).pointer(address(bias));
      kernel.integer(code(activation)).pointer(out).integer(out.rowStride());
      launchGemv(kernel, x, w, stepsAhead());
    } else if (isProduct(x, w, out) && !(wide && bias != null)) {
      matmul.multiply(stream, x, w, bias, epilogue(activation), /* add= */ false, out);
    } else {
      multiplyAny(x, w, bias, activation, out, wide ? STORE_F32 : STORE);
    }
  }

  /** {@code inOut += x wᵀ + bias}. */
  void add(Tensor x, Tensor w, @Nullable Tensor bias, Tensor inOut) {
    if (isGemv(x, w) && bias == null) {
      Kernel kernel = gemv("gemv_add", x, w);
      inputs(kernel, x, w).integer(w.rows()).integer(w.columns()).pointer(0);
      kernel.pointer(inOut).integer(inOut.rowStride());
      launchGemv(kernel, x, w, stepsAheadAfterAttention(w));
    } else if (isProduct(x, w, inOut)) {
      matmul.multiply(stream, x, w, bias, Epilogue.NONE, /* add= */ true, inOut);
    } else {
      multiplyAny(x, w, bias, Activation.NONE, inOut, ADD);
    }
  }

  /** Whether the kernels that normalise x themselves take these. */
  boolean isNormGemv(Tensor x, Tensor norm, Tensor w) {
    return isGemv(x, w) && isAligned(norm);
  }

  /** {@code out = rmsNorm(x) wᵀ}, {@code out} like x or F32. */
  void normMultiply(Tensor x, RmsNorm norm, Tensor w, Tensor out) {
    Kernel kernel = gemv(out.dtype() == DType.F32 ? "gemv_norm_f32" : "gemv_norm", x, w);
    inputs(kernel, x, w).integer(w.rows()).integer(w.columns());
    kernel.pointer(norm.weight()).real(norm.eps()).pointer(0).integer(code(Activation.NONE));
    kernel.pointer(out).integer(out.rowStride());
    launchGemv(kernel, x, w, stepsAhead());
  }

  /** {@code out = siluMul(rmsNorm(x) wᵀ)}. */
  void normSiluMul(Tensor x, RmsNorm norm, Tensor w, Tensor out) {
    Kernel kernel = gemv("gemv_norm_swiglu", x, w);
    inputs(kernel, x, w).integer(w.rows() / 2).integer(w.columns());
    kernel.pointer(norm.weight()).real(norm.eps());
    kernel.pointer(out).integer(out.rowStride());
    launchGemv(kernel, x, w, stepsAhead());
  }

  /** The arguments up to the norm of the kernel for queries, keys and values. */
  Kernel beginQkv(Tensor x, Tensor w) {
    return inputs(gemv("gemv_norm_qkv", x, w), x, w).integer(w.columns());
  }

  /** Launches what {@link #beginQkv} began, its other arguments given. */
  void launchQkv(Kernel kernel, Tensor x, Tensor w) {
    launchGemv(kernel, x, w, stepsAhead());
  }

  /**
   * Whether two blocks are to share every row of a matrix. Blocks that take whole rows read faster,
   * as measured, but a few tiles cannot be divided evenly among 132 of them: 3,584 rows leave them
   * idle for 15 % of the time. Two blocks a tile halve that. They must then exchange sums, which
   * costs more than it gains but for long rows: of the matrices of a decoder only down is shared.
   */
  static boolean isShared(int rows, int columns, int multiprocessors) {
    int tiles = Math.ceilDiv(rows, TILE_ROWS);
    double busy = (double) tiles / multiprocessors / Math.ceilDiv(tiles, multiprocessors);
    return columns >= LONG_COLUMNS && multiprocessors % 2 == 0 && busy < 0.9;
  }

  private Source source(Tensor x, Tensor w) {
    if (x.rows() > NARROW_ROWS) {
      return wide;
    }
    boolean isShared =
        switch (tuning.gemv()) {
          case AUTO -> isShared(w.rows(), w.columns(), multiprocessors);
          case SINGLE -> false;
          case CLUSTERS -> true;
        };
    return isShared && hasClusters ? shared : single;
  }

  private int blocks(Source source) {
    // The blocks of a cluster, two, share their work: an odd multiprocessor stays without.
    return source.equals(shared)
        ? Math.max(2, multiprocessors / 2 * 2)
        : multiprocessors * tuning.gemvBlocks();
  }

  private int stepsAhead() {
    return Math.max(0, tuning.gemvAhead());
  }

  /**
   * Attention leaves memory almost idle: the small matrix that follows it, the output projection,
   * can be in L2 when attention ends. A larger one would drive out what is about to be read.
   */
  private int stepsAheadAfterAttention(Tensor w) {
    int steps =
        Math.ceilDiv(Math.ceilDiv(w.rows(), TILE_ROWS), multiprocessors)
            * Math.ceilDiv(w.columns(), CHUNK_COLUMNS);
    return tuning.gemvAhead() < 0 && steps <= SMALL_STEPS ? steps : stepsAhead();
  }

  private Kernel gemv(String name, Tensor x, Tensor w) {
    return kernels.get(source(x, w), name + (x.rows() <= NARROW_ROWS ? "_m8" : "_m16"));
  }

  /** The last argument, and the launch. */
  private void launchGemv(Kernel kernel, Tensor x, Tensor w, int stepsAhead) {
    Source source = source(x, w);
    int[] bytes =
        sharedBytes.computeIfAbsent(source, key -> kernels.constants(key, "gemv_shared_bytes", 2));
    kernel
        .integer(stepsAhead)
        .launch(
            stream, blocks(source), 1, 1, BLOCK_THREADS, bytes[x.rows() <= NARROW_ROWS ? 0 : 1]);
  }

  private static Kernel inputs(Kernel kernel, Tensor x, Tensor w) {
    return kernel
        .arguments()
        .pointer(x)
        .integer(x.rowStride())
        .integer(x.rows())
        .pointer(w)
        .integer(w.rowStride());
  }

  private void multiplyAny(
      Tensor x, Tensor w, @Nullable Tensor bias, Activation activation, Tensor out, int mode) {
    kernels
        .get(FILE, "linear_any")
        .arguments()
        .pointer(x)
        .integer(x.rowStride())
        .integer(x.rows())
        .pointer(w)
        .integer(w.rowStride())
        .integer(w.rows())
        .integer(w.columns())
        .pointer(address(bias))
        .integer(code(activation))
        .pointer(out)
        .integer(out.rowStride())
        .integer(mode)
        .launch(
            stream,
            Math.ceilDiv(w.rows(), WARPS),
            Math.min(x.rows(), MAX_GRID_Y),
            1,
            BLOCK_THREADS,
            0);
  }

  private boolean isGemv(Tensor x, Tensor w) {
    return x.rows() <= tuning.gemvRows() && isAligned(x) && isAligned(w);
  }

  /** cuBLASLt takes rows of any length that begin at multiples of 16 bytes, such as patches. */
  private static boolean isProduct(Tensor x, Tensor w, Tensor out) {
    boolean wholeVectors = isAligned(x) && isAligned(w);
    boolean alignedRows =
        x.rows() > NARROW_ROWS && w.rows() > 1 && hasAlignedRows(x) && hasAlignedRows(w);
    return (wholeVectors || alignedRows) && hasAlignedRows(out);
  }

  private static long address(@Nullable Tensor tensor) {
    return tensor == null ? 0 : tensor.memory().address();
  }

  private static Epilogue epilogue(Activation activation) {
    return switch (activation) {
      case NONE -> Epilogue.NONE;
      case GELU_TANH -> Epilogue.GELU_TANH;
    };
  }

  /** ACTIVATION_* of element.cuh. */
  private static int code(Activation activation) {
    return switch (activation) {
      case NONE -> 0;
      case GELU_TANH -> 1;
    };
  }
}
