package org.tessera.image;

import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Which kernels are in use. Until the compiler has seen much of it, code of the Vector API is a
 * hundred times slower than plain code: a first picture would take seconds. So it is run on numbers
 * that mean nothing, on a thread of its own, until it is the faster one.
 */
final class PixelWarmUp {
  private static final long LONGEST_NANOS = Duration.ofSeconds(30).toNanos();
  private static final int WINS = 5;
  private static final int REPEATS = 20;
  private static final int PIXELS = 256;

  /** One for the process: what it waits for, the JVM's compiler, is the process's too. */
  private static final PixelWarmUp SHARED = new PixelWarmUp();

  private volatile PixelKernels ready = new ScalarPixels();

  private PixelWarmUp() {
    withVectors()
        .ifPresent(vectors ->
            Thread.ofPlatform()
                .name("tessera-pixel-warm-up")
                .daemon()
                .start(() -> {
                  if (becomesFaster(vectors, new ScalarPixels())) {
                    ready = vectors;
                  }
                }));
  }

  static PixelKernels ready() {
    return SHARED.ready;
  }

  /**
   * Those with vectors, where this platform has such as they are written for. The class is named
   * only where the module that it needs is there.
   */
  static Optional<PixelKernels> withVectors() {
    return ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent()
            && VectorPixels.isSupported()
        ? Optional.of(new VectorPixels())
        : Optional.empty();
  }

  private static boolean becomesFaster(PixelKernels fast, PixelKernels plain) {
    List<Runnable> fastLoops = loops(fast);
    List<Runnable> plainLoops = loops(plain);
    long start = System.nanoTime();
    for (int i = 0; i < fastLoops.size(); i++) {
      int wins = 0;
      while (wins < WINS) {
        if (System.nanoTime() - start > LONGEST_NANOS) {
          return false;
        }
        boolean won = nanos(fastLoops.get(i)) < nanos(plainLoops.get(i));
        wins = won ? wins + 1 : 0;
      }
    }
    return true;
  }

  private static long nanos(Runnable loop) {
    long start = System.nanoTime();
    for (int i = 0; i < REPEATS; i++) {
      loop.run();
    }
    return System.nanoTime() - start;
  }

  /** The same work of each kind, whatever the kernels take at a time. */
  private static List<Runnable> loops(PixelKernels kernels) {
    int lanes = kernels.lanes();
    int blocks = 16;
    short[] coefficients = new short[blocks * PixelKernels.BLOCK];
    int[] steps = new int[PixelKernels.BLOCK];
    int[] spare = new int[lanes * PixelKernels.BLOCK];
    int[] samples = new int[lanes * PixelKernels.BLOCK / 4];
    byte[] row = new byte[PIXELS];
    int[] sums = new int[PIXELS + 2];
    byte[] rgb = new byte[16 * PIXELS * PixelKernels.CHANNELS];
    byte[] resized = new byte[rgb.length];
    ResizeWeights columns = ResizeWeights.of(PIXELS, PIXELS / 3, lanes);
    ResizeWeights rows = ResizeWeights.of(16, 5, 1);
    return List.of(
        () -> {
          for (int block = 0; block < blocks; block += lanes) {
            kernels.invert(coefficients, block * PixelKernels.BLOCK, steps, spare, samples);
          }
        },
        () -> kernels.widen(sums, PIXELS / 2, 4, 8, 7, row),
        () -> kernels.yccToRgb(row, row, row, PIXELS, sums, rgb, 0),
        () -> kernels.resizeRow(rgb, 0, columns, resized, 0),
        () -> kernels.resizeColumns(rgb, PIXELS * PixelKernels.CHANNELS, rows, 2, resized));
  }
}
