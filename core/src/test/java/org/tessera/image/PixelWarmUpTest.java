package org.tessera.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

class PixelWarmUpTest {
  private static final Duration LONG = Duration.ofSeconds(30);

  private final AtomicInteger asked = new AtomicInteger();

  @Test
  void plainLoopsStayWhereThereAreNoOthers() {
    PixelWarmUp warmUp =
        new PixelWarmUp(
            () -> {
              asked.incrementAndGet();
              return Optional.empty();
            },
            LONG);
    assertThat(warmUp.ready()).isInstanceOf(ScalarPixels.class);
    assertThat(asked).hasValue(0);
    warmUp.start();
    warmUp.start();
    assertThat(warmUp.ready()).isInstanceOf(ScalarPixels.class);
    assertThat(asked).hasValue(1);
  }

  @Test
  void fasterLoopsAreTakenOnceTheyAre() throws InterruptedException {
    Kernels idle = new Kernels(() -> {});
    PixelWarmUp warmUp = new PixelWarmUp(() -> Optional.of(idle), LONG);
    warmUp.start();
    idle.join();
    assertThat(warmUp.ready()).isSameAs(idle);
  }

  @Test
  void slowerLoopsAreGivenUp() throws InterruptedException {
    Kernels slow =
        new Kernels(() -> {
          long end = System.nanoTime() + Duration.ofMillis(5).toNanos();
          while (System.nanoTime() < end) {
            Thread.onSpinWait();
          }
        });
    PixelWarmUp warmUp = new PixelWarmUp(() -> Optional.of(slow), Duration.ofMillis(300));
    warmUp.start();
    slow.join();
    assertThat(warmUp.ready()).isInstanceOf(ScalarPixels.class);
  }

  /** Loops that take as long as they are told, and know the thread that tries them. */
  private static final class Kernels implements PixelKernels {
    private final Runnable work;
    private final AtomicReference<Thread> thread = new AtomicReference<>();

    Kernels(Runnable work) {
      this.work = work;
    }

    void join() throws InterruptedException {
      while (thread.get() == null) {
        Thread.onSpinWait();
      }
      thread.get().join();
    }

    private void run() {
      thread.set(Thread.currentThread());
      work.run();
    }

    @Override
    public int lanes() {
      return 1;
    }

    @Override
    public void resizeRow(
        byte[] source, int sourceAt, ResizeWeights weights, byte[] target, int targetAt) {
      run();
    }

    @Override
    public void resizeColumns(
        byte[] source, int stride, ResizeWeights weights, int row, byte[] target) {
      run();
    }
  }
}
