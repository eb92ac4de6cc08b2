package org.tessera.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.tessera.tensor.Tensor;

/**
 * The inner loops in plain Java, for a JVM started without the Vector API. The compiler vectorises
 * long loops over whole arrays, so tiles are wide and their rows are copied into arrays of their
 * own; sums over a row keep several partial sums.
 */
final class PortableKernels implements Kernels {
  private static final int LANES = 32;
  private static final int MAX_VECTORS = 8;
  private static final int UNROLLED = 4;

  @Override
  public int lanes() {
    return LANES;
  }

  @Override
  public int maxVectors() {
    return MAX_VECTORS;
  }

  @Override
  public void widen(
      Tensor w, int row, int rows, int column, int columns, float[] out, int outAt, int outStride) {
    short[] halves = new short[w.dtype().bytes() == Short.BYTES ? columns : 0];
    for (int r = 0; r < rows; r++) {
      long at = Elements.offset(w, row + r, column);
      int to = outAt + r * outStride;
      switch (w.dtype()) {
        case F32 -> MemorySegment.copy(w.memory(), JAVA_FLOAT_UNALIGNED, at, out, to, columns);
        case BF16 -> {
          MemorySegment.copy(w.memory(), JAVA_SHORT_UNALIGNED, at, halves, 0, columns);
          for (int c = 0; c < columns; c++) {
            out[to + c] = Elements.bf16ToFloat(halves[c]);
          }
        }
        case F16 -> {
          MemorySegment.copy(w.memory(), JAVA_SHORT_UNALIGNED, at, halves, 0, columns);
          for (int c = 0; c < columns; c++) {
            out[to + c] = Float.float16ToFloat(halves[c]);
          }
        }
        case I32 -> throw new IllegalArgumentException("weights of I32");
      }
    }
  }

  @Override
  public void dots(
      Tensor w,
      int row,
      int rows,
      float[] x,
      int xStride,
      int tokens,
      float[] out,
      int outAt,
      int outStride,
      float[] spare) {
    int columns = w.columns();
    for (int t = 0; t < tokens; t++) {
      Arrays.fill(out, outAt + t * outStride, outAt + t * outStride + rows, 0f);
    }
    for (int from = 0; from < columns; from += DOT_BLOCK) {
      int count = Math.min(DOT_BLOCK, columns - from);
      widen(w, row, rows, from, count, spare, 0, DOT_STRIDE);
      for (int t = 0; t < tokens; t++) {
        for (int r = 0; r < rows; r++) {
          out[outAt + t * outStride + r] +=
              dot(spare, r * DOT_STRIDE, x, t * xStride + from, count);
        }
      }
    }
  }

  private static float dot(float[] a, int aAt, float[] b, int bAt, int count) {
    float s0 = 0;
    float s1 = 0;
    float s2 = 0;
    float s3 = 0;
    float s4 = 0;
    float s5 = 0;
    float s6 = 0;
    float s7 = 0;
    int i = 0;
    for (; i <= count - 8; i += 8) {
      s0 += a[aAt + i] * b[bAt + i];
      s1 += a[aAt + i + 1] * b[bAt + i + 1];
      s2 += a[aAt + i + 2] * b[bAt + i + 2];
      s3 += a[aAt + i + 3] * b[bAt + i + 3];
      s4 += a[aAt + i + 4] * b[bAt + i + 4];
      s5 += a[aAt + i + 5] * b[bAt + i + 5];
      s6 += a[aAt + i + 6] * b[bAt + i + 6];
      s7 += a[aAt + i + 7] * b[bAt + i + 7];
    }
    for (; i < count; i++) {
      s0 += a[aAt + i] * b[bAt + i];
    }
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7));
  }

  @Override
  public void transpose(
      float[] in,
      int inAt,
      int inStride,
      int rows,
      int columns,
      float[] out,
      int outAt,
      int outStride) {
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        out[outAt + c * outStride + r] = in[inAt + r * inStride + c];
      }
    }
  }

  @Override
  public void multiplyRows(
      float[] a,
      int aAt,
      int aStride,
      float[] b,
      int bAt,
      int depth,
      int vectors,
      float[] c,
      int cAt) {
    multiply(a, aAt, aStride, 1, b, bAt, depth, vectors * LANES, c, cAt);
  }

  @Override
  public void multiplyColumns(
      float[] a,
      int aAt,
      int aStride,
      float[] b,
      int bAt,
      int depth,
      int vectors,
      float[] c,
      int cAt) {
    multiply(a, aAt, 1, aStride, b, bAt, depth, vectors * LANES, c, cAt);
  }

  private static void multiply(
      float[] a,
      int aAt,
      int rowStep,
      int depthStep,
      float[] b,
      int bAt,
      int depth,
      int lanes,
      float[] c,
      int cAt) {
    float[][] sums = new float[TILE_ROWS][lanes];
    float[][] rows = new float[UNROLLED][lanes];
    float[] factors = new float[UNROLLED];
    for (int k = 0; k < depth; k += UNROLLED) {
      int count = Math.min(UNROLLED, depth - k);
      for (int i = 0; i < count; i++) {
        System.arraycopy(b, bAt + (k + i) * lanes, rows[i], 0, lanes);
      }
      for (int r = 0; r < TILE_ROWS; r++) {
        for (int i = 0; i < UNROLLED; i++) {
          factors[i] = i < count ? a[aAt + r * rowStep + (k + i) * depthStep] : 0;
        }
        addScaled(factors, rows[0], rows[1], rows[2], rows[3], sums[r]);
      }
    }
    for (int r = 0; r < TILE_ROWS; r++) {
      for (int lane = 0; lane < lanes; lane++) {
        c[cAt + r * lanes + lane] += sums[r][lane];
      }
    }
  }

  private static void addScaled(
      float[] factors, float[] x0, float[] x1, float[] x2, float[] x3, float[] y) {
    float f0 = factors[0];
    float f1 = factors[1];
    float f2 = factors[2];
    float f3 = factors[3];
    for (int lane = 0; lane < y.length; lane++) {
      y[lane] += (f0 * x0[lane] + f1 * x1[lane]) + (f2 * x2[lane] + f3 * x3[lane]);
    }
  }

  @Override
  public void softmaxBlock(
      float[] scores,
      int keys,
      int vectors,
      int @Nullable [] limits,
      float[] max,
      float[] sum,
      float[] weighted,
      int weightedRows) {
    int lanes = vectors * LANES;
    for (int lane = 0; lane < lanes; lane++) {
      int seen = limits == null ? keys : Math.clamp(limits[lane], 0, keys);
      float before = max[lane];
      float now = before;
      for (int key = 0; key < seen; key++) {
        now = Math.max(now, scores[key * lanes + lane]);
      }
      max[lane] = now;
      float correction = (float) Math.exp(before - now);
      float total = sum[lane] * correction;
      for (int key = 0; key < keys; key++) {
        float weight = key < seen ? (float) Math.exp(scores[key * lanes + lane] - now) : 0;
        scores[key * lanes + lane] = weight;
        total += weight;
      }
      sum[lane] = total;
      if (correction != 1) {
        for (int row = 0; row < weightedRows; row++) {
          weighted[row * lanes + lane] *= correction;
        }
      }
    }
  }

  @Override
  public void finish(
      float[] sums,
      int sumsAt,
      int count,
      @Nullable MemorySegment bias,
      long biasAt,
      LinearEnd end,
      MemorySegment out,
      long outAt) {
    for (int i = 0; i < count; i++) {
      float x = sums[sumsAt + i] + (bias == null ? 0 : get(bias, biasAt, i));
      float y =
          switch (end) {
            case STORE -> x;
            case STORE_GELU_TANH -> geluTanh(x);
            case ADD -> x + get(out, outAt, i);
          };
      set(out, outAt, i, y);
    }
  }

  private static float geluTanh(float x) {
    double u = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
    return (float) (x / (1 + Math.exp(-2 * u)));
  }

  @Override
  public void rmsNorm(
      MemorySegment x,
      long xAt,
      MemorySegment weight,
      float eps,
      int count,
      MemorySegment out,
      long outAt) {
    double squares = 0;
    for (int i = 0; i < count; i++) {
      double v = get(x, xAt, i);
      squares += v * v;
    }
    float scale = (float) (1 / Math.sqrt(squares / count + eps));
    for (int i = 0; i < count; i++) {
      set(out, outAt, i, get(x, xAt, i) * scale * get(weight, 0, i));
    }
  }

  @Override
  public void layerNorm(
      MemorySegment x,
      long xAt,
      MemorySegment weight,
      MemorySegment bias,
      float eps,
      int count,
      MemorySegment out,
      long outAt) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += get(x, xAt, i);
    }
    double mean = sum / count;
    double squares = 0;
    for (int i = 0; i < count; i++) {
      double distance = get(x, xAt, i) - mean;
      squares += distance * distance;
    }
    double scale = 1 / Math.sqrt(squares / count + eps);
    for (int i = 0; i < count; i++) {
      float normal = (float) ((get(x, xAt, i) - mean) * scale);
      set(out, outAt, i, normal * get(weight, 0, i) + get(bias, 0, i));
    }
  }

  @Override
  public void rotate(
      MemorySegment inOut, long at, float[] cosines, float[] sines, int anglesAt, int half) {
    for (int i = 0; i < half; i++) {
      float a = get(inOut, at, i);
      float b = get(inOut, at, i + half);
      float cos = cosines[anglesAt + i];
      float sin = sines[anglesAt + i];
      set(inOut, at, i, a * cos - b * sin);
      set(inOut, at, i + half, b * cos + a * sin);
    }
  }

  @Override
  public void siluMul(
      MemorySegment gate, long gateAt, long upAt, int count, MemorySegment out, long outAt) {
    for (int i = 0; i < count; i++) {
      float g = get(gate, gateAt, i);
      set(out, outAt, i, (float) (g / (1 + Math.exp(-g))) * get(gate, upAt, i));
    }
  }

  @Override
  public void add(MemorySegment x, long xAt, int count, MemorySegment inOut, long inOutAt) {
    for (int i = 0; i < count; i++) {
      set(inOut, inOutAt, i, get(inOut, inOutAt, i) + get(x, xAt, i));
    }
  }

  private static float get(MemorySegment memory, long at, int i) {
    return memory.get(JAVA_FLOAT_UNALIGNED, at + 4L * i);
  }

  private static void set(MemorySegment memory, long at, int i, float value) {
    memory.set(JAVA_FLOAT_UNALIGNED, at + 4L * i, value);
  }
}
