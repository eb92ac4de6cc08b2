package org.tessera.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.tessera.api.Image;
import tools.jackson.databind.JsonNode;

/** From files to slices and values, against what the original and Pillow make of them. */
class PreprocessConformanceTest {
  private static final float[] HALF = {0.5f, 0.5f, 0.5f};
  private final int patchSize = Vectors.preprocessor("patch_size");
  private final ImageProcessor processor =
      new ImageProcessor(patchSize, Vectors.preprocessor("scale_resolution"), true, HALF, HALF);

  @TestFactory
  Stream<DynamicTest> slicesEqualTheOriginalsByteForByte() {
    JsonNode cases = Vectors.json("preprocess.json");
    assertThat(cases.size()).isPositive();
    return cases
        .valueStream()
        .map(c ->
            DynamicTest.dynamicTest(
                c.get("image").asString() + " in " + c.get("max_slice_nums").asInt(),
                () -> check(c)));
  }

  private void check(JsonNode expected) {
    Image.Rgb picture = picture(expected.get("image").asString());
    assertThat(picture.width()).isEqualTo(expected.get("width").asInt());
    assertThat(picture.height()).isEqualTo(expected.get("height").asInt());
    ProcessedImage processed = processor.process(picture, expected.get("max_slice_nums").asInt());
    JsonNode grid = expected.get("grid");
    if (grid.isNull()) {
      assertThat(processed.plan().grid()).isEmpty();
    } else {
      assertThat(processed.plan().grid())
          .contains(new Grid(grid.get(0).asInt(), grid.get(1).asInt()));
    }
    List<PatchGrid> patches =
        expected
            .get("tgt_sizes")
            .valueStream()
            .map(size -> new PatchGrid(size.get(0).asInt(), size.get(1).asInt()))
            .toList();
    assertThat(processed.slices()).extracting(ProcessedSlice::grid).isEqualTo(patches);
    List<String> hashes =
        expected.get("slices").valueStream().map(s -> s.get("rgb_sha256").asString()).toList();
    assertThat(processed.slices())
        .extracting(slice -> Vectors.sha256(slice.pixels().rgb()))
        .isEqualTo(hashes);
  }

  @Test
  void valuesEqualTheOriginals() {
    ProcessedSlice slice = processor.process(picture("small.png"), 9).slices().getFirst();
    float[] expected = Vectors.floats("pixel_values.safetensors", "pixel_values");
    assertThat(processor.strip(slice)).isEqualTo(expected);
  }

  @Test
  void patchesHoldTheValuesOfTheStrip() {
    ProcessedSlice slice = processor.process(picture("three.png"), 9).slices().getFirst();
    float[] strip = processor.strip(slice);
    int count = slice.grid().patchCount();
    float[] expected = new float[strip.length];
    for (int patch = 0; patch < count; patch++) {
      for (int row = 0; row < 3 * patchSize; row++) {
        for (int x = 0; x < patchSize; x++) {
          expected[(patch * 3 * patchSize + row) * patchSize + x] =
              strip[(row * count + patch) * patchSize + x];
        }
      }
    }
    assertThat(processor.patches(slice)).isEqualTo(expected);
    assertThat(IntStream.range(0, 256).mapToObj(i -> expected[i])).allMatch(v -> v >= -1 && v <= 1);
  }

  @Test
  void meansAndDeviationsAreThoseOfTheChannels() {
    float[] mean = {0.1f, 0.2f, 0.3f};
    float[] std = {1f, 2f, 4f};
    ImageProcessor own = new ImageProcessor(1, 1, false, mean, std);
    Image.Rgb pixel = new Image.Rgb("pixel", 1, 1, new byte[] {(byte) 255, 0, 51});
    float[] values = own.patches(own.process(pixel, 1).slices().getFirst());
    assertThat(values[0]).isEqualTo(0.9f, within(1e-6f));
    assertThat(values[1]).isEqualTo(-0.1f, within(1e-6f));
    assertThat(values[2]).isEqualTo(-0.025f, within(1e-6f));
  }

  private static Image.Rgb picture(String name) {
    Image file = new Image.Encoded(name, Vectors.bytes("images/" + name));
    return ImageDecoder.decode(file, ImageLimits.defaults(), false);
  }
}
