package org.tessera.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.Map;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tessera.device.DeviceSpeed;
import org.tessera.device.Link;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;
import org.tessera.tensor.DType;

/** Predictions beside what docs/performance.md measured. */
class TimeModelTest {
  private static final ModelSizes FULL = Sizes.full().build();
  private static final Percentage QUARTER = Percentage.withPercentage(25);
  private static final DeviceId GPU_0 = DeviceId.gpu(0);
  private static final DeviceId GPU_1 = DeviceId.gpu(1);

  /** As measured: 2,985 GB/s, and 132 multiprocessors at 1.98 GHz. */
  private static final DeviceSpeed H100 = new DeviceSpeed(2985e9, 132 * 1.98e9 * 4096, Link.DIRECT);

  private static final DeviceSpeed TWO_CORES = new DeviceSpeed(43.8e9, 430e9, Link.HOST);
  private static final Map<DeviceId, DeviceBudget> DEVICES =
      Map.of(
          GPU_0,
          new DeviceBudget(GPU_0, 78L << 30, H100),
          GPU_1,
          new DeviceBudget(GPU_1, 78L << 30, H100),
          DeviceId.CPU,
          new DeviceBudget(DeviceId.CPU, 24L << 30, TWO_CORES));

  @ParameterizedTest
  @CsvSource({"1, 181.5", "16, 2415", "64, 9228"})
  void decodingOfOneH100(int batch, double measuredTokensPerSecond) {
    Prediction predicted = predict(Deployment.on(GPU_0, 28), new Workload(700, 0, batch));

    assertThat(predicted.tokensPerSecond()).isCloseTo(measuredTokensPerSecond, QUARTER);
    assertThat(predicted.tokenSeconds()).isCloseTo(batch / measuredTokensPerSecond, QUARTER);
  }

  @ParameterizedTest
  @CsvSource({"691, 0.0171", "8192, 0.2096"})
  void prefillOfOneH100(int promptTokens, double measuredSeconds) {
    Prediction predicted = predict(Deployment.on(GPU_0, 28), new Workload(promptTokens, 0, 1));

    assertThat(predicted.firstTokenSeconds()).isCloseTo(measuredSeconds, QUARTER);
  }

  /** From a picture's file to its features. */
  @Test
  void pictureOnOneH100() {
    double with = predict(Deployment.on(GPU_0, 28), new Workload(691, 10, 1)).firstTokenSeconds();
    double without = predict(Deployment.on(GPU_0, 28), new Workload(691, 0, 1)).firstTokenSeconds();

    assertThat(with - without).isCloseTo(0.0466, QUARTER);
  }

  @Test
  void twoCoresOfAnEpyc() {
    Deployment cpu = Deployment.on(DeviceId.CPU, 28);
    Prediction short512 = predict(cpu, new Workload(512, 0, 1));

    assertThat(short512.tokensPerSecond()).isCloseTo(2.64, QUARTER);
    assertThat(short512.firstTokenSeconds()).isCloseTo(15.7, QUARTER);
    assertThat(
            predict(cpu, new Workload(512, 1, 1)).firstTokenSeconds()
                - short512.firstTokenSeconds())
        .isCloseTo(2.745, QUARTER);
  }

  /** 14.14 GB of weights a token, as bench counts them. */
  @Test
  void bytesAreThoseOfTheWeights() {
    ModelWork work = work();

    assertThat(28 * work.layerBytes() + work.headBytes()).isCloseTo(14.14e9, within(0.01e9));
    assertThat(28 * work.kvBytesPerRow(GPU_0)).isEqualTo(57_344);
  }

  @Test
  void twoRanksHalveTheReadingAndAddTwoMessagesALayer() {
    Workload load = new Workload(700, 0, 1);
    double one = predict(Deployment.on(GPU_0, 28), load).tokenSeconds();
    Deployment cut = new Deployment(List.of(Replica.cutOver(List.of(GPU_0, GPU_1), 28)));

    double two = predict(cut, load).tokenSeconds();

    double fixed = 28 * Efficiency.GPU.layerSeconds();
    double messages = 57 * Link.DIRECT.latencySeconds();
    assertThat(two).isCloseTo((one - fixed) / 2 + fixed + messages, within(10e-6));
  }

  @Test
  void stagesAddAHopForOneAnswerAndWorkTogetherForMany() {
    Deployment staged =
        new Deployment(
            List.of(
                new Replica(
                    List.of(new Stage(List.of(GPU_0), 0, 15), new Stage(List.of(GPU_1), 15, 28)),
                    List.of(GPU_0))));
    Workload single = new Workload(700, 0, 1);
    double hop = Link.DIRECT.seconds(2 * 3584);

    assertThat(predict(staged, single).tokenSeconds())
        .isCloseTo(predict(Deployment.on(GPU_0, 28), single).tokenSeconds() + hop, within(1e-9));
    // Many long answers: while one part reads its keys and values here, another does there.
    Workload many = new Workload(8000, 0, 256);
    assertThat(predict(staged, many).tokensPerSecond())
        .isGreaterThan(1.1 * predict(Deployment.on(GPU_0, 28), many).tokensPerSecond());
    // A long prompt passes in parts.
    Workload prompt = new Workload(8192, 0, 1);
    assertThat(predict(staged, prompt).firstTokenSeconds())
        .isLessThan(0.7 * predict(Deployment.on(GPU_0, 28), prompt).firstTokenSeconds());
  }

  @Test
  void replicasShareTheBatch() {
    Deployment two =
        new Deployment(
            List.of(Replica.cutOver(List.of(GPU_0), 28), Replica.cutOver(List.of(GPU_1), 28)));
    Prediction half = predict(Deployment.on(GPU_0, 28), new Workload(700, 0, 32));

    assertThat(predict(two, new Workload(700, 0, 64)))
        .isEqualTo(
            new Prediction(
                half.firstTokenSeconds(), half.tokenSeconds(), 2 * half.tokensPerSecond()));
    assertThat(predict(two, new Workload(700, 0, 1)))
        .isEqualTo(predict(Deployment.on(GPU_0, 28), new Workload(700, 0, 1)));
  }

  @Test
  void slicesAreDividedOverVisionDevices() {
    Workload picture = new Workload(691, 10, 1);
    Workload text = new Workload(691, 0, 1);
    Deployment cut = new Deployment(List.of(Replica.cutOver(List.of(GPU_0, GPU_1), 28)));

    double one =
        predict(Deployment.on(GPU_0, 28), picture).firstTokenSeconds()
            - predict(Deployment.on(GPU_0, 28), text).firstTokenSeconds();
    double two = predict(cut, picture).firstTokenSeconds() - predict(cut, text).firstTokenSeconds();

    double features = Link.DIRECT.seconds(10 * 64 * 3584 * 2);
    double prepared = 10 * TimeModel.PREPARATION_SECONDS_PER_SLICE;
    assertThat(two).isCloseTo(prepared + (one - prepared) / 2 + features, within(1e-9));
  }

  /** Ranks of one processor share its cores: cutting a layer over them gains nothing. */
  @Test
  void ranksOfOneCpuShareIt() {
    Workload load = new Workload(100, 0, 1);
    Deployment cut =
        new Deployment(List.of(Replica.cutOver(List.of(DeviceId.CPU, DeviceId.CPU), 28)));

    assertThat(predict(cut, load).tokenSeconds())
        .isGreaterThan(predict(Deployment.on(DeviceId.CPU, 28), load).tokenSeconds());
  }

  @Test
  void replicasOfOneCpuShareIt() {
    Deployment two =
        new Deployment(
            List.of(
                Replica.cutOver(List.of(DeviceId.CPU), 28),
                Replica.cutOver(List.of(DeviceId.CPU), 28)));
    Prediction one = predict(Deployment.on(DeviceId.CPU, 28), new Workload(100, 0, 1));

    assertThat(predict(two, new Workload(100, 0, 2)).tokensPerSecond())
        .isCloseTo(one.tokensPerSecond(), Percentage.withPercentage(1));
    assertThat(predict(two, new Workload(100, 0, 1)).tokenSeconds()).isEqualTo(one.tokenSeconds());
  }

  private static Prediction predict(Deployment deployment, Workload load) {
    return new TimeModel(work(), load).predict(deployment, DEVICES);
  }

  private static ModelWork work() {
    return new ModelWork(FULL, new PlanRequest(16_384, 1, 4, 512, DType.BF16));
  }
}
