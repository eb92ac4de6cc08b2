package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class LoadingBarTest {
  private final ByteArrayOutputStream screen = new ByteArrayOutputStream();
  private long nanos;

  @Test
  void showsAfterOneSecondAndGoesAway() {
    try (LoadingBar bar = bar(true)) {
      nanos = 900_000_000;
      bar.fetched(1_000_000_000, 16_200_000_000L);
      assertThat(screen.size()).isZero();
      nanos = 1_100_000_000;
      bar.fetched(8_100_000_000L, 16_200_000_000L);
      assertThat(shown())
          .isEqualTo("\rloading [###############...............] 7.5 GiB of 15.1 GiB");
      bar.fetched(8_200_000_000L, 16_200_000_000L);
      assertThat(shown()).doesNotContain("7.6");
    }
    assertThat(shown()).endsWith("\r");
  }

  @Test
  void nobodyWatches() {
    try (LoadingBar bar = bar(false)) {
      nanos = 5_000_000_000L;
      bar.fetched(1, 2);
    }
    assertThat(screen.size()).isZero();
  }

  private LoadingBar bar(boolean watched) {
    PrintStream err = new PrintStream(screen, false, StandardCharsets.UTF_8);
    return new LoadingBar(new Output(err, err, false, watched), () -> nanos);
  }

  private String shown() {
    return screen.toString(StandardCharsets.UTF_8);
  }
}
