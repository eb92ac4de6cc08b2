package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

class InspectCommandTest {
  @TempDir Path directory;

  @Test
  void jsonIsWhatTheOriginalMakesOfEveryPicture() {
    int cases = 0;
    for (JsonNode reference : Cli.vectors("preprocess.json")) {
      String name = reference.get("image").asString();
      String slices = reference.get("max_slice_nums").asString();
      Cli.Result result =
          Cli.run(
              "inspect",
              "--model",
              Cli.CHECKPOINT,
              "--image",
              Cli.image(name),
              "--json",
              "--max-slice-nums",
              slices,
              "--exif",
              "ignore");
      assertThat(result.err()).isEmpty();
      JsonNode json = result.json();
      assertThat(json.propertyNames())
          .containsExactly(
              "width", "height", "grid", "slices", "tgt_sizes", "placeholder", "tokens");
      for (String key : new String[] {"width", "height", "grid", "tgt_sizes", "placeholder"}) {
        assertThat(json.get(key)).as("%s of %s", key, name).isEqualTo(reference.get(key));
      }
      assertThat(json.get("tokens").asInt()).isEqualTo(64 * reference.get("slices").size());
      assertThat(json.get("slices")).hasSameSizeAs(reference.get("slices"));
      for (int i = 0; i < json.get("slices").size(); i++) {
        for (String key : new String[] {"width", "height", "rgb_sha256"}) {
          assertThat(json.get("slices").get(i).get(key))
              .as("%s of slice %d of %s", key, i, name)
              .isEqualTo(reference.get("slices").get(i).get(key));
        }
      }
      cases++;
    }
    assertThat(cases).isEqualTo(54);
  }

  @Test
  void savesSlicesAsPictures() throws Exception {
    Path slices = directory.resolve("new/slices");
    Cli.Result result =
        Cli.run(
            "inspect",
            "--model",
            Cli.CHECKPOINT,
            "--image",
            Cli.image("hd.png"),
            "--save-slices",
            slices.toString());

    assertThat(result.status()).isZero();
    assertThat(result.out()).contains("hd.png: ").contains("overview").contains("slice 2");
    for (int i = 0; i < 3; i++) {
      String name = "hd.slice%d.png".formatted(i);
      var saved = ImageIO.read(slices.resolve(name).toFile());
      var original = ImageIO.read(Cli.CONFORMANCE.resolve("images").resolve(name).toFile());
      assertThat(saved.getWidth()).isEqualTo(original.getWidth());
      assertThat(saved.getHeight()).isEqualTo(original.getHeight());
      int[] savedPixels = new int[saved.getWidth() * saved.getHeight()];
      int[] originalPixels = savedPixels.clone();
      saved.getRGB(0, 0, saved.getWidth(), saved.getHeight(), savedPixels, 0, saved.getWidth());
      original.getRGB(
          0, 0, saved.getWidth(), saved.getHeight(), originalPixels, 0, saved.getWidth());
      assertThat(savedPixels).as(name).isEqualTo(originalPixels);
    }
  }

  @Test
  void directoryThatCannotBeMadeIsNamed() throws Exception {
    Path file = Files.writeString(directory.resolve("file"), "");
    Cli.Result result =
        Cli.run(
            "inspect",
            "--model",
            Cli.CHECKPOINT,
            "--image",
            Cli.image("tiny.png"),
            "--save-slices",
            file.resolve("slices").toString());
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.err()).contains("the slices cannot be written to slices");
  }
}
