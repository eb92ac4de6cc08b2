package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What README.md promises. */
class ReadmeTest {
  private static final Pattern EXAMPLE = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);

  @TempDir Path directory;

  /**
   * Exactly the text of the README, as a user runs it: Java compiles the one file and starts it.
   */
  @Test
  void exampleCompilesAndRuns() throws Exception {
    Matcher example = EXAMPLE.matcher(readme());
    assertThat(example.find()).isTrue();
    Path source = Files.writeString(directory.resolve("Ask.java"), example.group(1));
    Path output = directory.resolve("output");
    Path errors = directory.resolve("errors");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "-cp",
                System.getProperty("java.class.path"),
                source.toString(),
                Cli.CHECKPOINT,
                Cli.image("small.png"))
            .redirectOutput(output.toFile())
            .redirectError(errors.toFile())
            .start();

    assertThat(process.waitFor(120, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(Files.readString(errors)).isZero();
    assertThat(new String(Files.readAllBytes(output), StandardCharsets.UTF_8)).isNotBlank();
  }

  @Test
  void exampleHasTenLinesOrAFewMore() throws IOException {
    Matcher example = EXAMPLE.matcher(readme());
    assertThat(example.find()).isTrue();
    assertThat(example.group(1).lines().filter(line -> !line.isBlank()))
        .hasSizeLessThanOrEqualTo(11);
    assertThat(example.find()).as("one example only").isFalse();
  }

  /** Options that the README names are options of chat. */
  @Test
  void optionsExist() throws IOException {
    String help = Cli.run("chat", "--help").out();
    List<String> missing = new ArrayList<>();
    Matcher options = Pattern.compile("(?m)^\\| `(--[^`]+)`").matcher(readme());
    int rows = 0;
    while (options.find()) {
      rows++;
      for (String word : options.group(1).split(" ")) {
        if (word.startsWith("--") && !help.contains(word)) {
          missing.add(word);
        }
      }
    }
    assertThat(rows).isGreaterThan(5);
    assertThat(missing).isEmpty();
  }

  @Test
  void twoCommandsComeFirst() throws IOException {
    assertThat(readme().indexOf("./tessera demo")).isLessThan(readme().indexOf("## "));
    assertThat(readme().indexOf("./mvnw verify")).isLessThan(readme().indexOf("## "));
  }

  private static String readme() throws IOException {
    return Files.readString(Cli.PROJECT.resolve("README.md"));
  }
}
