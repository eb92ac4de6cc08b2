package org.tessera.tensor;

import java.util.Arrays;
import java.util.List;

/** The dimensions of a tensor as a checkpoint declares them, outermost first. */
public record Shape(List<Integer> dimensions) {
  public Shape {
    dimensions = List.copyOf(dimensions);
    for (int dimension : dimensions) {
      if (dimension < 0) {
        throw new IllegalArgumentException("negative dimension in " + dimensions);
      }
    }
  }

  public static Shape of(int... dimensions) {
    return new Shape(Arrays.stream(dimensions).boxed().toList());
  }

  /**
   * Number of elements; 1 for a scalar. Throws {@link ArithmeticException} where it exceeds a long.
   */
  public long elements() {
    long elements = 1;
    for (int dimension : dimensions) {
      elements = Math.multiplyExact(elements, (long) dimension);
    }
    return elements;
  }

  /** As safetensors prints it: {@code [1152, 3, 14, 14]}. */
  @Override
  public String toString() {
    return dimensions.toString();
  }
}
