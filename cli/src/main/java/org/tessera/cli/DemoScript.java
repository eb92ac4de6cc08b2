package org.tessera.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tessera.cli.Turn.Content;
import org.tessera.config.StrictJson;
import org.tessera.error.InvalidRequestException;
import tools.jackson.databind.JsonNode;

/** The pictures and questions that ship with the project: {@code demo/pictures/demo.json}. */
final class DemoScript {
  private DemoScript() {}

  /**
   * One conversation of the demo.
   *
   * @param shown pictures and videos of the first question
   * @param questions one after the other
   * @param expected what the demo model answers
   */
  record Scene(String title, List<Content> shown, List<String> questions, List<String> expected) {}

  /**
   * @throws InvalidRequestException where the file cannot be read or holds something else
   */
  static List<Scene> read(Path file) {
    String name = String.valueOf(file.getFileName());
    byte[] content;
    try {
      content = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new InvalidRequestException(name + " of the demo cannot be read", e);
    }
    List<Scene> scenes = new ArrayList<>();
    for (JsonNode scene : StrictJson.tree(name, content)) {
      List<Content> shown = new ArrayList<>();
      strings(scene.path("images"))
          .forEach(image -> shown.add(new Content.Picture(file.resolveSibling(image))));
      Optional.ofNullable(scene.get("video"))
          .ifPresent(
              video -> shown.add(new Content.Video(file.resolveSibling(video.stringValue()))));
      scenes.add(
          new Scene(
              scene.path("title").asString(),
              shown,
              strings(scene.path("turns")),
              strings(scene.path("expect"))));
    }
    if (scenes.isEmpty() || scenes.stream().anyMatch(scene -> scene.questions().isEmpty())) {
      throw new InvalidRequestException(name + " of the demo holds no questions");
    }
    return scenes;
  }

  private static List<String> strings(JsonNode array) {
    List<String> strings = new ArrayList<>();
    array.forEach(node -> strings.add(node.asString()));
    return strings;
  }
}
