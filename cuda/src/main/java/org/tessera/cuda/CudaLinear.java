package org.tessera.cuda;

import static org.tessera.cuda.Operands.hasAlignedRows;
import static org.tessera.cuda.Operands.isAligned;

import org.jspecify.annotations.Nullable;
import org.tessera.cuda.Matmul.Epilogue;
import org.tessera.ops.Activation;
import org.tessera.ops.RmsNorm;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * Linear layers: up to 16 rows by kernels that read the matrix once at the speed of memory, more by
 * cuBLASLt, and what neither takes by a slow kernel of any alignment.
 */
final class CudaLinear {
  static final int GEMV_ROWS = 16;

  private static final String FILE = "gemv.cu";
  private static final int GEMV_HALF_ROWS = 8;
  private static final int BLOCK_THREADS = 256;
  private static final int WARPS = 8;
  private static final int MAX_GRID_Y = 65_535;
  private static final long BLAS_WORKSPACE_BYTES = 32L << 20;
  private static final int STORE = 0;
  private static final int STORE_F32 = 1;
  private static final int ADD = 2;

  private final CudaStream stream;
  private final CudaKernels kernels;
  private final Matmul matmul;
  private final int blocks;
  private int @Nullable [] sharedBytes;

  CudaLinear(CudaDevice device, CudaKernels kernels) {
    this.stream = device.stream();
    this.kernels = kernels;
    CudaContext context = device.context();
    DeviceRegion region = new DeviceRegion(context);
    matmul = new Matmul(context, device.blas(), region.allocate(BLAS_WORKSPACE_BYTES));
    // The blocks of a cluster, two, share their work: an odd multiprocessor stays without.
    blocks = Math.max(2, context.properties().multiprocessors() / 2 * 2);
  }

  /** {@code out = activation(x wᵀ + bias)}, {@code out} like x or F32. */
  void multiply(Tensor x, Tensor w, @Nullable Tensor bias, Activation activation, Tensor out) {
    boolean wide = out.dtype() == DType.F32;
    if (isGemv(x, w)) {
      Kernel kernel = gemv(wide ? "gemv_f32" : "gemv", x);
      inputs(kernel, x, w).integer(w.rows()).integer(w.columns()).pointer(address(bias));
      kernel.integer(code(activation)).pointer(out).integer(out.rowStride()).integer(0);
      launchGemv(kernel, x);
    } else if (isProduct(x, w, out) && !(wide && bias != null)) {
      matmul.multiply(stream, x, w, bias, epilogue(activation), /* add= */ false, out);
    } else {
      multiplyAny(x, w, bias, activation, out, wide ? STORE_F32 : STORE);
    }
  }

  /** {@code inOut += x wᵀ + bias}. */
  void add(Tensor x, Tensor w, @Nullable Tensor bias, Tensor inOut) {
    if (isGemv(x, w) && bias == null) {
      Kernel kernel = gemv("gemv_add", x);
      inputs(kernel, x, w).integer(w.rows()).integer(w.columns()).pointer(0);
      kernel.pointer(inOut).integer(inOut.rowStride()).integer(0);
      launchGemv(kernel, x);
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
    Kernel kernel = gemv(out.dtype() == DType.F32 ? "gemv_norm_f32" : "gemv_norm", x);
    inputs(kernel, x, w).integer(w.rows()).integer(w.columns());
    kernel.pointer(norm.weight()).real(norm.eps()).pointer(0).integer(code(Activation.NONE));
    kernel.pointer(out).integer(out.rowStride()).integer(0);
    launchGemv(kernel, x);
  }

  /** {@code out = siluMul(rmsNorm(x) wᵀ)}. */
  void normSiluMul(Tensor x, RmsNorm norm, Tensor w, Tensor out) {
    Kernel kernel = gemv("gemv_norm_swiglu", x);
    inputs(kernel, x, w).integer(w.rows() / 2).integer(w.columns());
    kernel.pointer(norm.weight()).real(norm.eps());
    kernel.pointer(out).integer(out.rowStride()).integer(0);
    launchGemv(kernel, x);
  }

  /** The arguments up to the norm of the kernel for queries, keys and values. */
  Kernel beginQkv(Tensor x, Tensor w) {
    return inputs(gemv("gemv_norm_qkv", x), x, w).integer(w.columns());
  }

  void launchGemv(Kernel kernel, Tensor x) {
    int[] bytes = sharedBytes;
    if (bytes == null) {
      bytes = kernels.constants(FILE, "gemv_shared_bytes", 2);
      sharedBytes = bytes;
    }
    kernel.launch(stream, blocks, 1, 1, BLOCK_THREADS, bytes[x.rows() <= GEMV_HALF_ROWS ? 0 : 1]);
  }

  private Kernel gemv(String name, Tensor x) {
    return kernels.get(FILE, name + (x.rows() <= GEMV_HALF_ROWS ? "_m8" : "_m16"));
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

  private static boolean isGemv(Tensor x, Tensor w) {
    return x.rows() <= GEMV_ROWS && isAligned(x) && isAligned(w);
  }

  private static boolean isProduct(Tensor x, Tensor w, Tensor out) {
    return isAligned(x) && isAligned(w) && hasAlignedRows(out);
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
