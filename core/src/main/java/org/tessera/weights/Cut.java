package org.tessera.weights;

import org.tessera.tensor.Tensor;

/**
 * Which part of a weight {@code [out, in]} a rank of a tensor-parallel group holds. Rank {@code r}
 * of {@code n} has elements {@code total * r / n} to {@code total * (r + 1) / n}: equal parts where
 * {@code n} divides {@code total}, and parts that differ by one where it does not, as the rows of a
 * vocabulary may.
 */
public sealed interface Cut {
  /** The whole weight. */
  Cut WHOLE = new Whole();

  /** A part of the outputs. */
  static Cut rows(int rank, int size) {
    return new Rows(rank, size);
  }

  /** A part of the inputs. */
  static Cut columns(int rank, int size) {
    return new Columns(rank, size);
  }

  /** Where the part of {@code rank} starts; that of {@code rank + 1} is where it ends. */
  static int start(int total, int rank, int size) {
    return Math.toIntExact((long) total * rank / size);
  }

  /** The view of the part in {@code matrix}. */
  Tensor ofMatrix(Tensor matrix);

  /**
   * The view of the part in {@code vector}, a row of values that go with the outputs: a cut of the
   * inputs leaves it whole.
   */
  Tensor ofVector(Tensor vector);

  /** Nothing is cut. */
  record Whole() implements Cut {
    @Override
    public Tensor ofMatrix(Tensor matrix) {
      return matrix;
    }

    @Override
    public Tensor ofVector(Tensor vector) {
      return vector;
    }
  }

  /** A range of rows. */
  record Rows(int rank, int size) implements Cut {
    public Rows {
      checkRank(rank, size);
    }

    @Override
    public Tensor ofMatrix(Tensor matrix) {
      return matrix.rows(start(matrix.rows(), rank, size), start(matrix.rows(), rank + 1, size));
    }

    @Override
    public Tensor ofVector(Tensor vector) {
      return vector.columns(
          start(vector.columns(), rank, size), start(vector.columns(), rank + 1, size));
    }
  }

  /** A range of columns: a view whose rows keep the stride of the whole weight. */
  record Columns(int rank, int size) implements Cut {
    public Columns {
      checkRank(rank, size);
    }

    @Override
    public Tensor ofMatrix(Tensor matrix) {
      return matrix.columns(
          start(matrix.columns(), rank, size), start(matrix.columns(), rank + 1, size));
    }

    @Override
    public Tensor ofVector(Tensor vector) {
      return vector;
    }
  }

  private static void checkRank(int rank, int size) {
    if (rank < 0 || rank >= size) {
      throw new IllegalArgumentException("rank %d of %d".formatted(rank, size));
    }
  }
}
