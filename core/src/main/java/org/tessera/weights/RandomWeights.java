package org.tessera.weights;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;
import org.tessera.tensor.Tensor;

/**
 * Random weights of given shapes, to measure speed and memory without a checkpoint. They are the
 * same for the same seed, names and shapes, whatever is fetched first and by how many threads.
 *
 * <p>Matrices are normal with a standard deviation of 0.02, biases with 0.002, and the weights of
 * norms, told by one dimension and a name that ends in {@code .weight}, are 1: activations of a
 * deep model stay finite. To be made at the speed of memory, a matrix is filled from one pool of
 * random values, starting somewhere in it by its name: larger ones repeat with the pool's period of
 * 16,777,213 elements, a prime, so that no row equals another one.
 *
 * <p>All tensors are made at once, on all processors, in native memory.
 */
public final class RandomWeights implements WeightSource {
  private static final int POOL_ELEMENTS = 16_777_213;

  /** A line of the cache. */
  private static final long ALIGNMENT_BYTES = 64;

  private static final int POOL_CHUNK = 1 << 18;
  private static final float MATRIX_DEVIATION = 0.02f;
  private static final float BIAS_DEVIATION = 0.002f;

  private final Map<String, Shape> shapes;
  private final DType dtype;
  private final long seed;
  private final Arena arena;
  private final MemorySegment pool;
  private final Map<String, Tensor> tensors = new ConcurrentHashMap<>();

  /**
   * @param shapes tensors by name
   * @param dtype F32, BF16 or F16
   */
  @SuppressWarnings("MustBeClosedChecker") // The arena lives as long as this object.
  public RandomWeights(Map<String, Shape> shapes, DType dtype, long seed) {
    if (dtype == DType.I32) {
      throw new IllegalArgumentException("weights are F32, BF16 or F16, not I32");
    }
    this.shapes = Collections.unmodifiableMap(new TreeMap<>(shapes));
    this.dtype = dtype;
    this.seed = seed;
    this.arena = Arena.ofShared();
    boolean filled = false;
    try {
      this.pool = arena.allocate((long) POOL_ELEMENTS * dtype.bytes(), Long.BYTES);
      int chunks = Math.ceilDiv(POOL_ELEMENTS, POOL_CHUNK);
      IntStream.range(0, chunks).parallel().forEach(this::fillPool);
      // Most of the time goes into the first touch of new pages, which the allocation does.
      List.copyOf(this.shapes.keySet()).parallelStream().forEach(this::fill);
      filled = true;
    } finally {
      if (!filled) {
        arena.close();
      }
    }
  }

  private void fillPool(int chunk) {
    SplittableRandom random = new SplittableRandom(seed * 31 + chunk);
    int end = Math.min((chunk + 1) * POOL_CHUNK, POOL_ELEMENTS);
    for (int i = chunk * POOL_CHUNK; i < end; i++) {
      write(pool, i, (float) (random.nextGaussian() * MATRIX_DEVIATION));
    }
  }

  @Override
  public String description() {
    return "random weights";
  }

  @Override
  public Set<String> names() {
    return shapes.keySet();
  }

  @Override
  public WeightInfo info(String name) {
    Shape shape = shapes.get(name);
    if (shape == null) {
      throw missing(name);
    }
    return new WeightInfo(description(), dtype, shape);
  }

  @Override
  public Tensor get(String name) {
    Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw missing(name);
    }
    return tensor;
  }

  private CheckpointException missing(String name) {
    return new CheckpointException("%s: tensor %s is missing".formatted(description(), name));
  }

  private void fill(String name) {
    Shape shape = Objects.requireNonNull(shapes.get(name));
    List<Integer> dimensions = shape.dimensions();
    int rows = dimensions.size() < 2 ? 1 : dimensions.getFirst();
    int columns = rows == 0 ? 0 : Math.toIntExact(shape.elements() / rows);
    Tensor tensor = allocate(dtype, rows, columns);
    if (dimensions.size() > 1) {
      copyFromPool(name, tensor.memory());
    } else {
      boolean norm = name.endsWith(".weight");
      SplittableRandom random = new SplittableRandom(seed ^ hash(name));
      for (int i = 0; i < columns; i++) {
        write(tensor.memory(), i, norm ? 1 : (float) (random.nextGaussian() * BIAS_DEVIATION));
      }
    }
    tensors.put(name, tensor);
  }

  private void copyFromPool(String name, MemorySegment target) {
    long poolOffset = Math.floorMod(hash(name), POOL_ELEMENTS) * (long) dtype.bytes();
    long offset = 0;
    while (offset < target.byteSize()) {
      long count = Math.min(target.byteSize() - offset, pool.byteSize() - poolOffset);
      MemorySegment.copy(pool, poolOffset, target, offset, count);
      offset += count;
      poolOffset = 0;
    }
  }

  /** A well-mixed hash: names of a checkpoint differ in a digit. */
  private static long hash(String name) {
    long hash = 0;
    for (int i = 0; i < name.length(); i++) {
      hash = hash * 0x9E3779B97F4A7C15L + name.charAt(i);
    }
    return hash ^ (hash >>> 29);
  }

  private void write(MemorySegment target, long index, float value) {
    switch (dtype) {
      case F32 -> target.setAtIndex(JAVA_FLOAT_UNALIGNED, index, value);
      case F16 -> target.setAtIndex(JAVA_SHORT_UNALIGNED, index, Float.floatToFloat16(value));
      // The upper half of a float, towards zero: the values are random either way.
      case BF16 ->
          target.setAtIndex(
              JAVA_SHORT_UNALIGNED, index, (short) (Float.floatToRawIntBits(value) >>> 16));
      case I32 -> throw new IllegalStateException("refused by the constructor");
    }
  }

  @Override
  public long totalBytes() {
    return shapes.values().stream().mapToLong(shape -> shape.elements() * dtype.bytes()).sum();
  }

  @Override
  public Tensor allocate(DType type, int rows, int columns) {
    long bytes = (long) rows * columns * type.bytes();
    return Tensor.of(type, rows, columns, arena.allocate(bytes, ALIGNMENT_BYTES));
  }

  @Override
  public void close() {
    arena.close();
  }
}
