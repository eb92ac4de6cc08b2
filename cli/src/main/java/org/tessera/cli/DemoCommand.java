package org.tessera.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.tessera.api.ChatRequest;
import org.tessera.api.ChatResponse;
import org.tessera.api.GenerationOptions;
import org.tessera.api.LoadOptions;
import org.tessera.api.Role;
import org.tessera.api.Tessera;
import org.tessera.cli.Turn.Content;
import org.tessera.error.CheckpointException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code tessera demo}: the pictures that ship with the project, and questions about them. */
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    description = {
      "Asks the small model that ships with the project about the pictures that ship with it.",
      ""
    })
final class DemoCommand implements Callable<Integer> {
  /** More than the longest answer of the demo has. */
  private static final int MAX_NEW_TOKENS = 256;

  @Option(
      names = "--device",
      paramLabel = "auto|cpu|cuda|cuda:0,1",
      defaultValue = "auto",
      description = "Where the model runs (default: ${DEFAULT-VALUE}).")
  private String device = "auto";

  private final Output output;
  private final Installation installation;
  private final MediaFiles media = MediaFiles.onDisk();

  DemoCommand(Output output, Installation installation) {
    this.output = output;
    this.installation = installation;
  }

  @Override
  public Integer call() {
    Optional<Path> model = installation.demoModel();
    if (model.isEmpty() && installation.referenceVectors().isPresent()) {
      return new ReferenceDemo(output, installation.referenceVectors().get()).run(device);
    }
    Path checkpoint = model.orElseGet(installation::requireDemoModel);
    List<DemoScript.Scene> scenes =
        DemoScript.read(
            installation
                .demoScript()
                .orElseThrow(() ->
                    new CheckpointException(
                        "there are no demo pictures in demo/pictures of this installation")));
    try (Tessera tessera = load(checkpoint)) {
      output.note(
          "%s: %.1f million parameters on %s, loaded in %.0f ms; always the likeliest token"
              .formatted(
                  tessera.info().name(),
                  tessera.info().parameterCount() / 1e6,
                  tessera.info().deviceName(),
                  tessera.info().loadMillis()));
      for (DemoScript.Scene scene : scenes) {
        play(scene, tessera);
      }
    }
    output.note("");
    output.note("Now yours: ./tessera chat --model DIR --image FILE --prompt \"...\"");
    return 0;
  }

  private Tessera load(Path checkpoint) {
    try (LoadingBar bar = new LoadingBar(output)) {
      return Tessera.load(checkpoint, LoadOptions.defaults().withDevice(device).withProgress(bar));
    }
  }

  private void play(DemoScript.Scene scene, Tessera tessera) {
    String files =
        scene.shown().stream().map(DemoCommand::fileName).collect(Collectors.joining(", "));
    output.stream(
        "%n== %s%s%n".formatted(scene.title(), files.isEmpty() ? "" : " (" + files + ")"));
    boolean video = scene.shown().stream().anyMatch(Content.Video.class::isInstance);
    List<Turn> turns = new ArrayList<>();
    List<Content> content = new ArrayList<>(scene.shown());
    for (String question : scene.questions()) {
      output.stream("%n> %s%n".formatted(question));
      content.add(new Content.Text(question));
      turns.add(new Turn(Role.USER, content));
      ChatRequest request =
          new ChatRequest(
              media.messages(turns),
              GenerationOptions.greedy().withMaxNewTokens(MAX_NEW_TOKENS),
              new InputArguments().toOptions(video));
      ChatResponse answer = AnswerPrinter.print(output, tessera.stream(request));
      turns.add(Turn.assistant(answer.text()));
      content = new ArrayList<>();
    }
  }

  private static String fileName(Content content) {
    return switch (content) {
      case Content.Text(String text) -> text;
      case Content.Picture(Path file) -> String.valueOf(file.getFileName());
      case Content.Video(Path file) -> String.valueOf(file.getFileName());
    };
  }
}
