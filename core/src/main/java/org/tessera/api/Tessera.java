package org.tessera.api;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.tessera.config.CheckpointConfig;
import org.tessera.device.Device;
import org.tessera.device.DeviceInfo;
import org.tessera.device.Devices;
import org.tessera.engine.DeployedModel;
import org.tessera.engine.Engine;
import org.tessera.engine.EngineOptions;
import org.tessera.engine.EngineStats;
import org.tessera.engine.PlacementText;
import org.tessera.engine.Placing;
import org.tessera.engine.Placing.Placed;
import org.tessera.engine.Replicas;
import org.tessera.error.CheckpointException;
import org.tessera.error.DeviceException;
import org.tessera.error.InvalidRequestException;
import org.tessera.image.Size;
import org.tessera.model.Architecture;
import org.tessera.model.Architectures;
import org.tessera.plan.Deployment;
import org.tessera.prompt.PromptBuilder;
import org.tessera.text.Tokenizer;
import org.tessera.weights.SafetensorsCheckpoint;
import org.tessera.weights.WeightSource;

/**
 * A loaded model that answers questions about pictures.
 *
 * <pre>{@code
 * try (Tessera tessera = Tessera.load(Path.of("MiniCPM-V-2_6"))) {
 *   Image picture = Image.of(Path.of("cat.jpg"));
 *   ChatResponse answer = tessera.chat(ChatRequest.of(Message.user("What is this?", picture)));
 *   System.out.println(answer.text());
 * }
 * }</pre>
 *
 * Any number of threads may chat at the same time; their answers share the model's steps.
 */
public final class Tessera implements AutoCloseable {
  private static final List<String> TERMINATORS = List.of("<|im_end|>", "<|endoftext|>");

  /** Of a text to tokenize: several times what any context holds. */
  private static final int MAX_CHARACTERS = 1 << 20;

  private final ModelInfo info;
  private final Tokenizer tokenizer;
  private final Set<Integer> terminators;
  private final Preparation preparation;
  private final Replicas engines;
  private final List<Device> devices;
  private final Resources resources;

  private Tessera(
      ModelInfo info,
      Tokenizer tokenizer,
      Set<Integer> terminators,
      Preparation preparation,
      Replicas engines,
      List<Device> devices,
      Resources resources) {
    this.info = info;
    this.tokenizer = tokenizer;
    this.terminators = terminators;
    this.preparation = preparation;
    this.engines = engines;
    this.devices = List.copyOf(devices);
    this.resources = resources;
  }

  /** Loads a checkpoint directory with defaults. */
  public static Tessera load(Path checkpoint) {
    return load(checkpoint, LoadOptions.defaults());
  }

  /**
   * Loads a checkpoint directory as Hugging Face ships it.
   *
   * @throws CheckpointException where the checkpoint cannot be used
   * @throws DeviceException where a device does not exist or its memory does not suffice
   * @throws org.tessera.error.PlanException where the model cannot be laid over the devices
   */
  public static Tessera load(Path checkpoint, LoadOptions options) {
    long start = System.nanoTime();
    Architectures architectures =
        options.trustedPlugins().map(Architectures::withPlugins).orElseGet(Architectures::builtIn);
    CheckpointConfig config = CheckpointConfig.read(checkpoint, architectures.names());
    Architecture architecture = architectures.find(config.model().architectures());
    architecture.check(config);
    Tokenizer tokenizer = Tokenizer.load(checkpoint);
    Set<Integer> terminators = terminators(tokenizer, config);
    PromptBuilder promptBuilder = PromptBuilder.of(tokenizer, config);
    Preparation preparation = new Preparation(config, tokenizer, promptBuilder, terminators);

    Placing placing = new Placing(Devices.probe());
    Placed placed =
        placing.place(options.devices(), options.contextTokens(), options.dtype(), config.model());
    Deployment deployment = placed.deployment();
    Resources resources = new Resources();
    try {
      SafetensorsCheckpoint weights = resources.add(SafetensorsCheckpoint.open(checkpoint));
      DeployedModel model =
          resources.add(
              DeployedModel.load(
                  new DeployedModel.Source(
                      architecture, config, weights, options.dtype(), options.progress()),
                  deployment,
                  placing::open));
      EngineOptions engineOptions =
          model
              .engineOptions(options.contextTokens(), placed.room())
              .withMaxWaiting(options.maxWaiting().orElse(Integer.MAX_VALUE));
      Replicas engines =
          resources.add(
              new Replicas(
                  model.runners(engineOptions).stream()
                      .map(runner -> new Engine(runner, engineOptions))
                      .toList()));
      PlacementText text = new PlacementText(placing::name);
      ModelInfo info =
          new ModelInfo(
              String.valueOf(checkpoint.toAbsolutePath().normalize().getFileName()),
              architecture.name(),
              parameterCount(weights),
              weights.totalBytes(),
              text.deviceMap(deployment),
              deviceNames(model.devices()),
              text.line(deployment),
              engineOptions.kvTokens(),
              (System.nanoTime() - start) / 1e6);
      return new Tessera(
          info, tokenizer, terminators, preparation, engines, model.devices(), resources);
    } catch (RuntimeException | Error e) {
      try {
        resources.close();
      } catch (RuntimeException closing) {
        e.addSuppressed(closing);
      }
      throw e;
    }
  }

  /** What was loaded and where it runs. */
  public ModelInfo info() {
    return info;
  }

  /**
   * Answers the last message of a conversation.
   *
   * @throws org.tessera.error.InvalidRequestException where messages or options are wrong or too
   *     long
   * @throws org.tessera.error.ImageException where a picture cannot be read
   * @throws org.tessera.error.GenerationException where the model was closed or failed meanwhile
   */
  public ChatResponse chat(ChatRequest request) {
    return stream(request).response();
  }

  /** Answers several conversations at the same time; the answers come in the same order. */
  public List<ChatResponse> chat(List<ChatRequest> requests) {
    List<Prepared> prepared = requests.stream().map(preparation::prepare).toList();
    List<ChatStream> streams = new ArrayList<>();
    for (int i = 0; i < requests.size(); i++) {
      streams.add(start(prepared.get(i), requests.get(i).input().compatOriginal()));
    }
    return streams.stream().map(ChatStream::response).toList();
  }

  /** As {@link #chat(ChatRequest)}, token by token. Returns when the pictures are prepared. */
  public TokenStream stream(ChatRequest request) {
    return start(preparation.prepare(request), request.input().compatOriginal());
  }

  /**
   * Several answers to one conversation, whose prompt is computed once. Where there is a seed, each
   * answer after the first takes the next one.
   *
   * @throws org.tessera.error.OverloadedException where as many requests wait as may
   */
  public List<TokenStream> stream(ChatRequest request, int choices) {
    return start(preparation.prepare(request), request.input().compatOriginal(), choices);
  }

  /**
   * What follows these tokens, {@code choices} times.
   *
   * @throws org.tessera.error.InvalidRequestException where an id is no token's, or there are too
   *     many or none
   * @throws org.tessera.error.OverloadedException where as many requests wait as may
   */
  public List<TokenStream> stream(CompletionRequest request, int choices) {
    return start(preparation.prepare(request), /* compatOriginal= */ false, choices);
  }

  /**
   * The ids of a text in which control tokens are text like any other.
   *
   * @throws org.tessera.error.InvalidRequestException where it is over a million characters
   */
  public List<Integer> tokenize(String text) {
    if (text.length() > MAX_CHARACTERS) {
      throw new InvalidRequestException(
          "the text has %d characters, at most %d are accepted"
              .formatted(text.length(), MAX_CHARACTERS));
    }
    return Arrays.stream(tokenizer.encode(text)).boxed().toList();
  }

  /** The ids of the prompt that a conversation becomes, pictures as placeholders. */
  public List<Integer> tokenize(ChatRequest request) {
    return preparation.prepare(request).prompt().tokenIds();
  }

  /**
   * The text of these tokens, control tokens as the tokenizer's files write them.
   *
   * @throws org.tessera.error.InvalidRequestException where no token has one of the ids
   */
  public String detokenize(List<Integer> tokenIds) {
    return tokenizer.decode(tokenIds, /* skipSpecialTokens= */ false);
  }

  /**
   * The bytes that a token stands for, which need not be whole characters.
   *
   * @throws org.tessera.error.InvalidRequestException where no token has this id
   */
  public byte[] tokenBytes(int tokenId) {
    return tokenizer.bytes(tokenId);
  }

  /**
   * Refuses early: whoever is about to decode pictures for a request may ask first whether there is
   * room for it.
   *
   * @throws org.tessera.error.OverloadedException where as many requests wait as may
   */
  public void requireRoom() {
    engines.requireRoom();
  }

  /** What the model is busy with, and what it has done since it was loaded. */
  public EngineStats stats() {
    return engines.stats();
  }

  /** All devices that the model runs on, each once, with the memory that is free now. */
  public List<DeviceInfo> devices() {
    Map<String, DeviceInfo> byId = new LinkedHashMap<>();
    for (Device device : devices) {
      DeviceInfo found = device.info();
      byId.putIfAbsent(found.id(), found);
    }
    return List.copyOf(byId.values());
  }

  /**
   * How a picture of {@code width} by {@code height} pixels would be cut.
   *
   * @throws InvalidRequestException where {@code maxSliceNums} is below 1
   * @throws org.tessera.error.ImageException where no picture can have this size
   */
  public PicturePlan plan(int width, int height, InputOptions input) {
    return preparation.plan(new Size(width, height), input);
  }

  /** Ends what is running and frees all memory. */
  @Override
  public void close() {
    resources.close();
  }

  private ChatStream start(Prepared prepared, boolean compatOriginal) {
    ChatStream stream = new ChatStream(tokenizer, terminators, prepared, compatOriginal);
    stream.attach(engines.submit(prepared.request(), stream));
    return stream;
  }

  private List<TokenStream> start(Prepared prepared, boolean compatOriginal, int choices) {
    GenerationOptions options = prepared.request().options();
    List<TokenStream> streams = new ArrayList<>();
    try {
      for (int i = 0; i < choices; i++) {
        GenerationOptions own =
            options.seed().isPresent() ? options.withSeed(options.seed().getAsLong() + i) : options;
        streams.add(start(prepared.with(own), compatOriginal));
      }
      return List.copyOf(streams);
    } catch (RuntimeException e) {
      streams.forEach(TokenStream::close); // all or none
      throw e;
    }
  }

  private static Set<Integer> terminators(Tokenizer tokenizer, CheckpointConfig config) {
    Set<Integer> ids = new HashSet<>();
    for (String token : TERMINATORS) {
      int id =
          tokenizer
              .idOf(token)
              .orElseThrow(() ->
                  new CheckpointException(
                      "the tokenizer has no token %s, which ends answers".formatted(token)));
      if (id < config.model().vocabSize()) {
        ids.add(id);
      }
    }
    return Set.copyOf(ids);
  }

  /** Makers' names, each once with the number of devices that have it. */
  private static String deviceNames(List<Device> devices) {
    Map<String, Set<String>> idsByName = new LinkedHashMap<>();
    for (Device device : devices) {
      DeviceInfo found = device.info();
      idsByName.computeIfAbsent(found.name(), name -> new HashSet<>()).add(found.id());
    }
    return idsByName.entrySet().stream()
        .map(entry ->
            entry.getValue().size() == 1
                ? entry.getKey()
                : "%d x %s".formatted(entry.getValue().size(), entry.getKey()))
        .collect(Collectors.joining(" and "));
  }

  private static long parameterCount(WeightSource weights) {
    return weights.names().stream().mapToLong(name -> weights.info(name).shape().elements()).sum();
  }
}
