package org.tessera.cli;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.jline.builtins.Completers.FileNameCompleter;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.UserInterruptException;
import org.jline.reader.impl.DefaultParser;
import org.jline.reader.impl.completer.AggregateCompleter;
import org.jline.reader.impl.completer.ArgumentCompleter;
import org.jline.reader.impl.completer.NullCompleter;
import org.jline.reader.impl.completer.StringsCompleter;
import org.jline.terminal.Terminal;
import org.jline.terminal.Terminal.Signal;
import org.jline.terminal.Terminal.SignalHandler;
import org.tessera.api.ChatRequest;
import org.tessera.api.ChatResponse;
import org.tessera.api.FinishReason;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Role;
import org.tessera.api.TokenStream;
import org.tessera.cli.Turn.Content;
import org.tessera.error.InvalidRequestException;
import org.tessera.error.TesseraException;

/**
 * A conversation at a terminal. Ctrl-C stops an answer or clears a line, never the program; Ctrl-D
 * leaves.
 */
final class ChatShell {
  private static final String HELP =
      """
      /image FILE    show the model a picture with the next message
      /video FILE    show it the frames of a video or an animated GIF
      /system TEXT   set the system prompt; without a text, take it away
      /reset         forget the conversation, keep the system prompt
      /save FILE     write the conversation as JSON that --messages reads
      /help          this list
      /exit          leave (or Ctrl-D)
      Ctrl-C stops an answer. A line that is to start with / is written with //.\
      """;

  private final Terminal terminal;
  private final LineReader reader;
  private final Function<ChatRequest, TokenStream> model;
  private final MediaFiles media;
  private final GenerationOptions generation;
  private final InputArguments input;

  private Optional<String> system;
  private final List<Turn> turns = new ArrayList<>();

  /** Pictures and videos for the next message. */
  private final List<Content> attached = new ArrayList<>();

  /**
   * @param model answers a request; asked by one thread, one request after the other
   */
  ChatShell(
      Terminal terminal,
      Function<ChatRequest, TokenStream> model,
      MediaFiles media,
      GenerationOptions generation,
      InputArguments input,
      Optional<String> system) {
    this.terminal = terminal;
    this.model = model;
    this.media = media;
    this.generation = generation;
    this.input = input;
    this.system = system;
    // What a user writes is neither a shell's command line nor a history expression.
    DefaultParser parser = new DefaultParser();
    parser.setEscapeChars(null);
    parser.setQuoteChars(null);
    parser.setEofOnUnclosedQuote(false);
    this.reader =
        LineReaderBuilder.builder()
            .terminal(terminal)
            .parser(parser)
            .completer(
                new AggregateCompleter(
                    new ArgumentCompleter(
                        new StringsCompleter("/image", "/video", "/save"),
                        new FileNameCompleter(),
                        NullCompleter.INSTANCE),
                    new ArgumentCompleter(
                        new StringsCompleter("/system", "/reset", "/help", "/exit"),
                        NullCompleter.INSTANCE)))
            .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true)
            .build();
  }

  /** Talks until the user leaves. */
  void run() {
    while (true) {
      String line;
      try {
        line = reader.readLine("> ").strip();
      } catch (UserInterruptException e) {
        say("(Ctrl-D or /exit leaves)");
        continue;
      } catch (EndOfFileException e) {
        return;
      }
      if (line.equals("/exit")) {
        return;
      }
      try {
        accept(line);
      } catch (TesseraException e) {
        say("tessera: " + Printable.line(String.valueOf(e.getMessage())));
      }
    }
  }

  /** Shows the model a picture or a video with the next message. */
  void attach(Content content) {
    List<String> names = media.images(content).stream().map(image -> image.name()).toList();
    attached.add(content);
    say(
        names.size() == 1
            ? names.getFirst() + " goes with the next message"
            : names.size() + " frames go with the next message");
  }

  private void accept(String line) {
    if (line.startsWith("//")) {
      ask(line.substring(1));
    } else if (line.startsWith("/")) {
      int blank = line.indexOf(' ');
      String name = blank < 0 ? line : line.substring(0, blank);
      command(name, blank < 0 ? "" : line.substring(blank).strip());
    } else if (!line.isEmpty()) {
      ask(line);
    }
  }

  private void command(String name, String argument) {
    switch (name) {
      case "/image" -> attach(new Content.Picture(path(name, argument)));
      case "/video" -> attach(new Content.Video(path(name, argument)));
      case "/system" -> {
        system = Optional.of(argument).filter(text -> !text.isEmpty());
        say(system.isPresent() ? "the system prompt is set" : "the system prompt is gone");
      }
      case "/reset" -> {
        turns.clear();
        attached.clear();
        say("a new conversation");
      }
      case "/save" -> {
        Path file = path(name, argument);
        if (turns.isEmpty()) {
          throw new InvalidRequestException("there is no conversation to save yet");
        }
        MessagesFile.write(file, conversation());
        say("saved");
      }
      case "/help" -> say(HELP);
      default ->
          throw new InvalidRequestException(
              "there is no command %s; /help lists them".formatted(name));
    }
  }

  private static Path path(String command, String argument) {
    if (argument.isEmpty()) {
      throw new InvalidRequestException(command + " needs a file: " + command + " FILE");
    }
    try {
      return Path.of(argument);
    } catch (InvalidPathException e) {
      throw new InvalidRequestException("that is no path on this system", e);
    }
  }

  private List<Turn> conversation() {
    List<Turn> all = new ArrayList<>();
    system.ifPresent(text -> all.add(Turn.system(text)));
    all.addAll(turns);
    return all;
  }

  /** Asks the model; a turn that failed or was stopped before its first word leaves no trace. */
  private void ask(String text) {
    List<Content> content = new ArrayList<>(attached);
    content.add(new Content.Text(text));
    attached.clear();
    turns.add(new Turn(Role.USER, content));
    boolean answered = false;
    try {
      ChatResponse response = answer();
      answered = response.finishReason() != FinishReason.CANCELLED || !response.text().isEmpty();
      if (answered) {
        turns.add(Turn.assistant(response.text()));
      }
    } finally {
      if (!answered) {
        turns.removeLast();
      }
    }
  }

  private ChatResponse answer() {
    boolean video = turns.stream().anyMatch(Turn::hasVideo);
    ChatRequest request =
        new ChatRequest(media.messages(conversation()), generation, input.toOptions(video));
    try (TokenStream stream = model.apply(request)) {
      SignalHandler before = terminal.handle(Signal.INT, signal -> stream.cancel());
      try {
        for (String piece : stream) {
          terminal.writer().print(Printable.answer(piece));
          terminal.flush();
        }
        ChatResponse response = stream.response();
        say("");
        say(TimingsLine.of(response));
        return response;
      } finally {
        terminal.handle(Signal.INT, before);
      }
    }
  }

  private void say(String line) {
    terminal.writer().println(line);
    terminal.flush();
  }
}
