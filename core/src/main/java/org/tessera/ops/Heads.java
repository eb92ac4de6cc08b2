package org.tessera.ops;

/**
 * How attention divides its rows: query head {@code i} reads key/value head {@code i / (queryHeads
 * / keyValueHeads)}.
 *
 * @param width elements of one head
 */
public record Heads(int queryHeads, int keyValueHeads, int width) {
  public Heads {
    if (queryHeads <= 0 || keyValueHeads <= 0 || width <= 0 || queryHeads % keyValueHeads != 0) {
      throw new IllegalArgumentException(
          "%d query heads over %d key/value heads of %d"
              .formatted(queryHeads, keyValueHeads, width));
    }
  }

  /** Columns of a query or output row. */
  public int queryColumns() {
    return queryHeads * width;
  }

  /** Columns of a key or of a value row. */
  public int keyValueColumns() {
    return keyValueHeads * width;
  }
}
