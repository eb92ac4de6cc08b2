package org.tessera.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.tessera.api.GenerationOptions;
import org.tessera.error.GenerationException;

class BeamSearchTest {
  private static final float IMPOSSIBLE = Float.NEGATIVE_INFINITY;

  @Test
  void findsWhatTheRulesWrittenDownNaivelyFind() {
    Random random = new Random(1);
    int terminated = 0;
    int cutAtLength = 0;
    for (int round = 0; round < 2000; round++) {
      int vocabSize = 5 + random.nextInt(40);
      Set<Integer> terminators =
          round % 7 == 0 ? Set.of(2) : round % 11 == 0 ? Set.of() : Set.of(1, vocabSize - 2);
      int maxNewTokens = 1 + random.nextInt(20);
      GenerationOptions options =
          GenerationOptions.beamSearch()
              .withNumBeams(2 + random.nextInt(4))
              .withMaxNewTokens(maxNewTokens)
              .withMinNewTokens(round % 3 == 0 ? random.nextInt(maxNewTokens + 1) : 0)
              .withRepetitionPenalty(round % 5 == 0 ? 1 : 0.7f + random.nextFloat());
      Function<List<Integer>, float[]> model =
          model(round, vocabSize, terminators, 3 * random.nextFloat());

      List<Integer> actual = search(options, terminators, vocabSize, model);
      List<Integer> expected = NaiveBeamSearch.best(options, terminators, vocabSize, model);

      assertThat(actual).as("round %d, %s", round, options).isEqualTo(expected);
      if (terminators.contains(actual.getLast())) {
        terminated++;
      } else {
        assertThat(actual).hasSize(maxNewTokens);
        cutAtLength++;
      }
    }
    assertThat(terminated).isGreaterThan(200);
    assertThat(cutAtLength).isGreaterThan(200);
  }

  @Test
  void withBeamsEnoughFindsTheBestOfAllAnswers() {
    Random random = new Random(2);
    for (int round = 0; round < 200; round++) {
      GenerationOptions options =
          GenerationOptions.beamSearch()
              .withNumBeams(16)
              .withMaxNewTokens(4)
              .withRepetitionPenalty(1 + random.nextFloat());
      Set<Integer> terminators = Set.of(0);
      Function<List<Integer>, float[]> model = model(round, 3, terminators, 0);

      assertThat(search(options, terminators, 3, model))
          .isEqualTo(NaiveBeamSearch.bestOfAll(options, terminators, 3, model));
    }
  }

  @Test
  void looksPastTheGreedyToken() {
    // Greedy takes token 1 (0.5) and then has only poor ones; token 2 (0.4) leads to a sure end.
    Function<List<Integer>, float[]> model =
        tokens ->
            switch (tokens.isEmpty() ? -1 : tokens.getLast()) {
              case -1 -> logs(0, 0.5, 0.4, 0.1);
              case 2 -> logs(0.97, 0.01, 0.01, 0.01);
              default -> logs(0.25, 0.25, 0.25, 0.25);
            };
    GenerationOptions options =
        GenerationOptions.beamSearch().withRepetitionPenalty(1).withMaxNewTokens(2);
    assertThat(search(options, Set.of(0), 4, model)).containsExactly(2, 0);
  }

  @Test
  void namesParentsAndTokensOfTheNextBeams() {
    BeamSearch search =
        new BeamSearch(
            GenerationOptions.beamSearch().withNumBeams(2).withRepetitionPenalty(1), Set.of(0), 4);
    BeamSearch.Step.Continue first = advance(search, logs(0.1, 0.2, 0.3, 0.4));
    assertThat(first.parents()).containsExactly(0, 0);
    assertThat(first.tokenIds()).containsExactly(3, 2);
    BeamSearch.Step.Continue second =
        advance(search, logs(0.1, 0.3, 0.3, 0.3), logs(0.01, 0.01, 0.08, 0.9));
    assertThat(second.parents()).containsExactly(1, 0);
    assertThat(second.tokenIds()).containsExactly(3, 1);
    assertThat(search.best()).containsExactly(2, 3);
    assertThat(search.finished()).isFalse();
  }

  @Test
  void aTerminatorCountsOnlyAmongTheFirst() {
    GenerationOptions options =
        GenerationOptions.beamSearch().withNumBeams(2).withRepetitionPenalty(1).withMaxNewTokens(1);
    // Third of four: no hypothesis, and at the limit the first beam is the answer.
    assertThat(search(options, Set.of(0), 4, tokens -> logs(0.2, 0.4, 0.3, 0.1)))
        .containsExactly(1);
    assertThat(search(options, Set.of(0), 4, tokens -> logs(0.4, 0.3, 0.2, 0.1)))
        .containsExactly(0);
  }

  @Test
  void ofEqualHypothesesTheLaterOneIsTheAnswer() {
    GenerationOptions options = GenerationOptions.beamSearch().withMaxNewTokens(1);
    assertThat(search(options, Set.of(0), 5, tokens -> logs(0.1, 0.1, 0.3, 0.2, 0.3)))
        .containsExactly(4);
  }

  @Test
  void stopsWhenNoBeamCanBeatTheWorstHypothesis() {
    GenerationOptions options = GenerationOptions.beamSearch().withNumBeams(2);
    int[] steps = {0};
    // Any beam ends surely after its second token; max_new_tokens is far away.
    List<Integer> best =
        search(
            options,
            Set.of(0),
            6,
            tokens -> {
              steps[0]++;
              return tokens.size() < 2 ? logs(0, .3, .3, .2, .1, .1) : logs(1, 0, 0, 0, 0, 0);
            });
    assertThat(best).hasSize(3).endsWith(0);
    assertThat(steps[0]).isEqualTo(1 + 2 + 2);
  }

  @Test
  void cutEarlyGivesTheBestSoFar() {
    BeamSearch search = new BeamSearch(GenerationOptions.beamSearch(), Set.of(0), 6);
    assertThat(search.best()).isEmpty();
    advance(search, logs(0.01, 0.2, 0.5, 0.1, 0.1, 0.09));
    assertThat(search.best()).containsExactly(2);
  }

  @Test
  void minNewTokensHoldsForHypotheses() {
    GenerationOptions options =
        GenerationOptions.beamSearch().withMinNewTokens(5).withMaxNewTokens(9);
    List<Integer> best =
        search(options, Set.of(0), 8, tokens -> logs(.9, .02, .02, .02, .01, .01, .01, .01));
    assertThat(best.subList(0, 5)).doesNotContain(0);
    assertThat(best.get(5)).isZero();
  }

  @Test
  void brokenInputIsNamed() {
    GenerationOptions options = GenerationOptions.beamSearch().withMinNewTokens(1);
    assertThatThrownBy(() -> new BeamSearch(GenerationOptions.greedy(), Set.of(), 4))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new BeamSearch(options, Set.of(4), 4))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("terminator id 4");
    assertThatThrownBy(() -> new BeamSearch(options, Set.of(0, 1), 2))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("all 2 tokens");
    BeamSearch search = new BeamSearch(options, Set.of(0), 4);
    assertThatThrownBy(() -> advance(search, new float[4], new float[4]))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("1 rows");
    assertThatThrownBy(() -> advance(search, new float[5]))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("5 logits");
    assertThatThrownBy(() -> advance(search, new float[] {0, Float.NaN, 0, 0}))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("NaN (token id 1)");
    assertThatThrownBy(() -> advance(search, new float[] {0, IMPOSSIBLE, IMPOSSIBLE, IMPOSSIBLE}))
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("no token can be chosen");
  }

  @Test
  void nothingAdvancesAfterTheEnd() {
    BeamSearch search =
        new BeamSearch(GenerationOptions.beamSearch().withMaxNewTokens(1), Set.of(0), 8);
    float[][] rows = {new float[8]};
    assertThat(search.advance(rows)).isInstanceOf(BeamSearch.Step.Finished.class);
    assertThat(search.finished()).isTrue();
    assertThatThrownBy(() -> search.advance(rows)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void tokensRuledOutNeverEndAnAnswer() {
    // Two possible tokens for four beams: the places left over stay empty of terminators.
    GenerationOptions options =
        GenerationOptions.beamSearch().withNumBeams(4).withMinNewTokens(3).withMaxNewTokens(6);
    float[] logits = {5, IMPOSSIBLE, IMPOSSIBLE, 1, 0, 5};
    List<Integer> best = search(options, Set.of(0, 5), 6, tokens -> logits);
    assertThat(best.subList(0, 3)).isSubsetOf(3, 4);
    assertThat(best.get(3)).isIn(0, 5);
  }

  /** Runs the search as an engine does, a sequence of tokens in the place of a KV cache. */
  private static List<Integer> search(
      GenerationOptions options,
      Set<Integer> terminators,
      int vocabSize,
      Function<List<Integer>, float[]> model) {
    BeamSearch search = new BeamSearch(options, terminators, vocabSize);
    List<List<Integer>> sequences = List.of(List.of());
    while (true) {
      float[][] rows = sequences.stream().map(model).toArray(float[][]::new);
      if (!(search.advance(rows) instanceof BeamSearch.Step.Continue step)) {
        return search.best();
      }
      List<List<Integer>> next = new ArrayList<>();
      for (int beam = 0; beam < step.parents().length; beam++) {
        List<Integer> sequence = new ArrayList<>(sequences.get(step.parents()[beam]));
        sequence.add(step.tokenIds()[beam]);
        next.add(sequence);
      }
      sequences = next;
    }
  }

  private static BeamSearch.Step.Continue advance(BeamSearch search, float[]... rows) {
    return (BeamSearch.Step.Continue) search.advance(rows);
  }

  /**
   * A model of random logits that depend on all tokens so far: by the last one alone, two orders of
   * the same steps would have equal scores. {@code bias} favours terminators.
   */
  private static Function<List<Integer>, float[]> model(
      long seed, int vocabSize, Set<Integer> terminators, float bias) {
    return tokens -> {
      Random random = new Random(seed + 1_000_003L * tokens.hashCode());
      float[] row = new float[vocabSize];
      for (int id = 0; id < vocabSize; id++) {
        row[id] = (float) (2 * random.nextGaussian()) + (terminators.contains(id) ? bias : 0);
      }
      return row;
    };
  }

  private static float[] logs(double... probabilities) {
    double[] logs = Arrays.stream(probabilities).map(Math::log).toArray();
    float[] logits = new float[logs.length];
    IntStream.range(0, logs.length).forEach(i -> logits[i] = (float) logs[i]);
    return logits;
  }
}
