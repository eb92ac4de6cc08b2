package org.tessera.weights;

import java.util.Map;
import org.tessera.config.StrictJson;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;

/**
 * A tensor as the header of a safetensors file declares it, checked.
 *
 * @param dtype safetensors' name of the element type
 * @param begin offset of the first byte in the file's data
 * @param end offset after the last byte
 */
record StoredTensor(String dtype, Shape shape, long begin, long end) {

  /**
   * Element types of the format, in bits: a file may hold buffers of any of them, as long as no
   * model asks for one that this build does not compute with.
   */
  static final Map<String, Integer> DTYPE_BITS =
      Map.ofEntries(
          Map.entry("F4", 4),
          Map.entry("F6_E2M3", 6),
          Map.entry("F6_E3M2", 6),
          Map.entry("BOOL", 8),
          Map.entry("U8", 8),
          Map.entry("I8", 8),
          Map.entry("F8_E5M2", 8),
          Map.entry("F8_E4M3", 8),
          Map.entry("F8_E8M0", 8),
          Map.entry("U16", 16),
          Map.entry("I16", 16),
          Map.entry("F16", 16),
          Map.entry("BF16", 16),
          Map.entry("U32", 32),
          Map.entry("I32", 32),
          Map.entry("F32", 32),
          Map.entry("U64", 64),
          Map.entry("I64", 64),
          Map.entry("F64", 64),
          Map.entry("C64", 64));

  /** The type in which this build computes with the elements. */
  DType computeType(String file, String name) {
    return switch (dtype) {
      case "F32" -> DType.F32;
      case "BF16" -> DType.BF16;
      case "F16" -> DType.F16;
      default ->
          throw new CheckpointException(
              "%s: tensor %s has the type %s, expected F32, BF16 or F16"
                  .formatted(file, StrictJson.printable(name), dtype));
    };
  }

  long byteSize() {
    return end - begin;
  }
}
