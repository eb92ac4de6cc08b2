package org.tessera.text;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tessera.error.CheckpointException;

/** Puts a vocabulary together and refuses what does not fit; every error names the file. */
final class VocabularyBuilder {
  /** Above every known vocabulary; bounds the memory that a broken id can cost. */
  static final int MAX_IDS = 1 << 20;

  private record Merge(String file, String left, String right) {}

  private final Map<String, Integer> ids = new HashMap<>();
  private final Map<Integer, String> tokens = new HashMap<>();
  private final Map<Integer, AddedToken> added = new LinkedHashMap<>();
  private final List<Merge> merges = new ArrayList<>();

  void token(String file, String token, long id) {
    checkId(file, token, id);
    String other = tokens.putIfAbsent((int) id, token);
    if (other != null) {
      throw new CheckpointException(
          "%s: id %d belongs to both %s and %s".formatted(file, id, quote(other), quote(token)));
    }
    Integer otherId = ids.putIfAbsent(token, (int) id);
    if (otherId != null) {
      throw new CheckpointException(
          "%s: token %s has both id %d and id %d".formatted(file, quote(token), otherId, id));
    }
  }

  void merge(String file, String left, String right) {
    merges.add(new Merge(file, left, right));
  }

  /** Adds a token, or finds that it is there already under the same id. */
  void added(String file, String token, long id, boolean special) {
    checkId(file, token, id);
    if (token.isEmpty() || token.length() > AddedTokens.MAX_CHARACTERS) {
      throw new CheckpointException(
          "%s: the added token of id %d has %d characters, expected 1 to %d"
              .formatted(file, id, token.length(), AddedTokens.MAX_CHARACTERS));
    }
    if (!Integer.valueOf((int) id).equals(ids.get(token))) {
      token(file, token, id);
    }
    added.putIfAbsent((int) id, new AddedToken((int) id, token, special));
  }

  /** Makes a token of the vocabulary one that is matched verbatim, such as {@code unk_token}. */
  void promote(String file, String key, String token) {
    Integer id = ids.get(token);
    if (id == null) {
      throw new CheckpointException(
          "%s: %s is %s, which the vocabulary does not hold".formatted(file, key, quote(token)));
    }
    added.put(id, new AddedToken(id, token, true));
  }

  /**
   * @param file the one that holds the vocabulary, for errors
   */
  Vocabulary build(String file) {
    int[] byteIds = new int[256];
    for (int b = 0; b < byteIds.length; b++) {
      Integer id = ids.get(ByteAlphabet.token(b));
      if (id == null || added.containsKey(id)) {
        throw new CheckpointException(
            "%s: expected an ordinary token \"%s\" for byte 0x%02X"
                .formatted(file, ByteAlphabet.token(b), b));
      }
      byteIds[b] = id;
    }
    int size = tokens.keySet().stream().mapToInt(Integer::intValue).max().orElse(-1) + 1;
    byte[][] bytes = new byte[size][];
    tokens.forEach((id, token) -> bytes[id] = ByteAlphabet.bytes(token));
    BitSet special = new BitSet(size);
    added.values().stream().filter(AddedToken::special).forEach(t -> special.set(t.id()));
    return new Vocabulary(
        Collections.unmodifiableMap(ids), // a copy by Map.copyOf is slow where hash codes are alike
        bytes,
        byteIds,
        mergeTable(),
        new AddedTokens(added.values()),
        special);
  }

  private MergeTable mergeTable() {
    MergeTable table = new MergeTable(merges.size());
    for (int rank = 0; rank < merges.size(); rank++) {
      Merge merge = merges.get(rank);
      int left = id(merge, merge.left());
      int right = id(merge, merge.right());
      int result = id(merge, merge.left() + merge.right());
      // Ordinary text must never become an added token, so a merge into one is left out. Qwen2's
      // pattern cuts before the last character of its only such token, <unk>, so this changes none.
      if (!added.containsKey(result) && !table.add(left, right, rank, result)) {
        throw new CheckpointException(
            "%s: the merge %s is there twice"
                .formatted(merge.file(), quote(merge.left() + " " + merge.right())));
      }
    }
    return table;
  }

  private int id(Merge merge, String token) {
    Integer id = ids.get(token);
    if (id == null) {
      throw new CheckpointException(
          "%s: the merge %s needs the token %s, which the vocabulary does not hold"
              .formatted(merge.file(), quote(merge.left() + " " + merge.right()), quote(token)));
    }
    return id;
  }

  private static void checkId(String file, String token, long id) {
    if (id < 0 || id >= MAX_IDS) {
      throw new CheckpointException(
          "%s: token %s has id %d, expected 0 to %d"
              .formatted(file, quote(token), id, MAX_IDS - 1));
    }
  }

  /** A token as a message may show it: short, and on one line. */
  static String quote(String token) {
    String line = token.replaceAll("\\p{Cntrl}", "\uFFFD");
    return "\"" + (line.length() <= 80 ? line : line.substring(0, 80) + "…") + "\"";
  }
}
