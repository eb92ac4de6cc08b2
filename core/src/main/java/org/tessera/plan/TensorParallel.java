package org.tessera.plan;

import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Over how many ranks a model's layers can be cut: whole heads and whole columns of the MLP go to
 * each. The vocabulary need not divide, as rows of the head are padded.
 */
final class TensorParallel {
  private final ModelSizes sizes;

  TensorParallel(ModelSizes sizes) {
    this.sizes = sizes;
  }

  /**
   * Why {@code ranks} ranks are impossible, and how many are possible; empty where they are not.
   */
  Optional<String> obstacle(int ranks) {
    return firstThatIsLeftOver(ranks)
        .map(what -> {
          String possible =
              IntStream.rangeClosed(2, sizes.numKeyValueHeads())
                  .filter(count -> firstThatIsLeftOver(count).isEmpty())
                  .mapToObj(Integer::toString)
                  .collect(Collectors.joining(" or "));
          return "%s cannot be shared evenly by %d%s"
              .formatted(
                  what, ranks, possible.isEmpty() ? "" : "; by %s they can".formatted(possible));
        });
  }

  private Optional<String> firstThatIsLeftOver(int ranks) {
    if (sizes.numKeyValueHeads() % ranks != 0) {
      return Optional.of(sizes.numKeyValueHeads() + " key/value heads");
    }
    if (sizes.numAttentionHeads() % ranks != 0) {
      return Optional.of(sizes.numAttentionHeads() + " attention heads");
    }
    return sizes.intermediateSize() % ranks == 0
        ? Optional.empty()
        : Optional.of(sizes.intermediateSize() + " columns of the MLP");
  }

  /** What to look at on so many GPUs: what is possible, and what users would think of. */
  List<Integer> sizesToTry(int gpus) {
    return IntStream.rangeClosed(2, gpus)
        .filter(ranks -> ranks == gpus || Integer.bitCount(ranks) == 1 || obstacle(ranks).isEmpty())
        .boxed()
        .toList();
  }
}
