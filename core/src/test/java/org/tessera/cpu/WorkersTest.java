package org.tessera.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkersTest {
  private static final long MANY = Long.MAX_VALUE;

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5})
  void everyPieceIsDoneOnce(int count) {
    try (Workers workers = new Workers(count)) {
      assertThat(workers.count()).isEqualTo(count);
      for (int pieces : new int[] {0, 1, 2, 7, 1000}) {
        for (int repetition = 0; repetition < 50; repetition++) {
          AtomicIntegerArray done = new AtomicIntegerArray(pieces);
          workers.run(pieces, MANY, (piece, worker) -> done.incrementAndGet(piece));
          for (int i = 0; i < pieces; i++) {
            assertThat(done.get(i)).isEqualTo(1);
          }
        }
      }
    }
  }

  @Test
  void noTwoPiecesAtATimeHaveTheSameWorker() {
    try (Workers workers = new Workers(3)) {
      AtomicIntegerArray busy = new AtomicIntegerArray(3);
      workers.run(
          500,
          MANY,
          (piece, worker) -> {
            assertThat(busy.incrementAndGet(worker)).isEqualTo(1);
            Thread.onSpinWait();
            busy.decrementAndGet(worker);
          });
    }
  }

  @Test
  void rowsAreCoveredByRanges() {
    try (Workers workers = new Workers(2)) {
      for (int rows : new int[] {0, 1, 3, 8, 100}) {
        AtomicIntegerArray done = new AtomicIntegerArray(rows);
        workers.rows(
            rows,
            MANY,
            (from, to) -> {
              for (int i = from; i < to; i++) {
                done.incrementAndGet(i);
              }
            });
        for (int i = 0; i < rows; i++) {
          assertThat(done.get(i)).isEqualTo(1);
        }
      }
    }
  }

  @Test
  void aFailureReachesTheCallerAndTheThreadsLiveOn() {
    try (Workers workers = new Workers(2)) {
      assertThatThrownBy(() ->
              workers.run(
                  10,
                  MANY,
                  (piece, worker) -> {
                    if (piece == 7) {
                      throw new IllegalStateException("piece 7");
                    }
                  }))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("piece 7");
      AtomicIntegerArray done = new AtomicIntegerArray(4);
      workers.run(4, MANY, (piece, worker) -> done.incrementAndGet(piece));
      assertThat(done.toString()).isEqualTo("[1, 1, 1, 1]");
    }
  }

  @Test
  void sleepingThreadsAreWoken() throws InterruptedException {
    try (Workers workers = new Workers(2)) {
      Thread.sleep(20);
      AtomicIntegerArray who = new AtomicIntegerArray(2);
      for (int attempt = 0; attempt < 100 && who.get(1) == 0; attempt++) {
        workers.run(
            20,
            MANY,
            (piece, worker) -> {
              who.incrementAndGet(worker);
              try {
                Thread.sleep(1);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
      }
      assertThat(who.get(1)).isPositive();
    }
  }

  @Test
  void closingEndsTheThreads() {
    new Workers(3).close();
    assertThat(Thread.getAllStackTraces().keySet())
        .noneMatch(thread -> thread.getName().startsWith("tessera-cpu-") && thread.isAlive());
  }
}
