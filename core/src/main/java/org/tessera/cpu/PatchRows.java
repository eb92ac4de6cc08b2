package org.tessera.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import org.tessera.ops.Pixels;
import org.tessera.tensor.Tensor;

/** Cuts a picture into patches, a row of pixels at a time. */
final class PatchRows {
  private PatchRows() {}

  /** Writes the patches {@code from} to {@code to} of a picture to the same rows of {@code out}. */
  static void write(Pixels picture, int side, float[][] table, Tensor out, int from, int to) {
    byte[] bytes = picture.bytes();
    int channels = table.length;
    int area = side * side;
    float[] patch = new float[channels * area];
    for (int i = from; i < to; i++) {
      int top = i / picture.patchColumns() * side;
      int left = i % picture.patchColumns() * side;
      for (int y = 0; y < side; y++) {
        int in = ((top + y) * picture.width() + left) * channels;
        for (int x = 0; x < side; x++) {
          for (int c = 0; c < channels; c++) {
            patch[c * area + y * side + x] = table[c][bytes[in++] & 0xff];
          }
        }
      }
      MemorySegment.copy(
          patch, 0, out.memory(), JAVA_FLOAT_UNALIGNED, Elements.offset(out, i, 0), patch.length);
    }
  }
}
