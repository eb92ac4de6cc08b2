package org.tessera.api;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import org.tessera.config.CheckpointConfig;
import org.tessera.engine.EngineRequest;
import org.tessera.engine.EngineRequest.ImageInput;
import org.tessera.error.InvalidRequestException;
import org.tessera.guide.Guide;
import org.tessera.guide.Guides;
import org.tessera.image.Grid;
import org.tessera.image.ImageDecoder;
import org.tessera.image.ImageDigest;
import org.tessera.image.ImageLimits;
import org.tessera.image.ImageProcessor;
import org.tessera.image.ProcessedImage;
import org.tessera.image.Size;
import org.tessera.image.SlicePlan;
import org.tessera.kv.SequenceTokens.ImageRange;
import org.tessera.prompt.ImageSpan;
import org.tessera.prompt.Prompt;
import org.tessera.prompt.PromptBuilder;
import org.tessera.text.Tokenizer;
import org.tessera.tools.Tool;
import org.tessera.tools.ToolPrompt;

/** Turns requests into what the engine runs. Immutable, for any number of threads. */
final class Preparation {
  private final ImageProcessor processor;
  private final PromptBuilder promptBuilder;
  private final ImageLimits limits;
  private final int maxSliceNums;
  private final Set<Integer> terminators;
  private final int vocabSize;
  private final Guides guides;

  Preparation(
      CheckpointConfig config,
      Tokenizer tokenizer,
      PromptBuilder promptBuilder,
      Set<Integer> terminators) {
    this.guides = new Guides(tokenizer, terminators, config.model().vocabSize());
    this.processor = ImageProcessor.of(config.preprocessor());
    this.promptBuilder = promptBuilder;
    this.limits = ImageLimits.defaults();
    this.maxSliceNums = config.preprocessor().maxSliceNums();
    this.terminators = terminators;
    this.vocabSize = config.model().vocabSize();
  }

  Prepared prepare(ChatRequest request) {
    long start = System.nanoTime();
    InputOptions input = request.input();
    Optional<Guide> guide = guide(request);
    List<Message> messages = ToolPrompt.apply(request.messages(), request.tools());
    List<Image> images = images(messages);
    promptBuilder.checkPictureCount(images.size(), input);
    // Pictures are independent of each other: decoding and resizing them takes all cores.
    List<Picture> pictures = images.parallelStream().map(image -> process(image, input)).toList();
    List<Optional<Grid>> grids =
        pictures.stream().map(picture -> picture.processed().plan().grid()).toList();
    Prompt prompt = promptBuilder.build(messages, grids, input, /* addGenerationPrompt= */ true);
    EngineRequest engineRequest = engineRequest(request, prompt, pictures, guide);
    return new Prepared(prompt, engineRequest, (System.nanoTime() - start) / 1e6);
  }

  /** How a picture of this size is cut, and what it costs. */
  PicturePlan plan(Size source, InputOptions input) {
    SlicePlan plan = processor.plan(source, input.maxSliceNums().orElse(maxSliceNums));
    return new PicturePlan(plan, promptBuilder.placeholder(plan.grid(), input).imageTokens());
  }

  Prepared prepare(CompletionRequest request) {
    long start = System.nanoTime();
    for (int id : request.promptIds()) {
      if (id < 0 || id >= vocabSize) {
        throw new InvalidRequestException(
            "the prompt holds the token id %d, ids are from 0 to %d".formatted(id, vocabSize - 1));
      }
    }
    Prompt prompt = new Prompt(request.promptIds(), List.of(), 0);
    EngineRequest engineRequest =
        new EngineRequest(
            prompt.toArray(),
            List.of(),
            request.generation(),
            terminators,
            Optional.empty(),
            request.cacheSalt());
    return new Prepared(prompt, engineRequest, (System.nanoTime() - start) / 1e6);
  }

  private static List<Image> images(List<Message> messages) {
    return messages.stream()
        .flatMap(message -> message.content().stream())
        .filter(Part.Picture.class::isInstance)
        .map(part -> ((Part.Picture) part).image())
        .toList();
  }

  /** A picture cut into slices, and what identifies it in the cache. */
  private record Picture(ProcessedImage processed, ImageDigest digest) {}

  private Picture process(Image image, InputOptions input) {
    Image.Rgb rgb = ImageDecoder.decode(image, limits, input.applyExif());
    int slices = input.maxSliceNums().orElse(maxSliceNums);
    // A digest takes about as long as cutting does on many cores.
    CompletableFuture<ImageDigest> digest =
        CompletableFuture.supplyAsync(() -> ImageDigest.of(rgb, slices, ""));
    return new Picture(processor.process(rgb, slices), digest.join());
  }

  /** Before any picture is decoded: a format that is refused costs no more. */
  private Optional<Guide> guide(ChatRequest request) {
    List<Tool> demanded = request.tools().demanded();
    if (!demanded.isEmpty() && !(request.format() instanceof ResponseFormat.Text)) {
      throw new InvalidRequestException(
          "tool_choice demands a call, which the response format rules out: give one of them");
    }
    Optional<Guide> guide =
        demanded.isEmpty() ? guides.of(request.format()) : Optional.of(guides.of(request.tools()));
    if (guide.isPresent() && request.input().compatOriginal()) {
      throw new InvalidRequestException(
          "the original drops the token '!' from answers, which would break a response format:"
              + " leave compat original out");
    }
    return guide;
  }

  private EngineRequest engineRequest(
      ChatRequest request, Prompt prompt, List<Picture> pictures, Optional<Guide> guide) {
    int[] ids = prompt.toArray();
    int[] droppedBefore = new int[ids.length + 1];
    if (request.input().compatOriginal()) {
      ids = withoutMasked(ids, droppedBefore);
    }
    List<ImageInput> images = new ArrayList<>();
    for (ImageSpan span : prompt.imageSpans()) {
      Picture picture = pictures.get(span.imageIndex());
      String digest = picture.digest().hex() + ":" + span.sliceIndex();
      ImageRange range =
          new ImageRange(span.start() - droppedBefore[span.start()], span.length(), digest);
      images.add(new ImageInput(range, picture.processed().slices().get(span.sliceIndex())));
    }
    return new EngineRequest(
        ids,
        images,
        request.generation(),
        terminators,
        guide.map(Function.identity()),
        request.input().cacheSalt());
  }

  /**
   * The original masks every id 0 ({@code !}) out of attention and counts positions without them,
   * which is as if they were not there.
   */
  private static int[] withoutMasked(int[] ids, int[] droppedBefore) {
    int[] kept = new int[ids.length];
    int count = 0;
    for (int i = 0; i < ids.length; i++) {
      droppedBefore[i] = i - count;
      if (ids[i] != 0) {
        kept[count++] = ids[i];
      }
    }
    droppedBefore[ids.length] = ids.length - count;
    return Arrays.copyOf(kept, count);
  }
}
