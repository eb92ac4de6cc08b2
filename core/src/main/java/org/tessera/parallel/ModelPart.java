package org.tessera.parallel;

import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.tessera.error.PlanException;

/**
 * Which modules of a model a rank holds. A model's constructor asks it for each of its modules, so
 * that nothing else in the model knows that some of them may lie elsewhere.
 *
 * @param firstLayer first decoder layer, from 0
 * @param endLayer the layer after the last one; beyond the model's for all that are left
 * @param hasEmbeddings whether tokens are embedded here
 * @param hasHead whether the final norm and the language-model head are here
 * @param hasVision whether the vision tower and the resampler are here
 */
public record ModelPart(
    int firstLayer, int endLayer, boolean hasEmbeddings, boolean hasHead, boolean hasVision) {
  /** Everything. */
  public static final ModelPart WHOLE = new ModelPart(0, Integer.MAX_VALUE, true, true, true);

  /** What turns pictures into features, and nothing of the decoder. */
  public static final ModelPart VISION = new ModelPart(0, 0, false, false, true);

  public ModelPart {
    if (firstLayer < 0 || endLayer < firstLayer) {
      throw new PlanException(
          "a rank cannot hold the layers from %d to %d".formatted(firstLayer, endLayer - 1));
    }
  }

  /** The decoder layers held of {@code layerCount}, in order. */
  public IntStream layers(int layerCount) {
    return IntStream.range(Math.min(firstLayer, layerCount), Math.min(endLayer, layerCount));
  }

  /** What {@code load} gives, where tokens are embedded here. */
  public <T> Optional<T> embeddings(Supplier<T> load) {
    return held(hasEmbeddings, load);
  }

  /** What {@code load} gives, where the final norm and the head are here. */
  public <T> Optional<T> head(Supplier<T> load) {
    return held(hasHead, load);
  }

  /** What {@code load} gives, where pictures are encoded here. */
  public <T> Optional<T> vision(Supplier<T> load) {
    return held(hasVision, load);
  }

  private static <T> Optional<T> held(boolean holds, Supplier<T> load) {
    return holds ? Optional.of(load.get()) : Optional.empty();
  }
}
