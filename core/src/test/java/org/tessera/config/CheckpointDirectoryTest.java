package org.tessera.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.error.CheckpointException;

class CheckpointDirectoryTest {
  @TempDir Path temporary;
  private Path directory;

  @BeforeEach
  void createDirectory() throws IOException {
    directory = Files.createDirectories(temporary.resolve("model"));
    Files.writeString(directory.resolve("config.json"), "{}");
  }

  @Test
  void findsRegularFiles() throws IOException {
    CheckpointDirectory files = CheckpointDirectory.open(directory);

    assertThat(files.file("config.json")).isEqualTo(directory.toRealPath().resolve("config.json"));
    assertThat(files.read("config.json", 2)).hasSize(2);
    assertThat(files.readIfPresent("generation_config.json", 2)).isEmpty();
    assertThat(files.has("generation_config.json")).isFalse();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ".",
        "..",
        "../model/config.json",
        "/etc/passwd",
        "sub/config.json",
        "..\\config.json",
        "C:config.json",
        "config.json\u0000",
        "config\n.json",
        "config\ud800.json"
      })
  void refusesNamesThatAreNotPlain(String name) {
    CheckpointDirectory files = CheckpointDirectory.open(directory);

    assertThatThrownBy(() -> files.file(name))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(
            "\"%s\" is not a plain file name inside the checkpoint directory"
                .formatted(StrictJson.printable(name)));
  }

  @Test
  void refusesNamesThatNoFileSystemTakes() {
    CheckpointDirectory files = CheckpointDirectory.open(directory);

    assertThatThrownBy(() -> files.file("a".repeat(256)))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("is not a plain file name");
  }

  @Test
  void whatDoesNotPrintIsEscaped() {
    assertThat(StrictJson.printable("a\u0007\u202eb\u2028c\ud800d\ud83d\ude00é"))
        .isEqualTo("a\\u0007\\u202eb\\u2028c\\ud800d\ud83d\ude00é");
    assertThat(StrictJson.printable("a".repeat(1000))).isEqualTo("a".repeat(160) + "…");
  }

  @Test
  void namesMissingFiles() {
    CheckpointDirectory files = CheckpointDirectory.open(directory);

    assertThatThrownBy(() -> files.file("tokenizer_config.json"))
        .isInstanceOf(CheckpointException.class)
        .hasMessage("tokenizer_config.json is missing from the checkpoint directory model");
  }

  @Test
  void refusesWhatIsNotARegularFile() throws IOException {
    Files.createDirectory(directory.resolve("tokenizer_config.json"));
    CheckpointDirectory files = CheckpointDirectory.open(directory);

    assertThatThrownBy(() -> files.file("tokenizer_config.json"))
        .isInstanceOf(CheckpointException.class)
        .hasMessage("tokenizer_config.json is not a regular file");
  }

  @Test
  void refusesFilesOverTheLimit() {
    CheckpointDirectory files = CheckpointDirectory.open(directory);

    assertThatThrownBy(() -> files.read("config.json", 1))
        .isInstanceOf(CheckpointException.class)
        .hasMessage("config.json is larger than 1 bytes, the most this build reads of it");
  }

  @Test
  void refusesADirectoryThatIsMissingOrAFile() {
    assertThatThrownBy(() -> CheckpointDirectory.open(temporary.resolve("absent")))
        .isInstanceOf(CheckpointException.class)
        .hasMessage("the checkpoint directory absent cannot be opened (NoSuchFileException)");
    assertThatThrownBy(() -> CheckpointDirectory.open(directory.resolve("config.json")))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(
            "config.json is not a directory; a checkpoint is a directory with config.json and safetensors files");
  }

  @Test
  void followsLinksThatStayInside() throws IOException {
    Files.createSymbolicLink(directory.resolve("other.json"), Path.of("config.json"));

    assertThat(CheckpointDirectory.open(directory).file("other.json"))
        .isEqualTo(directory.toRealPath().resolve("config.json"));
  }

  @Test
  void mayBeReachedThroughALinkItself() throws IOException {
    Path link = Files.createSymbolicLink(temporary.resolve("latest"), directory);

    assertThat(CheckpointDirectory.open(link).file("config.json")).exists();
  }

  @Test
  void refusesLinksThatLeadOut() throws IOException {
    Path secret = Files.writeString(temporary.resolve("secret.json"), "{}");
    Files.createSymbolicLink(directory.resolve("absolute.json"), secret);
    Files.createSymbolicLink(directory.resolve("relative.json"), Path.of("../secret.json"));
    CheckpointDirectory files = CheckpointDirectory.open(directory);

    for (String name : new String[] {"absolute.json", "relative.json"}) {
      assertThatThrownBy(() -> files.file(name))
          .isInstanceOf(CheckpointException.class)
          .hasMessage(
              name
                  + " is a symbolic link that leads out of the checkpoint directory model;"
                  + " link the whole directory or copy the file");
    }
  }

  @Test
  void namesLinksToNowhere() throws IOException {
    Files.createSymbolicLink(directory.resolve("model.safetensors"), Path.of("absent"));
    CheckpointDirectory files = CheckpointDirectory.open(directory);

    assertThatThrownBy(() -> files.file("model.safetensors"))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(
            "model.safetensors cannot be opened (NoSuchFileException):"
                + " it may be a link to a file that was not downloaded");
  }

  @Test
  void followsTheLinksOfTheHuggingFaceCacheAndNoOthers() throws IOException {
    Path repository = Files.createDirectories(temporary.resolve("models--openbmb--MiniCPM-V-2_6"));
    Path blobs = Files.createDirectories(repository.resolve("blobs"));
    Path snapshot = Files.createDirectories(repository.resolve("snapshots").resolve("0123abcd"));
    Files.writeString(blobs.resolve("feed"), "{}");
    Files.writeString(repository.resolve("token"), "secret");
    Files.createSymbolicLink(snapshot.resolve("config.json"), Path.of("../../blobs/feed"));
    Files.createSymbolicLink(snapshot.resolve("escape.json"), Path.of("../../token"));
    CheckpointDirectory files = CheckpointDirectory.open(snapshot);

    assertThat(files.file("config.json")).isEqualTo(blobs.toRealPath().resolve("feed"));
    assertThatThrownBy(() -> files.file("escape.json"))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("leads out of the checkpoint directory 0123abcd");
  }
}
