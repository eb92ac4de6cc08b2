package org.tessera.cuda;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.tessera.cuda.ffm.CublasLt;
import org.tessera.cuda.ffm.Driver.MemoryInfo;
import org.tessera.device.Device;
import org.tessera.device.DeviceInfo;
import org.tessera.ops.Ops;
import org.tessera.plan.PlanRequest;
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

  /**
   * A step of so many rows takes about 25 ms on an H200, by the rate of prefill that was measured
   * there: answers under way wait no longer for their next token.
   */
  private static final int MIXED_PREFILL_ROWS = 1024;

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
  private final Map<CudaDevice, CudaEvent> sourceEvents = new HashMap<>();
  private @Nullable Peers peers;
  private boolean records = true;
  private boolean closed;

  /** What a device asks of the group of ranks that it is in. */
  interface Peers {
    /** Waits until the threads of all ranks are here; then none of them allocates or loads. */
    void meet();

    /** Throws where a collective that was issued gave up, so that its results are none. */
    void check();
  }

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
    return PlanRequest.GPU_PREFILL_TOKENS;
  }

  @Override
  public int mixedPrefillRows() {
    return MIXED_PREFILL_ROWS;
  }

  @Override
  public int visionSlices() {
    return PlanRequest.GPU_SLICES;
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

  /**
   * Copies arrays of bytes from the host to device memory, as {@code upload} does ints. What lies
   * between the arrays may be written too.
   *
   * @param places where each array begins in {@code destination}, ascending
   */
  void upload(List<byte[]> sources, long[] places, MemorySegment destination) {
    long end = 0;
    for (int i = 0; i < places.length; i++) {
      require(places[i] >= end, "arrays of bytes that lie over one another");
      end = places[i] + sources.get(i).length;
    }
    if (end > destination.byteSize()) {
      throw new IllegalArgumentException(
          "%d bytes for memory of %d".formatted(end, destination.byteSize()));
    }
    staging.upload(sources, places, destination.address());
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

  /**
   * {@inheritDoc} From another GPU by a copy between the cards, where both tensors are of one type;
   * through the host where they are not, or {@code from} is no GPU.
   */
  @Override
  public void receive(Device from, Tensor source, Tensor destination) {
    if (!(from instanceof CudaDevice card) || source.dtype() != destination.dtype()) {
      Device.super.receive(from, source, destination);
      return;
    }
    checkTransfer(Math.multiplyExact(source.rows(), source.columns()), destination);
    require(source.isContiguous(), "a strided tensor cannot be transferred");
    // Without it the driver would copy through the host, which is right and slow.
    context.reaches(card.context);
    CudaEvent written =
        sourceEvents.computeIfAbsent(card, other -> other.context.createEvent(/* timed= */ false));
    written.record(card.stream);
    stream.waitFor(written);
    stream.copyFromPeer(
        card.context, source.memory(), destination.memory(), destination.byteSize());
  }

  @Override
  public float[] download(Tensor source) {
    float[] floats = new float[Math.multiplyExact(source.rows(), source.columns())];
    checkTransfer(floats.length, source);
    staging.download(source.memory().address(), source.dtype(), floats);
    checkPeers();
    return floats;
  }

  @Override
  public void download(Tensor source, int[] destination) {
    checkTransfer(destination.length, source);
    requireInts(source);
    staging.download(source.memory().address(), destination);
    checkPeers();
  }

  private void checkPeers() {
    if (peers != null) {
      peers.check();
    }
  }

  /** {@inheritDoc} So it is, but where the work exchanges with other ranks through the host. */
  @Override
  public boolean samplesOnDevice() {
    return true;
  }

  @Override
  public boolean recordsWork() {
    return records;
  }

  /** For a rank whose way to the others is none that a graph can hold. */
  void stopRecording() {
    records = false;
  }

  /**
   * {@inheritDoc} The first time the work just runs, so that kernels are loaded, products prepared
   * and memory is there; the second time it is captured as a graph. Ranks do so together, each its
   * own part, and launch the graphs for the first time when all have them.
   */
  @Override
  public void replay(Object key, Runnable work) {
    CudaGraph graph = graphs.get(key);
    if (graph != null) {
      checkPeers(); // of what a group that was aborted has freed, a graph may hold addresses
      graph.launch(stream);
    } else if (seen.contains(key)) {
      capture(key, work);
    } else {
      work.run();
      seen.add(key); // where it failed, what a capture needs may not be there
    }
  }

  private void capture(Object key, Runnable work) {
    CudaGraph graph = stream.capture(work);
    boolean met = false;
    try {
      graph.upload(stream);
      meetPeers();
      met = true;
    } finally {
      if (!met) {
        graph.close();
      }
    }
    graphs.put(key, graph);
    graph.launch(stream);
    meetPeers();
  }

  private void meetPeers() {
    if (peers != null) {
      peers.meet();
    }
  }

  /** The group that this device is in from now on; null for none. */
  void join(@Nullable Peers group) {
    if (peers != null && group != null) {
      throw new IllegalStateException(context.id() + " is in a group of ranks already");
    }
    peers = group;
  }

  /** Forgets all that was recorded, after a failure that may have left ranks out of step. */
  void forgetAll() {
    List.copyOf(seen).forEach(this::forget);
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
      sourceEvents.values().forEach(CudaEvent::close);
    } finally {
      context.close();
    }
  }
}
