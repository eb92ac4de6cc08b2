package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.params.AfterParameterizedClassInvocation;
import org.junit.jupiter.params.BeforeParameterizedClassInvocation;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.tessera.cuda.GpuGroup.Setting;
import org.tessera.error.DeviceException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Collectives and copies between the cards of a machine that has several. */
@ParameterizedClass
@EnumSource(Setting.class)
class CudaGroupGpuIT {
  private static final int HIDDEN = 3584;

  private static @Nullable GpuGroup opened;

  @Parameter Setting setting;
  private GpuGroup ranks;

  @BeforeParameterizedClassInvocation
  static void open(Setting setting) {
    opened = new GpuGroup(setting, DType.BF16);
  }

  @AfterParameterizedClassInvocation
  static void close() {
    if (opened != null) {
      opened.close();
      opened = null;
    }
  }

  @BeforeEach
  void take() {
    ranks = Objects.requireNonNull(opened);
  }

  @AfterEach
  void free() {
    ranks.free();
  }

  /** Random numbers as a tensor of this type holds them. */
  private static float[] random(CudaDevice device, Tensor tensor, long seed) {
    Random random = new Random(seed);
    float[] values = new float[tensor.rows() * tensor.columns()];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat() * 4 - 2;
    }
    device.upload(values, tensor);
    return device.download(tensor);
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1",
    "1, 3584",
    "1, 4098",
    "2, 3584",
    "8, 3584",
    "13, 207",
    "207, 13",
    "48, 3584",
    "73, 3584",
    "74, 3584",
    "77, 3583",
    "691, 3584",
    "8192, 3584"
  })
  void allRanksHoldTheSameSum(int rows, int columns) {
    int size = ranks.size();
    float[][] partials = new float[size][];
    float[][] sums = new float[size][];
    ranks.run(rank -> {
      CudaDevice device = ranks.devices.get(rank);
      Tensor partial = ranks.tensor(rank, DType.BF16, rows, columns);
      Tensor residual = ranks.tensor(rank, DType.BF16, rows, columns);
      partials[rank] = random(device, partial, 17 + rank);
      random(device, residual, 99);
      ranks.member(rank).allReduceAdd(partial, residual, device.ops());
      sums[rank] = device.download(residual);
    });
    CudaDevice first = ranks.devices.getFirst();
    Tensor tensor = ranks.tensor(0, DType.BF16, rows, columns);
    float[] expected = random(first, tensor, 99);
    for (int i = 0; i < expected.length; i++) {
      float sum = 0;
      for (float[] partial : partials) {
        sum += partial[i];
      }
      expected[i] = sum + expected[i];
    }
    if (!setting.nccl) {
      first.upload(expected, tensor);
      assertThat(Arrays.mismatch(sums[0], first.download(tensor))).isEqualTo(-1);
    } else {
      // NCCL rounds the sum of the ranks, and the addition rounds again.
      assertThat(error(sums[0], expected)).isLessThan(8e-3);
    }
    for (float[] sum : sums) {
      assertThat(Arrays.mismatch(sum, sums[0])).isEqualTo(-1);
    }
  }

  private static double error(float[] actual, float[] expected) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += Math.pow(actual[i] - expected[i], 2);
      norm += Math.pow(expected[i], 2);
    }
    return Math.sqrt(difference / norm);
  }

  @ParameterizedTest
  @CsvSource({"1, 75833", "3, 331", "64, 18958"})
  void allRanksHoldAllColumns(int rows, int columns) {
    int size = ranks.size();
    float[][] locals = new float[size][];
    float[][] all = new float[size][];
    ranks.run(rank -> {
      CudaDevice device = ranks.devices.get(rank);
      Tensor local = ranks.tensor(rank, DType.F32, rows, columns);
      int stride = Math.ceilDiv(size * columns, 8) * 8;
      Tensor wide = ranks.tensor(rank, DType.F32, rows, stride);
      device.stream().fill(wide.memory(), (byte) 0x7f);
      locals[rank] = random(device, local, 5 + rank);
      ranks.member(rank).allGatherColumns(local, wide.columns(0, size * columns));
      all[rank] = device.download(wide);
    });
    for (float[] gathered : all) {
      int stride = gathered.length / rows;
      for (int row = 0; row < rows; row++) {
        for (int rank = 0; rank < size; rank++) {
          int start = row * stride + rank * columns;
          assertThat(
                  Arrays.mismatch(
                      gathered,
                      start,
                      start + columns,
                      locals[rank],
                      row * columns,
                      (row + 1) * columns))
              .isEqualTo(-1);
        }
        float poison = Float.intBitsToFloat(0x7f7f7f7f);
        for (int i = row * stride + size * columns; i < (row + 1) * stride; i++) {
          assertThat(gathered[i]).isEqualTo(poison);
        }
      }
    }
  }

  /**
   * Three sums whose parts cancel, over and over: what is read too early, too late or twice stays
   * in the total, whose numbers are small and so exact.
   */
  @ParameterizedTest
  @CsvSource({"1, 3334", "16, 1000", "100, 500"})
  void graphsOfSumsStayInStep(int rows, int replays, TestReporter reporter) {
    int size = ranks.size();
    float[][] totals = new float[size][];
    long start = System.nanoTime();
    ranks.run(rank -> {
      CudaDevice device = ranks.devices.get(rank);
      Tensor total = ranks.tensor(rank, DType.BF16, rows, HIDDEN);
      Tensor scratch = ranks.tensor(rank, DType.BF16, rows, HIDDEN);
      Tensor logits = ranks.tensor(rank, DType.F32, 1, size * 331);
      Tensor local = ranks.tensor(rank, DType.F32, 1, 331);
      List<Tensor> parts =
          List.of(
              ranks.tensor(rank, DType.BF16, rows, HIDDEN),
              ranks.tensor(rank, DType.BF16, rows, HIDDEN),
              ranks.tensor(rank, DType.BF16, rows, HIDDEN));
      float[][] values = new float[3][rows * HIDDEN];
      for (int i = 0; i < rows * HIDDEN; i++) {
        values[0][i] = (i + rank) % 7;
        values[1][i] = (i + 3 * rank) % 5;
        values[2][i] = -values[0][i] - values[1][i];
      }
      for (int k = 0; k < 3; k++) {
        device.upload(values[k], parts.get(k));
      }
      device.upload(new float[rows * HIDDEN], total);
      device.upload(new float[331], local);
      for (int i = 0; i < replays; i++) {
        device.replay(
            "sums",
            () -> {
              for (Tensor part : parts) {
                device.ops().copy(part, scratch);
                ranks.member(rank).allReduceAdd(scratch, total, device.ops());
              }
              ranks.member(rank).allGatherColumns(local, logits);
            });
        if (i % 20 == 0) {
          device.stream().synchronize(); // as a step ends, before a stream's queue is full
        }
      }
      totals[rank] = device.download(total);
      device.forget("sums");
    });
    reporter.publishEntry(
        "%s, %d rows, %d sums".formatted(setting, rows, 3 * replays),
        "%.1f s".formatted((System.nanoTime() - start) * 1e-9));
    for (float[] total : totals) {
      assertThat(Arrays.mismatch(total, new float[total.length])).isEqualTo(-1);
    }
  }

  /** As where the others' host never comes to issue its part. */
  @Test
  void aRankThatWaitsAloneIsReleased(TestReporter reporter) throws Exception {
    ranks.run(rank -> {
      Tensor tensor = ranks.tensor(rank, DType.BF16, 1, HIDDEN);
      ranks.member(rank).allReduceSum(tensor);
      ranks.devices.get(rank).stream().synchronize();
    });
    for (int rows : new int[] {1, 691}) {
      Tensor tensor = ranks.tensor(0, DType.BF16, rows, HIDDEN);
      CompletableFuture<Long> waiting =
          CompletableFuture.supplyAsync(() -> {
            ranks.group.transport().allReduce(0, tensor, null, null);
            ranks.devices.getFirst().stream().synchronize();
            return System.nanoTime();
          });
      Thread.sleep(300);
      assertThat(waiting).as("spinning").isNotDone();
      DeviceException injected = new DeviceException("an injected failure");
      long start = System.nanoTime();
      ranks.group.abort(injected);
      long end = waiting.get(10, TimeUnit.SECONDS);
      reporter.publishEntry(
          setting + ", released after", "%.2f ms".formatted((end - start) * 1e-6));
      assertThat(Duration.ofNanos(end - start)).isLessThan(Duration.ofSeconds(1));
      assertThatThrownBy(() -> ranks.devices.getFirst().download(tensor)).hasCause(injected);
      assertThat(ranks.group.recover()).isSameAs(injected);
      ranks.free();
      allRanksHoldTheSameSum(1, HIDDEN);
      ranks.free();
    }
  }

  @Test
  void aRankThatFailsBetweenSumsFailsTheCall() {
    DeviceException injected = new DeviceException("an injected failure");
    for (int i = 0; i < 3; i++) {
      assertThatThrownBy(() ->
              ranks.run(rank -> {
                CudaDevice device = ranks.devices.get(rank);
                Tensor tensor = ranks.tensor(rank, DType.BF16, 1, HIDDEN);
                for (int k = 0; k < 10; k++) {
                  ranks.member(rank).allReduceSum(tensor);
                  if (rank == 1 && k == 7) {
                    throw injected;
                  }
                }
                device.download(tensor);
              }))
          .isSameAs(injected);
      allRanksHoldTheSameSum(2, HIDDEN);
    }
  }

  @Test
  void copiesBetweenDevicesAreInOrder() {
    CudaDevice from = ranks.devices.get(0);
    CudaDevice to = ranks.devices.get(1);
    int columns = 1 << 20;
    Tensor source = ranks.tensor(0, DType.BF16, 1, columns);
    Tensor one = ranks.tensor(0, DType.BF16, 1, columns);
    Tensor destination = ranks.tensor(1, DType.BF16, 1, columns);
    Tensor total = ranks.tensor(1, DType.BF16, 1, columns);
    float[] ones = new float[columns];
    Arrays.fill(ones, 1);
    from.upload(ones, one);
    from.upload(new float[columns], source);
    to.upload(new float[columns], total);
    // 1 + 2 + ... + 20: exact, and different where a copy comes too early or too late.
    for (int i = 1; i <= 20; i++) {
      from.ops().add(one, source);
      to.receive(from, source, destination);
      to.ops().add(destination, total);
      to.stream().synchronize(); // the source is written again
    }
    float[] expected = new float[columns];
    Arrays.fill(expected, 210);
    assertThat(Arrays.mismatch(to.download(total), expected)).isEqualTo(-1);
    Tensor wide = ranks.tensor(1, DType.F32, 1, columns);
    to.receive(from, source, wide);
    Arrays.fill(expected, 20);
    assertThat(Arrays.mismatch(to.download(wide), expected)).isEqualTo(-1);
  }
}
