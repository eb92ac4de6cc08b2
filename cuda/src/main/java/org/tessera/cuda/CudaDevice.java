package org.tessera.cuda;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tessera.cuda.ffm.CublasLt;
import org.tessera.cuda.ffm.Driver.MemoryInfo;
import org.tessera.device.Device;
import org.tessera.device.DeviceInfo;
import org.tessera.ops.Ops;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/**
 * A GPU: one context and one stream, to which everything is issued in order. Activations, biases
 * and norm weights are BF16 or F16.
 */
public final class CudaDevice implements Device {
  /** What the fast kernels and cuBLASLt load at a time. */
  private static final int ROW_ALIGNMENT_BYTES = 16;

  private static final int PREFILL_ROWS = 8192;

  /** Those of four large pictures: their activations stay below a gigabyte. */
  private static final int VISION_SLICES = 40;

  private final CudaContext context;
  private final CudaStream stream;
  private final KernelCompiler compiler;
  private final CublasLt blas;
  private final DType activationType;
  private final Staging staging;
  private final WeightUpload weights;
  private final Ops ops;
  private final Set<Object> seen = new HashSet<>();
  private final Map<Object, CudaGraph> graphs = new HashMap<>();
  private boolean closed;

  /** Makes the operations of a device whose context, stream, compiler and cuBLASLt are there. */
  @FunctionalInterface
  public interface OpsFactory {
    /**
     * What the operations make in the device's context is freed with it; the device's own transfers
     * work already.
     */
    Ops create(CudaDevice device);
  }

  /**
   * @param context this device's alone from now on: closed with it, and closed where this throws
   */
  @SuppressWarnings("this-escape") // the factory comes last, when all else is there
  CudaDevice(CudaContext context, KernelCompiler compiler, CublasLt blas, OpsFactory factory) {
    this.context = context;
    this.compiler = compiler;
    this.blas = blas;
    activationType = compiler.activationType();
    boolean done = false;
    try {
      stream = context.createStream();
      staging = new Staging(context, stream);
      weights = new WeightUpload(context, stream);
      ops = factory.create(this);
      done = true;
    } finally {
      if (!done) {
        context.close();
      }
    }
  }

  /** The context, which this device owns. */
  public CudaContext context() {
    return context;
  }

  /** The stream of all this device's work. */
  public CudaStream stream() {
    return stream;
  }

  /** Compiles for this device and its type of activations. */
  public KernelCompiler compiler() {
    return compiler;
  }

  /** cuBLASLt, loaded. */
  public CublasLt blas() {
    return blas;
  }

  @Override
  public DeviceInfo info() {
    MemoryInfo memory = context.memoryInfo();
    return new DeviceInfo(
        context.id(), context.properties().name(), memory.totalBytes(), memory.freeBytes());
  }

  @Override
  public Ops ops() {
    return ops;
  }

  @Override
  public DType activationType() {
    return activationType;
  }

  /**
   * {@inheritDoc} By copying within the device's memory, which loads the bus as much as reading.
   */
  @Override
  public double measureReadBandwidth() {
    return ReadBandwidth.measure(context, stream);
  }

  @Override
  public int prefillRows() {
    return PREFILL_ROWS;
  }

  @Override
  public int visionSlices() {
    return VISION_SLICES;
  }

  @Override
  public DeviceMemory allocateRegion() {
    return new DeviceRegion(context);
  }

  /** {@inheritDoc} That of the activations, with which they are multiplied. */
  @Override
  public DType weightType(DType stored) {
    return activationType;
  }

  /** {@inheritDoc} The result is in one piece, whose rows begin at multiples of 16 bytes. */
  @Override
  public Matrix place(List<Tensor> hostParts, DType dtype, DeviceMemory region) {
    require(dtype != DType.I32, "weights are floats, not I32");
    Matrix onHost = Matrix.stacked(hostParts);
    int alignment = ROW_ALIGNMENT_BYTES / dtype.bytes();
    int stride = Math.ceilDiv(onHost.columns(), alignment) * alignment;
    Tensor wide = region.allocate(dtype, onHost.rows(), stride);
    weights.upload(hostParts, dtype, stride, wide.memory());
    Tensor placed = wide.columns(0, onHost.columns());
    return Matrix.stacked(List.of(placed));
  }

  /** {@inheritDoc} That is the activation type. */
  @Override
  public Tensor placeVector(List<Tensor> hostParts, DeviceMemory region) {
    int columns = hostParts.stream().mapToInt(part -> part.rows() * part.columns()).sum();
    Tensor placed = region.allocate(activationType, 1, columns);
    weights.upload(hostParts, activationType, placed.memory());
    return placed;
  }

  @Override
  public void upload(float[] source, Tensor destination) {
    checkTransfer(source.length, destination);
    staging.upload(source, destination.memory().address(), destination.dtype());
  }

  /** Copies bytes from the host to the beginning of device memory, as {@code upload} does ints. */
  void upload(byte[] source, MemorySegment destination) {
    if (source.length > destination.byteSize()) {
      throw new IllegalArgumentException(
          "%d bytes for memory of %d".formatted(source.length, destination.byteSize()));
    }
    staging.upload(source, destination.address());
  }

  /**
   * {@inheritDoc} Returns before the copy is done. Not while the stream is captured: the buffer
   * that the graph would copy from is used again.
   */
  @Override
  public void upload(int[] source, Tensor destination) {
    checkTransfer(source.length, destination);
    requireInts(destination);
    staging.upload(source, destination.memory().address());
  }

  @Override
  public float[] download(Tensor source) {
    float[] floats = new float[Math.multiplyExact(source.rows(), source.columns())];
    checkTransfer(floats.length, source);
    staging.download(source.memory().address(), source.dtype(), floats);
    return floats;
  }

  @Override
  public void download(Tensor source, int[] destination) {
    checkTransfer(destination.length, source);
    requireInts(source);
    staging.download(source.memory().address(), destination);
  }

  @Override
  public boolean samplesOnDevice() {
    return true;
  }

  @Override
  public boolean recordsWork() {
    return true;
  }

  /**
   * {@inheritDoc} The first time the work just runs, so that kernels are loaded, products prepared
   * and memory is there; the second time it is captured as a graph.
   */
  @Override
  public void replay(Object key, Runnable work) {
    CudaGraph graph = graphs.get(key);
    if (graph == null && !seen.contains(key)) {
      work.run();
      seen.add(key); // where it failed, what a capture needs may not be there
      return;
    }
    if (graph == null) {
      graph = stream.capture(work);
      graphs.put(key, graph);
    }
    graph.launch(stream);
  }

  @Override
  public void forget(Object key) {
    seen.remove(key);
    CudaGraph graph = graphs.remove(key);
    if (graph != null) {
      stream.synchronize();
      graph.close();
    }
  }

  private static void requireInts(Tensor tensor) {
    if (tensor.dtype() != DType.I32) {
      throw new IllegalArgumentException("ints for a tensor of " + tensor.dtype());
    }
  }

  private static void checkTransfer(int elements, Tensor tensor) {
    require(tensor.isContiguous(), "a strided tensor cannot be transferred");
    if (elements != (long) tensor.rows() * tensor.columns()) {
      throw new IllegalArgumentException(
          "%d elements for a tensor of %d x %d"
              .formatted(elements, tensor.rows(), tensor.columns()));
    }
  }

  private static void require(boolean condition, String message) {
    if (!condition) {
      throw new IllegalArgumentException(message);
    }
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    try {
      stream.synchronize();
    } finally {
      context.close();
    }
  }
}
