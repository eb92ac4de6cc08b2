package org.tessera.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.tessera.api.ChatRequest;
import org.tessera.api.ChatResponse;
import org.tessera.api.GenerationOptions;
import org.tessera.api.InputOptions;
import org.tessera.api.Message;
import org.tessera.api.Tessera;
import org.tessera.error.InvalidRequestException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code tessera chat}: one answer, or a conversation. */
@Command(
    name = "chat",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    customSynopsis = {
      "tessera chat [--model DIR] [--image F]... [--video F] [--system TEXT]",
      "             [--prompt TEXT | --messages FILE] [--json] [OPTIONS]"
    },
    description = {
      "Asks a picture a question, or starts a conversation where there is no --prompt and no"
          + " --messages.",
      "",
      "Answers are sampled as MiniCPM-V's own chat() samples them; --num-beams above 1 searches"
          + " beams instead, --temperature 0 takes the likeliest token. Numbers in parentheses are"
          + " what holds where an option is left out.",
      ""
    })
final class ChatCommand implements Callable<Integer> {
  // NullAway: picocli sets it before anything runs.
  @SuppressWarnings("NullAway.Init")
  @Spec
  private CommandSpec spec;

  @Mixin private final ModelArguments model = new ModelArguments();
  @Mixin private final ChatArguments chat = new ChatArguments();
  @Mixin private final GenerationArguments generation = new GenerationArguments();
  @Mixin private final InputArguments input = new InputArguments();

  @Option(
      names = "--json",
      description = "Print one JSON object with the text, token ids, usage and timings.")
  private boolean json;

  private final Output output;
  private final ModelLoader loader;
  private final MediaFiles media = MediaFiles.onDisk();

  ChatCommand(Output output, Installation installation) {
    this.output = output;
    this.loader = new ModelLoader(output, installation);
  }

  @Override
  public Integer call() throws IOException {
    chat.check(json);
    GenerationOptions generationOptions = option(generation::toOptions);
    option(() -> input.toOptions(/* video= */ false));
    option(model::toLoadOptions);
    if (chat.isComplete()) {
      answer(generationOptions);
    } else {
      converse(generationOptions);
    }
    return 0;
  }

  /** Everything that can be wrong with the question is found before the model is loaded. */
  private void answer(GenerationOptions generationOptions) {
    List<Turn> turns = chat.turns();
    List<Message> messages = media.messages(turns);
    InputOptions inputOptions = input.toOptions(turns.stream().anyMatch(Turn::hasVideo));
    ChatRequest request = new ChatRequest(messages, generationOptions, inputOptions);
    try (Tessera tessera = loader.load(model)) {
      if (json) {
        ChatResponse response = tessera.chat(request);
        output
            .out()
            .println(
                ChatJson.of(response, tessera.info().loadMillis(), tessera.info().deviceMap()));
      } else {
        output.note(tessera.info().placement());
        AnswerPrinter.print(output, tessera.stream(request));
      }
    }
  }

  private void converse(GenerationOptions generationOptions) throws IOException {
    try (Tessera tessera = loader.load(model);
        Terminal terminal =
            TerminalBuilder.builder()
                .name("tessera")
                .encoding(StandardCharsets.UTF_8)
                .system(true)
                .dumb(true)
                .build()) {
      terminal.writer().println(tessera.info().placement());
      terminal.writer().println("/help lists the commands, Ctrl-D leaves.");
      ChatShell shell =
          new ChatShell(terminal, tessera::stream, media, generationOptions, input, chat.system());
      chat.attachments().forEach(shell::attach);
      shell.run();
    }
  }

  /** Values that are out of range are wrong usage, and are found before anything is read. */
  private <T> T option(Supplier<T> value) {
    try {
      return value.get();
    } catch (InvalidRequestException e) {
      throw new ParameterException(spec.commandLine(), String.valueOf(e.getMessage()), e);
    }
  }
}
