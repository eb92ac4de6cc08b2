package org.tessera.parallel;

import org.tessera.ops.Ops;
import org.tessera.tensor.Tensor;

/**
 * What the ranks among which a model is cut do together. Every rank calls the same methods in the
 * same order with tensors of the same shape.
 */
public interface Collective {
  /** This rank's number, from 0. */
  int rank();

  /** Number of ranks. */
  int size();

  /** Every rank's {@code inOut} becomes the sum over the ranks. */
  void allReduceSum(Tensor inOut);

  /**
   * Adds the sum over the ranks of {@code partial} to {@code inOut}, which is the same on every
   * rank before and after: the end of a linear layer whose inputs are divided, with its residual
   * stream. {@code partial} is undefined afterwards.
   *
   * @param ops this rank's operations
   */
  default void allReduceAdd(Tensor partial, Tensor inOut, Ops ops) {
    allReduceSum(partial);
    ops.add(partial, inOut);
  }

  /** Columns of all ranks side by side in rank order; {@code out} is {@code size} times as wide. */
  void allGatherColumns(Tensor local, Tensor out);

  /** One rank alone: nothing to exchange. */
  static Collective single() {
    return Single.INSTANCE;
  }

  /** The collective of one rank. */
  enum Single implements Collective {
    INSTANCE;

    @Override
    public int rank() {
      return 0;
    }

    @Override
    public int size() {
      return 1;
    }

    @Override
    public void allReduceSum(Tensor inOut) {}

    @Override
    public void allGatherColumns(Tensor local, Tensor out) {
      throw new IllegalStateException("one rank has nothing to gather");
    }
  }
}
