package org.tessera.cli;

import java.nio.file.Path;
import java.util.List;
import org.tessera.api.Role;

/** A turn of a conversation as files and command lines give it: with paths in place of pictures. */
record Turn(Role role, List<Content> content) {
  Turn {
    content = List.copyOf(content);
  }

  static Turn system(String text) {
    return new Turn(Role.SYSTEM, List.of(new Content.Text(text)));
  }

  static Turn assistant(String text) {
    return new Turn(Role.ASSISTANT, List.of(new Content.Text(text)));
  }

  boolean hasVideo() {
    return content.stream().anyMatch(Content.Video.class::isInstance);
  }

  /** A part of a turn. */
  sealed interface Content {
    /** Text as it was typed. */
    record Text(String text) implements Content {}

    /** A picture file. */
    record Picture(Path file) implements Content {}

    /** A video file or an animated GIF, which becomes several pictures. */
    record Video(Path file) implements Content {}
  }
}
