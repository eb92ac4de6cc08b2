package org.tessera.api;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tessera.config.CheckpointConfig;
import org.tessera.engine.EngineRequest;
import org.tessera.engine.EngineRequest.ImageInput;
import org.tessera.error.InvalidRequestException;
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

/** Turns requests into what the engine runs. Immutable, for any number of threads. */
final class Preparation {
  private final ImageProcessor processor;
  private final PromptBuilder promptBuilder;
  private final ImageLimits limits;
  private final int maxSliceNums;
  private final Set<Integer> terminators;
  private final int vocabSize;

  Preparation(CheckpointConfig config, PromptBuilder promptBuilder, Set<Integer> terminators) {
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
    List<Image> images = images(request);
    promptBuilder.checkPictureCount(images.size(), input);
    // Pictures are independent of each other: decoding and resizing them takes all cores.
    List<Picture> pictures = images.parallelStream().map(image -> process(image, input)).toList();
    List<Optional<Grid>> grids =
        pictures.stream().map(picture -> picture.processed().plan().grid()).toList();
    Prompt prompt =
        promptBuilder.build(request.messages(), grids, input, /* addGenerationPrompt= */ true);
    EngineRequest engineRequest = engineRequest(request, prompt, pictures);
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
            prompt.toArray(), List.of(), request.generation(), terminators, request.cacheSalt());
    return new Prepared(prompt, engineRequest, (System.nanoTime() - start) / 1e6);
  }

  private static List<Image> images(ChatRequest request) {
    return request.messages().stream()
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
    return new Picture(processor.process(rgb, slices), ImageDigest.of(rgb, slices, ""));
  }

  private EngineRequest engineRequest(ChatRequest request, Prompt prompt, List<Picture> pictures) {
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
        ids, images, request.generation(), terminators, request.input().cacheSalt());
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
