package org.tessera.image;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
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

  /** As many shorts, and, where this is supported, as many bytes, as there are ints in a vector. */
  private static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(INTS.vectorBitSize() / 2));

  private static final VectorSpecies<Byte> BYTES =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(INTS.vectorBitSize() / 4, 64)));

  private static final int HALF = 1 << (WEIGHT_BITS - 1);

  private static final VarHandle PACKED =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

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

  @Override
  public void invert(short[] coefficients, int at, int[] steps, int[] spare, int[] samples) {
    for (int k = 0; k < BLOCK; k++) {
      ((IntVector)
              ShortVector.fromArray(SHORTS, coefficients, at + k * LANES)
                  .convertShape(VectorOperators.S2I, INTS, 0))
          .mul(steps[k])
          .intoArray(spare, k * LANES);
    }
    for (int column = 0; column < 8; column++) {
      line(spare, column * LANES, 8 * LANES, InverseDct.COLUMN_SHIFT);
    }
    for (int row = 0; row < BLOCK; row += 8) {
      line(spare, row * LANES, LANES, InverseDct.ROW_SHIFT);
    }
    for (int k = 0; k < BLOCK; k += 4) {
      sample(spare, k)
          .or(sample(spare, k + 1).lanewise(VectorOperators.LSHL, 8))
          .or(sample(spare, k + 2).lanewise(VectorOperators.LSHL, 16))
          .or(sample(spare, k + 3).lanewise(VectorOperators.LSHL, 24))
          .intoArray(samples, k / 4 * LANES);
    }
  }

  private static IntVector sample(int[] sums, int k) {
    return load(sums, k * LANES)
        .lanewise(VectorOperators.LSHL, ScalarPixels.UNUSED_BITS)
        .lanewise(VectorOperators.ASHR, ScalarPixels.UNUSED_BITS)
        .add(128)
        .max(0)
        .min(255);
  }

  private static IntVector load(int[] samples, int at) {
    return IntVector.fromArray(INTS, samples, at);
  }

  /** As {@link ScalarPixels} has it, for a block in each lane. */
  private static void line(int[] s, int at, int step, int shift) {
    IntVector v0 = load(s, at);
    IntVector v1 = load(s, at + step);
    IntVector v2 = load(s, at + 2 * step);
    IntVector v3 = load(s, at + 3 * step);
    IntVector v4 = load(s, at + 4 * step);
    IntVector v5 = load(s, at + 5 * step);
    IntVector v6 = load(s, at + 6 * step);
    IntVector v7 = load(s, at + 7 * step);
    int half = 1 << (shift - 1);
    IntVector even = v2.add(v6).mul(InverseDct.F_0_541);
    IntVector even2 = even.sub(v6.mul(InverseDct.F_1_847));
    IntVector even3 = even.add(v2.mul(InverseDct.F_0_765));
    IntVector even0 = v0.add(v4).lanewise(VectorOperators.LSHL, InverseDct.BITS).add(half);
    IntVector even1 = v0.sub(v4).lanewise(VectorOperators.LSHL, InverseDct.BITS).add(half);
    IntVector v71 = v7.add(v1);
    IntVector v53 = v5.add(v3);
    IntVector odd = v71.add(v53).mul(InverseDct.F_1_175);
    IntVector odd71 = v71.mul(InverseDct.F_0_899);
    IntVector odd53 = v53.mul(InverseDct.F_2_562);
    IntVector odd73 = odd.sub(v7.add(v3).mul(InverseDct.F_1_961));
    IntVector odd51 = odd.sub(v5.add(v1).mul(InverseDct.F_0_390));
    IntVector odd0 = v7.mul(InverseDct.F_0_298).sub(odd71).add(odd73);
    IntVector odd1 = v5.mul(InverseDct.F_2_053).sub(odd53).add(odd51);
    IntVector odd2 = v3.mul(InverseDct.F_3_072).sub(odd53).add(odd73);
    IntVector odd3 = v1.mul(InverseDct.F_1_501).sub(odd71).add(odd51);
    IntVector sum = even0.add(even3);
    store(sum.add(odd3), shift, s, at);
    store(sum.sub(odd3), shift, s, at + 7 * step);
    sum = even1.add(even2);
    store(sum.add(odd2), shift, s, at + step);
    store(sum.sub(odd2), shift, s, at + 6 * step);
    sum = even1.sub(even2);
    store(sum.add(odd1), shift, s, at + 2 * step);
    store(sum.sub(odd1), shift, s, at + 5 * step);
    sum = even0.sub(even3);
    store(sum.add(odd0), shift, s, at + 3 * step);
    store(sum.sub(odd0), shift, s, at + 4 * step);
  }

  private static void store(IntVector sum, int shift, int[] samples, int at) {
    sum.lanewise(VectorOperators.ASHR, shift).intoArray(samples, at);
  }

  @Override
  public void widen(int[] sums, int count, int shift, int evenHalf, int oddHalf, byte[] out) {
    int i = 0;
    for (; i + LANES <= count; i += LANES) {
      IntVector near = load(sums, i + 1).mul(3);
      IntVector even = near.add(load(sums, i)).add(evenHalf).lanewise(VectorOperators.ASHR, shift);
      IntVector odd =
          near.add(load(sums, i + 2)).add(oddHalf).lanewise(VectorOperators.ASHR, shift);
      even.or(odd.lanewise(VectorOperators.LSHL, 8))
          .convertShape(VectorOperators.I2S, SHORTS, 0)
          .reinterpretAsBytes()
          .intoArray(out, 2 * i);
    }
    ScalarPixels.widen(sums, i, count, shift, evenHalf, oddHalf, out);
  }

  @Override
  public void yccToRgb(
      byte[] lumas, byte[] blues, byte[] reds, int count, int[] spare, byte[] rgb, int rgbAt) {
    int vectors = count / LANES * LANES;
    for (int x = 0; x < vectors; x += LANES) {
      IntVector luma = bytes(lumas, x);
      IntVector cb = bytes(blues, x).sub(128);
      IntVector cr = bytes(reds, x).sub(128);
      IntVector red = luma.add(shifted(cr.mul(JpegColours.RED_OF_CR)));
      IntVector green =
          luma.add(shifted(cb.mul(-JpegColours.GREEN_OF_CB).sub(cr.mul(JpegColours.GREEN_OF_CR))));
      IntVector blue = luma.add(shifted(cb.mul(JpegColours.BLUE_OF_CB)));
      clamped(red)
          .or(clamped(green).lanewise(VectorOperators.LSHL, 8))
          .or(clamped(blue).lanewise(VectorOperators.LSHL, 16))
          .intoArray(spare, x);
    }
    int x = 0;
    int at = rgbAt;
    // The fourth byte is the next pixel's, which is written over it.
    for (; x < vectors && x + 1 < count; x++, at += CHANNELS) {
      PACKED.set(rgb, at, spare[x]);
    }
    for (; x < count; x++, at += CHANNELS) {
      rgb[at] = lumas[x];
      rgb[at + 1] = blues[x];
      rgb[at + 2] = reds[x];
      JpegColours.yccToRgb(rgb, at);
    }
  }

  private static IntVector shifted(IntVector product) {
    return product.add(JpegColours.HALF).lanewise(VectorOperators.ASHR, JpegColours.BITS);
  }

  private static IntVector clamped(IntVector v) {
    return v.max(0).min(255);
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
