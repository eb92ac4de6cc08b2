package org.tessera.api;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tessera.config.CheckpointConfig;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Devices;
import org.tessera.engine.Engine;
import org.tessera.engine.EngineOptions;
import org.tessera.error.CheckpointException;
import org.tessera.error.DeviceException;
import org.tessera.kv.KvCache;
import org.tessera.model.Architecture;
import org.tessera.model.Architectures;
import org.tessera.model.VisionLanguageModel;
import org.tessera.parallel.Rank;
import org.tessera.prompt.PromptBuilder;
import org.tessera.tensor.DType;
import org.tessera.text.Tokenizer;
import org.tessera.weights.SafetensorsCheckpoint;
import org.tessera.weights.WeightSource;
import org.tessera.weights.WeightSource.WeightInfo;
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

  private final ModelInfo info;
  private final Tokenizer tokenizer;
  private final Set<Integer> terminators;
  private final Preparation preparation;
  private final Engine engine;
  private final Resources resources;

  private Tessera(
      ModelInfo info,
      Tokenizer tokenizer,
      Set<Integer> terminators,
      Preparation preparation,
      Engine engine,
      Resources resources) {
    this.info = info;
    this.tokenizer = tokenizer;
    this.terminators = terminators;
    this.preparation = preparation;
    this.engine = engine;
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
    Preparation preparation = new Preparation(config, promptBuilder, terminators);

    Resources resources = new Resources();
    try {
      SafetensorsCheckpoint weights = resources.add(SafetensorsCheckpoint.open(checkpoint));
      Device device = resources.add(Devices.probe().open(options.device()));
      DeviceMemory region = resources.add(device.allocateRegion());
      DType dtype = options.dtype().orElseGet(() -> prevailingType(weights));
      Weights root = Weights.root(weights, device, region, dtype, options.progress());
      VisionLanguageModel model = architecture.load(config, root, Rank.whole(device));
      root.refuseUnused(name -> isTolerated(name, config));
      EngineOptions engineOptions =
          EngineOptions.forTokens(contextTokens(options, model.spec(), device));
      Engine engine = resources.add(new Engine(model, device, engineOptions));
      ModelInfo info =
          new ModelInfo(
              String.valueOf(checkpoint.toAbsolutePath().normalize().getFileName()),
              architecture.name(),
              parameterCount(weights),
              weights.totalBytes(),
              Map.of("", device.info().id()),
              device.info().name(),
              engineOptions.kvTokens(),
              (System.nanoTime() - start) / 1e6);
      return new Tessera(info, tokenizer, terminators, preparation, engine, resources);
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
      streams.add(start(requests.get(i), prepared.get(i)));
    }
    return streams.stream().map(ChatStream::response).toList();
  }

  /** As {@link #chat(ChatRequest)}, token by token. Returns when the pictures are prepared. */
  public TokenStream stream(ChatRequest request) {
    return start(request, preparation.prepare(request));
  }

  /** Ends what is running and frees all memory. */
  @Override
  public void close() {
    resources.close();
  }

  private ChatStream start(ChatRequest request, Prepared prepared) {
    ChatStream stream = new ChatStream(tokenizer, terminators, prepared, request);
    stream.attach(engine.submit(prepared.request(), stream));
    return stream;
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

  /** The element type of most weights. */
  private static DType prevailingType(WeightSource weights) {
    Map<DType, Long> bytes = new EnumMap<>(DType.class);
    for (String name : weights.names()) {
      WeightInfo info = weights.info(name);
      bytes.merge(info.dtype(), info.byteSize(), Long::sum);
    }
    return bytes.entrySet().stream()
        .max(Map.Entry.comparingByValue())
        .map(Map.Entry::getKey)
        .orElseThrow(() -> new CheckpointException(weights.description() + " holds no tensor"));
  }

  private static long parameterCount(WeightSource weights) {
    return weights.names().stream().mapToLong(name -> weights.info(name).shape().elements()).sum();
  }

  /** A dropped vision layer and a tied head may be stored all the same. */
  private static boolean isTolerated(String name, CheckpointConfig config) {
    int dropped = config.model().visionConfig().numHiddenLayers() - 1;
    return (config.model().dropVisionLastLayer()
            && name.startsWith("vpm.encoder.layers." + dropped + "."))
        || (config.model().tieWordEmbeddings() && name.equals("llm.lm_head.weight"));
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
