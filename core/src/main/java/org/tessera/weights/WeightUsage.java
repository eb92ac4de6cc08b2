package org.tessera.weights;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import org.tessera.config.StrictJson;
import org.tessera.error.CheckpointException;

/** Which tensors of a source were fetched, whatever device they went to. */
final class WeightUsage {
  private static final int MAX_NAMED = 3;

  private final WeightSource source;
  private final LoadProgress progress;
  private final long totalBytes;
  private final Set<String> fetched = new HashSet<>();
  private long doneBytes;

  WeightUsage(WeightSource source, LoadProgress progress) {
    this.source = source;
    this.progress = progress;
    this.totalBytes = source.totalBytes();
  }

  synchronized void fetched(String name, long bytes) {
    if (fetched.add(name)) {
      doneBytes += bytes;
      progress.fetched(doneBytes, totalBytes);
    }
  }

  synchronized void refuseUnused(Predicate<String> tolerated) {
    List<String> unused =
        source.names().stream()
            .filter(name -> !fetched.contains(name) && !tolerated.test(name))
            .sorted()
            .toList();
    if (!unused.isEmpty()) {
      List<String> named = unused.stream().limit(MAX_NAMED).map(StrictJson::printable).toList();
      throw new CheckpointException(
          "%s: this model has no use for %d of its tensors: %s%s"
              .formatted(
                  source.description(),
                  unused.size(),
                  String.join(", ", named),
                  unused.size() > MAX_NAMED ? ", …" : ""));
    }
  }
}
