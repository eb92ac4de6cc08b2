package org.tessera.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.api.GenerationOptions;
import org.tessera.error.GenerationException;

class SamplerTest {
  private static final GenerationOptions PLAIN = GenerationOptions.greedy().withTemperature(1);

  static Stream<SamplingVectors.Case> vectors() throws IOException {
    return SamplingVectors.read().stream();
  }

  @ParameterizedTest
  @MethodSource("vectors")
  void distributionsAreThoseOfTheOriginal(SamplingVectors.Case vector) {
    Sampler sampler = new Sampler(vector.options(), Set.of(), vector.logits().length);
    vector.history().forEach(sampler::accept);

    float[] actual = sampler.distribution(vector.logits());

    assertThat(actual).as(vector.name()).containsExactly(vector.probabilities(), within(1e-5f));
    assertThat(support(actual)).as(vector.name()).containsExactly(support(vector.probabilities()));
  }

  @Test
  void distributionsEqualTheDefinitionOnRandomRows() {
    Random random = new Random(1);
    for (int round = 0; round < 500; round++) {
      int vocabSize = 2 + random.nextInt(round % 10 == 0 ? 3000 : 60);
      GenerationOptions options =
          PLAIN
              .withTemperature(0.1f + 2 * random.nextFloat())
              .withTopK(random.nextInt(3) == 0 ? 0 : 1 + random.nextInt(vocabSize + 5))
              .withTopP(random.nextInt(3) == 0 ? 1 : 0.01f + 0.98f * random.nextFloat())
              .withRepetitionPenalty(0.5f + random.nextFloat())
              .withPresencePenalty(round % 3 == 0 ? 0 : 4 * random.nextFloat() - 2)
              .withFrequencyPenalty(round % 2 == 0 ? 0 : 4 * random.nextFloat() - 2)
              .withMinNewTokens(random.nextInt(8));
      Set<Integer> terminators = Set.of(vocabSize - 1);
      Sampler sampler = new Sampler(options, terminators, vocabSize);
      int[] history = random.ints(random.nextInt(10), 0, vocabSize).toArray();
      Arrays.stream(history).forEach(sampler::accept);
      float[] logits = logits(random, vocabSize, round % 3 == 0);

      float[] actual = sampler.distribution(logits);
      double[] expected = NaiveSampling.distribution(logits, options, terminators, history);

      for (int id = 0; id < vocabSize; id++) {
        assertThat((double) actual[id])
            .as("round %d, token %d of %d, %s", round, id, vocabSize, options)
            .isCloseTo(expected[id], within(1e-5));
      }
      assertThat(IntStream.range(0, vocabSize).mapToDouble(id -> actual[id]).sum())
          .isCloseTo(1, within(1e-5));
    }
  }

  @Test
  void topKKeepsAllThatEqualTheKth() {
    float[] logits = {1, 3, 2, 3, 2, 0, 2};
    assertThat(support(distribution(PLAIN.withTopK(1), logits))).containsExactly(1, 3);
    assertThat(support(distribution(PLAIN.withTopK(2), logits))).containsExactly(1, 3);
    assertThat(support(distribution(PLAIN.withTopK(3), logits))).containsExactly(1, 2, 3, 4, 6);
    assertThat(support(distribution(PLAIN.withTopK(7), logits))).hasSize(7);
    assertThat(support(distribution(PLAIN.withTopK(8), logits))).hasSize(7);
  }

  @Test
  void topPKeepsOneAtLeastAndOfEqualOnesTheHigherIds() {
    float[] equal = {0, 0, 0, 0, 0};
    assertThat(support(distribution(PLAIN.withTopP(1e-9f), equal))).containsExactly(4);
    assertThat(support(distribution(PLAIN.withTopP(0.5f), equal))).containsExactly(2, 3, 4);
    // 1 - 0.8 is the probability of the first token exactly, which goes.
    assertThat(support(distribution(PLAIN.withTopP(0.8f), equal))).containsExactly(1, 2, 3, 4);
    assertThat(support(distribution(PLAIN.withTopP(1), equal))).hasSize(5);
  }

  @Test
  void topPLeavesTheSmallestSetOfTheLikeliestThatReachesIt() {
    Random random = new Random(2);
    for (int round = 0; round < 100; round++) {
      float topP = 0.05f + 0.9f * random.nextFloat();
      float[] logits = logits(random, 400, false);
      float[] all = distribution(PLAIN, logits);
      int[] kept = support(distribution(PLAIN.withTopP(topP), logits));
      double keptMass = Arrays.stream(kept).mapToDouble(id -> all[id]).sum();
      double least = Arrays.stream(kept).mapToDouble(id -> all[id]).min().orElseThrow();
      IntPredicate isKept = id -> Arrays.binarySearch(kept, id) >= 0;

      assertThat(keptMass).isGreaterThan(topP - 1e-5);
      assertThat(keptMass - least).isLessThan(topP + 1e-5);
      assertThat(
              IntStream.range(0, 400)
                  .filter(isKept.negate())
                  .mapToDouble(id -> all[id])
                  .max()
                  .orElse(0))
          .isLessThanOrEqualTo(least);
    }
  }

  @Test
  void oneTokenIsPenalisedOnceAndThePromptNever() {
    GenerationOptions options = GenerationOptions.greedy().withRepetitionPenalty(2);
    Sampler sampler = new Sampler(options, Set.of(), 3);
    float[] logits = {4, 3, 1.5f};
    assertThat(next(sampler, logits, 4)).containsExactly(0, 1, 0, 0);
    float[] negative = {-1, -1.5f, -3};
    assertThat(next(new Sampler(options, Set.of(), 3), negative, 3)).containsExactly(0, 1, 0);
  }

  @Test
  void greedyTakesTheLowestIdOfEqualOnes() {
    Sampler sampler = new Sampler(GenerationOptions.greedy(), Set.of(), 4);
    assertThat(sampler.next(new float[] {-0f, 2, 2, 1})).isEqualTo(1);
    assertThat(sampler.next(new float[] {-0f, 0f, -1, -1})).isZero();
    assertThat(sampler.distribution(new float[] {0, 2, 2, 1})).containsExactly(0, 1, 0, 0);
  }

  @Test
  void terminatorsAreImpossibleBeforeMinNewTokens() {
    float[] logits = {1, 9, 2, 8};
    Sampler greedy = new Sampler(GenerationOptions.greedy().withMinNewTokens(3), Set.of(1, 3), 4);
    assertThat(next(greedy, logits, 5)).containsExactly(2, 2, 2, 1, 1);
    Sampler sampling = new Sampler(PLAIN.withMinNewTokens(1), Set.of(1, 3), 4);
    assertThat(support(sampling.distribution(logits))).containsExactly(0, 2);
    sampling.accept(0);
    assertThat(support(sampling.distribution(logits))).hasSize(4);
  }

  @ParameterizedTest
  @ValueSource(floats = {1e-45f, 1e-30f, 0.01f, 1e30f})
  void noTemperatureOverflows(float temperature) {
    float[] logits = {30_000, 29_999, -30_000, Float.NEGATIVE_INFINITY};
    float[] probabilities = distribution(PLAIN.withTemperature(temperature), logits);
    float[] expected =
        temperature < 1 ? new float[] {1, 0, 0, 0} : new float[] {1 / 3f, 1 / 3f, 1 / 3f, 0};
    assertThat(probabilities).containsExactly(expected, within(1e-6f));
  }

  @Test
  void theSameSeedGivesTheSameTokensAndAnotherSeedOthers() {
    Random random = new Random(3);
    float[][] rows = new float[200][];
    Arrays.setAll(rows, i -> logits(random, 500, false));
    GenerationOptions options = GenerationOptions.sampling();
    int[] seeded = generate(new Sampler(options.withSeed(7), Set.of(), 500), rows);

    assertThat(generate(new Sampler(options.withSeed(7), Set.of(), 500), rows)).isEqualTo(seeded);
    assertThat(generate(new Sampler(options.withSeed(8), Set.of(), 500), rows))
        .isNotEqualTo(seeded);
    assertThat(generate(new Sampler(options, Set.of(), 500), rows))
        .isNotEqualTo(generate(new Sampler(options, Set.of(), 500), rows));
    // Looking at a distribution or at log-probabilities draws nothing.
    Sampler watched = new Sampler(options.withSeed(7).withLogprobs(5), Set.of(), 500);
    int[] watchedTokens = new int[rows.length];
    for (int i = 0; i < rows.length; i++) {
      watched.distribution(rows[i]);
      watchedTokens[i] = watched.choose(rows[i]).tokenId();
    }
    assertThat(watchedTokens).isEqualTo(seeded);
    assertThat(watched.generatedTokens()).isEqualTo(rows.length);
  }

  /** The seeds' tokens are part of what users rely on: they must survive releases. */
  @Test
  void theTokensOfASeedStay() {
    float[] logits = new float[1000];
    Sampler sampler = new Sampler(PLAIN.withSeed(42), Set.of(), logits.length);
    assertThat(next(sampler, logits, 4)).containsExactly(303, 329, 292, 184);
  }

  @Test
  void drawsFollowTheDistribution() {
    Random random = new Random(4);
    List<GenerationOptions> all =
        List.of(PLAIN, PLAIN.withTopK(8), PLAIN.withTopP(0.9f), PLAIN.withTopK(9).withTopP(0.7f));
    for (GenerationOptions options : all) {
      float[] logits = logits(random, 12, false);
      Sampler sampler = new Sampler(options.withSeed(5), Set.of(), logits.length);
      float[] probabilities = sampler.distribution(logits);
      int draws = 100_000;
      int[] counts = new int[logits.length];
      for (int i = 0; i < draws; i++) {
        counts[sampler.next(logits)]++;
      }
      double chiSquare = 0;
      for (int id = 0; id < counts.length; id++) {
        double expected = (double) draws * probabilities[id];
        if (expected == 0) {
          assertThat(counts[id]).as("token %d is filtered", id).isZero();
        } else {
          chiSquare += (counts[id] - expected) * (counts[id] - expected) / expected;
        }
      }
      // 11 degrees of freedom or fewer: the 99.9th percentile of 11 is 31.3.
      assertThat(chiSquare).as("%s", options).isLessThan(31.3);
    }
  }

  @Test
  void logprobsAreOfTheModelsOwnDistribution() {
    float[] logits = {1, 3, 2, 3, -1};
    double logSumExp = Math.log(2 * Math.exp(3) + Math.exp(2) + Math.exp(1) + Math.exp(-1));
    GenerationOptions options =
        GenerationOptions.greedy().withRepetitionPenalty(5).withMinNewTokens(9).withLogprobs(3);
    Sampler sampler = new Sampler(options, Set.of(3), logits.length);
    sampler.accept(1);

    TokenChoice choice = sampler.choose(logits);

    assertThat(choice.tokenId()).isEqualTo(2);
    assertThat(choice.logprob()).isCloseTo(2 - logSumExp, within(1e-12));
    assertThat(choice.top()).extracting(TokenChoice.Alternative::tokenId).containsExactly(1, 3, 2);
    assertThat(choice.top().getFirst().logprob()).isCloseTo(3 - logSumExp, within(1e-12));
    assertThat(new Sampler(PLAIN, Set.of(), 5).choose(logits).top()).isEmpty();
    assertThat(new Sampler(PLAIN.withLogprobs(9), Set.of(), 5).choose(logits).top()).hasSize(5);
  }

  @Test
  void rowsStayAsTheyAre() {
    float[] logits = {3, 2, 1, 0};
    Sampler sampler =
        new Sampler(GenerationOptions.sampling().withMinNewTokens(5), Set.of(0), logits.length);
    next(sampler, logits, 10);
    assertThat(logits).containsExactly(3, 2, 1, 0);
  }

  @ParameterizedTest
  @ValueSource(floats = {0, 1})
  void brokenRowsAreNamed(float temperature) {
    GenerationOptions options = PLAIN.withTemperature(temperature);
    float nan = Float.NaN;
    float infinity = Float.POSITIVE_INFINITY;
    Sampler sampler = new Sampler(options, Set.of(), 3);
    assertThatThrownBy(() -> sampler.next(new float[] {1, infinity, nan}))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("NaN (token id 2)");
    assertThatThrownBy(() -> sampler.next(new float[] {1, infinity, 2}))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("Infinity (token id 1)");
    assertThatThrownBy(() -> sampler.next(new float[] {-infinity, -infinity, -infinity}))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("all 3 logits are -infinity");
    assertThatThrownBy(() -> sampler.next(new float[2]))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("2 logits")
        .hasMessageContaining("3 tokens");
    assertThat(sampler.generatedTokens()).isZero();
    Sampler early = new Sampler(options.withMinNewTokens(1), Set.of(0, 1, 2), 3);
    assertThatThrownBy(() -> early.next(new float[3])).isInstanceOf(GenerationException.class);
    assertThat(sampler.next(new float[] {-infinity, 5, -infinity})).isEqualTo(1);
  }

  @Test
  void idsOutsideOfTheVocabularyAreRefused() {
    assertThatThrownBy(() -> new Sampler(PLAIN, Set.of(4), 4))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("terminator id 4");
    assertThatThrownBy(() -> new Sampler(PLAIN, Set.of(), 4).accept(-1))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("token id -1");
  }

  @Test
  void anExtremePenaltyOverflowsNothing() {
    float[] logits = {10, -10, 1};
    Sampler tiny = new Sampler(PLAIN.withRepetitionPenalty(Float.MIN_VALUE), Set.of(), 3);
    tiny.accept(0);
    assertThat(support(tiny.distribution(logits))).containsExactly(0);
    Sampler huge = new Sampler(PLAIN.withRepetitionPenalty(Float.MAX_VALUE), Set.of(), 3);
    huge.accept(1);
    assertThat(support(huge.distribution(logits))).containsExactly(0, 2);
  }

  private static float[] distribution(GenerationOptions options, float[] logits) {
    return new Sampler(options, Set.of(), logits.length).distribution(logits);
  }

  private static List<Integer> next(Sampler sampler, float[] logits, int tokens) {
    return Stream.generate(() -> sampler.next(logits)).limit(tokens).toList();
  }

  private static int[] generate(Sampler sampler, float[][] rows) {
    return Arrays.stream(rows).mapToInt(sampler::next).toArray();
  }

  private static int[] support(float[] probabilities) {
    return IntStream.range(0, probabilities.length).filter(id -> probabilities[id] > 0).toArray();
  }

  /** With ties where {@code coarse}. */
  private static float[] logits(Random random, int vocabSize, boolean coarse) {
    float[] logits = new float[vocabSize];
    for (int id = 0; id < vocabSize; id++) {
      float logit = (float) (3 * random.nextGaussian());
      logits[id] = coarse ? Math.round(logit) : logit;
    }
    return logits;
  }
}
