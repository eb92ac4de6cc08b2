package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/** cuBLASLt: handles, descriptors, heuristics and the matrix product. */
public final class CublasLt {
  /** Bytes of a cublasLtMatmulAlgo_t. */
  public static final long ALGORITHM_BYTES = 64;

  private static final int SUCCESS = 0;
  private static final int ALLOC_FAILED = 3;
  private static final int NOT_SUPPORTED = 15;
  private static final int COMPUTE_32F = 68;
  private static final int REAL_32F = 0;
  private static final int OPERATION_TRANSPOSE = 1;
  private static final long RESULT_BYTES = 96;
  private static final long RESULT_STATE = 72;

  private final NativeLibrary library;
  private final CublasLtApi api;

  public CublasLt(NativeLibrary library) {
    this.library = library;
    api = new CublasLtHandles(library);
  }

  /** Its libraries for a driver of a CUDA major version. */
  public static List<String> sonames(int driverMajor) {
    return Sonames.upTo("libcublasLt.so.", driverMajor);
  }

  /** Where it was loaded from. */
  public NativeLibrary library() {
    return library;
  }

  /** {@code 13.1.1}. */
  public String version() {
    long version = api.cublasLtGetVersion();
    return version / 10_000 + "." + version / 100 % 100 + "." + version % 100;
  }

  /** Attributes of a matrix product's descriptor. */
  public enum DescriptorAttribute {
    TRANSPOSE_A(3),
    EPILOGUE(7),
    BIAS_POINTER(8),
    BIAS_DATA_TYPE(26);

    private final int code;

    DescriptorAttribute(int code) {
      this.code = code;
    }
  }

  /** Attributes of what a heuristic must heed. */
  public enum Preference {
    MAX_WORKSPACE_BYTES(1),
    MIN_ALIGNMENT_A_BYTES(5),
    MIN_ALIGNMENT_B_BYTES(6),
    MIN_ALIGNMENT_C_BYTES(7),
    MIN_ALIGNMENT_D_BYTES(8);

    private final int code;

    Preference(int code) {
      this.code = code;
    }
  }

  /** A handle on the device of the current context. */
  public long createHandle() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment handle = arena.allocate(ADDRESS);
      check(api.cublasLtCreate(handle), "cublasLtCreate");
      return handle.get(JAVA_LONG, 0);
    }
  }

  public void destroyHandle(long handle) {
    check(api.cublasLtDestroy(handle), "cublasLtDestroy");
  }

  /** A descriptor of a product that is accumulated in fp32, with A transposed. */
  public long createDescriptor() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment created = arena.allocate(ADDRESS);
      check(
          api.cublasLtMatmulDescCreate(created, COMPUTE_32F, REAL_32F), "cublasLtMatmulDescCreate");
      long descriptor = created.get(JAVA_LONG, 0);
      set(descriptor, DescriptorAttribute.TRANSPOSE_A, OPERATION_TRANSPOSE);
      return descriptor;
    }
  }

  /** Sets an attribute of 4 bytes. */
  public void set(long descriptor, DescriptorAttribute attribute, int value) {
    try (Arena arena = Arena.ofConfined()) {
      setDescriptor(descriptor, attribute, arena.allocateFrom(JAVA_INT, value));
    }
  }

  /** Sets the address of the bias; {@code scratch} holds 8 bytes for the call. */
  public void setBias(long descriptor, long pointer, MemorySegment scratch) {
    scratch.set(JAVA_LONG, 0, pointer);
    setDescriptor(descriptor, DescriptorAttribute.BIAS_POINTER, scratch);
  }

  private void setDescriptor(long descriptor, DescriptorAttribute attribute, MemorySegment value) {
    check(
        api.cublasLtMatmulDescSetAttribute(descriptor, attribute.code, value, value.byteSize()),
        "cublasLtMatmulDescSetAttribute");
  }

  public void destroyDescriptor(long descriptor) {
    check(api.cublasLtMatmulDescDestroy(descriptor), "cublasLtMatmulDescDestroy");
  }

  /** A column-major matrix. */
  public long createLayout(BlasType type, long rows, long columns, long leadingDimension) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment layout = arena.allocate(ADDRESS);
      check(
          api.cublasLtMatrixLayoutCreate(layout, type.code(), rows, columns, leadingDimension),
          "cublasLtMatrixLayoutCreate");
      return layout.get(JAVA_LONG, 0);
    }
  }

  public void destroyLayout(long layout) {
    check(api.cublasLtMatrixLayoutDestroy(layout), "cublasLtMatrixLayoutDestroy");
  }

  public long createPreference() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment preference = arena.allocate(ADDRESS);
      check(api.cublasLtMatmulPreferenceCreate(preference), "cublasLtMatmulPreferenceCreate");
      return preference.get(JAVA_LONG, 0);
    }
  }

  /** Sets a preference; the workspace is 8 bytes wide, alignments are 4. */
  public void set(long preference, Preference attribute, long value) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes =
          attribute == Preference.MAX_WORKSPACE_BYTES
              ? arena.allocateFrom(JAVA_LONG, value)
              : arena.allocateFrom(JAVA_INT, Math.toIntExact(value));
      check(
          api.cublasLtMatmulPreferenceSetAttribute(
              preference, attribute.code, bytes, bytes.byteSize()),
          "cublasLtMatmulPreferenceSetAttribute");
    }
  }

  public void destroyPreference(long preference) {
    check(api.cublasLtMatmulPreferenceDestroy(preference), "cublasLtMatmulPreferenceDestroy");
  }

  /** The matrices of a product as layouts: D = A B + C, C laid out as D. */
  public record Layouts(long a, long b, long d) {}

  /**
   * Asks for the algorithms that the heuristic puts first, at most as many as {@code found} has
   * slices of {@link #ALGORITHM_BYTES}, to which they are written in its order.
   *
   * @return how many there are; without one the combination of types, strides and epilogue is not
   *     supported
   */
  public int findAlgorithms(
      long handle, long descriptor, Layouts layouts, long preference, MemorySegment found) {
    int most = Math.toIntExact(found.byteSize() / ALGORITHM_BYTES);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment results = arena.allocate(most * RESULT_BYTES, Long.BYTES);
      MemorySegment returned = arena.allocate(JAVA_INT);
      int status =
          api.cublasLtMatmulAlgoGetHeuristic(
              handle,
              descriptor,
              layouts.a,
              layouts.b,
              layouts.d,
              layouts.d,
              preference,
              most,
              results,
              returned);
      if (status == NOT_SUPPORTED) {
        return 0;
      }
      check(status, "cublasLtMatmulAlgoGetHeuristic");
      int count = 0;
      for (int i = 0; i < returned.get(JAVA_INT, 0); i++) {
        MemorySegment result = results.asSlice(i * RESULT_BYTES, RESULT_BYTES);
        if (result.get(JAVA_INT, RESULT_STATE) == SUCCESS) {
          MemorySegment.copy(result, 0, found, count * ALGORITHM_BYTES, ALGORITHM_BYTES);
          count++;
        }
      }
      return count;
    }
  }

  /** Addresses of a product's operands; {@code alpha} and {@code beta} are floats on the host. */
  public record Operands(long a, long b, long d, long alpha, long beta) {}

  /** Issues {@code D = alpha A B + beta D} with the descriptor's epilogue. */
  public void multiply(
      long handle,
      long descriptor,
      Layouts layouts,
      Operands operands,
      long algorithm,
      long workspace,
      long workspaceBytes,
      long stream) {
    check(
        api.cublasLtMatmul(
            handle,
            descriptor,
            operands.alpha,
            operands.a,
            layouts.a,
            operands.b,
            layouts.b,
            operands.beta,
            operands.d,
            layouts.d,
            operands.d,
            layouts.d,
            algorithm,
            workspace,
            workspaceBytes,
            stream),
        "cublasLtMatmul");
  }

  private void check(int status, String call) {
    if (status != SUCCESS) {
      throw CudaException.ofStatus(
          call,
          CStrings.at(api.cublasLtGetStatusName(status)),
          Optional.of(CStrings.at(api.cublasLtGetStatusString(status)))
              .filter(text -> !text.isEmpty())
              .orElse("cuBLASLt gives no description"),
          status == ALLOC_FAILED);
    }
  }
}
