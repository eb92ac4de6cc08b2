package org.tessera.engine;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import org.tessera.api.GenerationOptions;
import org.tessera.error.InvalidRequestException;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.SequenceTokens.ImageRange;
import org.tessera.sampling.TokenConstraint;

/**
 * A prompt that waits for its answer.
 *
 * @param promptIds token ids; not to be changed
 * @param images what stands at the placeholders, in order
 * @param terminators ids that end the answer
 * @param constraint makes what rules tokens out of this answer
 * @param cacheSalt requests with different ones never share keys and values
 */
@SuppressWarnings("ArrayRecordComponent") // a prompt has thousands of ids and is read only
public record EngineRequest(
    int[] promptIds,
    List<ImageInput> images,
    GenerationOptions options,
    Set<Integer> terminators,
    Optional<Supplier<TokenConstraint>> constraint,
    String cacheSalt) {
  /**
   * @throws InvalidRequestException where a constraint meets beam search, which it is not for
   */
  public EngineRequest {
    images = List.copyOf(images);
    terminators = Set.copyOf(terminators);
    if (constraint.isPresent() && options.numBeams() > 1) {
      throw new InvalidRequestException(
          "a response format is not for beam search: num_beams must be 1");
    }
  }

  /** Without a constraint, sharing with whoever shares. */
  public EngineRequest(
      int[] promptIds,
      List<ImageInput> images,
      GenerationOptions options,
      Set<Integer> terminators) {
    this(promptIds, images, options, terminators, Optional.empty(), "");
  }

  /** The very same prompt, which is computed once for all that ask for it. */
  public EngineRequest with(GenerationOptions value) {
    return new EngineRequest(promptIds, images, value, terminators, constraint, cacheSalt);
  }

  /** One slice of a picture and the placeholders that its features replace. */
  public record ImageInput(ImageRange range, ProcessedSlice slice) {}
}
