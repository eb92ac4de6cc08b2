package org.tessera.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * Where a command writes: answers and results to {@code out}, everything else to {@code err}.
 *
 * @param outIsTerminal whether {@code out} is a terminal, which takes control characters for orders
 * @param showProgress whether somebody watches {@code err}, so that a moving bar is of use
 */
record Output(PrintStream out, PrintStream err, boolean outIsTerminal, boolean showProgress) {
  /** The process's own streams, in UTF-8 whatever the locale says. */
  static Output system() {
    return new Output(
        utf8(FileDescriptor.out),
        utf8(FileDescriptor.err),
        Boolean.getBoolean("tessera.terminal.out"),
        Boolean.getBoolean("tessera.terminal.err"));
  }

  /** Writes a piece of an answer at once; false where nobody reads any longer. */
  boolean stream(String piece) {
    out.print(outIsTerminal ? Printable.answer(piece) : piece);
    out.flush();
    return !out.checkError();
  }

  /** A note beside the result. */
  void note(String line) {
    err.println(line);
    err.flush();
  }

  /**
   * Takes away the line that Java itself prints about the vector module before anything else, which
   * no option of Java's turns off. Only at a terminal, where it is the line above.
   */
  void eraseIncubatorWarning() {
    if (showProgress && ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent()) {
      err.print("\033[1A\033[2K\r");
      err.flush();
    }
  }

  private static PrintStream utf8(FileDescriptor descriptor) {
    return new PrintStream(new FileOutputStream(descriptor), false, StandardCharsets.UTF_8);
  }
}
