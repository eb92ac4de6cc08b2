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
 */
@SuppressWarnings("ArrayRecordComponent") // a prompt has thousands of ids and is read only
public record EngineRequest(
    int[] promptIds, List<ImageInput> images, GenerationOptions options, Set<Integer> terminators) {
  public EngineRequest {
    images = List.copyOf(images);
    terminators = Set.copyOf(terminators);
  }

  /** One slice of a picture and the placeholders that its features replace. */
  public record ImageInput(ImageRange range, ProcessedSlice slice) {}
}
