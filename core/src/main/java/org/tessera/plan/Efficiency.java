package org.tessera.plan;

/**
 * Which part of a device's speed the model's steps reach: all that a prediction has of experience.
 * Sources are the runs in docs/performance.md: one H100 on 2026-11-27 (memory 2,985 GB/s; 132
 * multiprocessors at 1.98 GHz x 4,096 operations, 1,070 TFLOP/s), two cores of an EPYC on
 * 2026-11-23 (43.8 GB/s; 430 GFLOP/s, which the CPU's rate is defined by).
 *
 * @param fewRows of the memory's bytes a second, where a step reads weights for up to 8 rows
 * @param manyRows the same for more rows
 * @param keysValues of the memory's bytes a second, where attention reads keys and values
 * @param products of the rate, in products of many rows
 * @param vision of the rate, in the vision tower and the resampler
 * @param layerSeconds what a decoder layer takes beside reading: starting kernels, norms, the
 *     latency of attention
 */
record Efficiency(
    double fewRows,
    double manyRows,
    double keysValues,
    double products,
    double vision,
    double layerSeconds) {
  /** The most rows that the products for few rows take. */
  private static final double FEW = 8;

  static final Efficiency GPU =
      new Efficiency(
          // A token of 5.51 ms less the layers' seconds: 14.14 GB in 5.17 ms.
          0.92,
          // Steps of 16 answers in 6.2 ms and of 64 in 6.9 ms, less their keys and values.
          0.82,
          // 64 x 700 positions in 36 µs a layer.
          0.85,
          // Prefill of 691 positions 534, of 8,192 positions 574 of 1,070 TFLOP/s.
          0.52,
          // 10 slices in 24.0 ms: 10.4 TFLOP, from pixels.
          0.4,
          // Attention of one answer, 10 µs, and what kernels wait for each other.
          12e-6);

  static final Efficiency CPU =
      new Efficiency(
          // A token of the full shape reads 82 % of the memory's bytes a second, all included.
          0.82,
          // Products of up to 8 rows are bound by the processor and not by memory: see its rate.
          0.82,
          // Not measured apart from the token.
          0.82,
          // By the definition of the rate.
          1,
          // One slice in 2,745 ms: 1.04 TFLOP.
          0.88,
          // Part of the 82 %.
          0);

  static Efficiency of(DeviceId device) {
    return device.isGpu() ? GPU : CPU;
  }

  double weights(double rows) {
    return rows <= FEW ? fewRows : manyRows;
  }
}
