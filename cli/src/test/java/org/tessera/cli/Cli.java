package org.tessera.cli;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Runs commands in this process and keeps what they print. */
final class Cli {
  static final Path PROJECT = Path.of(System.getProperty("project.root", ".."));
  static final Path CONFORMANCE = PROJECT.resolve("conformance");
  static final String CHECKPOINT = CONFORMANCE.resolve("checkpoint").toString();

  private static final JsonMapper JSON = JsonMapper.shared();

  private Cli() {}

  /** How a command ended. */
  record Result(int status, String out, String err) {
    JsonNode json() {
      return JSON.readTree(out);
    }
  }

  static Result run(String... arguments) {
    return run(new Installation(Optional.empty()), arguments);
  }

  static Result run(Installation installation, String... arguments) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    Output output =
        new Output(
            new PrintStream(out, false, StandardCharsets.UTF_8),
            new PrintStream(err, false, StandardCharsets.UTF_8),
            false,
            false);
    int status = CommandRunner.run(output, installation, arguments);
    output.out().flush();
    output.err().flush();
    return new Result(
        status, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  /** A file of the reference vectors as JSON. */
  static JsonNode vectors(String file) {
    return JSON.readTree(CONFORMANCE.resolve(file).toFile());
  }

  static String image(String name) {
    return CONFORMANCE.resolve("images").resolve(name).toString();
  }
}
