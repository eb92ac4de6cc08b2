package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tessera.api.Role;
import org.tessera.cli.Turn.Content;
import org.tessera.error.InvalidRequestException;

class MessagesFileTest {
  private static final String CONVERSATION =
      """
      [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"image": "a/cat.png"}, {"text": "What is 这?"}]},
        {"role": "assistant", "content": ["A cat."]},
        {"role": "user", "content": [
          {"type": "video", "video": "/tmp/film.mp4"}, {"type": "text", "text": "And now?"}]}
      ]
      """;

  @TempDir Path directory;

  @Test
  void readsRolesTextsAndPathsRelativeToTheFile() throws Exception {
    Path file = Files.writeString(directory.resolve("m.json"), CONVERSATION);

    assertThat(MessagesFile.read(file))
        .containsExactly(
            new Turn(Role.SYSTEM, List.of(new Content.Text("Be brief."))),
            new Turn(
                Role.USER,
                List.of(
                    new Content.Picture(directory.resolve("a/cat.png")),
                    new Content.Text("What is 这?"))),
            new Turn(Role.ASSISTANT, List.of(new Content.Text("A cat."))),
            new Turn(
                Role.USER,
                List.of(
                    new Content.Video(Path.of("/tmp/film.mp4")), new Content.Text("And now?"))));
  }

  @Test
  void readsWhatItWrote() throws Exception {
    List<Turn> turns = parse(CONVERSATION);
    Path file = Files.createDirectories(directory.resolve("x/y")).resolve("saved.json");

    MessagesFile.write(file, turns);

    assertThat(Files.readString(file)).contains("../../a/cat.png");
    assertThat(normalized(MessagesFile.read(file))).isEqualTo(normalized(turns));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{}|m.json: the conversation is an object, expected a list",
        "[]|m.json: the conversation has 0 messages, expected 1 to 4096",
        "[1]|m.json: message 1 is a number, expected an object",
        "[{\"content\":\"a\"}]|m.json: message 1: role is missing, expected system, user, assistant, tool",
        "[{\"role\":\"robot\",\"content\":\"a\"}]|m.json: message 1: role is \"robot\", expected system, user, assistant, tool",
        "[{\"role\":\"user\"}]|m.json: message 1: content is missing, expected a string or a list",
        "[{\"role\":\"user\",\"content\":[]}]|m.json: message 1: content has 0 parts, expected 1 to 4096",
        "[{\"role\":\"user\",\"content\":\"a\",\"x\":1}]|m.json: message 1 has the key \"x\", expected content, role only",
        "[{\"role\":\"user\",\"content\":[{\"a\":1}]}]|m.json: message 1, part 1 has the key \"a\", expected image, text, type, video only",
        "[{\"role\":\"user\",\"content\":[{}]}]|m.json: message 1, part 1 has none of its keys, expected exactly one of text, image and video",
        "[{\"role\":\"user\",\"content\":[{\"text\":\"a\",\"image\":\"b\"}]}]|m.json: message 1, part 1 has image, text, expected exactly one of text, image and video",
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"image\":\"b\"}]}]|m.json: message 1, part 1: type must be \"image\", as its other key is",
        "[{\"role\":\"user\",\"content\":[{\"image\":7}]}]|m.json: message 1, part 1: image is a number, expected a string",
        "[{\"role\":\"user\",\"content\":[{\"image\":\"\"}]}]|m.json: message 1, part 1 has an empty path",
        "[{\"role\":\"user\",\"content\":\"\\ud800\"}]|m.json: message 1: content holds half of a surrogate pair, which is no character",
      })
  void namesWhatIsWrong(String json, String message) {
    assertThatThrownBy(() -> parse(json))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessage(message);
  }

  @Test
  void refusesPathsThatAreNone() {
    assertThatThrownBy(() -> parse("[{\"role\":\"user\",\"content\":[{\"image\":\"a\\u0000b\"}]}]"))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessage("m.json: message 1, part 1: \"a\\u0000b\" is no path on this system");
  }

  @Test
  void refusesDeepHugeAndMissingFiles() throws Exception {
    assertThatThrownBy(() -> parse("[".repeat(100_000)))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("m.json is not valid JSON");
    assertThatThrownBy(() -> parse("[" + "1,".repeat(5000) + "1]"))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("has 5001 messages");
    Path huge = Files.write(directory.resolve("huge.json"), new byte[(16 << 20) + 1]);
    assertThatThrownBy(() -> MessagesFile.read(huge))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("huge.json is larger than");
    assertThatThrownBy(() -> MessagesFile.read(directory.resolve("none.json")))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessage("the messages file none.json cannot be read (NoSuchFileException)");
  }

  /** Whatever the bytes are: a conversation or a clear error, which is one line. */
  @Test
  void brokenFilesAreClearErrors() {
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(20261123);
    byte[] valid = CONVERSATION.getBytes(StandardCharsets.UTF_8);
    int refused = 0;
    for (int i = 0; i < 5000; i++) {
      byte[] broken = broken(valid, random);
      try {
        assertThat(MessagesFile.parse("m.json", directory, broken)).isNotEmpty();
      } catch (InvalidRequestException e) {
        assertThat(e).hasMessageStartingWith("m.json").hasMessageNotContaining("\n");
        assertThat(e.getMessage()).hasSizeLessThan(1000);
        refused++;
      }
    }
    assertThat(refused).isGreaterThan(3000);
  }

  private static byte[] broken(byte[] valid, RandomGenerator random) {
    byte[] bytes = valid.clone();
    switch (random.nextInt(4)) {
      case 0 -> bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length));
      case 1 -> {
        for (int i = 0; i < 1 + random.nextInt(5); i++) {
          bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
        }
      }
      case 2 -> {
        // Punctuation moves structure rather than text.
        String marks = "[]{}:,\"\\0e-";
        for (int i = 0; i < 1 + random.nextInt(3); i++) {
          bytes[random.nextInt(bytes.length)] = (byte) marks.charAt(random.nextInt(marks.length()));
        }
      }
      default -> {
        int from = random.nextInt(bytes.length);
        int length = random.nextInt(bytes.length - from);
        System.arraycopy(bytes, from, bytes, random.nextInt(bytes.length - length), length);
      }
    }
    return bytes;
  }

  private List<Turn> parse(String json) {
    return MessagesFile.parse("m.json", directory, json.getBytes(StandardCharsets.UTF_8));
  }

  private static List<Turn> normalized(List<Turn> turns) {
    return turns.stream()
        .map(turn ->
            new Turn(
                turn.role(), turn.content().stream().map(MessagesFileTest::normalized).toList()))
        .toList();
  }

  private static Content normalized(Content part) {
    return switch (part) {
      case Content.Text text -> text;
      case Content.Picture(Path file) -> new Content.Picture(file.normalize());
      case Content.Video(Path file) -> new Content.Video(file.normalize());
    };
  }
}
