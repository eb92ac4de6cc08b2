package org.tessera.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tessera.api.Role;
import org.tessera.cli.Turn.Content;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What the model is asked. */
final class ChatArguments {
  // NullAway: picocli sets it before anything runs.
  @SuppressWarnings("NullAway.Init")
  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Option(
      names = "--image",
      paramLabel = "F",
      description = "A picture, shown before the prompt; may be repeated.")
  private List<Path> images = new ArrayList<>();

  @Option(
      names = "--video",
      paramLabel = "F",
      description =
          "A video or an animated GIF, shown as frames before the prompt. Needs ffmpeg unless it is"
              + " a GIF.")
  private List<Path> videos = new ArrayList<>();

  @Option(names = "--system", paramLabel = "TEXT", description = "The system prompt.")
  private Optional<String> system = Optional.empty();

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      description = "The question. Without it and --messages, a conversation starts.")
  private Optional<String> prompt = Optional.empty();

  @Option(
      names = "--messages",
      paramLabel = "FILE",
      description = "A whole conversation as JSON; paths in it are relative to the file.")
  private Optional<Path> messages = Optional.empty();

  /** Whether everything to be asked is there, so that one answer is all. */
  boolean isComplete() {
    return prompt.isPresent() || messages.isPresent();
  }

  Optional<String> system() {
    return system;
  }

  /** Pictures and videos in the order in which they are shown. */
  List<Content> attachments() {
    List<Content> attachments = new ArrayList<>();
    images.forEach(file -> attachments.add(new Content.Picture(file)));
    videos.forEach(file -> attachments.add(new Content.Video(file)));
    return attachments;
  }

  /**
   * The conversation, where it {@link #isComplete}.
   *
   * @throws org.tessera.error.InvalidRequestException where the messages file is wrong
   */
  List<Turn> turns() {
    if (messages.isPresent()) {
      return MessagesFile.read(messages.get());
    }
    List<Turn> turns = new ArrayList<>();
    system.ifPresent(text -> turns.add(Turn.system(text)));
    List<Content> content = attachments();
    content.add(new Content.Text(prompt.orElseThrow()));
    turns.add(new Turn(Role.USER, content));
    return turns;
  }

  /** Refuses options that contradict each other. */
  void check(boolean json) {
    boolean others =
        prompt.isPresent() || system.isPresent() || !images.isEmpty() || !videos.isEmpty();
    if (messages.isPresent() && others) {
      throw new ParameterException(
          command.commandLine(),
          "--messages holds the whole conversation: --prompt, --system, --image and --video cannot"
              + " be added to it");
    }
    if (json && !isComplete()) {
      throw new ParameterException(
          command.commandLine(), "--json needs a question: --prompt or --messages");
    }
  }
}
