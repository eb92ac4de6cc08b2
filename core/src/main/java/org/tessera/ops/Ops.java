package org.tessera.ops;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/**
 * The operations of inference, bound to one device. Every tensor lives there; results go into
 * tensors that the caller passes, which must not overlap the inputs unless the parameter is named
 * {@code inOut}. Activations have the device's activation type, reductions and accumulations are in
 * fp32. Rows are tokens or patches. Tensors may be column views of wider ones. Shapes that do not
 * fit are an {@link IllegalArgumentException}: they are the caller's bug.
 */
public interface Ops {
  /**
   * {@code out = activation(x wᵀ + bias)}.
   *
   * @param x [n, w.columns]
   * @param bias [1, w.rows] or null
   * @param out [n, w.rows]; F32 is allowed whatever the activation type (logits)
   */
  void linear(Tensor x, Matrix w, @Nullable Tensor bias, Activation activation, Tensor out);

  /** {@code inOut += x wᵀ + bias}: a projection back into the residual stream [n, w.rows]. */
  void linearAdd(Tensor x, Matrix w, @Nullable Tensor bias, Tensor inOut);

  /** {@code out[i] = table[ids[i]]}; ids I32 [1, n], out [n, table.columns]. */
  void embed(Tensor ids, Matrix table, Tensor out);

  /** {@code inOut[i] += table[ids[i]]}; ids I32 [1, n], table as wide as inOut. */
  void addRows(Tensor ids, Tensor table, Tensor inOut);

  /** {@code out[i] = x[ids[i]]}; ids I32 [1, n]. */
  void gatherRows(Tensor x, Tensor ids, Tensor out);

  /** {@code inOut[ids[i]] = x[i]}: puts picture features into the prompt. ids I32 [1, x.rows]. */
  void scatterRows(Tensor x, Tensor ids, Tensor inOut);

  /**
   * Pictures as a linear patch embedding reads them: a row a patch, the patches of a picture row by
   * row; in a row all values of the first channel, then of the next, each channel row by row. The
   * pixels are read before this returns.
   *
   * @param side of a patch, in pixels
   * @param values F32 [channels, 256]: what a byte of a channel stands for
   * @param out [patches of all pictures, channels * side * side]
   */
  void patches(List<Pixels> pictures, int side, Tensor values, Tensor out);

  /** {@code out = x}, same shape. */
  void copy(Tensor x, Tensor out);

  /** {@code inOut += x}, same shape. */
  void add(Tensor x, Tensor inOut);

  /** {@code out = x / sqrt(mean(x²) + eps) * weight} by rows; weight [1, columns]. */
  void rmsNorm(Tensor x, Tensor weight, float eps, Tensor out);

  /** {@code out = (x - mean) / sqrt(var + eps) * weight + bias} by rows, biased variance. */
  void layerNorm(Tensor x, Tensor weight, Tensor bias, float eps, Tensor out);

  /**
   * Rotary position embedding, half-split: with {@code w = headWidth}, element {@code j} of each
   * head is paired with {@code j + w/2} and turned by {@code position * theta^(-2j/w)}.
   *
   * @param inOut [n, heads * headWidth]
   * @param positions I32 [1, n]
   */
  void rope(Tensor inOut, Tensor positions, int headWidth, double theta);

  /** {@code out = silu(gateUp[:, :w]) * gateUp[:, w:]} with {@code w = out.columns}. */
  void siluMul(Tensor gateUp, Tensor out);

  /**
   * {@code out = rmsNorm(x) wᵀ}: what a device may do in one pass over the weights. {@code scratch}
   * is for the rows of a device that does not.
   *
   * @param scratch like x; its content afterwards is undefined
   * @param out [x.rows, w.rows]; F32 is allowed whatever the activation type (logits)
   */
  default void normLinear(Tensor x, RmsNorm norm, Matrix w, Tensor scratch, Tensor out) {
    rmsNorm(x, norm.weight(), norm.eps(), scratch);
    linear(scratch, w, null, Activation.NONE, out);
  }

  /**
   * {@code out = siluMul(rmsNorm(x) wᵀ)}: the first half of a SwiGLU block.
   *
   * @param w the gate's rows above as many of the up projection
   * @param scratch as in {@link #normLinear}
   * @param gateUp [x.rows, w.rows], scratch too
   * @param out [x.rows, w.rows / 2]
   */
  default void normSiluMul(
      Tensor x, RmsNorm norm, Matrix w, Tensor scratch, Tensor gateUp, Tensor out) {
    normLinear(x, norm, w, scratch, gateUp);
    siluMul(gateUp, out);
  }

  /**
   * The queries, keys and values of new rows: {@code rmsNorm(x) wᵀ + bias}, queries and keys
   * rotated, keys and values written to {@code batch.slots} of the cache.
   *
   * @param w the rows of the queries, then of the keys, then of the values, as heads say
   * @param scratch as in {@link #normLinear}
   * @param qkv [x.rows, w.rows]; afterwards its first {@code heads.queryColumns} columns are the
   *     queries and the others undefined
   */
  default void normQkv(
      Tensor x,
      RmsNorm norm,
      Matrix w,
      Tensor bias,
      Heads heads,
      double theta,
      PagedBatch batch,
      KvLayer cache,
      Tensor scratch,
      Tensor qkv) {
    rmsNorm(x, norm.weight(), norm.eps(), scratch);
    linear(scratch, w, bias, Activation.NONE, qkv);
    int keys = heads.queryColumns();
    int values = keys + heads.keyValueColumns();
    rope(qkv.columns(0, values), batch.positions(), heads.width(), theta);
    writeKv(qkv.columns(keys, values), qkv.columns(values, qkv.columns()), batch.slots(), cache);
  }

  /**
   * Attention over packed segments, every query to every key of the segment with the same number:
   * {@code softmax(scale q kᵀ) v} by heads.
   *
   * @param q [rows of queries, heads.queryColumns]
   * @param k [rows of keys, heads.keyValueColumns]
   * @param v like k
   * @param out like q
   */
  void attention(
      Tensor q,
      Tensor k,
      Tensor v,
      Segments queries,
      Segments keys,
      Heads heads,
      float scale,
      Tensor out);

  /** Writes row {@code i} of k and v into cache row {@code slots[i]}; slots I32 [1, k.rows]. */
  void writeKv(Tensor k, Tensor v, Tensor slots, KvLayer cache);

  /**
   * Causal attention of new rows over the cache, which holds their own keys and values already: the
   * row at position {@code p} sees positions 0 to {@code p}.
   *
   * @param q [rows, heads.queryColumns], rotated
   * @param out like q
   */
  void pagedAttention(
      Tensor q, KvLayer cache, PagedBatch batch, Heads heads, float scale, Tensor out);

  /**
   * {@code ids[i]} is the column of the largest logit of row {@code i}, of equal ones the lowest;
   * {@link #NOT_FINITE} where the row holds a NaN or +infinity, {@link #NO_TOKEN} where all are
   * -infinity.
   *
   * @param logits F32 [n, columns]
   * @param ids I32 [1, n]
   */
  void argmax(Tensor logits, Tensor ids);

  /**
   * Chooses a token of each row: {@code ids[i]} comes of row {@code i} of the logits and of the
   * parameters, as {@link SamplingParameters} says to the last bit; {@link #NOT_FINITE} where the
   * logits hold a NaN or +infinity, {@link #NO_TOKEN} where all scores are -infinity. Rows that are
   * left alone keep their ids. Where a token is chosen its row's {@code generated} and its count,
   * if the row has counts, go up by one.
   *
   * @param logits F32 [n, vocabulary]
   * @param parameters I32 [n, {@link SamplingParameters#INTS}], in and out; contiguous, at a
   *     multiple of 8 bytes
   * @param counts I32 [sequences, vocabulary], in and out; contiguous. How often each token of the
   *     vocabulary was generated; no two rows of parameters name the same row of it
   * @param ids I32 [1, n]
   */
  void sample(Tensor logits, Tensor parameters, Tensor counts, Tensor ids);

  /** What {@link #argmax} and {@link #sample} give for logits that cannot be compared. */
  int NOT_FINITE = -1;

  /** What {@link #argmax} and {@link #sample} give where no token is possible. */
  int NO_TOKEN = -2;

  /** Copies whole rows inside the cache, {@code from[i]} to {@code to[i]}: a fork's last block. */
  void copyKvRows(int[] from, int[] to, KvLayer cache);
}
