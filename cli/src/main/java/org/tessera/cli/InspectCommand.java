package org.tessera.cli;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import javax.imageio.ImageIO;
import org.tessera.api.Image;
import org.tessera.api.ImageInspector;
import org.tessera.api.Inspection;
import org.tessera.error.InvalidRequestException;
import org.tessera.image.ProcessedSlice;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code tessera inspect}: what the model sees of a picture. Loads no weights. */
@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Shows what the model sees of a picture: how it is cut into slices, and what stands for it in"
          + " the prompt. Loads no weights.",
      ""
    })
final class InspectCommand implements Callable<Integer> {
  @Option(
      names = "--model",
      paramLabel = "DIR",
      description = "The checkpoint's directory; the project's demo model where it is left out.")
  private Optional<Path> model = Optional.empty();

  @Option(names = "--image", paramLabel = "F", required = true, description = "The picture.")
  @SuppressWarnings("NullAway.Init") // required: picocli sets it or refuses the command line
  private Path image;

  @Mixin private final PictureArguments picture = new PictureArguments();

  @Option(
      names = "--save-slices",
      paramLabel = "DIR",
      description = "Write the slices as PNG files into DIR, the overview as slice 0.")
  private Optional<Path> saveSlices = Optional.empty();

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  private final Output output;
  private final Installation installation;

  InspectCommand(Output output, Installation installation) {
    this.output = output;
    this.installation = installation;
  }

  @Override
  public Integer call() {
    ImageInspector inspector = ImageInspector.open(model.orElseGet(installation::requireDemoModel));
    Inspection inspection =
        inspector.inspect(Image.of(image), picture.toOptions(/* video= */ false));
    if (saveSlices.isPresent()) {
      save(inspection, saveSlices.get());
    }
    if (json) {
      output.out().println(toJson(inspection));
    } else {
      print(inspection);
    }
    return 0;
  }

  private static String toJson(Inspection inspection) {
    ObjectNode json = JsonMapper.shared().createObjectNode();
    json.put("width", inspection.image().source().width());
    json.put("height", inspection.image().source().height());
    inspection
        .image()
        .plan()
        .grid()
        .ifPresentOrElse(
            grid -> json.putArray("grid").add(grid.columns()).add(grid.rows()),
            () -> json.putNull("grid"));
    ArrayNode slices = json.putArray("slices");
    ArrayNode targetSizes = json.putArray("tgt_sizes");
    for (ProcessedSlice slice : inspection.image().slices()) {
      slices
          .addObject()
          .put("width", slice.pixels().width())
          .put("height", slice.pixels().height())
          .put("rgb_sha256", sha256(slice.pixels().rgb()));
      targetSizes.addArray().add(slice.grid().rows()).add(slice.grid().columns());
    }
    json.put("placeholder", inspection.placeholder());
    json.put("tokens", inspection.placeholderTokens());
    return json.toString();
  }

  private void print(Inspection inspection) {
    List<ProcessedSlice> slices = inspection.image().slices();
    output
        .out()
        .printf(
            "%s: %s pixels, %s, %d image tokens%n",
            inspection.name(),
            inspection.image().source(),
            inspection
                .image()
                .plan()
                .grid()
                .map(grid ->
                    "an overview and %d columns x %d rows of slices"
                        .formatted(grid.columns(), grid.rows()))
                .orElse("not sliced"),
            inspection.placeholderTokens());
    for (int i = 0; i < slices.size(); i++) {
      ProcessedSlice slice = slices.get(i);
      output
          .out()
          .printf(
              "  %s: %d x %d pixels, %d x %d patches%n",
              i == 0 ? "overview" : "slice " + i,
              slice.pixels().width(),
              slice.pixels().height(),
              slice.grid().columns(),
              slice.grid().rows());
    }
    output.out().println("in the prompt: " + abridged(inspection.placeholder()));
  }

  /** The same placeholder token many times says no more than once with its number. */
  private static String abridged(String placeholder) {
    return placeholder.replaceAll("(<[^<>]+>)\\1+", "$1…").replace("\n", "\\n");
  }

  private static void save(Inspection inspection, Path directory) {
    String name = inspection.name().replaceFirst("\\.[^.]*$", "");
    List<ProcessedSlice> slices = inspection.image().slices();
    try {
      Files.createDirectories(directory);
      for (int i = 0; i < slices.size(); i++) {
        Path file = directory.resolve("%s.slice%d.png".formatted(name, i));
        ImageIO.write(toBufferedImage(slices.get(i).pixels()), "png", file.toFile());
      }
    } catch (IOException e) {
      throw new InvalidRequestException(
          "the slices cannot be written to %s (%s)"
              .formatted(directory.getFileName(), e.getClass().getSimpleName()),
          e);
    }
  }

  private static BufferedImage toBufferedImage(Image.Rgb pixels) {
    BufferedImage image =
        new BufferedImage(pixels.width(), pixels.height(), BufferedImage.TYPE_INT_RGB);
    int[] packed = new int[pixels.width() * pixels.height()];
    byte[] rgb = pixels.rgb();
    for (int i = 0; i < packed.length; i++) {
      packed[i] =
          (rgb[3 * i] & 0xff) << 16 | (rgb[3 * i + 1] & 0xff) << 8 | (rgb[3 * i + 2] & 0xff);
    }
    image.setRGB(0, 0, pixels.width(), pixels.height(), packed, 0, pixels.width());
    return image;
  }

  private static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java has SHA-256", e);
    }
  }
}
