package org.tessera.kv;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What a sequence consists of, in order: token ids, and for placeholders which picture stands
 * there. Two prefixes are the same exactly if both agree. Grows at the end; not for several
 * threads.
 */
public final class SequenceTokens {
  private final List<ImageRange> images;
  private final String cacheSalt;
  private int[] ids;
  private int length;

  public SequenceTokens(int[] promptIds, List<ImageRange> images) {
    this(promptIds, images, "");
  }

  /**
   * @param cacheSalt sequences with different ones never share a prefix
   */
  public SequenceTokens(int[] promptIds, List<ImageRange> images, String cacheSalt) {
    this.ids = promptIds.clone();
    this.length = promptIds.length;
    this.images = List.copyOf(images);
    this.cacheSalt = cacheSalt;
  }

  private SequenceTokens(SequenceTokens other) {
    this.ids = other.ids.clone();
    this.length = other.length;
    this.images = other.images;
    this.cacheSalt = other.cacheSalt;
  }

  public SequenceTokens copy() {
    return new SequenceTokens(this);
  }

  public int length() {
    return length;
  }

  public int id(int position) {
    return ids[position];
  }

  public void append(int id) {
    if (length == ids.length) {
      ids = Arrays.copyOf(ids, Math.max(16, 2 * length));
    }
    ids[length++] = id;
  }

  /** The identity of positions {@code from} to {@code to}, given what came before them. */
  PrefixKey key(long parentSerial, int from, int to) {
    List<Integer> tokens = new ArrayList<>(to - from);
    for (int i = from; i < to; i++) {
      tokens.add(ids[i]);
    }
    List<ImageRange> parts = new ArrayList<>();
    for (ImageRange image : images) {
      if (image.start() < to && image.start() + image.length() > from) {
        parts.add(new ImageRange(image.start() - from, image.length(), image.digest()));
      }
    }
    // Later blocks have a history, which begins with the salt.
    return new PrefixKey(parentSerial, from == 0 ? cacheSalt : "", tokens, parts);
  }

  /**
   * Where the features of a picture (or of one of its slices) stand.
   *
   * @param digest identifies the pixels, the slice and every option that shapes the features
   */
  public record ImageRange(int start, int length, String digest) {}

  /** Equal for blocks with the same content and the same history. */
  record PrefixKey(
      long parentSerial, String cacheSalt, List<Integer> tokens, List<ImageRange> images) {}
}
