package org.tessera.sampling;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import org.tessera.api.GenerationOptions;

/** The rules of beam search over whole sequences, each step scored anew from the model. */
final class NaiveBeamSearch {
  private record Sequence(List<Integer> tokens, float score) {
    double average() {
      return (double) score / tokens.size();
    }
  }

  private NaiveBeamSearch() {}

  static List<Integer> best(
      GenerationOptions options,
      Set<Integer> terminators,
      int vocabSize,
      Function<List<Integer>, float[]> model) {
    int numBeams = options.numBeams();
    List<Sequence> running = new ArrayList<>();
    for (int beam = 0; beam < numBeams; beam++) {
      running.add(new Sequence(List.of(), beam == 0 ? 0 : -1e9f));
    }
    List<Sequence> ended = new ArrayList<>();
    for (int length = 1; length <= options.maxNewTokens(); length++) {
      List<Sequence> candidates = new ArrayList<>();
      for (Sequence beam : running) {
        candidates.addAll(continuations(beam, options, terminators, vocabSize, model));
      }
      candidates.sort(Comparator.comparing(Sequence::score).reversed());
      candidates =
          candidates.subList(
              0, Math.min(candidates.size(), Math.max(2, 1 + terminators.size()) * numBeams));
      running = new ArrayList<>();
      for (Sequence candidate : candidates) {
        if (!terminators.contains(candidate.tokens().getLast())) {
          running.add(candidate);
        } else if (candidates.indexOf(candidate) < numBeams) {
          ended.add(candidate);
        }
      }
      running = running.subList(0, numBeams);
      ended.sort(Comparator.comparing(Sequence::average).reversed());
      ended = new ArrayList<>(ended.subList(0, Math.min(numBeams, ended.size())));
      float bestSum = candidates.getFirst().score();
      if (ended.size() == numBeams && ended.getLast().average() >= (double) bestSum / length) {
        return ended.getFirst().tokens();
      }
    }
    ended.addAll(running);
    return ended.stream().max(Comparator.comparing(Sequence::average)).orElseThrow().tokens();
  }

  /** The answer with the best score per token among all there can be. */
  static List<Integer> bestOfAll(
      GenerationOptions options,
      Set<Integer> terminators,
      int vocabSize,
      Function<List<Integer>, float[]> model) {
    List<Sequence> open = List.of(new Sequence(List.of(), 0));
    List<Sequence> answers = new ArrayList<>();
    for (int length = 1; length <= options.maxNewTokens(); length++) {
      List<Sequence> longer = new ArrayList<>();
      for (Sequence sequence : open) {
        longer.addAll(continuations(sequence, options, terminators, vocabSize, model));
      }
      boolean last = length == options.maxNewTokens();
      longer.stream()
          .filter(sequence -> last || terminators.contains(sequence.tokens().getLast()))
          .forEach(answers::add);
      longer.removeIf(sequence -> terminators.contains(sequence.tokens().getLast()));
      open = longer;
    }
    return answers.stream().max(Comparator.comparing(Sequence::average)).orElseThrow().tokens();
  }

  private static List<Sequence> continuations(
      Sequence sequence,
      GenerationOptions options,
      Set<Integer> terminators,
      int vocabSize,
      Function<List<Integer>, float[]> model) {
    float[] logits = model.apply(sequence.tokens());
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit);
    }
    Set<Integer> generated = new HashSet<>(sequence.tokens());
    List<Sequence> longer = new ArrayList<>();
    for (int token = 0; token < vocabSize; token++) {
      float logprob = (float) (logits[token] - Math.log(sum));
      if (generated.contains(token)) {
        logprob *= options.repetitionPenalty();
      }
      if (terminators.contains(token) && sequence.tokens().size() < options.minNewTokens()) {
        logprob = Float.NEGATIVE_INFINITY;
      }
      List<Integer> tokens = new ArrayList<>(sequence.tokens());
      tokens.add(token);
      longer.add(new Sequence(tokens, sequence.score() + logprob));
    }
    return longer;
  }
}
