package org.tessera.engine;

import java.util.List;
import java.util.Set;
import org.tessera.api.GenerationOptions;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.SequenceTokens.ImageRange;

/**
 * A prompt that waits for its answer.
 *
 * @param promptIds token ids; not to be changed
 * @param images what stands at the placeholders, in order
 * @param terminators ids that end the answer
 * @param cacheSalt requests with different ones never share keys and values
 */
@SuppressWarnings("ArrayRecordComponent") // a prompt has thousands of ids and is read only
public record EngineRequest(
    int[] promptIds,
    List<ImageInput> images,
    GenerationOptions options,
    Set<Integer> terminators,
    String cacheSalt) {
  public EngineRequest {
    images = List.copyOf(images);
    terminators = Set.copyOf(terminators);
  }

  /** Shares with whoever shares. */
  public EngineRequest(
      int[] promptIds,
      List<ImageInput> images,
      GenerationOptions options,
      Set<Integer> terminators) {
    this(promptIds, images, options, terminators, "");
  }

  /** The very same prompt, which is computed once for all that ask for it. */
  public EngineRequest with(GenerationOptions value) {
    return new EngineRequest(promptIds, images, value, terminators, cacheSalt);
  }

  /** One slice of a picture and the placeholders that its features replace. */
  public record ImageInput(ImageRange range, ProcessedSlice slice) {}
}
