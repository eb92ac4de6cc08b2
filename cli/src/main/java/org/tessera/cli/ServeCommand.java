package org.tessera.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.tessera.api.LoadOptions;
import org.tessera.api.ModelInfo;
import org.tessera.api.Tessera;
import org.tessera.error.InvalidRequestException;
import org.tessera.server.ApiKey;
import org.tessera.server.ServerLimits;
import org.tessera.server.ServerOptions;
import org.tessera.server.TesseraServer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code tessera serve}: the model behind an OpenAI-compatible endpoint. */
@Command(
    name = "serve",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Answers OpenAI's clients over HTTP until it is stopped. Listens at this machine alone unless"
          + " told otherwise.",
      ""
    })
final class ServeCommand implements Callable<Integer> {
  private static final String KEY_VARIABLE = "TESSERA_API_KEY";

  /** Held, since the logging system forgets the level of a logger that nobody holds. */
  private final Logger helidon = Logger.getLogger("io.helidon");

  @Mixin private final ModelArguments model = new ModelArguments();

  @Option(
      names = "--host",
      paramLabel = "ADDRESS",
      defaultValue = "127.0.0.1",
      description = "Where to listen (default: ${DEFAULT-VALUE}). Others need an API key.")
  private String host = "127.0.0.1";

  @Option(
      names = "--port",
      paramLabel = "N",
      defaultValue = "8000",
      description = "The port (default: ${DEFAULT-VALUE}); 0 for any that is free.")
  private int port = 8000;

  @Option(
      names = "--api-key-file",
      paramLabel = "F",
      description =
          "A file with the key that clients must send; the variable "
              + KEY_VARIABLE
              + " otherwise.")
  private Optional<Path> apiKeyFile = Optional.empty();

  @Option(
      names = "--served-model-name",
      paramLabel = "NAME",
      description = "What clients call the model; the directory's name where it is left out.")
  private Optional<String> servedModelName = Optional.empty();

  @Option(
      names = "--allow-origin",
      paramLabel = "ORIGIN",
      description = "A web page's origin that may call, such as https://app.example. Repeatable.")
  private List<String> allowedOrigins = List.of();

  @Option(
      names = "--allow-host",
      paramLabel = "NAME",
      description = "A name by which clients reach a server without a key. Repeatable.")
  private List<String> allowedHosts = List.of();

  @Option(
      names = "--allow-image-host",
      paramLabel = "NAME",
      description = "A host from which pictures are fetched over https. Repeatable.")
  private List<String> allowedImageHosts = List.of();

  @Option(
      names = "--allow-video-files",
      description = "Hand MP4 and the like to an ffmpeg process; GIF and frames need none.")
  private boolean allowVideoFiles;

  @Option(names = "--vllm-metrics", description = "Show metrics under vLLM's names too.")
  private boolean vllmMetrics;

  @Option(
      names = "--max-input-tokens",
      paramLabel = "N",
      defaultValue = "8192",
      description = "Longer prompts are refused (default: ${DEFAULT-VALUE}).")
  private int maxInputTokens = 8192;

  @Option(
      names = "--max-waiting",
      paramLabel = "N",
      defaultValue = "64",
      description =
          "Requests that wait at most; more are told to come back (default: ${DEFAULT-VALUE}).")
  private int maxWaiting = 64;

  private final Output output;
  private final Installation installation;

  ServeCommand(Output output, Installation installation) {
    this.output = output;
    this.installation = installation;
  }

  @Override
  public Integer call() throws Exception {
    ServerOptions options = options();
    helidon.setLevel(Level.WARNING); // what it says of its start is ours to say
    try (Tessera tessera = load();
        TesseraServer server = TesseraServer.start(tessera, options)) {
      announce(tessera.info(), options, server.port());
      awaitStop(server);
    }
    return 0;
  }

  private ServerOptions options() throws IOException {
    Optional<String> key = Optional.ofNullable(System.getenv(KEY_VARIABLE));
    if (apiKeyFile.isPresent()) {
      if (!Files.isRegularFile(apiKeyFile.get())) {
        throw new InvalidRequestException("there is no file " + apiKeyFile.get().getFileName());
      }
      key = Optional.of(Files.readString(apiKeyFile.get()).strip());
    }
    return new ServerOptions(
        host,
        port,
        key.map(ApiKey::of),
        servedModelName,
        new LinkedHashSet<>(allowedOrigins),
        new LinkedHashSet<>(allowedHosts),
        new LinkedHashSet<>(allowedImageHosts),
        allowVideoFiles,
        vllmMetrics,
        maxInputTokens,
        ServerLimits.defaults());
  }

  /** The checkpoint asked for, or the demo model, or the reference checkpoint in its place. */
  private Tessera load() {
    LoadOptions load = model.toLoadOptions().withMaxWaiting(maxWaiting);
    Optional<Path> checkpoint = model.model.or(installation::demoModel);
    if (checkpoint.isEmpty() && installation.referenceVectors().isPresent()) {
      output.note(
          "no --model and no demo model: this is the reference checkpoint, whose answers are noise");
      checkpoint = installation.referenceVectors().map(dir -> dir.resolve("checkpoint"));
    }
    try (LoadingBar bar = new LoadingBar(output)) {
      return Tessera.load(
          checkpoint.orElseGet(installation::requireDemoModel), load.withProgress(bar));
    }
  }

  private void announce(ModelInfo info, ServerOptions options, int boundPort) {
    String name = options.modelName().orElse(info.name());
    boolean anywhere = host.equals("0.0.0.0") || host.equals("::");
    String url =
        "http://%s:%d"
            .formatted(
                anywhere ? "127.0.0.1" : host.contains(":") ? "[" + host + "]" : host, boundPort);
    output.note(
        "%s (%s) on %s, room for %d tokens, loaded in %.1f s"
            .formatted(
                Printable.line(name),
                info.architecture(),
                info.deviceName(),
                info.contextTokens(),
                info.loadMillis() / 1000));
    output.note(info.placement());
    String key =
        options.apiKey().isPresent() ? " -H \"Authorization: Bearer $" + KEY_VARIABLE + "\"" : "";
    output.out().println("listening at " + url);
    output
        .out()
        .println(
            "curl %s/v1/chat/completions%s -H 'Content-Type: application/json' -d '{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"max_tokens\":32}'"
                .formatted(url, key, Printable.line(name)));
    output.out().flush();
  }

  /** Until the process is told to end; then running answers finish first. */
  private void awaitStop(TesseraServer server) throws InterruptedException {
    CountDownLatch stopped = new CountDownLatch(1);
    Thread hook =
        new Thread(
            () -> {
              server.close();
              stopped.countDown();
            },
            "tessera-stop");
    Runtime.getRuntime().addShutdownHook(hook);
    stopped.await();
  }
}
