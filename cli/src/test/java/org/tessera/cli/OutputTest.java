package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class OutputTest {
  private static final String PIECE = "a\tb\nc\u001b[2Jd 这";

  @Test
  void answersAreExactUnlessTheyWouldSteerTheTerminal() {
    assertThat(streamed(false)).isEqualTo(PIECE);
    assertThat(streamed(true)).isEqualTo("a\tb\nc\uFFFD[2Jd 这");
  }

  @Test
  void readerThatHasGoneIsNoticed() {
    OutputStream closed =
        new OutputStream() {
          @Override
          public void write(int b) throws IOException {
            throw new IOException("broken pipe");
          }
        };
    PrintStream out = new PrintStream(closed, false, StandardCharsets.UTF_8);
    assertThat(new Output(out, out, false, false).stream("piece")).isFalse();
  }

  private static String streamed(boolean terminal) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    PrintStream out = new PrintStream(bytes, false, StandardCharsets.UTF_8);
    assertThat(new Output(out, out, terminal, false).stream(PIECE)).isTrue();
    return bytes.toString(StandardCharsets.UTF_8);
  }
}
