package org.tessera.image;

import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The inner loops with the Vector API, for vectors of 8 or 16 ints. Loaded only where the incubator
 * module is there.
 */
final class VectorPixels implements PixelKernels {
  private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
  private static final int LANES = INTS.length();

  /** Where this is supported, as many bytes as there are ints in a vector. */
  private static final VectorSpecies<Byte> BYTES =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(INTS.vectorBitSize() / 4, 64)));

  private static final int HALF = 1 << (WEIGHT_BITS - 1);

  /** Whole pixels in a vector; the lanes behind them are not used. */
  private static final int PIXELS = LANES / CHANNELS;

  /** Bring the second, third, fourth and fifth pixel of a vector to its first. */
  private static final VectorShuffle<Integer> SECOND = shuffle(1);

  private static final VectorShuffle<Integer> THIRD = shuffle(2);
  private static final VectorShuffle<Integer> FOURTH = shuffle(3);
  private static final VectorShuffle<Integer> FIFTH = shuffle(4);

  private static VectorShuffle<Integer> shuffle(int pixel) {
    return VectorShuffle.fromOp(INTS, lane -> (lane + pixel * CHANNELS) % LANES);
  }

  static boolean isSupported() {
    return LANES == 8 || LANES == 16;
  }

  @Override
  public int lanes() {
    return LANES;
  }

  private static IntVector load(int[] values, int at) {
    return IntVector.fromArray(INTS, values, at);
  }

  @Override
  public void resizeRow(
      byte[] source, int sourceAt, ResizeWeights weights, byte[] target, int targetAt) {
    int count = weights.length();
    int steps = steps(weights);
    int[] sums = new int[count * CHANNELS + LANES];
    // Vectors that reach beyond the picture are left to plain loops.
    int whole = count;
    while (whole > 0 && !fits(source, sourceAt, weights, whole - 1, steps)) {
      whole--;
    }
    for (int i = 0; i < whole; i++) {
      int in = sourceAt + weights.first()[i] * CHANNELS;
      int at = i * steps * LANES;
      IntVector sum = IntVector.zero(INTS);
      for (int k = 0; k < steps; k++) {
        sum =
            sum.add(
                bytes(source, in + k * PIXELS * CHANNELS)
                    .mul(load(weights.spread(), at + k * LANES)));
      }
      // What this writes behind the pixel the next one writes over.
      pixel(sum).intoArray(sums, i * CHANNELS);
    }
    finish(sums, whole * CHANNELS, target, targetAt);
    for (int i = whole; i < count; i++) {
      ScalarPixels.resizePixel(source, sourceAt, weights, i, target, targetAt + i * CHANNELS);
    }
  }

  /** Vectors for the weights of one pixel. */
  private static int steps(ResizeWeights weights) {
    return Math.ceilDiv(weights.taps(), PIXELS);
  }

  private static boolean fits(
      byte[] source, int sourceAt, ResizeWeights weights, int i, int steps) {
    int last = sourceAt + (weights.first()[i] + (steps - 1) * PIXELS) * CHANNELS;
    return last + LANES <= source.length;
  }

  /** The sum of all pixels of a vector, in its first lanes. */
  private static IntVector pixel(IntVector sum) {
    IntVector pixel = sum.add(sum.rearrange(SECOND));
    return PIXELS == 2
        ? pixel
        : pixel.add(sum.rearrange(THIRD)).add(sum.rearrange(FOURTH)).add(sum.rearrange(FIFTH));
  }

  private static void finish(int[] sums, int count, byte[] target, int targetAt) {
    int x = 0;
    for (; x + LANES <= count; x += LANES) {
      store(load(sums, x).add(HALF), target, targetAt + x);
    }
    for (; x < count; x++) {
      int value = (sums[x] + HALF) >> WEIGHT_BITS;
      target[targetAt + x] = (byte) Math.max(0, Math.min(value, 255));
    }
  }

  @Override
  public void resizeColumns(
      byte[] source, int stride, ResizeWeights weights, int row, byte[] target) {
    int count = weights.count()[row];
    int in = weights.first()[row] * stride;
    int out = row * stride;
    int weight = row * weights.taps();
    int x = 0;
    for (; x + LANES <= stride; x += LANES) {
      IntVector sum = IntVector.broadcast(INTS, HALF);
      for (int j = 0; j < count; j++) {
        sum = sum.add(bytes(source, in + j * stride + x).mul(weights.values()[weight + j]));
      }
      store(sum, target, out + x);
    }
    for (; x < stride; x++) {
      int sum = HALF;
      for (int j = 0; j < count; j++) {
        sum += weights.values()[weight + j] * (source[in + j * stride + x] & 0xff);
      }
      target[out + x] = (byte) Math.max(0, Math.min(sum >> WEIGHT_BITS, 255));
    }
  }

  private static IntVector bytes(byte[] source, int at) {
    return (IntVector)
        ByteVector.fromArray(BYTES, source, at)
            .convertShape(VectorOperators.ZERO_EXTEND_B2I, INTS, 0);
  }

  /** Fixed-point numbers as bytes. */
  private static void store(IntVector sum, byte[] target, int at) {
    ((ByteVector)
            sum.lanewise(VectorOperators.ASHR, WEIGHT_BITS)
                .max(0)
                .min(255)
                .convertShape(VectorOperators.I2B, BYTES, 0))
        .intoArray(target, at);
  }
}
