package org.tessera.sampling;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.tessera.api.GenerationOptions;
import org.tessera.error.GenerationException;

/**
 * Beam search over one request, apart from any model: the caller brings the logits of every beam,
 * {@link #advance} says which beams go on from which.
 *
 * <p>The rules are those of Transformers 4.40 with {@code early_stopping=False} and {@code
 * length_penalty=1}. A beam's score is the sum of its tokens' log-probabilities, each after the
 * repetition penalty (over the beam's own generated tokens) and with terminators impossible before
 * {@code min_new_tokens}. Of all continuations of all beams the best {@code max(2, 1 + terminators)
 * * numBeams} are looked at, best first: a terminator ends a hypothesis where it is among the first
 * {@code numBeams}, the other tokens make the next beams. Hypotheses are judged by score per
 * generated token, the terminator counted; the best {@code numBeams} are kept. The search ends when
 * there are that many and the best continuation, ended here, would not beat the worst of them, or
 * at {@code max_new_tokens}, where the beams still open count as hypotheses. Temperature, top-k and
 * top-p have no part in it. The best continuation may be a terminator; Transformers 5 looks at the
 * best that goes on, and so may stop steps earlier and, rarely, with another answer.
 *
 * <p>Where scores are equal, the lower beam and then the lower token id goes first, and of
 * hypotheses the later one. Not thread-safe.
 */
public final class BeamSearch {
  /** The score of all beams but the first at the start, so that they add nothing but places. */
  private static final float UNBORN = -1e9f;

  /** What follows a step. */
  public sealed interface Step {
    /**
     * Beam {@code i} now continues what was beam {@code parents[i]} with {@code tokenIds[i]}. After
     * the first step all parents are 0, the prompt. Both hold {@code numBeams} values.
     */
    record Continue(int[] parents, int[] tokenIds) implements Step {}

    /** Nothing more to compute: {@link BeamSearch#best} has the answer. */
    record Finished() implements Step {}
  }

  private record Beam(float score, int[] tokenIds) {
    Beam plus(float newScore, int tokenId) {
      int[] longer = Arrays.copyOf(tokenIds, tokenIds.length + 1);
      longer[tokenIds.length] = tokenId;
      return new Beam(newScore, longer);
    }

    double scorePerToken() {
      return (double) score / tokenIds.length;
    }
  }

  private final GenerationOptions options;
  private final int vocabSize;
  private final List<Integer> terminators;
  private final TopK candidates;

  /** Log-probabilities of one beam's next token after penalties. */
  private final float[] scores;

  private List<Beam> beams;

  /** Ended by a terminator, at most {@code numBeams}, in the order in which they came. */
  private final List<Beam> hypotheses = new ArrayList<>();

  private int generatedTokens;
  private boolean converged;

  /**
   * @param terminators token ids that end an answer
   * @param vocabSize logits in a row
   * @throws GenerationException where a terminator is not in the vocabulary
   * @throws IllegalArgumentException where the options ask for one beam, which is greedy decoding
   */
  public BeamSearch(GenerationOptions options, Set<Integer> terminators, int vocabSize) {
    if (options.numBeams() < 2) {
      throw new IllegalArgumentException("beam search needs num_beams of at least 2");
    }
    this.options = options;
    this.vocabSize = vocabSize;
    this.terminators = Logits.requireTerminators(terminators, vocabSize);
    if (terminators.size() >= vocabSize) {
      throw new GenerationException("all %d tokens are terminators".formatted(vocabSize));
    }
    candidates = new TopK(Math.max(2, 1 + terminators.size()) * options.numBeams());
    scores = new float[vocabSize];
    beams =
        IntStream.range(0, options.numBeams())
            .mapToObj(beam -> new Beam(beam == 0 ? 0 : UNBORN, new int[0]))
            .toList();
  }

  /**
   * Takes the next token of every beam.
   *
   * @param logitsPerBeam [numBeams][vocabSize], for the first step the prompt's one row: [1]
   *     [vocabSize]; read, never written
   * @throws GenerationException where a logit is NaN or +infinity, or no token is possible
   * @throws IllegalStateException after the end
   */
  public Step advance(float[][] logitsPerBeam) {
    if (finished()) {
      throw new IllegalStateException("the beam search is finished");
    }
    boolean first = generatedTokens == 0;
    int rows = first ? 1 : beams.size();
    if (logitsPerBeam.length != rows) {
      throw new GenerationException(
          "a step of beam search needs %d rows of logits, not %d"
              .formatted(rows, logitsPerBeam.length));
    }
    rankCandidates(logitsPerBeam);
    generatedTokens++;

    List<Beam> next = new ArrayList<>();
    int[] parents = new int[beams.size()];
    int[] tokenIds = new int[beams.size()];
    for (int rank = 0; next.size() < beams.size(); rank++) {
      int parent = candidates.id(rank) / vocabSize;
      int tokenId = candidates.id(rank) % vocabSize;
      Beam longer = beams.get(parent).plus(candidates.score(rank), tokenId);
      if (!terminators.contains(tokenId)) {
        parents[next.size()] = first ? 0 : parent;
        tokenIds[next.size()] = tokenId;
        next.add(longer);
      } else if (rank < beams.size()) {
        keep(longer);
      }
    }
    beams = next;
    converged =
        hypotheses.size() == beams.size()
            && worst().scorePerToken() >= (double) candidates.score(0) / generatedTokens;
    return finished() ? new Step.Finished() : new Step.Continue(parents, tokenIds);
  }

  /** Whether the last {@link #advance} ended the search. */
  public boolean finished() {
    return converged || generatedTokens == options.maxNewTokens();
  }

  /**
   * The best hypothesis, its terminator included where it has one; before the end, the best there
   * would be if the search were cut here, and before the first step nothing.
   */
  public List<Integer> best() {
    if (generatedTokens == 0) {
      return List.of();
    }
    List<Beam> all = new ArrayList<>(hypotheses);
    if (!converged) {
      all.addAll(beams);
    }
    Beam best = all.getFirst();
    for (Beam beam : all) {
      if (beam.scorePerToken() >= best.scorePerToken()) {
        best = beam;
      }
    }
    return Arrays.stream(best.tokenIds()).boxed().toList();
  }

  /** The best continuations of all beams, under the ids {@code beam * vocabSize + token}. */
  private void rankCandidates(float[][] logitsPerBeam) {
    candidates.clear();
    for (int beam = 0; beam < beams.size(); beam++) {
      if (beam < logitsPerBeam.length) { // else as the row before it: the prompt's
        scoreTokens(logitsPerBeam[beam], beams.get(beam).tokenIds());
      }
      candidates.offerAll(scores, beams.get(beam).score(), beam * vocabSize);
    }
    candidates.sort();
    if (candidates.score(0) == Float.NEGATIVE_INFINITY) {
      throw new GenerationException(
          "no token can be chosen: those that are not ruled out have a logit of -infinity");
    }
  }

  private void scoreTokens(float[] logits, int[] history) {
    Logits.requireVocabulary(logits, vocabSize);
    double logSumExp = Logits.logSumExp(logits);
    for (int id = 0; id < vocabSize; id++) {
      scores[id] = (float) (logits[id] - logSumExp);
    }
    if (options.repetitionPenalty() != 1) {
      for (int id : history) {
        // From the logit, not from the score: a token that came twice is penalised once.
        scores[id] =
            Logits.penalised((float) (logits[id] - logSumExp), options.repetitionPenalty());
      }
    }
    if (generatedTokens < options.minNewTokens()) {
      for (int id : terminators) {
        scores[id] = Float.NEGATIVE_INFINITY;
      }
    }
  }

  private void keep(Beam hypothesis) {
    if (hypotheses.size() < options.numBeams()) {
      hypotheses.add(hypothesis);
    } else if (hypothesis.scorePerToken() > worst().scorePerToken()) {
      hypotheses.add(hypothesis);
      hypotheses.remove(worst());
    }
  }

  /** The first of the worst. */
  private Beam worst() {
    Beam worst = hypotheses.getFirst();
    for (Beam hypothesis : hypotheses) {
      if (hypothesis.scorePerToken() < worst.scorePerToken()) {
        worst = hypothesis;
      }
    }
    return worst;
  }
}
