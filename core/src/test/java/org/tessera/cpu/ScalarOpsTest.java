package org.tessera.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.tessera.ops.Activation;
import org.tessera.ops.Heads;
import org.tessera.ops.KvLayer;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.Segments;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/** The oracle itself, against numbers worked out by hand. */
class ScalarOpsTest {
  private final ScalarOps ops = new ScalarOps();

  private static Tensor floats(int rows, int columns, float... values) {
    MemorySegment memory = Arena.ofAuto().allocate(JAVA_FLOAT, (long) rows * columns);
    MemorySegment.copy(values, 0, memory, JAVA_FLOAT, 0, values.length);
    return Tensor.of(DType.F32, rows, columns, memory);
  }

  private static Tensor ints(int rows, int columns, int... values) {
    return Tensor.of(DType.I32, rows, columns, Arena.ofAuto().allocateFrom(JAVA_INT, values));
  }

  private static Tensor shorts(DType dtype, int rows, int columns, int... bits) {
    MemorySegment memory = Arena.ofAuto().allocate(JAVA_SHORT, bits.length);
    for (int i = 0; i < bits.length; i++) {
      memory.setAtIndex(JAVA_SHORT, i, (short) bits[i]);
    }
    return Tensor.of(dtype, rows, columns, memory);
  }

  private static void assertHolds(Tensor tensor, double... expected) {
    for (int i = 0; i < expected.length; i++) {
      float actual = Elements.get(tensor, i / tensor.columns(), i % tensor.columns());
      assertThat((double) actual).as("element %d", i).isCloseTo(expected[i], within(1e-6));
    }
  }

  @Test
  void linearMultipliesByTheTransposedWeights() {
    Matrix w = Matrix.stacked(List.of(floats(1, 2, 1, 10), floats(2, 2, 2, 20, 3, 30)));
    Tensor out = floats(2, 3);
    ops.linear(floats(2, 2, 1, 2, 3, 4), w, floats(1, 3, 0, 0, 0.5f), Activation.NONE, out);
    assertHolds(out, 21, 42, 63.5, 43, 86, 129.5);
    ops.linearAdd(floats(2, 2, 1, 0, 0, 1), w, null, out);
    assertHolds(out, 22, 44, 66.5, 53, 106, 159.5);
  }

  @Test
  void linearReadsEveryWeightType() {
    Tensor x = floats(1, 2, 1, 1);
    Tensor out = floats(1, 2);
    // 1.0, -2.0 and 0.5, 3.0 in the bits of each type
    Matrix bf16 = Matrix.stacked(List.of(shorts(DType.BF16, 2, 2, 0x3f80, 0xc000, 0x3f00, 0x4040)));
    ops.linear(x, bf16, null, Activation.NONE, out);
    assertHolds(out, -1, 3.5);
    Matrix f16 = Matrix.stacked(List.of(shorts(DType.F16, 2, 2, 0x3c00, 0xc000, 0x3800, 0x4200)));
    ops.linear(x, f16, null, Activation.NONE, out);
    assertHolds(out, -1, 3.5);
  }

  @Test
  void geluByTanhHasPyTorchsValues() {
    Tensor out = floats(1, 3);
    Matrix one = Matrix.stacked(List.of(floats(3, 1, 1, -1, 3)));
    ops.linear(floats(1, 1, 1), one, null, Activation.GELU_TANH, out);
    assertHolds(out, 0.841192, -0.158808, 2.996363);
  }

  @Test
  void embeddingTakesRowsOfStackedParts() {
    Matrix table = Matrix.stacked(List.of(floats(2, 2, 1, 2, 3, 4), floats(1, 2, 5, 6)));
    Tensor out = floats(3, 2);
    ops.embed(ints(1, 3, 2, 0, 1), table, out);
    assertHolds(out, 5, 6, 1, 2, 3, 4);
    ops.addRows(ints(1, 3, 1, 1, 0), floats(2, 2, 10, 20, 30, 40), out);
    assertHolds(out, 35, 46, 31, 42, 13, 24);
  }

  @Test
  void rowsAreGatheredScatteredCopiedAndAdded() {
    Tensor x = floats(3, 1, 1, 2, 3);
    Tensor out = floats(2, 1);
    ops.gatherRows(x, ints(1, 2, 2, 0), out);
    assertHolds(out, 3, 1);
    ops.scatterRows(out, ints(1, 2, 0, 1), x);
    assertHolds(x, 3, 1, 3);
    Tensor y = floats(3, 1);
    ops.copy(x, y);
    ops.add(x, y);
    assertHolds(y, 6, 2, 6);
  }

  @Test
  void norms() {
    Tensor out = floats(1, 2);
    ops.rmsNorm(floats(1, 2, 3, 4), floats(1, 2, 1, 2), 0f, out);
    assertHolds(out, 3 / Math.sqrt(12.5), 8 / Math.sqrt(12.5));
    ops.rmsNorm(floats(1, 2, 3, 4), floats(1, 2, 1, 2), 12.5f, out);
    assertHolds(out, 0.6, 1.6);
    ops.layerNorm(floats(1, 2, 1, 5), floats(1, 2, 1, 3), floats(1, 2, 0, 10), 0f, out);
    assertHolds(out, -1, 13);
    ops.layerNorm(floats(1, 2, 1, 5), floats(1, 2, 1, 3), floats(1, 2, 0, 10), 12f, out);
    assertHolds(out, -0.5, 11.5);
  }

  @Test
  void ropeTurnsTheHalvesOfEachHead() {
    Tensor x = floats(2, 4, 1, 1, 0, 0, 1, 1, 0, 0);
    ops.rope(x, ints(1, 2, 0, 2), 4, 100);
    assertHolds(x, 1, 1, 0, 0, Math.cos(2), Math.cos(0.2), Math.sin(2), Math.sin(0.2));
    Tensor twoHeads = floats(1, 4, 0, 1, 0, 1);
    ops.rope(twoHeads, ints(1, 1, 1), 2, 100);
    assertHolds(twoHeads, -Math.sin(1), Math.cos(1), -Math.sin(1), Math.cos(1));
  }

  @Test
  void siluMulReadsGateBeforeUp() {
    Tensor out = floats(1, 2);
    ops.siluMul(floats(1, 4, 0, 1, 7, 2), out);
    assertHolds(out, 0, 2 * 0.7310586);
  }

  @Test
  void attentionWeighsValuesWithinItsSegment() {
    // Scores 0 and ln 3 make weights of a quarter and three quarters.
    float ln3 = (float) Math.log(3);
    Tensor k = floats(3, 1, 0, 2 * ln3, 5);
    Tensor v = floats(3, 1, 4, 8, 100);
    Tensor out = floats(2, 1);
    ops.attention(
        floats(2, 1, 1, 1),
        k,
        v,
        new Segments(ints(1, 3, 0, 1, 2), 2, 1),
        new Segments(ints(1, 3, 0, 2, 3), 2, 2),
        new Heads(1, 1, 1),
        0.5f,
        out);
    assertHolds(out, 7, 100);
  }

  @Test
  void queryHeadsShareKeyHeads() {
    Tensor out = floats(1, 4);
    ops.attention(
        floats(1, 4, 1, 1, 1, 1),
        floats(1, 2, 1, 1),
        floats(1, 2, 3, 9),
        new Segments(ints(1, 2, 0, 1), 1, 1),
        new Segments(ints(1, 2, 0, 1), 1, 1),
        new Heads(4, 2, 1),
        1f,
        out);
    assertHolds(out, 3, 3, 9, 9);
  }

  @Test
  void pagedAttentionIsCausalAndFollowsTheBlockTable() {
    Tensor keys = floats(6, 1);
    Tensor values = floats(6, 1);
    KvLayer cache = new KvLayer(keys, values, 2);
    // Positions 0 to 2 of the sequence lie in rows 4, 5 and 0: blocks 2 and 0.
    ops.writeKv(floats(3, 1), floats(3, 1, 1, 3, 11), ints(1, 3, 4, 5, 0), cache);
    assertHolds(values, 11, 0, 0, 0, 1, 3);
    Tensor out = floats(2, 1);
    PagedBatch batch =
        new PagedBatch(
            new Segments(ints(1, 2, 0, 2), 1, 2),
            ints(1, 2, 1, 2),
            ints(1, 2, 5, 0),
            ints(1, 1, 3),
            ints(1, 2, 2, 0),
            3);
    ops.pagedAttention(floats(2, 1, 1, 1), cache, batch, new Heads(1, 1, 1), 1f, out);
    assertHolds(out, 2, 5);
    ops.copyKvRows(new int[] {4}, new int[] {1}, cache);
    assertHolds(values, 11, 1, 0, 0, 1, 3);
  }
}
