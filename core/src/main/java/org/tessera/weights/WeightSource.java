package org.tessera.weights;

import java.util.EnumMap;
import java.util.Map;
import java.util.Set;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;
import org.tessera.tensor.Tensor;

/**
 * Named tensors in host memory, row-major and little-endian. They must not be written to, and they
 * live until the source is closed.
 *
 * <p>The first byte of a tensor may lie at <em>any</em> address: the header of a safetensors file
 * need not be a multiple of the element size. Read with {@code JAVA_SHORT_UNALIGNED}, {@code
 * JAVA_FLOAT_UNALIGNED} and their like.
 *
 * <p>Safe for use by several threads.
 */
public interface WeightSource extends AutoCloseable {

  /** What messages call the source: the file that lists its tensors. */
  String description();

  /** The names of all tensors. */
  Set<String> names();

  /** Whether there is a tensor of this name. */
  default boolean has(String name) {
    return names().contains(name);
  }

  /**
   * What is known of a tensor without touching its data.
   *
   * @throws CheckpointException where there is none, or its elements are none of F32, BF16 and F16
   */
  WeightInfo info(String name);

  /**
   * The tensor as rows: its first dimension, by columns: the product of the others. A tensor of one
   * dimension is one row, a scalar one row of one column.
   *
   * @throws CheckpointException as {@link #info}, and where the columns exceed an int
   */
  Tensor get(String name);

  /**
   * The element type of most of the bytes.
   *
   * @throws CheckpointException where there is no tensor
   */
  default DType prevailingType() {
    Map<DType, Long> bytes = new EnumMap<>(DType.class);
    for (String name : names()) {
      WeightInfo info = info(name);
      bytes.merge(info.dtype(), info.byteSize(), Long::sum);
    }
    return bytes.entrySet().stream()
        .max(Map.Entry.comparingByValue())
        .map(Map.Entry::getKey)
        .orElseThrow(() -> new CheckpointException(description() + " holds no tensor"));
  }

  /** Bytes of all tensors. */
  long totalBytes();

  /** New memory that lives as long as the tensors, for a weight that has to be laid out anew. */
  Tensor allocate(DType dtype, int rows, int columns);

  /** Frees the memory of all tensors: none may be read any more. */
  @Override
  void close();

  /**
   * A tensor's element type and shape.
   *
   * @param file the file that holds it
   */
  record WeightInfo(String file, DType dtype, Shape shape) {
    /** Bytes of all elements. */
    public long byteSize() {
      return Math.multiplyExact(shape.elements(), (long) dtype.bytes());
    }
  }
}
