package org.tessera.image;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;

/**
 * Which kernels are in use: plain ones at first, those with vectors once they are compiled. Until
 * the compiler has seen much of it, code of the Vector API is a hundred times slower than plain
 * code: a first picture would take seconds. So after the first picture, which it would slow down, a
 * thread runs it on numbers that mean nothing until it is the faster one.
 */
final class PixelWarmUp {
  private static final Duration LONGEST = Duration.ofSeconds(30);
  private static final int WINS = 5;
  private static final int REPEATS = 20;
  private static final int PIXELS = 256;

  private final Supplier<Optional<PixelKernels>> faster;
  private final Duration longest;
  private final AtomicBoolean started = new AtomicBoolean();
  private volatile PixelKernels ready = new ScalarPixels();

  PixelWarmUp() {
    this(PixelWarmUp::withVectors, LONGEST);
  }

  /**
   * @param faster kernels to change to, if this platform has them; asked for once
   * @param longest after which plain loops stay, if the others have not become faster
   */
  PixelWarmUp(Supplier<Optional<PixelKernels>> faster, Duration longest) {
    this.faster = faster;
    this.longest = longest;
  }

  /** The fastest kernels so far. Every byte is the same. */
  PixelKernels ready() {
    return ready;
  }

  /** Starts the warm-up; again it does nothing. */
  void start() {
    if (!started.getAndSet(true)) {
      faster
          .get()
          .ifPresent(kernels ->
              Thread.ofPlatform()
                  .name("tessera-pixel-warm-up")
                  .daemon()
                  .start(() -> {
                    if (becomesFaster(kernels)) {
                      ready = kernels;
                    }
                  }));
    }
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

  private boolean becomesFaster(PixelKernels fast) {
    List<Runnable> fastLoops = loops(fast);
    List<Runnable> plainLoops = loops(new ScalarPixels());
    long start = System.nanoTime();
    for (int i = 0; i < fastLoops.size(); i++) {
      int wins = 0;
      while (wins < WINS) {
        if (System.nanoTime() - start > longest.toNanos()) {
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

  private static List<Runnable> loops(PixelKernels kernels) {
    byte[] rgb = new byte[16 * PIXELS * PixelKernels.CHANNELS];
    byte[] resized = new byte[rgb.length];
    ResizeWeights columns = ResizeWeights.of(PIXELS, PIXELS / 3, kernels.lanes());
    ResizeWeights rows = ResizeWeights.of(16, 5, /* lanes= */ 1);
    return List.of(
        () -> kernels.resizeRow(rgb, 0, columns, resized, 0),
        () -> kernels.resizeColumns(rgb, PIXELS * PixelKernels.CHANNELS, rows, 2, resized));
  }
}
