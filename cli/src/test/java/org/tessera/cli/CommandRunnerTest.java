package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Help, errors and exit codes. */
class CommandRunnerTest {
  @TempDir Path directory;

  @Test
  void helpListsTheCommands() {
    for (String option : new String[] {"--help", "help"}) {
      Cli.Result result = Cli.run(option);
      assertThat(result.status()).isZero();
      assertThat(result.out())
          .contains("chat", "demo", "inspect", "plan", "bench", "doctor")
          .contains("Exit codes");
      assertThat(result.err()).isEmpty();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"chat", "demo", "inspect", "plan", "bench", "doctor"})
  void everyCommandHasHelp(String command) {
    assertThat(Cli.run(command, "--help").out()).startsWith("Usage: tessera " + command);
    assertThat(Cli.run("help", command).out()).startsWith("Usage: tessera " + command);
  }

  @Test
  void chatHelpNamesEveryOption() {
    assertThat(Cli.run("chat", "--help").out())
        .contains(
            "--model",
            "--image",
            "--video",
            "--system",
            "--prompt",
            "--messages",
            "--json",
            "--temperature",
            "--top-p",
            "--top-k",
            "--repetition-penalty",
            "--num-beams",
            "--max-new-tokens",
            "--min-new-tokens",
            "--max-slice-nums",
            "--use-image-id",
            "--max-input-tokens",
            "--truncate",
            "--stop",
            "--seed",
            "--logprobs",
            "--compat",
            "--trust-plugins",
            "--context-tokens",
            "--device",
            "--dtype",
            "--exif",
            "--verbose");
  }

  @Test
  void versionNamesTesseraAndJava() {
    Cli.Result result = Cli.run("--version");
    assertThat(result.status()).isZero();
    assertThat(result.out()).contains("tessera ").contains("Java 2");
  }

  @Test
  void everyCommandKnowsTheVersion() {
    assertThat(Cli.run("chat", "--version").out()).startsWith("tessera ");
  }

  @Test
  void endlessFileIsRefusedLikeALargeOne() {
    Path endless = Path.of("/dev/zero");
    assumeTrue(Files.exists(endless), "there is no file without end here");
    Cli.Result result =
        Cli.run("inspect", "--model", Cli.CHECKPOINT, "--image", endless.toString());
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.err()).contains("zero: 50000001 bytes are over the limit of 50000000");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "|a command is missing",
        "dance|Unmatched argument at index 0: 'dance'",
        "chat --nonsense|Unknown option: '--nonsense'",
        "chat --temperature hot|Invalid value for option '--temperature'",
        "chat --temperature -1 --prompt x|temperature must be 0 or more, not -1.0",
        "chat --top-p 2 --prompt x|top_p must be above 0 and at most 1, not 2.0",
        "chat --top-k -1 --prompt x|top_k must be 0 or more",
        "chat --num-beams 99 --prompt x|num_beams must be from 1 to 16",
        "chat --min-new-tokens 5 --max-new-tokens 4 --prompt x|min_new_tokens must be from 0",
        "chat --max-slice-nums 0 --prompt x|max_slice_nums must be at least 1",
        "chat --context-tokens 0 --prompt x|context_tokens must be at least 1",
        "chat --logprobs 21 --prompt x|logprobs must be from 0 to 20",
        "chat --use-image-id perhaps|Invalid value for option '--use-image-id'",
        "chat --dtype int8|Invalid value for option '--dtype'",
        "chat --exif twice|Invalid value for option '--exif'",
        "chat --json|--json needs a question: --prompt or --messages",
        "chat --messages a.json --prompt b|--messages holds the whole conversation",
        "inspect|Missing required option: '--image=F'",
        "bench --shape gpt-5|Invalid value for option '--shape'",
        "bench --model a --shape qwen2-0.5b|give --model or --shape, not both",
        "bench --shape qwen2-0.5b --repetitions 0|--repetitions must be from 1 to 1000",
      })
  void wrongUsageExitsWithTwo(String line, String message) {
    Cli.Result result = line == null ? Cli.run() : Cli.run(line.split(" "));
    assertThat(result.err()).startsWith("tessera: ").contains(message);
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.out()).isEmpty();
  }

  @Test
  void whatCannotBeDoneIsOneSentenceAndExitsWithOne() {
    Cli.Result missing = Cli.run("chat", "--model", directory + "/none", "--prompt", "x");
    assertThat(missing.status()).isEqualTo(1);
    assertThat(missing.out()).isEmpty();
    assertThat(missing.err().lines())
        .singleElement()
        .asString()
        .startsWith("tessera: the checkpoint directory none cannot be opened")
        .doesNotContain(directory.toString());

    Cli.Result image =
        Cli.run(
            "chat", "--model", Cli.CHECKPOINT, "--image", "none.png", "--prompt", "x", "--json");
    assertThat(image.status()).isEqualTo(1);
    assertThat(image.out()).isEmpty();
    assertThat(image.err())
        .isEqualToNormalizingNewlines("tessera: the picture file none.png cannot be read\n");
  }

  @Test
  void verboseAddsTheStackTrace() {
    String[] command = {"inspect", "--model", Cli.CHECKPOINT, "--image", "none.png", "--verbose"};
    assertThat(Cli.run(command).err())
        .contains("tessera: the picture file none.png cannot be read")
        .contains("ImageException")
        .contains("\tat org.tessera");
  }

  @Test
  void withoutDemoModelItSaysWhatToGive() {
    Cli.Result byHand = Cli.run("demo");
    assertThat(byHand.status()).isEqualTo(1);
    assertThat(byHand.err())
        .contains("the demo model is found by ./tessera only; give a checkpoint");

    Cli.Result absent = Cli.run(new Installation(Optional.of(directory)), "demo");
    assertThat(absent.status()).isEqualTo(1);
    assertThat(absent.err()).contains("there is no demo model in demo/model of this installation");
  }

  @Test
  void doctorSaysWhatIsThereAndWhatIsNot() {
    Cli.Result result = Cli.run("doctor");
    assertThat(result.status()).isZero();
    assertThat(result.out())
        .containsPattern("ok +java +\\d+")
        .containsPattern("ok +cpu +\\S+")
        .contains("vector module", "ffmpeg")
        .containsPattern("off +demo model +not found");
    assertThat(result.err()).isEmpty();
  }

  @Test
  void brokenMessagesFileIsNamedBeforeAnythingIsLoaded() throws Exception {
    Path file = Files.writeString(directory.resolve("talk.json"), "[{\"role\":\"user\"}]");
    Cli.Result result = Cli.run("chat", "--model", "none", "--messages", file.toString());
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.err()).contains("talk.json: message 1: content is missing");
  }
}
