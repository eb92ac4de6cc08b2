package org.tessera.engine;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tessera.engine.EngineRequest.ImageInput;

/**
 * What the cache of a replica probably holds, as hashes of the beginnings of what it computed: a
 * guess that costs little and may be wrong, for choosing a replica. The least recently met hashes
 * are forgotten. Not for several threads.
 */
final class PrefixSketch {
  /** Positions a hash. */
  private static final int CHUNK = 64;

  private static final long MULTIPLIER = 0x9E37_79B9_7F4A_7C15L;

  private final Map<Long, Boolean> known;

  /**
   * @param kvTokens positions that the cache has room for
   */
  PrefixSketch(int kvTokens) {
    int capacity = Math.max(1, kvTokens / CHUNK);
    known =
        new LinkedHashMap<>(16, 0.75f, /* accessOrder= */ true) {
          private static final long serialVersionUID = 1L;

          @Override
          protected boolean removeEldestEntry(Map.Entry<Long, Boolean> eldest) {
            return size() > capacity;
          }
        };
  }

  /** Hashes of the beginnings, every 64 positions, of a prompt with what was generated after it. */
  static long[] hashes(EngineRequest request, List<Integer> generated) {
    int[] prompt = request.promptIds();
    long[] hashes = new long[(prompt.length + generated.size()) / CHUNK];
    long hash = request.cacheSalt().hashCode();
    int image = 0;
    for (int i = 0; i < hashes.length * CHUNK; i++) {
      List<ImageInput> images = request.images();
      while (image < images.size() && images.get(image).range().start() <= i) {
        hash = mixed(hash, images.get(image++).range().digest().hashCode());
      }
      hash = mixed(hash, i < prompt.length ? prompt[i] : generated.get(i - prompt.length));
      if ((i + 1) % CHUNK == 0) {
        hashes[i / CHUNK] = hash;
      }
    }
    return hashes;
  }

  private static long mixed(long hash, int value) {
    long mixed = (hash ^ value) * MULTIPLIER;
    return mixed ^ (mixed >>> 29);
  }

  void add(long[] hashes) {
    for (long hash : hashes) {
      known.put(hash, true);
    }
  }

  /** How many of the hashes, from the first on, were met. */
  int matches(long[] hashes) {
    int count = 0;
    while (count < hashes.length && known.get(hashes[count]) != null) {
      count++;
    }
    return count;
  }
}
