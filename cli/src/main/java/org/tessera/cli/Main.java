package org.tessera.cli;

/** The entry point of {@code tessera}. */
public final class Main {
  private Main() {}

  /** Runs one command and exits with its status. */
  public static void main(String[] args) {
    Output output = Output.system();
    output.eraseIncubatorWarning();
    int status = CommandRunner.run(output, Installation.current(), args);
    output.out().flush();
    output.err().flush();
    System.exit(status);
  }
}
