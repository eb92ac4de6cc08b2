package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.cli.DemoScript.Scene;
import org.tessera.cli.Turn.Content;
import org.tessera.error.TesseraException;

class DemoCommandTest {
  @TempDir Path directory;

  /** The project's own demo: every question gets the answer that is right. */
  @Test
  void demoModelAnswersAsExpected() {
    Installation installation = new Installation(Optional.of(Cli.PROJECT));
    Path model = Cli.PROJECT.resolve("demo/model");
    assumeTrue(
        Stream.of("model.safetensors", "model.safetensors.index.json")
            .anyMatch(file -> Files.exists(model.resolve(file))),
        "the demo model has no weights yet");
    List<Scene> scenes = DemoScript.read(installation.demoScript().orElseThrow());

    Cli.Result result = Cli.run(installation, "demo", "--device", "cpu");

    assertThat(result.status()).as(result.err()).isZero();
    StringBuilder expected = new StringBuilder();
    for (Scene scene : scenes) {
      assertThat(scene.expected()).hasSameSizeAs(scene.questions());
      for (int i = 0; i < scene.questions().size(); i++) {
        expected.append("> ").append(scene.questions().get(i)).append('\n');
        expected.append(scene.expected().get(i)).append('\n');
      }
    }
    String answers =
        result
            .out()
            .lines()
            .filter(line -> !line.isBlank() && !line.startsWith("=="))
            .reduce("", (all, line) -> all + line + "\n");
    assertThat(answers).isEqualTo(expected.toString());
  }

  /** Another model with other pictures in the same places. */
  @Test
  void withoutATrainedModelTheReferenceCheckpointAnswersAsTheOriginalDid() throws Exception {
    Files.createSymbolicLink(
        directory.resolve("conformance"), Cli.PROJECT.resolve("conformance").toRealPath());

    Cli.Result result =
        Cli.run(new Installation(Optional.of(directory)), "demo", "--device", "cpu");

    assertThat(result.status()).isZero();
    assertThat(result.out()).contains("== hd.png", "> What is the number?");
    assertThat(result.err().split("tokens: the same", -1)).hasSize(4 + 1);
  }

  @Test
  void showsPicturesAsksAndNotesTimings() throws Exception {
    Files.createDirectories(directory.resolve("demo/pictures"));
    Files.createSymbolicLink(directory.resolve("demo/model"), Path.of(Cli.CHECKPOINT).toRealPath());
    Files.copy(Path.of(Cli.image("tiny.png")), directory.resolve("demo/pictures/tiny.png"));
    Files.writeString(
        directory.resolve("demo/pictures/demo.json"),
        """
        [{"title": "Look", "images": ["tiny.png"], "turns": ["What is it?", "Sure?"]},
         {"title": "Talk", "images": [], "turns": ["Hello"]}]
        """);

    Cli.Result result = Cli.run(new Installation(Optional.of(directory)), "demo");

    assertThat(result.status()).as(result.err()).isZero();
    assertThat(result.out())
        .contains("== Look (tiny.png)\n\n> What is it?\n")
        .contains("\n> Sure?\n")
        .contains("== Talk\n\n> Hello\n");
    assertThat(result.err()).contains("million parameters");
    assertThat(result.err().lines().filter(line -> line.contains("first token after"))).hasSize(3);
  }

  @Test
  void chatUsesTheDemoModelAndSaysSo() throws Exception {
    Files.createDirectories(directory.resolve("demo"));
    Files.createSymbolicLink(directory.resolve("demo/model"), Path.of(Cli.CHECKPOINT).toRealPath());
    Cli.Result result =
        Cli.run(
            new Installation(Optional.of(directory)),
            "chat",
            "--prompt",
            "Hello",
            "--max-new-tokens",
            "2",
            "--json");
    assertThat(result.status()).isZero();
    assertThat(result.json().get("token_ids")).isNotEmpty();
    assertThat(result.err()).contains("no --model: this is the project's small demo model");
  }

  @Test
  void scriptsAreRead() throws Exception {
    Path file =
        Files.writeString(
            directory.resolve("demo.json"),
            """
            [{"title": "Film", "video": "f.gif", "turns": ["What moves?"], "expect": ["A ring."]}]
            """);
    assertThat(DemoScript.read(file))
        .containsExactly(
            new Scene(
                "Film",
                List.of(new Content.Video(directory.resolve("f.gif"))),
                List.of("What moves?"),
                List.of("A ring.")));

    for (String broken : new String[] {"", "{}", "[]", "[1]", "[{\"title\": \"x\"}]"}) {
      Files.writeString(file, broken);
      assertThatThrownBy(() -> DemoScript.read(file))
          .isInstanceOf(TesseraException.class)
          .hasMessageContaining("demo.json");
    }
  }
}
