package org.tessera.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static org.tessera.cpu.Lanes.FLOATS;
import static org.tessera.cpu.Lanes.LANES;
import static org.tessera.cpu.Lanes.ORDER;
import static org.tessera.cpu.Lanes.load;
import static org.tessera.cpu.Lanes.store;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import org.jspecify.annotations.Nullable;

/** What is computed row by row; the last, incomplete vector of a row is handled under a mask. */
final class VectorRows {
  private VectorRows() {}

  private static VectorMask<Float> rest(int from, int count) {
    return FLOATS.indexInRange(from, count);
  }

  static void finish(
      float[] sums,
      int sumsAt,
      int count,
      @Nullable MemorySegment bias,
      long biasAt,
      LinearEnd end,
      MemorySegment out,
      long outAt) {
    if (bias != null) {
      addBias(bias, biasAt, count, sums, sumsAt);
    }
    switch (end) {
      case STORE -> MemorySegment.copy(sums, sumsAt, out, JAVA_FLOAT_UNALIGNED, outAt, count);
      case STORE_GELU_TANH -> gelu(sums, sumsAt, count, out, outAt);
      case ADD -> addSums(sums, sumsAt, count, out, outAt);
    }
  }

  private static void addBias(MemorySegment bias, long biasAt, int count, float[] sums, int at) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector.fromArray(FLOATS, sums, at + i)
          .add(load(bias, biasAt + 4L * i))
          .intoArray(sums, at + i);
    }
    if (i < count) {
      VectorMask<Float> mask = rest(i, count);
      FloatVector.fromArray(FLOATS, sums, at + i, mask)
          .add(load(bias, biasAt + 4L * i, mask))
          .intoArray(sums, at + i, mask);
    }
  }

  private static void gelu(float[] sums, int at, int count, MemorySegment out, long outAt) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      store(Lanes.geluTanh(FloatVector.fromArray(FLOATS, sums, at + i)), out, outAt + 4L * i);
    }
    if (i < count) {
      VectorMask<Float> mask = rest(i, count);
      Lanes.geluTanh(FloatVector.fromArray(FLOATS, sums, at + i, mask))
          .intoMemorySegment(out, outAt + 4L * i, ORDER, mask);
    }
  }

  private static void addSums(float[] sums, int at, int count, MemorySegment out, long outAt) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      long to = outAt + 4L * i;
      store(load(out, to).add(FloatVector.fromArray(FLOATS, sums, at + i)), out, to);
    }
    if (i < count) {
      VectorMask<Float> mask = rest(i, count);
      long to = outAt + 4L * i;
      load(out, to, mask)
          .add(FloatVector.fromArray(FLOATS, sums, at + i, mask))
          .intoMemorySegment(out, to, ORDER, mask);
    }
  }

  static void rmsNorm(
      MemorySegment x,
      long xAt,
      MemorySegment weight,
      float eps,
      int count,
      MemorySegment out,
      long outAt) {
    FloatVector squares = FloatVector.zero(FLOATS);
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector v = load(x, xAt + 4L * i);
      squares = v.fma(v, squares);
    }
    if (i < count) {
      FloatVector v = load(x, xAt + 4L * i, rest(i, count));
      squares = v.fma(v, squares);
    }
    double mean = (double) squares.reduceLanes(VectorOperators.ADD) / count;
    float scale = (float) (1 / Math.sqrt(mean + eps));
    for (i = 0; i <= count - LANES; i += LANES) {
      store(load(x, xAt + 4L * i).mul(scale).mul(load(weight, 4L * i)), out, outAt + 4L * i);
    }
    if (i < count) {
      VectorMask<Float> mask = rest(i, count);
      load(x, xAt + 4L * i, mask)
          .mul(scale)
          .mul(load(weight, 4L * i, mask))
          .intoMemorySegment(out, outAt + 4L * i, ORDER, mask);
    }
  }

  static void layerNorm(
      MemorySegment x,
      long xAt,
      MemorySegment weight,
      MemorySegment bias,
      float eps,
      int count,
      MemorySegment out,
      long outAt) {
    float mean = sum(x, xAt, count) / count;
    float variance = squaredDistance(x, xAt, mean, count) / count;
    float scale = (float) (1 / Math.sqrt((double) variance + eps));
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector normal = load(x, xAt + 4L * i).sub(mean).mul(scale);
      store(normal.fma(load(weight, 4L * i), load(bias, 4L * i)), out, outAt + 4L * i);
    }
    if (i < count) {
      VectorMask<Float> mask = rest(i, count);
      load(x, xAt + 4L * i, mask)
          .sub(mean)
          .mul(scale)
          .fma(load(weight, 4L * i, mask), load(bias, 4L * i, mask))
          .intoMemorySegment(out, outAt + 4L * i, ORDER, mask);
    }
  }

  private static float sum(MemorySegment x, long at, int count) {
    FloatVector sum = FloatVector.zero(FLOATS);
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      sum = sum.add(load(x, at + 4L * i));
    }
    if (i < count) {
      sum = sum.add(load(x, at + 4L * i, rest(i, count)));
    }
    return sum.reduceLanes(VectorOperators.ADD);
  }

  private static float squaredDistance(MemorySegment x, long at, float mean, int count) {
    FloatVector sum = FloatVector.zero(FLOATS);
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector distance = load(x, at + 4L * i).sub(mean);
      sum = distance.fma(distance, sum);
    }
    float total = sum.reduceLanes(VectorOperators.ADD);
    if (i < count) {
      VectorMask<Float> mask = rest(i, count);
      FloatVector distance = load(x, at + 4L * i, mask).sub(mean);
      total += distance.mul(distance).reduceLanes(VectorOperators.ADD, mask);
    }
    return total;
  }

  static void rotate(
      MemorySegment inOut, long at, float[] cosines, float[] sines, int anglesAt, int half) {
    int i = 0;
    for (; i <= half - LANES; i += LANES) {
      FloatVector a = load(inOut, at + 4L * i);
      FloatVector b = load(inOut, at + 4L * (i + half));
      FloatVector cos = FloatVector.fromArray(FLOATS, cosines, anglesAt + i);
      FloatVector sin = FloatVector.fromArray(FLOATS, sines, anglesAt + i);
      store(a.mul(cos).sub(b.mul(sin)), inOut, at + 4L * i);
      store(b.mul(cos).add(a.mul(sin)), inOut, at + 4L * (i + half));
    }
    if (i < half) {
      VectorMask<Float> mask = rest(i, half);
      FloatVector a = load(inOut, at + 4L * i, mask);
      FloatVector b = load(inOut, at + 4L * (i + half), mask);
      FloatVector cos = FloatVector.fromArray(FLOATS, cosines, anglesAt + i, mask);
      FloatVector sin = FloatVector.fromArray(FLOATS, sines, anglesAt + i, mask);
      a.mul(cos).sub(b.mul(sin)).intoMemorySegment(inOut, at + 4L * i, ORDER, mask);
      b.mul(cos).add(a.mul(sin)).intoMemorySegment(inOut, at + 4L * (i + half), ORDER, mask);
    }
  }

  static void siluMul(
      MemorySegment gate, long gateAt, long upAt, int count, MemorySegment out, long outAt) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      FloatVector silu = Lanes.silu(load(gate, gateAt + 4L * i));
      store(silu.mul(load(gate, upAt + 4L * i)), out, outAt + 4L * i);
    }
    if (i < count) {
      VectorMask<Float> mask = rest(i, count);
      Lanes.silu(load(gate, gateAt + 4L * i, mask))
          .mul(load(gate, upAt + 4L * i, mask))
          .intoMemorySegment(out, outAt + 4L * i, ORDER, mask);
    }
  }

  static void add(MemorySegment x, long xAt, int count, MemorySegment inOut, long inOutAt) {
    int i = 0;
    for (; i <= count - LANES; i += LANES) {
      long to = inOutAt + 4L * i;
      store(load(inOut, to).add(load(x, xAt + 4L * i)), inOut, to);
    }
    if (i < count) {
      VectorMask<Float> mask = rest(i, count);
      long to = inOutAt + 4L * i;
      load(inOut, to, mask)
          .add(load(x, xAt + 4L * i, mask))
          .intoMemorySegment(inOut, to, ORDER, mask);
    }
  }
}
