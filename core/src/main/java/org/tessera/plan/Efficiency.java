package org.tessera.plan;

/**
 * Which part of a device's speed the model's steps reach: all that a prediction has of experience.
 * Sources are the runs in docs/performance.md: one H200 on 2026-11-24 (memory 4,055 GB/s; 132
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
          // A layer's products of one row: 3.21 of 4.055 TB/s.
          0.79,
          // Fits the steps of 16 answers (7.4 ms, which gives 0.51) and of 64 (5.9 ms, 0.73), of
          // which the first ran kernels that have been replaced since.
          0.65,
          // 64 x 1,000 positions: 3.6 of 4.055 TB/s.
          0.88,
          // Prefill of 691 positions 514, of 8,192 positions 550 of 1,070 TFLOP/s.
          0.5,
          // 10 slices in 53.9 ms: 10.4 TFLOP, from pixels.
          0.18,
          // A step of 4.84 ms less 14.14 GB at 3.21 TB/s, over 28 layers.
          16e-6);

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
