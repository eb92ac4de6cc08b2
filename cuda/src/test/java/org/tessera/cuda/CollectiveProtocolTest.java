package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.tessera.error.DeviceException;
import org.tessera.error.GenerationException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Ranks that run the collectives' kernels on the host, at the same time. */
class CollectiveProtocolTest extends FakeCards {
  private static final int COLLECTIVES = 20;

  /**
   * 2 to 8 ranks: sums to the bit, guards, epochs that wrap, alignments that differ between ranks,
   * and the release of a rank that waits alone.
   */
  @Test
  void ranksAgreeToTheBitAndAreReleased() throws Exception {
    Path simulate = HostKernels.compile(folder, "simulate.cpp");
    for (int seed = 1; seed <= 2; seed++) {
      List<String> command =
          List.of(simulate.toString(), String.valueOf(seed), String.valueOf(COLLECTIVES));
      assertThat(HostKernels.run(folder, command)).isEqualTo("ok\n");
    }
  }

  /** From the collective down to the kernel: what the host passes is what the kernel takes. */
  @Test
  void groupsComputeWhatTheyShould() throws Throwable {
    Path library = HostKernels.compile(folder, "launch.cpp", "-shared", "-fPIC");
    try (CudaGroup group = connect(3)) {
      fake.runner(SymbolLookup.libraryLookup(library, Arena.global()).findOrThrow("run_kernel"));
      for (int[] shape : new int[][] {{1, 13}, {3, 3584}, {17, 3583}, {40, 3584}, {1, 1}}) {
        sumsAreRight(group, shape[0], shape[1]);
      }
      columnsAreRight(group, 3, 11, DType.F32);
      columnsAreRight(group, 5, 7, DType.BF16);
      sumsAreRight(group, 2, 64);

      // Rank 0 has issued its part and waits on its card; the others never come.
      DeviceException injected = new DeviceException("an injected failure");
      Tensor tensor = tensor(0, DType.BF16, 2, 100);
      assertThatThrownBy(() ->
              onRanks(
                  2,
                  rank -> {
                    if (rank == 0) {
                      group.transport().allReduce(0, tensor, null, null);
                      devices.getFirst().download(tensor);
                    } else {
                      group.abort(injected);
                    }
                  }))
          .isInstanceOf(GenerationException.class)
          .hasCause(injected);
      assertThat(group.recover()).isSameAs(injected);
      sumsAreRight(group, 2, 64);
    }
  }

  private float[] random(int rank, Tensor tensor, long seed) {
    Random random = new Random(seed);
    float[] values = new float[tensor.rows() * tensor.columns()];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat() * 4 - 2;
    }
    devices.get(rank).upload(values, tensor);
    return devices.get(rank).download(tensor);
  }

  private void sumsAreRight(CudaGroup group, int rows, int columns) throws Throwable {
    int size = group.size();
    Tensor[] partials = new Tensor[size];
    Tensor[] residuals = new Tensor[size];
    float[] expected = new float[rows * columns];
    float[] before = new float[0];
    for (int rank = 0; rank < size; rank++) {
      partials[rank] = tensor(rank, DType.BF16, rows, columns);
      residuals[rank] = tensor(rank, DType.BF16, rows, columns);
      float[] part = random(rank, partials[rank], 17 + rank);
      before = random(rank, residuals[rank], 99);
      for (int i = 0; i < expected.length; i++) {
        expected[i] += part[i];
      }
    }
    for (int i = 0; i < expected.length; i++) {
      expected[i] += before[i];
    }
    onRanks(
        size,
        rank ->
            group
                .member(rank, devices.get(rank))
                .allReduceAdd(partials[rank], residuals[rank], devices.get(rank).ops()));
    Tensor rounded = tensor(0, DType.BF16, rows, columns);
    devices.getFirst().upload(expected, rounded);
    for (int rank = 0; rank < size; rank++) {
      assertThat(devices.get(rank).download(residuals[rank]))
          .isEqualTo(devices.getFirst().download(rounded));
    }
  }

  private void columnsAreRight(CudaGroup group, int rows, int columns, DType type)
      throws Throwable {
    int size = group.size();
    Tensor[] locals = new Tensor[size];
    Tensor[] all = new Tensor[size];
    float[][] parts = new float[size][];
    for (int rank = 0; rank < size; rank++) {
      locals[rank] = tensor(rank, type, rows, columns);
      all[rank] = tensor(rank, type, rows, size * columns + 2);
      parts[rank] = random(rank, locals[rank], 5 + rank);
      devices.get(rank).upload(new float[rows * (size * columns + 2)], all[rank]);
    }
    onRanks(
        size,
        rank ->
            group
                .member(rank, devices.get(rank))
                .allGatherColumns(locals[rank], all[rank].columns(0, size * columns)));
    for (int rank = 0; rank < size; rank++) {
      float[] wide = devices.get(rank).download(all[rank]);
      for (int i = 0; i < wide.length; i++) {
        int row = i / (size * columns + 2);
        int column = i % (size * columns + 2);
        float expected =
            column >= size * columns
                ? 0
                : parts[column / columns][row * columns + column % columns];
        assertThat(wide[i]).isEqualTo(expected);
      }
    }
  }
}
