package org.tessera.engine;

import java.util.BitSet;

/**
 * Which rows of the counts that {@link org.tessera.ops.Ops#sample} keeps are taken: a running
 * generation whose tokens are penalised has one.
 */
final class CountRows {
  private final int rows;
  private final BitSet taken = new BitSet();

  CountRows(int rows) {
    this.rows = rows;
  }

  /** A row that nobody else has. */
  Lease lease() {
    int row = taken.nextClearBit(0);
    if (row == rows) {
      throw new IllegalStateException("all %d rows of counts are taken".formatted(rows));
    }
    taken.set(row);
    return new Lease(row);
  }

  /** A row until it is given back. */
  final class Lease implements AutoCloseable {
    private final int row;
    private boolean holdsHistory;

    private Lease(int row) {
      this.row = row;
    }

    int row() {
      return row;
    }

    /**
     * Whether the row must be set to the tokens generated so far before the step that asks, which
     * is the first one since the row was taken.
     */
    boolean takeStale() {
      boolean stale = !holdsHistory;
      holdsHistory = true;
      return stale;
    }

    @Override
    public void close() {
      taken.clear(row);
    }
  }
}
