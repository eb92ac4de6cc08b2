package org.tessera.api;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tessera.config.CheckpointConfig;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.DeviceInfo;
import org.tessera.device.Devices;
import org.tessera.engine.Engine;
import org.tessera.engine.EngineOptions;
import org.tessera.engine.EngineStats;
import org.tessera.engine.ModelRunner;
import org.tessera.engine.ParallelRunner;
import org.tessera.engine.RankRunner;
import org.tessera.error.CheckpointException;
import org.tessera.error.DeviceException;
import org.tessera.error.InvalidRequestException;
import org.tessera.image.Size;
import org.tessera.kv.KvCache;
import org.tessera.model.Architecture;
import org.tessera.model.Architectures;
import org.tessera.model.VisionLanguageModel;
import org.tessera.parallel.Rank;
import org.tessera.parallel.RankGroup;
import org.tessera.parallel.RankGroups;
import org.tessera.prompt.PromptBuilder;
import org.tessera.tensor.DType;
import org.tessera.text.Tokenizer;
import org.tessera.weights.SafetensorsCheckpoint;
import org.tessera.weights.WeightSource;
import org.tessera.weights.Weights;

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

  /** Context for which the cache has room where the caller does not say and memory affords it. */
  private static final int DEFAULT_CONTEXT_TOKENS = 16_384;

  private static final int MIN_CONTEXT_TOKENS = 512;

  /** Of a text to tokenize: several times what any context holds. */
  private static final int MAX_CHARACTERS = 1 << 20;

  private final ModelInfo info;
  private final Tokenizer tokenizer;
  private final Set<Integer> terminators;
  private final Preparation preparation;
  private final Engine engine;
  private final List<Device> devices;
  private final Resources resources;

  private Tessera(
      ModelInfo info,
      Tokenizer tokenizer,
      Set<Integer> terminators,
      Preparation preparation,
      Engine engine,
      List<Device> devices,
      Resources resources) {
    this.info = info;
    this.tokenizer = tokenizer;
    this.terminators = terminators;
    this.preparation = preparation;
    this.engine = engine;
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
   * @throws DeviceException where the device does not exist or its memory does not suffice
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

    Resources resources = new Resources();
    try {
      SafetensorsCheckpoint weights = resources.add(SafetensorsCheckpoint.open(checkpoint));
      List<Device> devices = openDevices(options, resources);
      Device first = devices.getFirst();
      DType dtype = options.dtype().orElseGet(() -> first.weightType(weights.prevailingType()));
      RankGroup group = resources.add(RankGroups.connect(devices));
      List<VisionLanguageModel> parts = new ArrayList<>();
      for (int i = 0; i < devices.size(); i++) {
        Device device = devices.get(i);
        DeviceMemory region = resources.add(device.allocateRegion());
        Weights root = Weights.root(weights, device, region, dtype, options.progress());
        Rank rank =
            devices.size() == 1 ? Rank.whole(device) : new Rank(device, group.member(i, device));
        parts.add(architecture.load(config, root, rank));
      }
      EngineOptions engineOptions =
          EngineOptions.forTokens(contextTokens(options, parts.getFirst().spec(), first), first)
              .withMaxWaiting(options.maxWaiting().orElse(Integer.MAX_VALUE));
      Engine engine =
          resources.add(new Engine(runner(parts, devices, group, engineOptions), engineOptions));
      ModelInfo info =
          new ModelInfo(
              String.valueOf(checkpoint.toAbsolutePath().normalize().getFileName()),
              architecture.name(),
              parameterCount(weights),
              weights.totalBytes(),
              Map.of("", devices.getFirst().info().id()),
              devices.getFirst().info().name(),
              engineOptions.kvTokens(),
              (System.nanoTime() - start) / 1e6);
      return new Tessera(info, tokenizer, terminators, preparation, engine, devices, resources);
    } catch (RuntimeException | Error e) {
      resources.close();
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
    engine.requireRoom();
  }

  /** What the model is busy with, and what it has done since it was loaded. */
  public EngineStats stats() {
    return engine.stats();
  }

  /** The devices that the model runs on, each once, with the memory that is free now. */
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
    stream.attach(engine.submit(prepared.request(), stream));
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

  /** One device a rank. On the CPU they share its cores. */
  private static List<Device> openDevices(LoadOptions options, Resources resources) {
    Devices found = Devices.probe();
    List<Device> devices = new ArrayList<>();
    for (int i = 0; i < options.tensorParallel(); i++) {
      devices.add(resources.add(found.open(options.device())));
    }
    return devices;
  }

  private static ModelRunner runner(
      List<VisionLanguageModel> parts,
      List<Device> devices,
      RankGroup group,
      EngineOptions options) {
    List<ModelRunner> runners = new ArrayList<>();
    try {
      for (int i = 0; i < parts.size(); i++) {
        runners.add(new RankRunner(parts.get(i), devices.get(i), options));
      }
    } catch (RuntimeException e) {
      runners.forEach(ModelRunner::close);
      throw e;
    }
    return runners.size() == 1 ? runners.getFirst() : new ParallelRunner(runners, group);
  }

  private static long parameterCount(WeightSource weights) {
    return weights.names().stream().mapToLong(name -> weights.info(name).shape().elements()).sum();
  }

  private static int contextTokens(
      LoadOptions options, VisionLanguageModel.Spec spec, Device device) {
    if (options.contextTokens().isPresent()) {
      return options.contextTokens().getAsInt();
    }
    long bytesPerToken =
        KvCache.bytesPerToken(spec.layerCount(), spec.heads(), device.activationType());
    long affordable = device.info().freeBytes() / 4 / bytesPerToken;
    long wanted = Math.min(spec.maxPositions(), DEFAULT_CONTEXT_TOKENS);
    if (affordable < Math.min(wanted, MIN_CONTEXT_TOKENS)) {
      throw new DeviceException(
          "%s has %d MB free, of which a quarter holds the keys and values of %d tokens only; free memory or set context_tokens"
              .formatted(device.info().id(), device.info().freeBytes() >> 20, affordable));
    }
    return (int) Math.min(wanted, affordable);
  }
}
