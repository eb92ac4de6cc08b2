package org.tessera.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.tessera.api.Image;
import org.tessera.api.Message;
import org.tessera.api.Part;
import org.tessera.cli.Turn.Content;
import org.tessera.image.ImageLimits;
import org.tessera.image.VideoFrames;

/** Reads the pictures and videos of turns, each file once. Not for several threads. */
final class MediaFiles {
  private final Map<Content, List<Image>> images = new HashMap<>();
  private final Function<Path, List<Image>> videoFrames;

  /**
   * @param videoFrames the pictures of a video file
   */
  MediaFiles(Function<Path, List<Image>> videoFrames) {
    this.videoFrames = videoFrames;
  }

  /** With videos as {@link VideoFrames} reads them. */
  static MediaFiles onDisk() {
    VideoFrames frames = new VideoFrames(ImageLimits.defaults());
    return new MediaFiles(file -> List.copyOf(frames.read(file)));
  }

  /**
   * The turns with their pictures.
   *
   * @throws org.tessera.error.ImageException where a file cannot be read
   */
  List<Message> messages(List<Turn> turns) {
    return turns.stream().map(this::message).toList();
  }

  private Message message(Turn turn) {
    List<Part> parts = new ArrayList<>();
    for (Content content : turn.content()) {
      if (content instanceof Content.Text(String text)) {
        parts.add(new Part.Text(text));
      } else {
        images(content).forEach(image -> parts.add(new Part.Picture(image)));
      }
    }
    return new Message(turn.role(), parts);
  }

  /** The pictures of one part: none of text, one of a picture, the frames of a video. */
  List<Image> images(Content content) {
    return images.computeIfAbsent(
        content,
        part ->
            switch (part) {
              case Content.Text ignored -> List.of();
              case Content.Picture(Path file) -> List.of(Image.of(file));
              case Content.Video(Path file) -> videoFrames.apply(file);
            });
  }
}
