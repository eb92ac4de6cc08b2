package org.tessera.sampling;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.tessera.api.GenerationOptions;
import org.tessera.cpu.ScalarOps;
import org.tessera.error.GenerationException;
import org.tessera.ops.Ops;
import org.tessera.ops.SamplingParameters;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** What a device draws against what {@link Sampler} would draw. */
class DeviceSamplerTest {
  private static final int VOCABULARY = 12;
  private static final Set<Integer> TERMINATORS = Set.of(3, 11);
  private static final GenerationOptions PLAIN = GenerationOptions.greedy().withTemperature(1);

  /** The operation for one sequence. */
  private static final class Row {
    private final Tensor parameters = ints(SamplingParameters.INTS);
    private final Tensor counts = ints(VOCABULARY);
    private final Tensor ids = ints(1);

    private static Tensor ints(int columns) {
      return Tensor.of(DType.I32, 1, columns, Arena.ofAuto().allocate(JAVA_INT, columns));
    }

    int sample(Tensor logits, SamplingParameters next, int[] history) {
      int[] packed = new int[SamplingParameters.INTS];
      next.write(packed, 0);
      MemorySegment.copy(packed, 0, parameters.memory(), JAVA_INT, 0, packed.length);
      counts.memory().fill((byte) 0);
      for (int id : history) {
        int count = counts.memory().getAtIndex(JAVA_INT, id);
        counts.memory().setAtIndex(JAVA_INT, id, count + 1);
      }
      new ScalarOps().sample(logits, parameters, counts, ids);
      return ids.memory().get(JAVA_INT, 0);
    }
  }

  private static Tensor tensor(float... logits) {
    return Tensor.of(DType.F32, 1, logits.length, Arena.ofAuto().allocateFrom(JAVA_FLOAT, logits));
  }

  private static float[] logits(Random random) {
    float[] logits = new float[VOCABULARY];
    for (int id = 0; id < VOCABULARY; id++) {
      logits[id] = Math.round(4 * random.nextGaussian()) / 2f; // some are equal
    }
    return logits;
  }

  @Test
  void drawsFollowTheDistributionOfTheHost() {
    Random random = new Random(11);
    List<GenerationOptions> all =
        List.of(
            PLAIN,
            PLAIN.withTemperature(0.6f).withTopK(8),
            PLAIN.withTopP(0.9f),
            PLAIN.withTopK(9).withTopP(0.7f),
            PLAIN.withRepetitionPenalty(1.3f).withPresencePenalty(0.4f).withTopP(0.95f),
            PLAIN.withFrequencyPenalty(-0.7f).withTopK(7),
            PLAIN.withMaxNewTokens(100_000).withMinNewTokens(100_000),
            GenerationOptions.sampling().withTemperature(1.4f));
    for (GenerationOptions options : all) {
      float[] logits = logits(random);
      int[] history = {1, 4, 4, 4, 7};
      Sampler host = new Sampler(options, TERMINATORS, VOCABULARY);
      for (int id : history) {
        host.accept(id);
      }
      float[] probabilities = host.distribution(logits);

      DeviceSampler device =
          new DeviceSampler(options.withSeed(random.nextLong()), TERMINATORS, VOCABULARY);
      Row row = new Row();
      Tensor tensor = tensor(logits);
      int draws = 30_000;
      int[] counts = new int[VOCABULARY];
      for (int i = 0; i < draws; i++) {
        int id = row.sample(tensor, device.next(device.counts() ? 0 : -1), history);
        device.accept(id);
        counts[id]++;
      }

      double chiSquare = 0;
      for (int id = 0; id < VOCABULARY; id++) {
        double expected = (double) draws * probabilities[id];
        if (expected == 0) {
          assertThat(counts[id]).as("token %d by %s", id, options).isZero();
        } else {
          chiSquare += (counts[id] - expected) * (counts[id] - expected) / expected;
        }
      }
      // 11 degrees of freedom or fewer: the 99.9th percentile of 11 is 31.3.
      assertThat(chiSquare).as("%s", options).isLessThan(31.3);
    }
  }

  @Test
  void temperatureZeroIsTheHostsChoice() {
    Random random = new Random(12);
    for (int round = 0; round < 200; round++) {
      GenerationOptions options =
          GenerationOptions.greedy()
              .withRepetitionPenalty(0.7f + random.nextFloat())
              .withPresencePenalty(random.nextFloat() - 0.5f)
              .withFrequencyPenalty(random.nextFloat() / 4)
              .withMinNewTokens(random.nextInt(8));
      Sampler host = new Sampler(options, TERMINATORS, VOCABULARY);
      DeviceSampler device = new DeviceSampler(options, TERMINATORS, VOCABULARY);
      Row row = new Row();
      for (int i = 0; i < 20; i++) {
        float[] logits = new float[VOCABULARY];
        for (int id = 0; id < VOCABULARY; id++) {
          logits[id] = (float) random.nextGaussian();
        }
        int id = row.sample(tensor(logits), device.next(0), device.history());
        device.accept(id);
        assertThat(id).as("token %d of round %d", i, round).isEqualTo(host.next(logits));
      }
      assertThat(device.generatedTokens()).isEqualTo(20);
    }
  }

  @Test
  void nothingIsSampledWhereTheLikeliestTokenIsNext() {
    assertThat(sampler(GenerationOptions.greedy()).takesLikeliest()).isTrue();
    assertThat(sampler(PLAIN).takesLikeliest()).isFalse();
    assertThat(sampler(GenerationOptions.greedy().withPresencePenalty(1)).takesLikeliest())
        .isFalse();
    DeviceSampler early = sampler(GenerationOptions.greedy().withMinNewTokens(1));
    assertThat(early.takesLikeliest()).isFalse();
    early.accept(5);
    assertThat(early.takesLikeliest()).isTrue();
  }

  @Test
  void whatADeviceCannotDoStaysOnTheHost() {
    assertThat(DeviceSampler.covers(GenerationOptions.sampling(), TERMINATORS)).isTrue();
    assertThat(DeviceSampler.covers(PLAIN.withLogprobs(1), TERMINATORS)).isFalse();
    assertThat(DeviceSampler.covers(GenerationOptions.beamSearch(), TERMINATORS)).isFalse();
    Set<Integer> many = Set.of(0, 1, 2, 3, 4, 5);
    assertThat(DeviceSampler.covers(PLAIN, many)).isTrue();
    assertThat(DeviceSampler.covers(PLAIN.withMinNewTokens(1), many)).isFalse();
    assertThatIllegalArgumentException().isThrownBy(() -> sampler(PLAIN.withLogprobs(1)));
  }

  @Test
  void rowsWithoutATokenAreErrors() {
    DeviceSampler sampler = sampler(PLAIN);
    assertThatThrownBy(() -> sampler.accept(Ops.NOT_FINITE))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("not finite");
    assertThatThrownBy(() -> sampler.accept(Ops.NO_TOKEN))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("no token");
    assertThat(sampler.generatedTokens()).isZero();
    assertThatThrownBy(() -> new DeviceSampler(PLAIN, Set.of(VOCABULARY), VOCABULARY))
        .isInstanceOf(GenerationException.class);
  }

  private static DeviceSampler sampler(GenerationOptions options) {
    return new DeviceSampler(options, TERMINATORS, VOCABULARY);
  }
}
