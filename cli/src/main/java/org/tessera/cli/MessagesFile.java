package org.tessera.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.tessera.api.Role;
import org.tessera.cli.Turn.Content;
import org.tessera.config.StrictJson;
import org.tessera.error.CheckpointException;
import org.tessera.error.InvalidRequestException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A conversation as JSON: {@code [{"role": "user", "content": [{"image": "cat.png"}, {"text":
 * "…"}]}]}. Content may be a plain string; a part may say its {@code type} as well, as
 * Transformers' messages do. Paths are relative to the file.
 */
final class MessagesFile {
  private static final int MAX_BYTES = 16 << 20;
  private static final int MAX_MESSAGES = 4096;
  private static final int MAX_PARTS = 4096;
  private static final Set<String> PART_KINDS = Set.of("text", "image", "video");

  private final String name;
  private final Path directory;

  private MessagesFile(String name, Path directory) {
    this.name = name;
    this.directory = directory;
  }

  /**
   * @throws InvalidRequestException where the file cannot be read or does not hold a conversation
   */
  static List<Turn> read(Path file) {
    String name = name(file);
    Path directory = file.toAbsolutePath().getParent();
    byte[] content;
    try (InputStream in = Files.newInputStream(file)) {
      content = in.readNBytes(MAX_BYTES + 1);
    } catch (IOException e) {
      throw new InvalidRequestException(
          "the messages file %s cannot be read (%s)".formatted(name, e.getClass().getSimpleName()),
          e);
    }
    if (content.length > MAX_BYTES) {
      throw new InvalidRequestException(
          "%s is larger than %d bytes; pictures are given by their paths"
              .formatted(name, MAX_BYTES));
    }
    return parse(name, directory == null ? Path.of("/") : directory, content);
  }

  /** As {@link #read}, of a file of this name and content in {@code directory}. */
  static List<Turn> parse(String name, Path directory, byte[] content) {
    JsonNode root;
    try {
      root = StrictJson.tree(name, content);
    } catch (CheckpointException e) {
      throw new InvalidRequestException(String.valueOf(e.getMessage()), e);
    }
    return parse(name, directory, root);
  }

  /**
   * As {@link #read}, of a conversation that stands in a file of this name in {@code directory}.
   */
  static List<Turn> parse(String name, Path directory, JsonNode conversation) {
    return new MessagesFile(name, directory).turns(conversation);
  }

  /**
   * Writes a conversation so that {@link #read} reads it again.
   *
   * @throws InvalidRequestException where the file cannot be written
   */
  static void write(Path file, List<Turn> turns) {
    JsonMapper mapper = JsonMapper.shared();
    ArrayNode messages = mapper.createArrayNode();
    Path directory = file.toAbsolutePath().normalize().getParent();
    for (Turn turn : turns) {
      ObjectNode message = messages.addObject().put("role", turn.role().lowerCase());
      ArrayNode content = message.putArray("content");
      for (Content part : turn.content()) {
        ObjectNode node = content.addObject();
        switch (part) {
          case Content.Text text -> node.put("text", text.text());
          case Content.Picture picture -> node.put("image", relative(directory, picture.file()));
          case Content.Video video -> node.put("video", relative(directory, video.file()));
        }
      }
    }
    byte[] json = mapper.writerWithDefaultPrettyPrinter().writeValueAsBytes(messages);
    try {
      Files.write(file, json);
    } catch (IOException e) {
      throw new InvalidRequestException(
          "%s cannot be written (%s)".formatted(name(file), e.getClass().getSimpleName()), e);
    }
  }

  private static String relative(@Nullable Path directory, Path file) {
    Path absolute = file.toAbsolutePath().normalize();
    if (directory == null || !Objects.equals(directory.getRoot(), absolute.getRoot())) {
      return absolute.toString();
    }
    return directory.relativize(absolute).toString();
  }

  private static String name(Path file) {
    return StrictJson.printable(String.valueOf(file.getFileName()));
  }

  private List<Turn> turns(JsonNode root) {
    check(root.isArray(), () -> "the conversation is %s, expected a list".formatted(kind(root)));
    check(
        !root.isEmpty() && root.size() <= MAX_MESSAGES,
        () ->
            "the conversation has %d messages, expected 1 to %d"
                .formatted(root.size(), MAX_MESSAGES));
    List<Turn> turns = new ArrayList<>(root.size());
    int parts = 0;
    for (int i = 0; i < root.size(); i++) {
      Turn turn = turn(root.get(i), "message " + (i + 1));
      parts += turn.content().size();
      turns.add(turn);
    }
    int partCount = parts;
    check(
        partCount <= MAX_PARTS,
        () -> "the messages have %d parts, expected %d at most".formatted(partCount, MAX_PARTS));
    return turns;
  }

  private Turn turn(JsonNode message, String where) {
    check(message.isObject(), () -> "%s is %s, expected an object".formatted(where, kind(message)));
    checkKeys(message, Set.of("role", "content"), where);
    return new Turn(role(message.get("role"), where), content(message.get("content"), where));
  }

  private Role role(JsonNode node, String where) {
    check(
        node != null && node.isString(),
        () -> "%s: role is %s, expected %s".formatted(where, kind(node), roleNames()));
    return Arrays.stream(Role.values())
        .filter(role -> role.lowerCase().equals(node.stringValue()))
        .findFirst()
        .orElseThrow(() ->
            refusal(
                "%s: role is \"%s\", expected %s".formatted(where, printable(node), roleNames())));
  }

  private static String roleNames() {
    return Stream.of(Role.values()).map(Role::lowerCase).collect(Collectors.joining(", "));
  }

  private List<Content> content(JsonNode node, String where) {
    if (node != null && node.isString()) {
      return List.of(new Content.Text(text(node, where + ": content")));
    }
    check(
        node != null && node.isArray(),
        () -> "%s: content is %s, expected a string or a list".formatted(where, kind(node)));
    check(
        !node.isEmpty() && node.size() <= MAX_PARTS,
        () ->
            "%s: content has %d parts, expected 1 to %d".formatted(where, node.size(), MAX_PARTS));
    List<Content> parts = new ArrayList<>(node.size());
    for (int i = 0; i < node.size(); i++) {
      parts.add(part(node.get(i), "%s, part %d".formatted(where, i + 1)));
    }
    return parts;
  }

  private Content part(JsonNode node, String where) {
    if (node.isString()) {
      return new Content.Text(text(node, where));
    }
    check(node.isObject(), () -> "%s is %s, expected an object".formatted(where, kind(node)));
    checkKeys(node, Set.of("type", "text", "image", "video"), where);
    List<String> kinds =
        node.propertyNames().stream().filter(PART_KINDS::contains).sorted().toList();
    check(
        kinds.size() == 1,
        () ->
            "%s has %s, expected exactly one of text, image and video"
                .formatted(where, kinds.isEmpty() ? "none of its keys" : String.join(", ", kinds)));
    String kind = kinds.getFirst();
    JsonNode type = node.get("type");
    check(
        type == null || (type.isString() && type.stringValue().equals(kind)),
        () -> "%s: type must be \"%s\", as its other key is".formatted(where, kind));
    JsonNode value = node.get(kind);
    check(
        value.isString(),
        () -> "%s: %s is %s, expected a string".formatted(where, kind, kind(value)));
    return switch (kind) {
      case "text" -> new Content.Text(text(value, where));
      case "image" -> new Content.Picture(path(value, where));
      default -> new Content.Video(path(value, where));
    };
  }

  /** JSON can spell half of a character, which no file can. */
  private String text(JsonNode node, String where) {
    String text = node.stringValue();
    check(
        StandardCharsets.UTF_8.newEncoder().canEncode(text),
        () -> where + " holds half of a surrogate pair, which is no character");
    return text;
  }

  private Path path(JsonNode node, String where) {
    check(!node.stringValue().isEmpty(), () -> where + " has an empty path");
    try {
      return directory.resolve(node.stringValue());
    } catch (InvalidPathException e) {
      throw new InvalidRequestException(
          "%s: %s: \"%s\" is no path on this system".formatted(name, where, printable(node)), e);
    }
  }

  private void checkKeys(JsonNode object, Set<String> known, String where) {
    for (String key : object.propertyNames()) {
      check(
          known.contains(key),
          () ->
              "%s has the key \"%s\", expected %s only"
                  .formatted(
                      where,
                      StrictJson.printable(key),
                      known.stream().sorted().collect(Collectors.joining(", "))));
    }
  }

  private void check(boolean condition, Supplier<String> problem) {
    if (!condition) {
      throw refusal(problem.get());
    }
  }

  private InvalidRequestException refusal(String problem) {
    return new InvalidRequestException(name + ": " + problem);
  }

  private static String printable(JsonNode node) {
    return StrictJson.printable(node.stringValue());
  }

  private static String kind(@Nullable JsonNode node) {
    if (node == null) {
      return "missing";
    }
    return switch (node.getNodeType()) {
      case ARRAY -> "a list";
      case OBJECT -> "an object";
      case STRING -> "a string";
      case NUMBER -> "a number";
      case BOOLEAN -> "true or false";
      default -> "null";
    };
  }
}
