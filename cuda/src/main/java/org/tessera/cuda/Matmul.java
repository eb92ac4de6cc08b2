package org.tessera.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.tessera.cuda.ffm.BlasType;
import org.tessera.cuda.ffm.CublasLt;
import org.tessera.cuda.ffm.CublasLt.DescriptorAttribute;
import org.tessera.cuda.ffm.CublasLt.Layouts;
import org.tessera.cuda.ffm.CublasLt.Operands;
import org.tessera.cuda.ffm.CublasLt.Preference;
import org.tessera.cuda.ffm.CudaException;
import org.tessera.error.DeviceException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * {@code out = epilogue(x wᵀ + bias) + beta out} by cuBLASLt, accumulated in fp32.
 *
 * <p>cuBLASLt is asked for column-major products, and a row-major matrix is its transpose read by
 * columns. So {@code outᵀ [rows, n] = w [rows, columns] xᵀ [columns, n]} is what it computes: A is
 * {@code w}, which it sees as [columns, rows] and transposes, B is {@code x}, which it sees as
 * [columns, n], and D is {@code out}, which it sees as [rows, n]. Row strides are the leading
 * dimensions, and the bias, one element a row of D, is one element a column of {@code out}.
 *
 * <p>Descriptors and the algorithm are kept by shape, strides, types and alignment. Which algorithm
 * was fastest may differ from process to process, and with it the order of a sum. Not for several
 * threads at a time.
 */
public final class Matmul implements AutoCloseable {
  /** Beyond this the library gains nothing from a better aligned operand. */
  private static final long MAX_ALIGNMENT_BYTES = 256;

  /** Times that a candidate is timed; the least counts. */
  private static final int TIMED_RUNS = 3;

  private final CudaContext context;
  private final CublasLt blas;
  private final long handle;
  private final MemorySegment workspace;
  private final Search search;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment alpha = arena.allocateFrom(JAVA_FLOAT, 1f);
  private final MemorySegment betaZero = arena.allocateFrom(JAVA_FLOAT, 0f);
  private final MemorySegment betaOne = arena.allocateFrom(JAVA_FLOAT, 1f);
  private final MemorySegment biasScratch = arena.allocate(Long.BYTES, Long.BYTES);
  private final Map<Key, Product> products = new HashMap<>();
  private final CudaContext.Resource resource;

  /**
   * How an algorithm is chosen.
   *
   * @param candidates how many of those that the heuristic puts first are timed, in products of a
   *     number of rows that recurs; 1 to take the first
   */
  public record Search(int candidates) {
    /**
     * Powers of two: sizes of recorded steps, that is, of answers decoded together, and of the
     * chunks into which long prompts are cut.
     */
    private static final int LEAST_ROWS = 16;

    private static final int MOST_ROWS = 8192;

    private int candidatesFor(int n) {
      boolean recurs = n >= LEAST_ROWS && n <= MOST_ROWS && Integer.bitCount(n) == 1;
      return recurs ? candidates : 1;
    }
  }

  /** Without timing any algorithm. */
  public Matmul(CudaContext context, CublasLt blas, MemorySegment workspace) {
    this(context, blas, workspace, new Search(1));
  }

  /**
   * @param workspace device memory, 32 MiB for the best algorithms on Hopper; it must not be used
   *     by two products at a time, as those of two streams would
   */
  public Matmul(CudaContext context, CublasLt blas, MemorySegment workspace, Search search) {
    this.context = context;
    this.blas = blas;
    this.workspace = workspace;
    this.search = search;
    context.makeCurrent();
    handle = blas.createHandle();
    resource = this::close;
    context.register(resource);
  }

  /** What is done to a product before it is stored; the codes are cublasLtEpilogue_t's. */
  public enum Epilogue {
    NONE(1, 4),
    /** The approximation of GELU by tanh, the only one that cuBLASLt has. */
    GELU_TANH(32, 36);

    private final int plain;
    private final int withBias;

    Epilogue(int plain, int withBias) {
      this.plain = plain;
      this.withBias = withBias;
    }
  }

  private record Key(
      int n,
      int rows,
      int columns,
      long xStride,
      long wStride,
      long outStride,
      DType type,
      DType outType,
      @Nullable DType biasType,
      Epilogue epilogue,
      long xAlignment,
      long wAlignment,
      long outAlignment,
      long biasAlignment) {}

  /** What is kept of a shape; the preference is needed for nothing but the search. */
  private record Product(long descriptor, Layouts layouts, MemorySegment algorithm) {}

  /**
   * Issues a product to {@code stream}.
   *
   * @param x [n, columns], BF16 or F16
   * @param w [rows, columns], like x
   * @param bias [1, rows] in the type of {@code out}, or null
   * @param add whether to add to what {@code out} holds instead of replacing it
   * @param out [n, rows], like x or F32
   * @throws DeviceException where cuBLASLt has no algorithm for this combination
   */
  public void multiply(
      CudaStream stream,
      Tensor x,
      Tensor w,
      @Nullable Tensor bias,
      Epilogue epilogue,
      boolean add,
      Tensor out) {
    checkShapes(x, w, bias, out);
    if (x.rows() == 0 || w.rows() == 0) {
      return;
    }
    context.makeCurrent();
    long biasAddress = bias == null ? 0 : address(bias);
    Key key =
        new Key(
            x.rows(),
            w.rows(),
            w.columns(),
            stride(x),
            stride(w),
            stride(out),
            x.dtype(),
            out.dtype(),
            bias == null ? null : bias.dtype(),
            epilogue,
            alignment(address(x)),
            alignment(address(w)),
            alignment(address(out)),
            alignment(biasAddress));
    Product product = products.get(key);
    if (product == null) {
      product = prepare(key, stream, new Inputs(address(x), address(w), biasAddress));
      products.put(key, product);
    }
    if (bias != null) {
      blas.setBias(product.descriptor, biasAddress, biasScratch);
    }
    long beta = add ? betaOne.address() : betaZero.address();
    issue(
        product,
        new Operands(address(w), address(x), address(out), alpha.address(), beta),
        product.algorithm.address(),
        stream);
  }

  private void issue(Product product, Operands operands, long algorithm, CudaStream stream) {
    blas.multiply(
        handle,
        product.descriptor,
        product.layouts,
        operands,
        algorithm,
        workspace.address(),
        workspace.byteSize(),
        stream.handle());
  }

  /** Addresses of what a product reads. */
  private record Inputs(long x, long w, long bias) {}

  private Product prepare(Key key, CudaStream stream, Inputs inputs) {
    BlasType type = blasType(key.type);
    long descriptor = blas.createDescriptor();
    if (key.biasType == null) {
      blas.set(descriptor, DescriptorAttribute.EPILOGUE, key.epilogue.plain);
    } else {
      blas.set(descriptor, DescriptorAttribute.EPILOGUE, key.epilogue.withBias);
      blas.set(descriptor, DescriptorAttribute.BIAS_DATA_TYPE, blasType(key.biasType).code());
      blas.setBias(descriptor, inputs.bias, biasScratch);
    }
    Layouts layouts =
        new Layouts(
            blas.createLayout(type, key.columns, key.rows, key.wStride),
            blas.createLayout(type, key.columns, key.n, key.xStride),
            blas.createLayout(blasType(key.outType), key.rows, key.n, key.outStride));
    Product product =
        new Product(descriptor, layouts, arena.allocate(CublasLt.ALGORITHM_BYTES, Long.BYTES));
    // What is captured is not run: there is nothing to time.
    int most = stream.isCapturing() ? 1 : search.candidatesFor(key.n);
    MemorySegment candidates = arena.allocate(most * CublasLt.ALGORITHM_BYTES, Long.BYTES);
    long preference = blas.createPreference();
    int found;
    try {
      blas.set(preference, Preference.MAX_WORKSPACE_BYTES, workspace.byteSize());
      blas.set(preference, Preference.MIN_ALIGNMENT_A_BYTES, key.wAlignment);
      blas.set(preference, Preference.MIN_ALIGNMENT_B_BYTES, key.xAlignment);
      blas.set(preference, Preference.MIN_ALIGNMENT_C_BYTES, key.outAlignment);
      blas.set(preference, Preference.MIN_ALIGNMENT_D_BYTES, key.outAlignment);
      found = blas.findAlgorithms(handle, descriptor, layouts, preference, candidates);
    } finally {
      blas.destroyPreference(preference);
    }
    if (found == 0) {
      destroy(product);
      throw new DeviceException(
          "cuBLASLt %s has no algorithm for %s".formatted(blas.version(), key));
    }
    int chosen = 0;
    boolean done = false;
    try {
      chosen = found == 1 ? 0 : fastest(key, product, stream, inputs, candidates, found);
      done = true;
    } finally {
      if (!done) {
        destroy(product);
      }
    }
    MemorySegment.copy(
        candidates,
        chosen * CublasLt.ALGORITHM_BYTES,
        product.algorithm,
        0,
        CublasLt.ALGORITHM_BYTES);
    return product;
  }

  /**
   * The candidate that takes the least time when nothing is in L2, as in a step of decoding, which
   * reads far more than L2 holds between two uses of a matrix. Where there is no memory to find
   * out, the heuristic's first.
   */
  private int fastest(
      Key key,
      Product product,
      CudaStream stream,
      Inputs inputs,
      MemorySegment candidates,
      int count) {
    long outBytes = ((key.n - 1) * key.outStride + key.rows) * key.outType.bytes();
    try (DeviceRegion region = new DeviceRegion(context)) {
      // Filling so much takes longer than it takes to issue what is timed, which so waits for
      // nothing.
      long coldBytes = 2L * context.properties().l2CacheBytes();
      MemorySegment scratch = region.allocate(Math.max(outBytes, coldBytes));
      Operands operands =
          new Operands(inputs.w, inputs.x, scratch.address(), alpha.address(), betaZero.address());
      int fastest = 0;
      float least = Float.POSITIVE_INFINITY;
      try (CudaEvent start = context.createEvent(true);
          CudaEvent end = context.createEvent(true)) {
        for (int i = 0; i < count; i++) {
          long algorithm = candidates.address() + i * CublasLt.ALGORITHM_BYTES;
          Runnable run =
              () -> {
                stream.fill(scratch, (byte) 0); // drives the matrix out of L2
                start.record(stream);
                issue(product, operands, algorithm, stream);
                end.record(stream);
                end.synchronize();
              };
          float milliseconds = leastMilliseconds(run, start, end);
          if (milliseconds < least) {
            least = milliseconds;
            fastest = i;
          }
        }
      }
      return fastest;
    } catch (CudaException e) {
      if (!e.isOutOfMemory()) {
        throw e;
      }
      return 0;
    }
  }

  /** Infinity where cuBLASLt refuses what its heuristic had promised. */
  private static float leastMilliseconds(Runnable run, CudaEvent start, CudaEvent end) {
    float least = Float.POSITIVE_INFINITY;
    try {
      run.run(); // loads the algorithm's kernel
      for (int i = 0; i < TIMED_RUNS; i++) {
        run.run();
        least = Math.min(least, end.millisecondsSince(start));
      }
    } catch (CudaException e) {
      if (!e.call().equals("cublasLtMatmul") || e.isOutOfMemory()) {
        throw e;
      }
    }
    return least;
  }

  /** How many different products were prepared. */
  public int preparedCount() {
    return products.size();
  }

  private static void checkShapes(Tensor x, Tensor w, @Nullable Tensor bias, Tensor out) {
    boolean fits =
        x.columns() == w.columns()
            && out.rows() == x.rows()
            && out.columns() == w.rows()
            && x.dtype() == w.dtype()
            && (bias == null || bias.rows() == 1 && bias.columns() == w.rows());
    if (!fits) {
      throw new IllegalArgumentException(
          "%d x %d %s times %d x %d %s transposed into %d x %d"
              .formatted(
                  x.rows(),
                  x.columns(),
                  x.dtype(),
                  w.rows(),
                  w.columns(),
                  w.dtype(),
                  out.rows(),
                  out.columns()));
    }
  }

  private static long address(Tensor tensor) {
    return tensor.memory().address();
  }

  /** A single row's stride does not matter, but must not be less than its columns. */
  private static long stride(Tensor tensor) {
    return Math.max(1, tensor.rows() == 1 ? tensor.columns() : tensor.rowStride());
  }

  private static long alignment(long address) {
    return address == 0
        ? MAX_ALIGNMENT_BYTES
        : Math.min(MAX_ALIGNMENT_BYTES, Long.lowestOneBit(address));
  }

  private static BlasType blasType(DType type) {
    return switch (type) {
      case F32 -> BlasType.R_32F;
      case F16 -> BlasType.R_16F;
      case BF16 -> BlasType.R_16BF;
      case I32 -> throw new IllegalArgumentException("a product of I32");
    };
  }

  private void destroy(Product product) {
    blas.destroyLayout(product.layouts.a());
    blas.destroyLayout(product.layouts.b());
    blas.destroyLayout(product.layouts.d());
    blas.destroyDescriptor(product.descriptor);
  }

  @Override
  public void close() {
    if (context.unregister(resource)) {
      context.makeCurrent();
      products.values().forEach(this::destroy);
      products.clear();
      blas.destroyHandle(handle);
      arena.close();
    }
  }
}
