package org.tessera.sampling;

import java.util.List;
import java.util.Set;

/** What the original MiniCPM-V does to the generated ids before it decodes them at once. */
public final class OriginalCompat {
  private static final int PAD_TOKEN_ID = 0;

  private OriginalCompat() {}

  /**
   * Drops every id 0 (padding to the original, {@code !} to its tokenizer), then one leading
   * beginning-of-sequence id, then one trailing terminator. Where nothing is left the original
   * fails; this returns nothing. The caller decodes with special tokens kept and strips the text.
   *
   * @param bosTokenId of {@code <|im_start|>} in MiniCPM-V 2.6
   */
  public static List<Integer> tokensOfAnswer(
      List<Integer> tokenIds, int bosTokenId, Set<Integer> terminators) {
    List<Integer> kept = tokenIds.stream().filter(id -> id != PAD_TOKEN_ID).toList();
    if (!kept.isEmpty() && kept.getFirst() == bosTokenId) {
      kept = kept.subList(1, kept.size());
    }
    if (!kept.isEmpty() && terminators.contains(kept.getLast())) {
      kept = kept.subList(0, kept.size() - 1);
    }
    return List.copyOf(kept);
  }
}
